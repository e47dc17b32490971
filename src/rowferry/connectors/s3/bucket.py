"""A bucket, or the part of it under a prefix: every request that is made of it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import obstore
from obstore.exceptions import AlreadyExistsError, PreconditionError
from obstore.store import S3Store

from rowferry.config.connection import S3Credentials, S3Spec
from rowferry.config.stream import S3Upload
from rowferry.connectors.s3.failures import asking
from rowferry.errors import InvalidInput

if TYPE_CHECKING:
    from obstore import GetOptions, ObjectMeta

STREAM = "rowferry-stream"
"""The mark on an object that names the stream that wrote it."""

PART_BYTES = 16 * 1024 * 1024
"""Files of up to so many bytes go in one request; larger ones in parts of this size, and appear when all are there."""

_FEW = 50
_PARTS_AT_ONCE = 4
_REGION = "us-east-1"
_NUMBERS = re.compile(r"[\d.]+(:|\Z)|\[")
"""The address of a machine, and not its name."""
_BACKOFF = {"init_backoff": timedelta(milliseconds=100), "max_backoff": timedelta(seconds=3), "base": 2}
_PATIENT = {"max_retries": 8, "retry_timeout": timedelta(seconds=20), "backoff": _BACKOFF}
_HASTY = {"max_retries": 1, "retry_timeout": timedelta(seconds=5), "backoff": _BACKOFF}


@dataclass(frozen=True, slots=True)
class Entry:
    """An object: its size in bytes, the store's mark of its content, and the stream that wrote it, if known.

    `moment`: when it was written.
    """

    size: int
    tag: str | None
    stream: str | None = None
    moment: str = ""

    @property
    def version(self) -> str:
        """What no other content has that the object had or will have."""
        return f"{self.size}:{(self.tag or self.moment).strip(chr(34))}"


class Bucket:
    """Asks a store; keys are below the prefix. Thread-safe. Errors are those of `failures`.

    `hasty`: somebody waits for the answer, and so it does not ask again for long.
    """

    def __init__(self, spec: S3Spec, upload: S3Upload, hasty: bool = False) -> None:
        self.name = upload.bucket
        self.prefix = upload.prefix
        self.endpoint = address_of(spec)
        self._class = {"Storage-Class": upload.storage_class} if upload.storage_class else {}
        with self._asking():
            self._store = S3Store(upload.bucket, prefix=upload.prefix or None, **_options(spec, upload, hasty))

    def below(self, folder: str = "") -> dict[str, Entry]:
        """The objects below a folder (which ends with a slash), by their keys."""
        with self._asking():
            pages = obstore.list(self._store, folder or None)
            return {one["path"]: _entry(one) for page in pages for one in page}

    def look(self, folder: str = "") -> tuple[list[str], dict[str, Entry]]:
        """The names of the folders in a folder, and the objects that lie in it by their names."""
        with self._asking():
            found = obstore.list_with_delimiter(self._store, folder or None)
        folders = sorted(path.rstrip("/").rpartition("/")[2] for path in found["common_prefixes"])
        return folders, {one["path"].rpartition("/")[2]: _entry(one) for one in found["objects"]}

    def head(self, key: str) -> Entry | None:
        """The object, None when it is not there."""
        with self._asking():
            try:
                answer = obstore.get(self._store, key, options={"head": True})
            except FileNotFoundError:
                return None
            return _entry(answer.meta, answer.attributes.get(STREAM))

    def read(self, key: str) -> bytes | None:
        """The object's bytes, None when it is not there."""
        with self._asking():
            try:
                return bytes(obstore.get(self._store, key).bytes())
            except FileNotFoundError:
                return None

    def tagged(self, key: str) -> tuple[bytes | None, str | None]:
        """The object's bytes and the store's mark of them, None when it is not there."""
        with self._asking():
            try:
                answer = obstore.get(self._store, key)
                return bytes(answer.bytes()), answer.meta["e_tag"]
            except FileNotFoundError:
                return None, None

    def beginning(self, folder: str, word: str) -> list[str]:
        """The keys in a folder (which ends with a slash) whose names begin with a word."""
        with self._asking():
            for page in obstore.list(self._store, folder, offset=folder + word, chunk_size=_FEW):
                return [one["path"] for one in page if one["path"].startswith(folder + word)]
        return []

    def part(self, key: str, wanted: Entry, start: int, end: int) -> bytes | None:
        """A part of the object's bytes; None when the object is gone, or no longer the one that is `wanted`."""
        options: GetOptions = {"range": (start, end)}
        if wanted.tag and wanted.tag.startswith('"'):
            options["if_match"] = wanted.tag
        with self._asking():
            try:
                answer = obstore.get(self._store, key, options=options)
                found = _entry(answer.meta)
                return bytes(answer.bytes()) if found.version == wanted.version else None
            except (FileNotFoundError, PreconditionError):
                return None

    def create(self, key: str, content: bytes) -> bool:
        """Write the object unless there is one; whether it was written."""
        with self._asking():
            try:
                obstore.put(self._store, key, content, mode="create", use_multipart=False)
            except AlreadyExistsError:
                return False
            return True

    def replace(self, key: str, content: bytes, tag: str | None, stream: str) -> str | None:
        """Write the object in the place of the one with that mark (None: of none), and return its own.

        None when there is another one by now, unless that is the same to the byte: an answer may have been lost.
        """
        mode: Any = "create" if tag is None else {"e_tag": tag}
        with self._asking():
            try:
                done = obstore.put(
                    self._store, key, content, attributes=self._marks(stream), mode=mode, use_multipart=False
                )
                return done["e_tag"]
            except (AlreadyExistsError, PreconditionError):
                held, found = self.tagged(key)
                return found if held == content else None

    def write(self, key: str, content: bytes, stream: str) -> None:
        """Write a small object, or put it in the place of one."""
        with self._asking():
            obstore.put(self._store, key, content, attributes=self._marks(stream), use_multipart=False)

    def upload(self, key: str, path: Path, stream: str) -> str | None:
        """Write a file as the object, which appears when it is whole; the store's mark of its content."""
        with self._asking():
            done = obstore.put(
                self._store, key, path, attributes=self._marks(stream),
                chunk_size=PART_BYTES, max_concurrency=_PARTS_AT_ONCE,
            )  # fmt: skip
            return done["e_tag"]

    def delete(self, keys: Iterable[str]) -> None:
        """Delete the objects; those that are not there are none to delete."""
        for key in keys:
            with self._asking():
                try:
                    obstore.delete(self._store, key)
                except FileNotFoundError:
                    continue

    def _marks(self, stream: str) -> Any:
        return {**self._class, STREAM: stream}

    def _asking(self) -> Any:
        return asking(self.name, self.endpoint)


