"""What has been read and not been given out yet, across tables."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from rowferry.connectors.changes import BatchSize, RowChanges
from rowferry.connectors.mysql.binlog.fields import packed
from rowferry.connectors.mysql.binlog.frames import Event
from rowferry.connectors.mysql.binlog.gather import Heap
from rowferry.connectors.mysql.binlog.headers import inflated
from rowferry.connectors.mysql.binlog.kinds import Kind
from rowferry.connectors.mysql.binlog.plans import Plan
from rowferry.model.changes import Op
from rowferry.model.tables import TableName


@dataclass(frozen=True, slots=True)
class RowsKind:
    """What an event with rows is. `images`: how many there are of each row; `partial`: of JSON only what changed.

    `extra`: its body has room for more before the columns, and says how much.
    """

    op: Op
    images: int = 1
    extra: bool = False
    compressed: bool = False
    partial: bool = False


def rows_kinds() -> dict[int, RowsKind]:
    """Each kind of event with rows."""
    versions = {"_V0": (False, False), "_V1": (False, False), "": (True, False)}
    versions |= {"_COMPRESSED_V1": (False, True), "_COMPRESSED": (True, True)}
    words = {"WRITE": Op.INSERT, "UPDATE": Op.UPDATE, "DELETE": Op.DELETE}
    found = {
        int(Kind[f"{word}_ROWS{version}"]): RowsKind(op, 1 + (op == Op.UPDATE), extra, compressed)
        for version, (extra, compressed) in versions.items()
        for word, op in words.items()
    }
    return found | {int(Kind.PARTIAL_UPDATE_ROWS): RowsKind(Op.UPDATE, 2, extra=True, partial=True)}


class Collected:
    """The changes since the last batch. `changes` and `size` count them and their bytes."""

    def __init__(self, limit: BatchSize) -> None:
        self._limit = limit
        self._heaps: dict[Plan, Heap] = {}
        self._since = 0.0
        self.changes, self.size = 0, 0

    def meets(self, plan: Plan) -> bool:
        """Whether another plan of the same table has changes here; then a batch must end first."""
        return plan not in self._heaps and any(one.table.name == plan.table.name for one in self._heaps)

    def add(self, plan: Plan, kind: RowsKind, event: Event, at: int) -> None:
        """Take an event's rows, whose columns' number stands at `at`."""
        heap = self._heaps.get(plan)
        if heap is None:
            heap = self._heaps[plan] = Heap(plan)
        if not self.changes:
            self._since = time.monotonic()
        data, end = event.data, event.end
        count, at = packed(data, at)
        begin = at + (count + 7) // 8 * kind.images
        key = event.kind, data[at:begin]
        lane = heap.lanes.get(key)
        if lane is None:
            lane = heap.lane(key, kind.op, count, kind.partial)
        if kind.compressed:
            data = inflated(data[begin:end])
            begin, end = 0, len(data)
        self.changes += heap.add(lane, data, begin, end, self.changes)
        self.size += event.size

    @property
    def full(self) -> bool:
        """Whether a batch can hold no more."""
        return self.changes >= self._limit.changes or self.size >= self._limit.size

    @property
    def due(self) -> bool:
        """Whether a batch should be given out, at the end of a transaction."""
        return self.changes > 0 and (self.full or time.monotonic() - self._since >= self._limit.seconds)

    def undo(self, first: int, tables: frozenset[TableName]) -> None:
        """Forget the changes of these tables from that ordinal on."""
        for plan, heap in self._heaps.items():
            if plan.table.name in tables:
                heap.undo(first)

    def take(self) -> Sequence[RowChanges]:
        """All of it, in the neutral form; nothing is left."""
        heaps, self._heaps = self._heaps, {}
        self.changes, self.size = 0, 0
        return [changes for heap in heaps.values() if len((changes := heap.taken()).ops)]
