"""A source's table as DuckDB reads it: only the columns that a query needs, as often as it needs them."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds

from rowferry.connectors.base import ChunkSize, Source
from rowferry.connectors.federated.conditions import conditions
from rowferry.connectors.federated.engine import quoted
from rowferry.connectors.federated.shown import Shown, shown
from rowferry.errors import RowferryError
from rowferry.model import types as t
from rowferry.model.tables import Column, Selection, Table

SIZE = ChunkSize(rows=500_000, size=16 * 1024 * 1024)
"""How much a source may pile up at once."""

MARK = "rowferry_"


class Failures:
    """What went wrong while DuckDB read; it would only tell the words of it."""

    def __init__(self) -> None:
        self.first: RowferryError | None = None

    def note(self, error: RowferryError) -> None:
        """Keep it, unless something went wrong before."""
        self.first = self.first or error


@dataclass(frozen=True)
class Reading:
    """A table and where it is read. `number` tells it from the others of the query; `filters`: the source has some."""

    number: int
    source: Source
    table: Table
    filters: bool = False

    @property
    def relation(self) -> str:
        """What DuckDB knows the rows by."""
        return f"{MARK}{self.number}"

    def mark(self, at: int) -> str:
        """The name of a column towards DuckDB: one that no other column of the query has."""
        return f"{MARK}{self.number}_{at}"

    def select(self) -> str:
        """The table as the query sees it. Conditions on floats stay with DuckDB, because Arrow has other rules."""
        return ", ".join(self._expression(at, column) for at, column in enumerate(self.table.columns))

    def _expression(self, at: int, column: Column) -> str:
        mark = self.mark(at)
        word = f"CASE WHEN {mark} IS NULL THEN NULL ELSE {mark} END" if shown(column.type).floats else mark
        return f"{word} AS {quoted(column.name)}"


class Scan(ds.Dataset):  # type: ignore[misc]
    """The reading as a data set of Arrow, which is how DuckDB says which columns it wants. Read anew by every scan."""

    def __init__(self, reading: Reading, failures: Failures) -> None:
        self._reading = reading
        self._failures = failures
        self._wholes = {
            reading.mark(at): column.name
            for at, column in enumerate(reading.table.columns)
            if isinstance(column.type, t.Integer) and column.read_as is None
        }
        self._forms: dict[str, tuple[Column, Shown]] = {
            reading.mark(at): (column, shown(column.type)) for at, column in enumerate(reading.table.columns)
        }

    @property
    def schema(self) -> pa.Schema:
        """All columns that there are."""
        return self._schema(list(self._forms))

    def scanner(self, columns: Sequence[str] | None = None, filter: Any = None, **_: object) -> _Rows:  # noqa: A002
        """The rows with these columns for which the condition holds."""
        marks = list(self._forms) if columns is None else list(columns)
        return _Rows(self._schema(marks), self._batches(marks, filter))

    def _schema(self, marks: Sequence[str]) -> pa.Schema:
        return pa.schema([(mark, self._forms[mark][1].type) for mark in marks])

    def _batches(self, marks: Sequence[str], condition: Any) -> Generator[pa.RecordBatch, None, None]:
        schema = self._schema(marks)
        try:
            for batch in self._rows(tuple(self._forms[mark][0] for mark in marks), condition):
                arrays = [self._forms[mark][1].convert(batch.column(at)) for at, mark in enumerate(marks)]
                made = pa.RecordBatch.from_arrays(arrays, schema=schema)
                yield made if condition is None else made.filter(condition)
        except RowferryError as error:
            self._failures.note(error)
            raise

    def _rows(self, columns: tuple[Column, ...], condition: Any) -> Iterator[pa.RecordBatch]:
        source, whole = self._reading.source, self._reading.table
        filters = conditions(condition, self._wholes) if self._reading.filters else ()
        selected = whole.with_selection(Selection(columns=tuple(one.name for one in columns), filters=filters))
        table = replace(selected, columns=columns, remarks=())
        for chunk in source.chunks(table, SIZE):
            yield from source.read(table, chunk)


@dataclass(frozen=True)
class _Rows:
    """What DuckDB asks a scanner for."""

    schema: pa.Schema
    batches: Iterator[pa.RecordBatch]

    def to_reader(self) -> pa.RecordBatchReader:
        """The rows, one batch at a time."""
        return pa.RecordBatchReader.from_batches(self.schema, self.batches)