def _entry(meta: ObjectMeta, stream: str | None = None) -> Entry:
    return Entry(meta["size"], meta["e_tag"], stream, meta["last_modified"].isoformat())


def keys_of(credentials: S3Credentials | None) -> tuple[str, str, str | None] | None:
    """Access key, secret key and session token, of the connection or else of the environment.

    None where others of the machine's own are meant: a web identity, or the role of a container or an instance.
    """
    if credentials is None or not (credentials.access_key or credentials.secret_key):
        access, secret = (os.environ.get(f"AWS_{name}") for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY"))
        return (access, secret, os.environ.get("AWS_SESSION_TOKEN") or None) if access and secret else None
    if credentials.access_key is None or credentials.secret_key is None:
        raise InvalidInput("An object store asks for two keys: write accessKey and secretKey.")
    token = credentials.session_token.get_secret_value() if credentials.session_token else None
    return credentials.access_key.get_secret_value(), credentials.secret_key.get_secret_value(), token


def endpoint_of(spec: S3Spec) -> str | None:
    """Where the store is: as the connection says or else the environment; None for AWS."""
    return spec.endpoint or os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or None


def address_of(spec: S3Spec) -> str:
    """The store's address, that of AWS in the region where no other is written."""
    return endpoint_of(spec) or f"https://s3.{region_of(spec)}.amazonaws.com"


def path_style(spec: S3Spec) -> bool:
    """Whether the bucket stands in an address's path."""
    return endpoint_of(spec) is not None if spec.path_style is None else spec.path_style


def region_of(spec: S3Spec) -> str:
    """The region of the connection or else of the environment, or the one that stores without regions go by."""
    return spec.region or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or _REGION


def _options(spec: S3Spec, upload: S3Upload, hasty: bool) -> dict[str, Any]:
    endpoint = endpoint_of(spec)
    options: dict[str, Any] = {
        "region": region_of(spec),
        "virtual_hosted_style_request": not path_style(spec) and "." not in upload.bucket,
        "client_options": {
            "connect_timeout": timedelta(seconds=5),
            "timeout": timedelta(seconds=15 if hasty else 120),
            "allow_http": (endpoint or "").startswith("http://"),
        },
        "retry_config": _HASTY if hasty else _PATIENT,
    }
    keys = keys_of(spec.credentials)
    if keys is not None:
        known = {"access_key_id": keys[0], "secret_access_key": keys[1], "token": keys[2], "expires_at": None}
        options["credential_provider"] = lambda: known
    if endpoint is not None:
        options["endpoint"] = endpoint
        if options["virtual_hosted_style_request"]:
            scheme, _, host = endpoint.partition("://")
            if _NUMBERS.match(host):
                raise InvalidInput(f"A bucket cannot stand before the address {host}: set the connection's pathStyle.")
            options["endpoint"] = f"{scheme}://{upload.bucket}.{host}"
    if upload.server_side_enc:
        options["server_side_encryption"] = upload.server_side_enc
    if upload.kms_key_id:
        options["sse_kms_key_id"] = upload.kms_key_id
    return options
