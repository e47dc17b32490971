"""Changes made by hand, and what they do to rows that are kept in a dictionary."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from rowferry.connectors.changes import RowChanges
from rowferry.model.changes import Op
from rowferry.model.tables import Table
from rowferry.typemap.arrow import arrow_schema

Row = tuple[Any, ...]


@dataclass(frozen=True)
class Change:
    """One change: the row before, the row after; `unsaid` are columns of an update that the log leaves out."""

    op: Op
    before: Row | None
    after: Row | None
    unsaid: frozenset[str] = frozenset()


def row_changes(table: Table, changes: Sequence[Change], ordinals: Sequence[int] | None = None) -> RowChanges:
    """The changes as a source tells them."""
    identity = table.key or tuple(table.column_names())
    names = [*table.column_names()]
    schema = pa.schema([field.with_nullable(True) for field in arrow_schema(table.columns)])
    rows = [
        [None if change.after is None or name in change.unsaid else change.after[at] for at, name in enumerate(names)]
        for change in changes
    ]
    old = [
        [None if change.before is None else change.before[names.index(name)] for name in identity] for change in changes
    ]
    images = tuple(dict.fromkeys(frozenset(names) - change.unsaid for change in changes if change.unsaid))
    said = [images.index(frozenset(names) - change.unsaid) if change.unsaid else -1 for change in changes]
    inserts = all(change.op is Op.INSERT for change in changes)
    return RowChanges(
        table,
        pa.array([int(change.op) for change in changes], pa.uint8()),
        pa.array(ordinals if ordinals is not None else range(len(changes)), pa.int64()),
        _batch(rows, schema),
        identity,
        None if inserts else _batch(old, pa.schema([schema.field(name) for name in identity])),
        pa.array(said, pa.int16()) if images else None,
        images,
    )


def _batch(rows: Sequence[Sequence[Any]], schema: pa.Schema) -> pa.RecordBatch:
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(schema)
    return pa.RecordBatch.from_arrays(
        [pa.array(list(values), field.type) for values, field in zip(columns, schema, strict=True)], schema=schema
    )
