"""Change files of each format, out of the flat rows of `change_rows`.

CSV has the columns as they are. In JSON Lines, `before`, `after` and `unchanged` are an object, an object and a list,
left out where there is none; in Parquet structs and a list, NULL where there is none. What is in them is spelled as in
files of rows.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from rowferry.config.stream import FileFormat
from rowferry.connectors.files.change_rows import (
    AFTER,
    BEFORE,
    HAS_AFTER,
    HAS_BEFORE,
    HEAD,
    NESTED,
    UNCHANGED,
    ChangeLayout,
)
from rowferry.connectors.files.encode import Encoder, Layout
from rowferry.connectors.files.encode_csv import csv_file
from rowferry.connectors.files.encode_jsonl import JsonLines
from rowferry.connectors.files.encode_parquet import ParquetEncoder, parquet_schema
from rowferry.connectors.files.lines import LineFile

_UNCHANGED = pa.list_(pa.string())
_LIST_PATH = "unchanged.list.element"
"""What Parquet calls the values of a list."""


def _jsonl_file(path: Path, layout: ChangeLayout) -> LineFile:
    return LineFile(path, layout, ChangeLines(layout))


class ChangeLines:
    """Changes as JSON objects, one a line."""

    head = b""

    def __init__(self, layout: ChangeLayout) -> None:
        self._whole = JsonLines(Layout(layout.table, NESTED, layout.spec))
        self._parts = [
            (len(columns), JsonLines(Layout(layout.table, columns, layout.spec)), there)
            for columns, there in ((layout.before, HAS_BEFORE), (layout.after, HAS_AFTER))
        ]

    def spell(self, piece: pa.RecordBatch) -> pa.Array:
        """The changes."""
        arrays, at = piece.columns[: len(HEAD)], len(HEAD)
        for count, lines, there in self._parts:
            names = [str(place) for place in range(count)]
            part = pa.RecordBatch.from_arrays(piece.columns[at : at + count], names=names)
            at += count
            objects = pc.utf8_rtrim(lines.spell(part), "\n")
            arrays.append(pc.if_else(pc.is_in(piece.column(0), there), objects, pa.scalar(None, objects.type)))
        return self._whole.spell(pa.RecordBatch.from_arrays([*arrays, piece.columns[at]], names=_NAMES))


_NAMES = [column.name for column in NESTED]


class ChangesParquet(ParquetEncoder):
    """A Parquet file of changes under way."""

    def __init__(self, path: Path, layout: ChangeLayout) -> None:
        super().__init__(path, layout)
        self._before, self._after = (
            pa.struct(list(parquet_schema(columns, self._unit))) for columns in (layout.before, layout.after)
        )
        self._schema = pa.schema(
            [
                *list(self._flat)[: len(HEAD)],
                pa.field(BEFORE, self._before),
                pa.field(AFTER, self._after),
                pa.field(UNCHANGED.name, _UNCHANGED),
            ]
        )
        self._sample: pa.Table | None = None

    def _encoded(self, raw: pa.Table) -> pa.Table:
        flat = super()._encoded(raw)
        self._sample = flat
        return pa.Table.from_batches([self._nested(batch) for batch in flat.to_batches()], self._schema)

    def _nested(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        arrays, at = batch.columns[: len(HEAD)], len(HEAD)
        for form, there in ((self._before, HAS_BEFORE), (self._after, HAS_AFTER)):
            columns = batch.columns[at : at + form.num_fields]
            at += form.num_fields
            absent = pc.invert(pc.is_in(batch.column(0), there))
            arrays.append(pa.StructArray.from_arrays(columns, fields=list(form), mask=absent))
        return pa.RecordBatch.from_arrays([*arrays, _lists(batch.columns[at].storage)], schema=self._schema)

    def _repetitive(self, sample: pa.Table) -> list[str] | bool:
        found = super()._repetitive(self._sample) if self._sample is not None else False
        if not isinstance(found, list):
            return found
        return [_LIST_PATH if name == UNCHANGED.name else name for name in found]


def _lists(texts: pa.Array) -> pa.Array:
    """Lists that are spelled in JSON; few are different."""
    coded = texts.dictionary_encode()
    lists = pa.array([json.loads(text) for text in coded.dictionary.to_pylist()], _UNCHANGED)
    return lists.take(coded.indices)


CHANGE_ENCODERS: dict[FileFormat, Callable[[Path, ChangeLayout], Encoder]] = {
    FileFormat.CSV: csv_file,
    FileFormat.JSONL: _jsonl_file,
    FileFormat.PARQUET: ChangesParquet,
}
