"""Where in an object store a stream reads and writes, out of its connection and its config."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from rowferry.config.connection import Connection, S3Spec
from rowferry.config.source_files import SourceCsv, SourceFiles, SourceS3
from rowferry.config.stream import S3Target, S3Upload, TargetSpec
from rowferry.errors import InvalidInput

SCHEME = "s3://"


def folder_of(text: str) -> str:
    """A prefix as one spelling: a/b for /a//b/, and nothing for the top of a bucket."""
    return "/".join(part for part in text.split("/") if part)


def check_parts(key: str) -> None:
    """InvalidInput for a key that stands for another one."""
    if any(part in (".", "..") for part in key.split("/")):
        raise InvalidInput(f"{key!r} cannot hold . or .. as a part: name the place itself.")


def spec_of(connection: Connection) -> S3Spec:
    """The object store of a connection; InvalidInput when it leads to none."""
    if connection.spec.s3 is None:
        raise InvalidInput(f"Connection {connection.name} leads to no object store: write its spec.s3.")
    return connection.spec.s3


def scope_of(store: S3Spec) -> tuple[str, str]:
    """The bucket ("" for any) and the folder in it, out of which the connection does not lead."""
    return (store.scope.bucket or "", folder_of(store.scope.prefix or "")) if store.scope else ("", "")


@dataclass(frozen=True, slots=True)
class S3Place:
    """What a stream reads: below a bucket's `prefix` these paths (none: every table), or what a manifest lists."""

    bucket: str
    prefix: str
    paths: tuple[str, ...] = ()
    manifest: str = ""
    csv: SourceCsv = field(default_factory=SourceCsv)

    @property
    def name(self) -> str:
        """What a table is called that is the whole place."""
        return self.prefix.rpartition("/")[2] or self.bucket


def s3_source(connection: Connection, database: str | None, files: SourceFiles | None, s3: SourceS3 | None) -> S3Place:
    """Where a source reads; InvalidInput when the config names no bucket, or what the connection does not lead to."""
    bucket, top = scope_of(spec_of(connection))
    if s3 is not None:
        check_bucket(bucket, s3.bucket)
        paths = [*(f"./{below(top, key)}/" for key in s3.prefixes), *(below(top, key) for key in s3.objects)]
        return S3Place(s3.bucket, top, tuple(paths), s3.manifest_path and below(top, s3.manifest_path), s3.csv)
    asked = files.base_path if files is not None else database or ""
    if asked.startswith(SCHEME):
        named, _, prefix = asked.removeprefix(SCHEME).partition("/")
        check_bucket(bucket, named)
        place = S3Place(named, _joined(top, below(top, prefix)))
    elif bucket:
        place = S3Place(bucket, _joined(top, "" if asked == "." else folder_of(asked)))
    else:
        named, _, prefix = asked.strip("/").partition("/")
        place = S3Place(named, folder_of(prefix))
    check_parts(place.prefix)
    if place.bucket in ("", ".", ".."):
        raise InvalidInput("Neither the config nor the connection names a bucket: write source.connections.s3.bucket.")
    return place if files is None else replace(place, paths=files.paths, csv=files.csv)


def check_bucket(scope: str, bucket: str) -> None:
    """InvalidInput for another bucket than that of the scope, if it has one."""
    if scope and bucket != scope:
        raise InvalidInput(f"The source's bucket is {bucket}, but the connection leads to bucket {scope} alone.")


def below(top: str, key: str) -> str:
    """The key as seen from the folder `top`; InvalidInput when it lies outside of that."""
    key = folder_of(key)
    check_parts(key)
    if top and key != top and not key.startswith(f"{top}/"):
        raise InvalidInput(f"{key} lies outside of {top}/, to which the connection leads.")
    return key.removeprefix(top).lstrip("/")


def _joined(top: str, folder: str) -> str:
    return f"{top}/{folder}".strip("/")


def s3_target(connection: Connection, spec: TargetSpec) -> S3Target:
    """The target with its bucket and its prefix: those of `upload`, or of the connection's scope.

    InvalidInput when neither names a bucket, or when they do not fit each other.
    """
    store = spec_of(connection)
    written = spec.s3 or spec.files
    if written is None:
        raise InvalidInput("The target's connection is an object store: write target.spec.s3 or target.spec.files.")
    upload = written.upload if isinstance(written, S3Target) else None
    bucket, top = scope_of(store)
    if upload is None and not bucket:
        raise InvalidInput("Neither the config nor the connection names a bucket: write target.spec.s3.upload.bucket.")
    asked = S3Upload(bucket=bucket) if upload is None else upload
    prefix = folder_of(asked.prefix) or top
    if bucket and asked.bucket != bucket:
        raise InvalidInput(f"upload.bucket is {asked.bucket}, but the connection leads to bucket {bucket} alone.")
    if top and prefix != top and not prefix.startswith(f"{top}/"):
        raise InvalidInput(f"upload.prefix {prefix}/ lies outside of {top}/, to which the connection leads.")
    check_parts(prefix)
    document = written.model_dump(exclude={"upload"})
    target = S3Target(**document, upload=asked.model_copy(update={"prefix": prefix}))
    if asked.keep_local_files and not target.output_directory:
        raise InvalidInput("upload.keepLocalFiles needs outputDirectory, the folder to keep the files in.")
    if asked.kms_key_id and asked.server_side_enc != "aws:kms":
        raise InvalidInput("upload.kmsKeyId needs upload.serverSideEnc aws:kms.")
    return target
