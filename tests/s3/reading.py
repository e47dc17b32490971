"""A bucket as a source, as tests fill, open and read it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rowferry.config.connection import Connection
from rowferry.config.source_files import SourceFiles, SourceS3
from rowferry.connectors.base import Source, SourceRequest
from rowferry.connectors.s3 import CONNECTOR
from tests.stores import BUCKET, ObjectStore


def fill(store: ObjectStore, prefix: str, objects: Mapping[str, str | bytes]) -> str:
    """Put objects below a prefix; the prefix."""
    for key, content in objects.items():
        store.open(BUCKET).put(f"{prefix}/{key}", content.encode() if isinstance(content, str) else content)
    return prefix


def connection(store: ObjectStore, prefix: str = "", endpoint: str | None = None) -> Connection:
    """A connection to that part of the bucket."""
    document = store.connection(BUCKET, prefix)
    document["spec"]["s3"]["endpoint"] = endpoint or store.endpoint
    return Connection.model_validate(document)


def source(
    store: ObjectStore, prefix: str = "", *, database: str | None = None, files: Mapping[str, Any] | None = None,
    rejects: Path | None = None, endpoint: str | None = None, **s3: Any,
) -> Source:  # fmt: skip
    """The source for what `files` or the fields of `s3` name, or for the whole prefix."""
    assert CONNECTOR.open_source is not None
    return CONNECTOR.open_source(
        SourceRequest(
            connection(store, prefix, endpoint), database,
            files=SourceFiles.model_validate(files) if files else None, rejects=rejects,
            s3=SourceS3.model_validate({"bucket": BUCKET, **s3}) if s3 else None,
        )
    )  # fmt: skip


def names(opened: Source) -> list[str]:
    """The tables that are there."""
    return [table.name.name for table in opened.tables([])]
