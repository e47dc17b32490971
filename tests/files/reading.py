"""Files as a source, as tests open and read it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa

from rowferry.config.connection import Connection
from rowferry.config.source_files import SourceFiles
from rowferry.connectors.base import ChunkSize, Source, SourceRequest
from rowferry.connectors.files import CONNECTOR
from rowferry.model.tables import Table
from rowferry.typemap.arrow import arrow_schema

WHOLE = ChunkSize(10**6, 1 << 40)
ON_ONE_LINE = {'{\n"c": 1}': '{ "c": 1}'}
"""JSON Lines have no line ends between a document's tokens."""


def source(base: Path, *paths: str, rejects: Path | None = None, **csv: Any) -> Source:
    """The source for some files under `base`, which is the connection's folder."""
    connection = Connection.model_validate({"name": "f", "type": "files", "spec": {"files": {"basePath": str(base)}}})
    files = SourceFiles.model_validate({"basePath": str(base), "paths": paths, "csv": csv})
    assert CONNECTOR.open_source is not None
    return CONNECTOR.open_source(SourceRequest(connection, files=files, rejects=rejects))


def read(opened: Source, table: Table, size: ChunkSize = WHOLE) -> pa.Table:
    """All rows of the table, each batch as it is promised."""
    schema = arrow_schema(table.columns)
    batches = []
    for chunk in opened.chunks(table, size):
        for batch in opened.read(table, chunk):
            assert batch.schema.equals(schema)
            assert batch.num_rows
            batch.validate(full=True)
            batches.append(batch)
    return pa.Table.from_batches(batches, schema)


def only(opened: Source) -> tuple[Table, list[dict[str, Any]]]:
    """The one table that is there, and its rows."""
    [table] = opened.tables([])
    rows: list[dict[str, Any]] = read(opened, table).to_pylist()
    return table, rows
