"""Images of rows, decoded column by column."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from rowferry.connectors.mysql.binlog.cells import Cells, Octets
from rowferry.connectors.mysql.binlog.plans import Plan
from rowferry.connectors.mysql.binlog.treated import decoder
from rowferry.connectors.mysql.carriers import ZeroDate
from rowferry.errors import ReadFailed
from rowferry.model.policies import OddValue, refused
from rowferry.model.tables import Column, Table


@dataclass(frozen=True, slots=True)
class Found:
    """Where a column's values lie: from `at` on, `lengths` bytes of each (None: as many as the column is wide)."""

    place: int
    at: Any
    lengths: Any
    null: Any


def located(plan: Plan, octets: Octets, begins: Any, present: Sequence[int]) -> Iterator[Found]:
    """The columns that are `present` in the images that begin at these places, one behind the other."""
    size = (len(present) + 7) // 8
    nulls = _Nulls(octets, begins, size)
    at = begins + size
    for number, place in enumerate(present):
        width, null = plan.slots[place].width, nulls.of(number)
        lengths: Any = width.fixed
        if width.prefix:
            lengths = octets.little(at, width.prefix)
            lengths = lengths if null is None else np.where(null, 0, lengths)
            at = at + (width.prefix if null is None else np.where(null, 0, width.prefix))
        elif null is not None:
            lengths = np.where(null, 0, lengths)
        yield Found(place, at, lengths if width.prefix else None, null)
        at = at + lengths


def decode(
    plan: Plan, octets: Octets, begins: Any, present: Sequence[int], wanted: Collection[str]
) -> dict[str, pa.Array]:
    """The columns that are `wanted` and `present`, of the images that begin at these places."""
    found = {}
    for one in located(plan, octets, begins, present):
        slot = plan.slots[one.place]
        if slot.column is not None and slot.column.name in wanted:
            cells = Cells(octets, one.at, one.lengths, one.null, slot.column, slot.log)
            found[slot.column.name] = _array(plan.table, cells)
    return found


class _Nulls:
    """Which values are NULL."""

    def __init__(self, octets: Octets, begins: Any, size: int) -> None:
        self._octets = [octets.bytes[begins + number] for number in range(size)]
        self._some = [bool(one.any()) for one in self._octets]

    def of(self, place: int) -> Any:
        """For each row whether the column at this place is NULL; None where none is."""
        number, bit = divmod(place, 8)
        if not self._some[number]:
            return None
        null = (self._octets[number] >> bit & 1).astype(np.bool_)
        return null if null.any() else None


def _array(table: Table, cells: Cells) -> pa.Array:
    column = cells.column
    try:
        return decoder(column)(cells)
    except ZeroDate:
        place = f"{table.name}.{column.name} ({column.native.declared})"
        raise ReadFailed(refused(place, "in the source's log", OddValue.ZERO_DATE)) from None
    except (pa.ArrowException, ValueError, IndexError, KeyError, OverflowError):
        raise ReadFailed(_uncarried(table, column)) from None


def _uncarried(table: Table, column: Column) -> str:
    return (
        f"{table.name}.{column.name} ({column.native.declared}) has a value in the source's log that cannot be carried."
    )
