"""Changes of one table's rows as Arrow, out of a block of messages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from rowferry.connectors.changes import RowChanges
from rowferry.connectors.postgres.batches import Place
from rowferry.connectors.postgres.replication.cells import (
    UNCHANGED,
    Block,
    Cells,
    Flags,
    Places,
    Rows,
    read_rows,
    values_as_cells,
)
from rowferry.connectors.postgres.replication.values import decoded
from rowferry.errors import ReadFailed
from rowferry.model.changes import Op
from rowferry.model.tables import Column, Table
from rowferry.typemap.arrow import arrow_schema

_PART = "in the log"


Instead = Callable[[Column, Sequence[str | None]], Sequence[bytes | None]]


@dataclass(frozen=True, slots=True)
class Shape:
    """A table and how the log tells of it.

    `told`: by the table's column, its place among the relation's columns; of a computed one None, unless it is told.
    `keyed`: the places of what is told of a row as it was. `columns`: how many the relation has. `instead`
    gives what is put in the place of a column's values, as PostgreSQL spells it. `whole`: of rows as they were, all is
    wanted that is told.
    """

    table: Table
    told: tuple[int | None, ...]
    keyed: frozenset[int]
    columns: int
    identity: tuple[str, ...]
    instead: Instead
    whole: bool = False

    def reads_as(self, other: Shape) -> bool:
        """Whether messages that were told for the one are read alike for the other."""
        return (self.table, self.told, self.keyed, self.columns) == (
            other.table, other.told, other.keyed, other.columns,
        )  # fmt: skip

    @property
    def fields(self) -> list[pa.Field]:
        """Of the rows, all of which may be NULL."""
        return [field.with_nullable(True) for field in arrow_schema(self.table.columns)]


def row_changes(block: Block, which: Places, shape: Shape) -> RowChanges:
    """The changes `which` (numbers of messages); ReadFailed, naming the column, where a value cannot be carried."""
    rows = read_rows(block, which, shape.columns)
    after = [_filled(rows, at, shape) for at in range(shape.columns)]
    image, images = _images(rows, after, shape)
    return RowChanges(
        table=shape.table,
        ops=pa.array(rows.ops),
        ordinals=pa.array(which),
        after=_batch(block, rows, after, shape, range(len(shape.table.columns))),
        identity=shape.identity,
        before=_before(block, rows, after, shape),
        image=image,
        images=images,
    )


def _filled(rows: Rows, at: int, shape: Shape) -> Cells:
    """A column of the new rows; what is unchanged and not told is taken from the old row, where that is told."""
    cells = rows.after[at]
    unchanged = cells.letters == UNCHANGED
    if not rows.before or not unchanged.any():
        return cells
    known = unchanged & rows.told & (rows.whole if at not in shape.keyed else True)
    return rows.before[at].where(known, cells)


def _before(block: Block, rows: Rows, after: Sequence[Cells], shape: Shape) -> pa.RecordBatch | None:
    """The identity as it was; of an update without an old row it is as it became."""
    if (rows.ops == Op.INSERT).all():
        return None
    unsaid: Flags = (rows.ops == Op.UPDATE) & ~rows.told
    names = list(shape.table.column_names())
    places = [names.index(name) for name in shape.identity]
    if shape.whole and (rows.whole | (rows.ops == Op.INSERT)).all():
        places = [place for place, at in enumerate(shape.told) if at is not None or names[place] in shape.identity]
    before = list(rows.before or (Cells.empty(rows.at) for _ in after))
    for place in places:
        at = shape.told[place]
        if at is not None and unsaid.any():
            before[at] = after[at].where(unsaid, before[at])
            if (before[at].letters == UNCHANGED).any():
                raise ReadFailed(
                    f"{shape.table.name}.{names[place]} belongs to the row's identity, and the log does not tell it: "
                    f"set REPLICA IDENTITY FULL."
                )
    return _batch(block, rows, before, shape, places)


def _batch(block: Block, rows: Rows, cells: Sequence[Cells], shape: Shape, places: Sequence[int]) -> pa.RecordBatch:
    fields = shape.fields
    arrays = [_column(block, rows, cells, shape, place, fields[place]) for place in places]
    return pa.RecordBatch.from_arrays(arrays, schema=pa.schema([fields[place] for place in places]))


def _column(block: Block, rows: Rows, cells: Sequence[Cells], shape: Shape, place: int, field: pa.Field) -> pa.Array:
    at = shape.told[place]
    if at is None:
        return pa.nulls(len(rows.ops), field.type)
    column, told = shape.table.columns[place], cells[at]
    where = Place(shape.table.name, column, _PART)
    if column.read_as is None:
        return decoded(block, told, where, field)
    return decoded(*values_as_cells(shape.instead(column, told.texts(block, pa.string()).to_pylist())), where, field)


def _images(rows: Rows, after: Sequence[Cells], shape: Shape) -> tuple[pa.Array | None, tuple[frozenset[str], ...]]:
    """Which columns of which updates are known, where not all are: the number of a set of names for each row."""
    unchanged = {at: cells.letters == UNCHANGED for at, cells in enumerate(after)}
    partly = {at: flags for at, flags in unchanged.items() if flags.any()}
    if not partly:
        return None, ()
    unknown = np.stack(list(partly.values()), axis=1)
    concerned: Flags = np.logical_or.reduce(unknown, axis=1)
    patterns, numbers = np.unique(unknown[concerned], axis=0, return_inverse=True)
    names = dict(zip(shape.told, shape.table.column_names(), strict=True))
    columns = frozenset(shape.table.column_names())
    images = tuple(
        columns.difference(names[at] for at, gone in zip(partly, pattern, strict=True) if gone) for pattern in patterns
    )
    image = np.full(len(concerned), -1, np.int16)
    image[concerned] = numbers.reshape(-1)
    return pa.array(image), images
