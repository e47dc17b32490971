"""The changes of a batch: collected as the bytes in which they came, decoded when the batch ends."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa

from rowferry.connectors.changes import RowChanges
from rowferry.connectors.mysql.binlog.cells import SPARE, Octets
from rowferry.connectors.mysql.binlog.defaults import filled
from rowferry.connectors.mysql.binlog.fields import bits, chosen
from rowferry.connectors.mysql.binlog.images import decode
from rowferry.connectors.mysql.binlog.partial import Images, whole_documents
from rowferry.connectors.mysql.binlog.plans import Plan
from rowferry.connectors.mysql.binlog.sift import current, kept, without_history
from rowferry.connectors.mysql.binlog.walk import Walk, walk
from rowferry.errors import ReadFailed
from rowferry.model.changes import Op
from rowferry.model.tables import Column
from rowferry.typemap.arrow import arrow_schema

Present = tuple[int, ...]
"""The places of the columns that an image has."""


@dataclass(slots=True)
class Lane:
    """Changes of one kind whose images have the same columns. `before`, `after`: which, None where there is no image.

    `starts`: for each image of a change, where the images of that kind begin, each in the event that it came in.
    `partial`: a third list has a bit for each JSON document of which the image has only what changed.
    """

    number: int
    op: Op
    before: Present | None
    after: Present | None
    walk: Walk
    starts: tuple[list[int], ...]
    partial: bool = False
    count: int = 0

    @property
    def befores(self) -> list[int]:
        """Where the images of how the rows were begin."""
        return self.starts[0]

    @property
    def afters(self) -> list[int]:
        """Where the images of how they became begin."""
        return self.starts[1 if self.op == Op.UPDATE else 0]


@dataclass(slots=True)
class Heap:
    """One table's changes: the events as they came, and what is in them."""

    plan: Plan
    pieces: list[bytes] = field(default_factory=list)
    size: int = 0
    lanes: dict[tuple[int, bytes], Lane] = field(default_factory=dict)
    runs: list[tuple[int, int, int, int]] = field(default_factory=list)
    gone: list[tuple[int, int]] = field(default_factory=list)

    def lane(self, key: tuple[int, bytes], op: Op, count: int, partial: bool) -> Lane:
        """A new lane, for events of so many columns; `key` ends with the bitmaps of which of them are there."""
        slots, bitmaps = self.plan.slots, key[1]
        if count != len(slots):
            raise ReadFailed(f"The log has {count} columns in rows of {self.plan.table.name}, and not {len(slots)}.")
        size = (count + 7) // 8
        images = [chosen(bits(bitmaps, at, count)[0], count) for at in range(0, len(bitmaps), size)]
        rows = tuple(tuple(slots[place].width for place in image) for image in images)
        before, after = (None if op == Op.INSERT else images[0]), (None if op == Op.DELETE else images[-1])
        bits_size = (len(self.plan.documents) + 7) // 8 if partial else 0
        starts: tuple[list[int], ...] = tuple([] for _ in range(len(images) + partial))
        found = Lane(len(self.lanes), op, before, after, walk(rows, bits_size), starts, partial)
        self.lanes[key] = found
        return found

    def add(self, lane: Lane, data: bytes, at: int, end: int, ordinal: int) -> int:
        """Take the rows of an event, which lie from `at` to `end`; how many changes they are."""
        try:
            stop = lane.walk(data, at, end, lane.starts)
        except IndexError:
            stop = -1
        if stop != end or len(lane.starts[0]) != len(lane.starts[-1]):
            raise ReadFailed(f"An event of {self.plan.table.name} does not lie in the log as its table map says.")
        count = len(lane.starts[0]) - lane.count
        lane.count += count
        self.runs.append((lane.number, ordinal, count, self.size))
        self.pieces.append(data)
        self.size += len(data)
        return count

    def undo(self, first: int) -> None:
        """Forget the changes from that ordinal on, as far as they are there."""
        self.gone.append((first, self.runs[-1][1] + self.runs[-1][2] if self.runs else 0))

    def taken(self) -> RowChanges:
        """All of it in the neutral form."""
        changes = _Decoded(self).changes()
        for first, last in self.gone:
            ordinals = changes.ordinals.to_numpy()
            changes = kept(changes, (ordinals < first) | (ordinals >= last))
        return changes


