"""Connections and targets as one line: mysql://, mariadb://, postgresql://, file:// and s3:// URLs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from pydantic import ValidationError

from rowferry.config.connection import DEFAULT_PORTS, TYPE_ALIASES, Connection, ConnectionType
from rowferry.config.wording import invalid
from rowferry.errors import InvalidInput

EXAMPLES = (
    "mysql://user:password@host:3306/database, postgresql://…, file:///folder?format=parquet or s3://bucket/folder"
)

_SSL = {"sslmode": "mode", "ssl-mode": "mode", "sslrootcert": "ca", "ssl-ca": "ca"}
_OBJECT = re.compile(r"[*?\[]|\.(?:parquet|(?:csv|json|jsonl|ndjson)(?:\.gz|\.zst)?)\Z", re.IGNORECASE)
_STORE = {"region": "region", "endpoint": "endpoint", "pathstyle": "pathStyle"}
_KNOWN = {"schema", "format", "compression", *_SSL, *_STORE}


@dataclass(frozen=True, slots=True)
class Place:
    """What a URL says: the connection, and where in it. `objects`: the keys of a bucket that are meant alone."""

    connection: Connection
    database: str | None = None
    schema: str | None = None
    file_format: str = "parquet"
    compression: str | None = None
    objects: tuple[str, ...] = ()


def is_url(text: str) -> bool:
    """Whether the text is meant as such a URL."""
    return "://" in text


def parse(url: str) -> Place:
    """The place a URL names; InvalidInput with what to change, never with the URL itself (it may hold a password)."""
    parts, scheme = _split(url)
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    unknown = sorted(options.keys() - _KNOWN)
    if unknown:
        raise InvalidInput(f"The URL has unknown options {', '.join(unknown)}: known are {', '.join(sorted(_KNOWN))}.")
    try:
        if scheme is ConnectionType.FILES:
            return _files(parts, options)
        if scheme is ConnectionType.S3:
            return _bucket(parts, options)
        return _database(parts, scheme, options)
    except ValidationError as error:
        raise InvalidInput(f"The URL does not describe a connection: {invalid(error, Connection).message}") from None


def _split(url: str) -> tuple[SplitResult, ConnectionType]:
    try:
        parts = urlsplit(url)
    except ValueError:
        raise InvalidInput(f"The URL cannot be read: write {EXAMPLES}.") from None
    name = TYPE_ALIASES.get(parts.scheme.lower(), parts.scheme.lower())
    if name not in {*ConnectionType}:
        raise InvalidInput(f"There is no scheme {parts.scheme!r}: write {EXAMPLES}.")
    try:
        _ = parts.port
    except ValueError:
        raise InvalidInput("The URL's port must be a number from 1 to 65535.") from None
    return parts, ConnectionType(name)


def _files(parts: SplitResult, options: dict[str, str]) -> Place:
    if parts.netloc not in ("", "localhost") or not parts.path:
        raise InvalidInput("A file URL has three slashes and an absolute path: file:///folder?format=parquet.")
    connection = Connection.model_validate(
        {"name": "files", "type": "files", "spec": {"files": {"basePath": unquote(parts.path)}}}
    )
    return Place(connection, None, None, options.get("format", "parquet"), options.get("compression"))


def _bucket(parts: SplitResult, options: dict[str, str]) -> Place:
    """A bucket or a folder in it, or objects of it: what ends as files do, or holds a wildcard."""
    if not parts.netloc or "@" in parts.netloc or ":" in parts.netloc:
        raise InvalidInput(
            "An S3 URL has a bucket and a folder, such as s3://bucket/folder/?endpoint=https://host: its keys stand in "
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
        )
    key = unquote(parts.path).strip("/")
    alone = bool(_OBJECT.search(key)) and not parts.path.endswith("/")
    store: dict[str, Any] = {_STORE[name]: value for name, value in options.items() if name in _STORE}
    store["scope"] = {"bucket": parts.netloc, "prefix": "" if alone else key}
    connection = Connection.model_validate({"name": "s3", "type": "s3", "spec": {"s3": store}})
    form = options.get("format", "parquet"), options.get("compression")
    return Place(connection, None, None, *form, objects=(key,) if alone else ())


def _database(parts: SplitResult, kind: ConnectionType, options: dict[str, str]) -> Place:
    if not parts.hostname:
        raise InvalidInput(f"The URL names no host: write {EXAMPLES}.")
    database = unquote(parts.path.lstrip("/")) or None
    spec: dict[str, Any] = {
        "host": parts.hostname,
        "port": parts.port or DEFAULT_PORTS[kind],
        "username": unquote(parts.username or ""),
        "database": database,
    }
    if parts.password is not None:
        spec["password"] = unquote(parts.password)
    document: dict[str, Any] = {"name": kind.value, "type": kind.value, "spec": {"database": spec}}
    ssl = {_SSL[key]: value for key, value in options.items() if key in _SSL}
    if ssl:
        document["ssl"] = ssl
    return Place(Connection.model_validate(document), database, options.get("schema"))
