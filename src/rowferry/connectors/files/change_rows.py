"""Changes as rows of their own: what stands in a change file, the same for every format.

| column | |
|---|---|
| op | insert, update, delete, truncate |
| committed_at | when the change's transaction committed at the source, as exact as its log tells |
| position | a place in the source's log behind that transaction |
| ordinal | the number of the change among all of the stream, from 1 on, without a gap |
| before.* | what the log tells of the row as it was; NULL of an insert |
| after.* | the row as it became; NULL of a delete |
| unchanged | the columns that `after` lacks, since the log does not tell what is as it was; NULL where it lacks none |

Here `before` and `after` are columns side by side. So they stay in CSV; elsewhere they become an object or a struct, in
`change_encode`.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from rowferry.config.stream import FileFormat, FilesTarget
from rowferry.connectors.base import PlannedTable
from rowferry.connectors.changes import Commit, RowChanges
from rowferry.connectors.files.encode import Layout
from rowferry.connectors.files.inspection import schema_document
from rowferry.model import types as t
from rowferry.model.changes import Op
from rowferry.model.tables import Column, NativeType
from rowferry.typemap.arrow import arrow_schema

BEFORE, AFTER = "before", "after"
TRUNCATE = "truncate"
HAS_BEFORE, HAS_AFTER = (pa.array(words) for words in (("update", "delete"), ("insert", "update")))
"""Of which kinds of changes there is one."""

_WORDS = {int(op): op.name.lower() for op in Op}


def _column(name: str, neutral: t.NeutralType) -> Column:
    return Column(name, neutral, NativeType("", ""))


OP = _column("op", t.Text())
STAMPS = (_column("committed_at", t.Instant(6)), _column("position", t.Text()))
ORDINAL = _column("ordinal", t.Integer(64))
UNCHANGED = _column("unchanged", t.Json())
HEAD = (OP, *STAMPS, ORDINAL)
NESTED = (*HEAD, _column(BEFORE, t.Json()), _column(AFTER, t.Json()), UNCHANGED)
"""The columns of a change file where before and after are one each."""


@dataclass(frozen=True, slots=True)
class ChangeLayout(Layout):
    """`Layout` of a change file. `before`, `after`: the table's columns that it has there; `columns` are all, flat."""

    before: tuple[Column, ...] = ()
    after: tuple[Column, ...] = ()

    @property
    def schema(self) -> dict[str, Any]:
        """How a manifest tells of the columns."""
        return {part: schema_document(getattr(self, part), (), self.spec)["columns"] for part in (BEFORE, AFTER)}


def change_layout(table: PlannedTable, before: Collection[str], spec: FilesTarget) -> ChangeLayout:
    """What change files of the table hold, where the log tells these columns of rows as they were."""
    after = tuple(replace(column, nullable=True) for column in table.target.columns)
    told = tuple(column for column in after if column.name in set(before))
    flat = (*HEAD, *_flat(BEFORE, told), *_flat(AFTER, after), UNCHANGED)
    return ChangeLayout(str(table.target.name), flat, spec, told, after)


def shown_columns(layout: ChangeLayout) -> tuple[Column, ...]:
    """The columns that a reader of the file meets."""
    return layout.columns if layout.spec.file_format is FileFormat.CSV else NESTED


def _flat(part: str, columns: Sequence[Column]) -> list[Column]:
    return [replace(column, name=f"{part}.{column.name}") for column in columns]


def shaped(layout: ChangeLayout, changes: RowChanges, ordinals: NDArray[np.int64]) -> pa.RecordBatch:
    """The changes as they lie in the file, but for what is known once their transactions have ended."""
    count = len(changes.ops)
    words = pa.array([_WORDS.get(op) for op in range(max(_WORDS) + 1)])
    arrays = [words.take(changes.ops), pa.array(ordinals)]
    for field in arrow_schema(layout.before):
        before = changes.before
        arrays.append(pa.nulls(count, field.type) if before is None else before.column(field.name))
    arrays += [changes.after.column(column.name) for column in layout.after]
    return pa.RecordBatch.from_arrays([*arrays, _unchanged(layout, changes)], schema=_waiting_schema(layout))


def truncated(layout: ChangeLayout, ordinal: int) -> pa.RecordBatch:
    """One change that emptied the table."""
    schema = _waiting_schema(layout)
    row = {"op": TRUNCATE, "ordinal": ordinal}
    return pa.RecordBatch.from_arrays([pa.array([row.get(one.name)], one.type) for one in schema], schema=schema)


def stamped(layout: ChangeLayout, shape: pa.RecordBatch, commits: Sequence[Commit], which: Any) -> pa.RecordBatch:
    """The rows of `shape` with the ends of their transactions, each the one of `commits` whose number is in `which`."""
    places = pa.array(which)
    moments = [None if one.committed_at is None else round(one.committed_at * 1_000_000) for one in commits]
    times = pa.array(moments, pa.timestamp("us", "UTC")).take(places)
    positions = pa.array([one.position for one in commits], pa.string()).take(places)
    op, *rest = shape.columns
    return pa.RecordBatch.from_arrays([op, times, positions, *rest], schema=_schema(layout))


def _waiting_schema(layout: ChangeLayout) -> pa.Schema:
    known = [field for field in _schema(layout) if field.name not in {column.name for column in STAMPS}]
    return pa.schema(known)


def _schema(layout: ChangeLayout) -> pa.Schema:
    return arrow_schema(layout.columns)


def _unchanged(layout: ChangeLayout, changes: RowChanges) -> pa.Array:
    if changes.image is None:
        return pa.nulls(len(changes.ops), pa.string())
    names = [column.name for column in layout.after]
    lacking = [[name for name in names if name not in known] for known in changes.images]
    lists = [json.dumps(one, ensure_ascii=False) if one else None for one in lacking]
    image = np.asarray(changes.image)
    return pa.array(lists, pa.string()).take(pa.array(image, mask=image < 0))
