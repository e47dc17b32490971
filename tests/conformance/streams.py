"""The steps of a stream, as the tests of targets take them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa

from rowferry.connectors.base import Journal, PlannedTable, Target
from rowferry.model.chunks import Chunk, Committed
from rowferry.model.tables import Column, Table
from tests.conformance.targets import Row, TargetPlace
from tests.tables import batch, simple


def item(place: TargetPlace, name: str = "item", *further: Column) -> Table:
    """A source's table with the columns of the place."""
    return simple(name, *place.further, *further)


def batches(table: Table, rows: Sequence[Row], size: int = 1) -> Iterator[pa.RecordBatch]:
    """The rows, `size` of them in a batch; further columns are NULL."""
    empty = [None] * (len(table.columns) - 2)
    for at in range(0, len(rows), size):
        yield batch(table.columns, [[*row, *empty] for row in rows[at : at + size]])


def untouched() -> Iterator[pa.RecordBatch]:
    """Batches that nobody may ask for."""
    raise AssertionError("a chunk that is done is not read")
    yield


def prepared(target: Target, *tables: Table) -> tuple[PlannedTable, ...]:
    """Plan and prepare."""
    plan = target.plan(tables, "mysql", prepared=False)
    target.prepare(plan, {str(planned.target.name): "mark" for planned in plan.tables})
    return plan.tables


def chunk(table: PlannedTable, number: int = 0) -> Chunk:
    """A chunk by its number."""
    return Chunk(table.source.name, number)


def write(target: Target, table: PlannedTable, rows: Sequence[Row], number: int = 0) -> Committed:
    """A chunk with these rows."""
    return target.write(table, chunk(table, number), batches(table.source, rows))


def export(target: Target, table: Table, rows: Sequence[Row]) -> None:
    """A whole stream of one table in one chunk."""
    [planned] = prepared(target, table)
    target.begin(planned, [chunk(planned)])
    write(target, planned, rows)
    target.finish_table(planned)
    target.finish([planned])
    target.forget()


def journal_of(target: Target) -> Journal:
    """The journal, which is there."""
    journal = target.journal()
    assert journal is not None
    return journal
