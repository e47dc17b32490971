"""Where in an object store a stream writes, out of its connection and its target."""

from __future__ import annotations

from rowferry.config.connection import Connection
from rowferry.config.stream import S3Target, S3Upload, TargetSpec
from rowferry.errors import InvalidInput


def folder_of(text: str) -> str:
    """A prefix as one spelling: a/b for /a//b/, and nothing for the top of a bucket."""
    return "/".join(part for part in text.split("/") if part)


def s3_target(connection: Connection, spec: TargetSpec) -> S3Target:
    """The target with its bucket and its prefix: those of `upload`, or of the connection's scope.

    InvalidInput when neither names a bucket, or when they do not fit each other.
    """
    if connection.spec.s3 is None:
        raise InvalidInput(f"Connection {connection.name} leads to no object store: write its spec.s3.")
    written = spec.s3 or spec.files
    if written is None:
        raise InvalidInput("The target's connection is an object store: write target.spec.s3 or target.spec.files.")
    upload = written.upload if isinstance(written, S3Target) else None
    scope = connection.spec.s3.scope
    bucket, top = (scope.bucket or "", folder_of(scope.prefix or "")) if scope else ("", "")
    if upload is None and not bucket:
        raise InvalidInput("Neither the config nor the connection names a bucket: write target.spec.s3.upload.bucket.")
    asked = S3Upload(bucket=bucket) if upload is None else upload
    prefix = folder_of(asked.prefix) or top
    if bucket and asked.bucket != bucket:
        raise InvalidInput(f"upload.bucket is {asked.bucket}, but the connection leads to bucket {bucket} alone.")
    if top and prefix != top and not prefix.startswith(f"{top}/"):
        raise InvalidInput(f"upload.prefix {prefix}/ lies outside of {top}/, to which the connection leads.")
    if any(part in (".", "..") for part in prefix.split("/")):
        raise InvalidInput("A prefix cannot hold . or .. as a part: name the place itself.")
    document = written.model_dump(exclude={"upload"})
    target = S3Target(**document, upload=asked.model_copy(update={"prefix": prefix}))
    if asked.keep_local_files and not target.output_directory:
        raise InvalidInput("upload.keepLocalFiles needs outputDirectory, the folder to keep the files in.")
    if asked.kms_key_id and asked.server_side_enc != "aws:kms":
        raise InvalidInput("upload.kmsKeyId needs upload.serverSideEnc aws:kms.")
    return target
