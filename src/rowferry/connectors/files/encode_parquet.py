"""Parquet, with each neutral type as the logical type that readers know.

| neutral type | Parquet |
|---|---|
| Decimal up to 38 digits | DECIMAL; wider ones as text, which common readers would turn into doubles otherwise |
| DateTime, Instant | TIMESTAMP in `timestampUnit`, the latter adjusted to UTC |
| Duration | INT64, microseconds; the Arrow schema in the file says duration, so pyarrow reads it as such |
| Uuid, Json | UUID, JSON |
| Enum, Set | text, dictionary-encoded where dictionaries are enabled |
| all others | as they cross |

A column's neutral type stands in its field metadata under `rowferry:type`.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from rowferry.config.stream import Compression
from rowferry.connectors.files.encode import GZIP_LEVEL, Layout, check_nulls
from rowferry.connectors.files.neutral import TYPE_KEY, spell
from rowferry.connectors.files.text import slices, texts
from rowferry.errors import Refused, WriteFailed
from rowferry.model import types as t
from rowferry.model.tables import Column
from rowferry.typemap.arrow import arrow_type

WIDEST_DECIMAL = 38
_LEVELS = {Compression.GZIP: 9, Compression.ZSTD: 22}
_MEGABYTE = 1024 * 1024
_SAMPLE = 4096
_ROUNDED = {"ms": "millisecond"}

_FORMS: dict[type, Callable[[Any, str], pa.DataType]] = {
    t.Decimal: lambda n, _: pa.string() if n.precision > WIDEST_DECIMAL else arrow_type(n),
    t.DateTime: lambda _, unit: pa.timestamp(unit),
    t.Instant: lambda _, unit: pa.timestamp(unit, "UTC"),
    t.Uuid: lambda *_: pa.uuid(),
    t.Json: lambda *_: pa.json_(pa.string()),
}


def check_compression(compression: Compression, level: int | None) -> None:
    """Refused when the compression has no such level."""
    if level is not None and level > _LEVELS.get(compression, 0):
        highest = _LEVELS.get(compression)
        advice = f"choose 1 to {highest}" if highest else "leave it out"
        raise Refused(f"parquet.compressionLevel {level} does not fit compression {compression.value}: {advice}.")


def parquet_type(neutral: t.NeutralType, unit: str) -> pa.DataType:
    """The Arrow type that makes pyarrow write the right logical type; `unit` is that of timestamps."""
    form = _FORMS.get(type(neutral))
    return form(neutral, unit) if form else arrow_type(neutral)


def parquet_schema(columns: tuple[Column, ...], unit: str) -> pa.Schema:
    """The schema of the files that hold `columns`."""
    return pa.schema(
        [
            pa.field(column.name, parquet_type(column.type, unit), column.nullable, {TYPE_KEY: spell(column.type)})
            for column in columns
        ]
    )


class ParquetEncoder:
    """A Parquet file under way. Holds back at most one row group, bounded in rows and in bytes."""

    def __init__(self, path: Path, layout: Layout) -> None:
        options = layout.spec.format.parquet
        self._layout = layout
        self._unit = options.timestamp_unit
        self._flat = self._schema = parquet_schema(layout.columns, self._unit)
        self._most_rows = options.max_row_group_size
        self._most_bytes = options.target_row_group_size_mb * _MEGABYTE
        self._waiting: list[pa.RecordBatch] = []
        self._rows = self._bytes = 0
        self._file = pa.OSFile(str(path), "wb")
        self._writer: pq.ParquetWriter | None = None

    def write(self, batch: pa.RecordBatch) -> None:
        """Add rows."""
        check_nulls(batch, self._layout.columns, self._layout.table)
        for piece in slices(batch, self._most_bytes):
            if self._rows and self._bytes + piece.nbytes > self._most_bytes:
                self._flush(self._rows)
            self._waiting.append(piece)
            self._rows += piece.num_rows
            self._bytes += piece.nbytes
            while self._rows >= self._most_rows:
                self._flush(self._most_rows)

    def close(self) -> None:
        """End the file."""
        if self._rows or self._writer is None:
            self._flush(self._rows)
        if self._writer is not None:
            self._writer.close()
        self._file.close()

    def abort(self) -> None:
        """Let the file go."""
        self._waiting = []
        for part in (self._writer, self._file):
            with suppress(OSError, pa.ArrowException):
                if part is not None:
                    part.close()

    def _flush(self, rows: int) -> None:
        raw = pa.Table.from_batches(self._waiting, self._raw_schema()) if self._waiting else None
        table = self._encoded(raw.slice(0, rows)) if raw is not None else self._schema.empty_table()
        if self._writer is None:
            self._writer = self._open(table)
        self._writer.write_table(table, row_group_size=max(rows, 1))
        self._waiting = raw.slice(rows).to_batches() if raw is not None and rows < raw.num_rows else []
        self._rows = sum(batch.num_rows for batch in self._waiting)
        self._bytes = sum(batch.nbytes for batch in self._waiting)

    def _raw_schema(self) -> pa.Schema:
        return self._waiting[0].schema

    def _encoded(self, raw: pa.Table) -> pa.Table:
        arrays = [
            self._converted(column, array, field.type)
            for column, array, field in zip(self._layout.columns, raw.columns, self._flat, strict=True)
        ]
        return pa.Table.from_arrays(arrays, schema=self._flat)

    def _converted(self, column: Column, array: pa.ChunkedArray, form: pa.DataType) -> pa.ChunkedArray:
        if isinstance(form, pa.BaseExtensionType):
            return pa.chunked_array([pa.ExtensionArray.from_storage(form, chunk) for chunk in array.chunks], form)
        if array.type == form:
            return array
        if isinstance(column.type, t.Decimal):
            return pa.chunked_array([texts(chunk, column.type, form) for chunk in array.chunks], form)
        if self._unit in _ROUNDED:
            array = pc.floor_temporal(array, unit=_ROUNDED[self._unit])
        try:
            return array.cast(form)
        except pa.ArrowInvalid as error:
            raise WriteFailed(
                f"{self._layout.table}.{column.name} holds a time that timestampUnit {self._unit} cannot: choose us."
            ) from error

    def _open(self, sample: pa.Table) -> pq.ParquetWriter:
        options = self._layout.spec.format.parquet
        compression = self._layout.spec.compression
        level = options.compression_level
        if level is None and compression is Compression.GZIP:
            level = GZIP_LEVEL
        return pq.ParquetWriter(
            self._file,
            self._schema,
            compression=compression.value,
            compression_level=level,
            use_dictionary=self._repetitive(sample) if options.enable_dictionary else False,
            write_statistics=options.enable_statistics,
        )

    def _repetitive(self, sample: pa.Table) -> list[str] | bool:
        """The columns whose values come again often enough for a dictionary; the others are only slowed by one."""
        names = []
        for column, array in zip(self._layout.columns, sample.slice(0, _SAMPLE).columns, strict=True):
            if isinstance(column.type, t.Boolean) or not len(array):
                continue
            plain = pa.chunked_array([chunk.storage for chunk in array.chunks]) if _extended(array) else array
            listed = isinstance(column.type, t.Enum | t.Set)
            if listed or pc.count_distinct(plain).as_py() * 2 <= len(array):
                names.append(column.name)
        return names or False


def _extended(array: pa.ChunkedArray) -> bool:
    return isinstance(array.type, pa.BaseExtensionType)
