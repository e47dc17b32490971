"""A bucket, or the part of it under a prefix: every request that is made of it."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import obstore
import pyarrow as pa
from obstore.exceptions import AlreadyExistsError
from obstore.store import S3Store

from rowferry.config.connection import S3Credentials, S3Spec
from rowferry.config.stream import S3Upload
from rowferry.connectors.s3.failures import asking
from rowferry.errors import InvalidInput

STREAM = "rowferry-stream"
"""The mark on an object that names the stream that wrote it."""

PART_BYTES = 16 * 1024 * 1024
"""Files of up to so many bytes go in one request; larger ones in parts of this size, and appear when all are there."""

_PARTS_AT_ONCE = 4
_READ_AHEAD = 256 * 1024
_REGION = "us-east-1"
_RETRIES = {
    "max_retries": 8,
    "retry_timeout": timedelta(seconds=20),
    "backoff": {"init_backoff": timedelta(milliseconds=100), "max_backoff": timedelta(seconds=3), "base": 2},
}
_WAITS = {"connect_timeout": timedelta(seconds=5), "timeout": timedelta(seconds=120)}


@dataclass(frozen=True, slots=True)
class Entry:
    """An object: its size in bytes, the store's mark of its content, and the stream that wrote it, if known."""

    size: int
    tag: str | None
    stream: str | None = None


class Bucket:
    """Asks a store; keys are below the prefix. Thread-safe. Errors are those of `failures`."""

    def __init__(self, spec: S3Spec, upload: S3Upload) -> None:
        self.name = upload.bucket
        self.prefix = upload.prefix
        self.endpoint = endpoint_of(spec) or "AWS"
        self._class = {"Storage-Class": upload.storage_class} if upload.storage_class else {}
        with self._asking():
            self._store = S3Store(upload.bucket, prefix=upload.prefix or None, **_options(spec, upload))

    def below(self, folder: str = "") -> dict[str, Entry]:
        """The objects below a folder (which ends with a slash), by their keys."""
        with self._asking():
            pages = obstore.list(self._store, folder or None)
            return {one["path"]: Entry(one["size"], one["e_tag"]) for page in pages for one in page}

    def look(self, folder: str = "") -> tuple[list[str], dict[str, Entry]]:
        """The names of the folders in a folder, and the objects that lie in it by their names."""
        with self._asking():
            found = obstore.list_with_delimiter(self._store, folder or None)
        folders = sorted(path.rstrip("/").rpartition("/")[2] for path in found["common_prefixes"])
        return folders, {one["path"].rpartition("/")[2]: Entry(one["size"], one["e_tag"]) for one in found["objects"]}

    def head(self, key: str) -> Entry | None:
        """The object, None when it is not there."""
        with self._asking():
            try:
                answer = obstore.get(self._store, key, options={"head": True})
            except FileNotFoundError:
                return None
            return Entry(answer.meta["size"], answer.meta["e_tag"], answer.attributes.get(STREAM))

    def read(self, key: str) -> bytes | None:
        """The object's bytes, None when it is not there."""
        with self._asking():
            try:
                return bytes(obstore.get(self._store, key).bytes())
            except FileNotFoundError:
                return None

    def open(self, key: str) -> pa.NativeFile:
        """The object's bytes, which can be sought; OSError when it is not there."""
        with self._asking():
            size = obstore.head(self._store, key)["size"]
        return pa.PythonFile(io.BufferedReader(_Ranges(self, key, size), _READ_AHEAD), mode="r")

    def range(self, key: str, start: int, end: int) -> bytes:
        """A part of the object's bytes."""
        with self._asking():
            return bytes(obstore.get_range(self._store, key, start=start, end=end))

    def create(self, key: str, content: bytes) -> bool:
        """Write the object unless there is one; whether it was written."""
        with self._asking():
            try:
                obstore.put(self._store, key, content, mode="create", use_multipart=False)
            except AlreadyExistsError:
                return False
            return True

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


class _Ranges(io.RawIOBase):
    """An object of `size` bytes as a file to read."""

    def __init__(self, bucket: Bucket, key: str, size: int) -> None:
        self._bucket, self._key, self._size = bucket, key, size
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = max(0, offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence])
        return self._at

    def readinto(self, buffer: Any) -> int:
        end = min(self._at + len(buffer), self._size)
        if end <= self._at:
            return 0
        content = self._bucket.range(self._key, self._at, end)
        buffer[: len(content)] = content
        self._at += len(content)
        return len(content)


def keys_of(credentials: S3Credentials | None) -> tuple[str, str, str | None] | None:
    """Access key, secret key and session token, None where the machine's own are meant."""
    if credentials is None or not (credentials.access_key or credentials.secret_key):
        return None
    if credentials.access_key is None or credentials.secret_key is None:
        raise InvalidInput("An object store asks for two keys: write accessKey and secretKey.")
    token = credentials.session_token.get_secret_value() if credentials.session_token else None
    return credentials.access_key.get_secret_value(), credentials.secret_key.get_secret_value(), token


def endpoint_of(spec: S3Spec) -> str | None:
    """Where the store is: as the connection says or else the environment; None for AWS."""
    return spec.endpoint or os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or None


def path_style(spec: S3Spec) -> bool:
    """Whether the bucket stands in an address's path."""
    return endpoint_of(spec) is not None if spec.path_style is None else spec.path_style


def region_of(spec: S3Spec) -> str:
    """The region, or the one that stores without regions go by."""
    return spec.region or _REGION


def _options(spec: S3Spec, upload: S3Upload) -> dict[str, Any]:
    endpoint = endpoint_of(spec)
    options: dict[str, Any] = {
        "region": region_of(spec),
        "virtual_hosted_style_request": not path_style(spec) and "." not in upload.bucket,
        "client_options": {**_WAITS, "allow_http": (endpoint or "").startswith("http://")},
        "retry_config": _RETRIES,
    }
    keys = keys_of(spec.credentials)
    if keys is not None:
        known = {"access_key_id": keys[0], "secret_access_key": keys[1], "token": keys[2], "expires_at": None}
        options["credential_provider"] = lambda: known
    if endpoint is not None:
        options["endpoint"] = endpoint
        if options["virtual_hosted_style_request"]:
            scheme, _, host = endpoint.partition("://")
            options["endpoint"] = f"{scheme}://{upload.bucket}.{host}"
    if upload.server_side_enc:
        options["server_side_encryption"] = upload.server_side_enc
    if upload.kms_key_id:
        options["sse_kms_key_id"] = upload.kms_key_id
    return options