@dataclass
class _Decoded:
    """A heap on its way into the neutral form."""

    heap: Heap

    @cached_property
    def octets(self) -> Octets:
        """The bytes of all events."""
        return Octets(b"".join([*self.heap.pieces, bytes(SPARE)]))

    @cached_property
    def lanes(self) -> list[Lane]:
        """The lanes that have anything in them."""
        return list(self.heap.lanes.values())

    @cached_property
    def runs(self) -> Any:
        """Lane, first ordinal, count, and where its event begins in the heap, of each run of changes."""
        return np.array(self.heap.runs, np.int64).reshape(-1, 4)

    @cached_property
    def lane_of(self) -> Any:
        """The lane of each change."""
        return np.repeat(self.runs[:, 0], self.runs[:, 2])

    def changes(self) -> RowChanges:
        """The changes; of a table that keeps its history, those of the rows that are."""
        told = self._told()
        if self.heap.plan.row_end is None:
            return told
        before, after = self._current(lambda lane: lane.before), self._current(lambda lane: lane.after)
        return without_history(told, before, after)

    def _current(self, image: Callable[[Lane], Present | None]) -> Any:
        """For each change whether that image of it is of a row that has not ended."""
        found = np.zeros(len(self.lane_of), np.bool_)
        for lane in self.lanes:
            present = image(lane)
            if present is not None:
                starts = lane.befores if image(lane) is lane.before else lane.afters
                found[self.lane_of == lane.number] = current(
                    self.heap.plan, self.octets, self._begins(lane, starts), present
                )
        return found

    def _told(self) -> RowChanges:
        plan = self.heap.plan
        ops = np.array([lane.op for lane in self.lanes], np.uint8)[self.lane_of]
        afters, images, image = self._afters()
        befores = None
        if any(lane.before is not None for lane in self.lanes):
            told = [plan.table.column(name) for name in self._told_before]
            befores = self._batch(told, [lane.before is not None for lane in self.lanes], self._before)
        return RowChanges(
            plan.table, pa.array(ops), pa.array(self._ordinals()), afters, plan.identity, befores, image, images
        )

    @cached_property
    def _told_before(self) -> tuple[str, ...]:
        """The columns of rows as they were: the identity, or all that each of their images has."""
        plan = self.heap.plan
        if not plan.whole:
            return plan.identity
        images = [set(lane.before) for lane in self.lanes if lane.before is not None]
        slots = [plan.slots[place].column for place in set.intersection(*images)]
        known = {*plan.identity, *(column.name for column in slots if column is not None)}
        return tuple(name for name in plan.table.column_names() if name in known)

    def _ordinals(self) -> Any:
        counts = self.runs[:, 2]
        ends = np.cumsum(counts)
        return np.repeat(self.runs[:, 1] - ends + counts, counts) + np.arange(ends[-1] if len(ends) else 0)

    def _afters(self) -> tuple[pa.RecordBatch, tuple[frozenset[str], ...], pa.Array | None]:
        """The rows as they became; which sets of their columns are known, and which of them of each change."""
        columns = self.heap.plan.table.columns
        there = [lane.after is not None for lane in self.lanes]
        batch = self._batch(columns, there, self._after)
        images: list[frozenset[str]] = []
        numbers = []
        for lane in self.lanes:
            known = frozenset(self._after.get(lane.number, {}))
            if lane.op != Op.UPDATE or len(known) == len(columns):
                numbers.append(-1)
                continue
            if known not in images:
                images.append(known)
            numbers.append(images.index(known))
        if not images:
            return batch, (), None
        return batch, tuple(images), pa.array(np.array(numbers, np.int16)[self.lane_of])

    @cached_property
    def _before(self) -> Mapping[int, dict[str, pa.Array]]:
        """By lane, the columns that are told of rows as they were."""
        identity = self.heap.plan.identity
        found = {}
        for lane in self.lanes:
            if lane.before is None:
                continue
            there = self._images(lane, lane.befores, lane.before, self._told_before)
            lacking = [name for name in identity if name not in there]
            if lacking and lane.after is not None:
                there |= self._images(lane, lane.afters, lane.after, lacking)
            _refuse_lacking(self.heap.plan, [name for name in lacking if name not in there])
            found[lane.number] = there
        return found

    @cached_property
    def _after(self) -> Mapping[int, dict[str, pa.Array]]:
        """By lane, the columns that are known of the rows as they became; the identity always is."""
        plan = self.heap.plan
        names = list(plan.table.column_names())
        found = {}
        for lane in self.lanes:
            if lane.after is None:
                continue
            there = self._images(lane, lane.afters, lane.after, names if not lane.partial else plan.others)
            if lane.partial and lane.before is not None:
                there |= whole_documents(
                    plan, self.octets,
                    Images(self._begins(lane, lane.befores), lane.before),
                    Images(self._begins(lane, lane.afters), lane.after),
                    lane.starts[2],
                )  # fmt: skip
            lacking = [name for name in plan.identity if name not in there]
            if lacking and lane.op == Op.UPDATE:
                there |= {name: self._before[lane.number][name] for name in lacking}
            if lane.op == Op.INSERT:
                lacking = [name for name in names if name not in there]
                there |= {name: filled(plan.table, name, lane.count) for name in lacking}
            found[lane.number] = there
        return found

    def _images(
        self, lane: Lane, starts: Sequence[int], present: Present, wanted: Collection[str]
    ) -> dict[str, pa.Array]:
        return decode(self.heap.plan, self.octets, self._begins(lane, starts), present, wanted)

    def _begins(self, lane: Lane, starts: Sequence[int]) -> Any:
        """Where the images begin in the heap."""
        mine = self.runs[self.runs[:, 0] == lane.number]
        return np.array(starts, np.int64) + np.repeat(mine[:, 3], mine[:, 2])

    def _batch(
        self, columns: Sequence[Column], there: Sequence[bool], found: Mapping[int, Mapping[str, pa.Array]]
    ) -> pa.RecordBatch:
        """A row for each change, in their order; of the lanes that are not `there` all NULL."""
        schema = pa.schema([field.with_nullable(True) for field in arrow_schema(columns)])
        lanes = [lane for lane in self.lanes if there[lane.number]]
        order = self._order(lanes)
        arrays = []
        for column in schema:
            parts = [found[lane.number].get(column.name) for lane in lanes]
            whole = [pa.nulls(lane.count, column.type) if part is None else part.cast(column.type)
                     for part, lane in zip(parts, lanes, strict=True)]  # fmt: skip
            one = whole[0] if len(whole) == 1 else pa.concat_arrays(whole) if whole else pa.nulls(0, column.type)
            arrays.append(one if order is None else one.take(order))
        return pa.RecordBatch.from_arrays(arrays, schema=schema)

    def _order(self, lanes: Sequence[Lane]) -> pa.Array | None:
        """Where each change stands when one lane follows the other; None where it stands so already."""
        if len(self.lanes) == 1 and lanes:
            return None
        order = np.zeros(len(self.lane_of), np.int64)
        absent = np.ones(len(self.lane_of), np.bool_)
        first = 0
        for lane in lanes:
            mine = self.lane_of == lane.number
            order[mine] = np.arange(first, first + lane.count)
            absent[mine] = False
            first += lane.count
        return pa.array(order, mask=absent)


def _refuse_lacking(plan: Plan, names: Sequence[str]) -> None:
    if names:
        raise ReadFailed(
            f"The log does not tell which row of {plan.table.name} changed, since it leaves out {names[0]}: set "
            "binlog_row_image=FULL at the source, and start a new stream."
        )
