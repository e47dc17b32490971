"""Changes of rows made by hand, in the forms in which they reach a target, and a model of what they come to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from rowferry.connectors.base import PlannedTable
from rowferry.connectors.changes import Merge, RowChanges, Standing
from rowferry.model.changes import Op
from rowferry.model.tables import Table
from rowferry.typemap.arrow import arrow_type

Row = tuple[Any, ...]


@dataclass(frozen=True)
class Change:
    """One change: the row as it was and as it became; `known`: the columns of the latter that are."""

    op: Op
    before: Row | None = None
    after: Row | None = None
    known: frozenset[str] | None = None


def inserted(*row: Any) -> Change:
    """A row that came."""
    return Change(Op.INSERT, None, row)


def updated(before: Row, after: Row, *known: str) -> Change:
    """A row that became another; `known`: of which only these columns are told."""
    return Change(Op.UPDATE, before, after, frozenset(known) if known else None)


def deleted(*row: Any) -> Change:
    """A row that went."""
    return Change(Op.DELETE, row)


def row_changes(table: Table, changes: Sequence[Change]) -> RowChanges:
    """The changes as a source tells them."""
    names = list(table.column_names())
    identity = table.primary_key or table.key or tuple(names)
    images = list(dict.fromkeys(change.known for change in changes if change.known is not None))
    numbers = [-1 if change.known is None else images.index(change.known) for change in changes]
    nothing = (None,) * len(names)
    after = [
        tuple(
            value if change.known is None or name in change.known else None
            for name, value in zip(names, change.after or nothing, strict=True)
        )
        for change in changes
    ]
    places = [names.index(name) for name in identity]
    before = [tuple((change.before or nothing)[place] for place in places) for change in changes]
    return RowChanges(
        table=table,
        ops=pa.array([int(change.op) for change in changes], pa.uint8()),
        ordinals=pa.array(range(len(changes)), pa.int64()),
        after=rows_of(table, after),
        identity=tuple(identity),
        before=None if all(change.op is Op.INSERT for change in changes) else rows_of(table, before, identity),
        image=pa.array(numbers, pa.int16()) if images else None,
        images=tuple(images),
    )


def rows_of(table: Table, rows: Sequence[Row], names: Sequence[str] = ()) -> pa.RecordBatch:
    """Rows of the table, or of some of its columns; any of them may be NULL."""
    chosen = names or list(table.column_names())
    schema = pa.schema([pa.field(name, arrow_type(table.column(name).type)) for name in chosen])
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(schema)
    arrays = [pa.array(list(values), form.type) for values, form in zip(columns, schema, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def merge_of(
    planned: PlannedTable,
    *,
    deletes: Sequence[Row] = (),
    upserts: Sequence[Row] = (),
    updates: Sequence[pa.RecordBatch] = (),
    new: bool = False,
) -> Merge:
    """A merge by the table's key."""
    source = planned.source
    key = source.primary_key or source.key
    return Merge(
        planned,
        key,
        deletes=rows_of(source, deletes, key) if deletes else None,
        upserts=rows_of(source, upserts) if upserts else None,
        updates=updates,
        new=new,
    )


def standing(position: str, **notes: object) -> Standing:
    """A place in a log."""
    return Standing(position, notes)
