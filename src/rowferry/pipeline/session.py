"""One session of following: one reader of the log and one writer, until a connection is lost or the run ends."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from typing import Protocol

from rowferry.connectors.base import PlannedTable
from rowferry.connectors.changes import BatchSize, ChangeBatch, ChangeSource, RowChanges, Standing
from rowferry.model.changes import Position, TableAltered, Truncated
from rowferry.model.streams import StreamState
from rowferry.pipeline.alter import Alters
from rowferry.pipeline.copy import Watch
from rowferry.pipeline.feed import Feed
from rowferry.pipeline.notes import Notes, counts_of, logged
from rowferry.pipeline.plan import Plan

LOOK = 2.0
"""Seconds between two looks at how much of the log is still to come."""

IDLE = 10.0
"""Seconds after which a position is committed though nothing has changed."""

SIZE = BatchSize()

LAST = 1.2
"""Seconds in which what waits may still be committed once somebody ends the run."""

_COMMITS_AT_LAST = (StreamState.PAUSED, StreamState.STOPPED, StreamState.TIME_LIMIT_REACHED)


class Writer(Alters, Protocol):
    """What takes a session's batches to the target."""

    @property
    def patience(self) -> float:
        """Seconds for which changes may wait for a commit."""

    @property
    def full(self) -> bool:
        """Whether what waits should be committed at once."""

    def standing(self) -> Standing:
        """What was committed last."""

    def take(self, batch: ChangeBatch, linked: bool) -> list[tuple[PlannedTable, RowChanges]]:
        """Take the batch's changes of rows, and give those that are wanted. `linked`: the target's foreign keys are
        there."""

    def truncate(self, batch: ChangeBatch, event: Truncated) -> None:
        """Tables were emptied."""

    def go_on(self, plan: Plan) -> None:
        """What comes is as this plan has the tables."""

    def undo(self) -> None:
        """Take nothing of what was taken since the last commit."""

    def commit(self, standing: Standing) -> None:
        """Commit what was taken, and this with it."""

    def close(self) -> None:
        """Drop what is not committed, and leave. From any thread."""


@dataclass
class Tally:
    """What was taken since the last commit, by the target table's name: changes and bytes. `since`: when first, and
    `committed_at`: when that had been committed at the source."""

    rows: Counter[str] = field(default_factory=Counter)
    sizes: Counter[str] = field(default_factory=Counter)
    since: float | None = None
    committed_at: float | None = None

    def add(self, table: str, rows: int, size: int) -> None:
        """Changes were taken."""
        self.rows[table] += rows
        self.sizes[table] += size

    def move(self, committed_at: float | None = None) -> None:
        """There is something to commit."""
        if self.since is None:
            self.since, self.committed_at = time.monotonic(), committed_at

    @property
    def moved(self) -> bool:
        """Whether there is something to commit."""
        return self.since is not None

    def counts(self) -> dict[str, tuple[int, int]]:
        """By table."""
        return {name: (rows, self.sizes[name]) for name, rows in self.rows.items()}


@dataclass(frozen=True)
class Ends:
    """What a session opens for itself, and what it calls on the way.

    `alter`: carries a change of columns over, and gives the plan and the notes that hold from then on. `complete`: adds
    what of the structure had to wait until the changes had caught up with the copy. `number`: lets the target's own
    numbering of these tables go on after the rows that are there.
    """

    log: Callable[[], ChangeSource]
    writer: Callable[[Plan], Writer]
    alter: Callable[[Alters, Plan, Notes, TableAltered], tuple[Plan, Notes]]
    complete: Callable[[Plan], None]
    number: Callable[[Plan, Collection[str]], None]


class Session:
    """Follows from what the target has, and commits with each position what led to it."""

    def __init__(self, ends: Ends, plan: Plan, watch: Watch, limit: int) -> None:
        self._ends = ends
        self._plan = plan
        self._watch = watch
        self._limit = limit
        self._tally = Tally()
        self._unnumbered: set[str] = set()
        self._altered = False
        self._committed_at = self._looked_at = time.monotonic()

    def run(self) -> StreamState | None:
        """Follow until the limit of events; whatever ends it otherwise is raised, and nothing since is committed.

        None once a change of columns is committed: the log is followed anew then, with the columns as they are planned.
        """
        with ExitStack() as stack:
            log = stack.enter_context(closing(self._ends.log()))
            writer = stack.enter_context(closing(self._ends.writer(self._plan)))
            for one in (log, writer):
                stack.enter_context(self._watch.signals.breaking(one.close))
            stack.enter_context(self._watch.signals.lasting(LAST if writer.patience else 0.0))
            standing = writer.standing()
            if standing.position is None:
                raise RuntimeError("a stream is followed from the position that was committed at its begin")
            self._notes, self._counts = Notes.of(standing), counts_of(standing)
            tables = logged(self._plan, self._notes)
            marks = self._notes.marks(tables)
            self._caught_up(log, standing.position)
            feed = stack.enter_context(Feed(log.follow(standing.position, tables, marks, SIZE)))
            at: Position | None = standing.position
            for batch in feed:
                self._check(log, writer, at)
                if batch is None:
                    continue
                self._take(writer, batch)
                at = batch.position
                if at is not None and self._due(writer):
                    self._commit(log, writer, at)
                    if self._limit_reached():
                        return StreamState.EVENT_LIMIT_REACHED
                    if self._altered:
                        return None
                elif at is not None:
                    self._caught_up(log, at)
                self._measure(log, batch)
        raise RuntimeError("a log has no end")

    def _check(self, log: ChangeSource, writer: Writer, at: Position | None) -> None:
        """Cancelled when the run shall end; what waits is committed before, where that is possible just now."""
        if self._watch.signals.ending in _COMMITS_AT_LAST and at is not None and self._tally.moved:
            self._commit(log, writer, at)
        self._watch.signals.check()

    def _take(self, writer: Writer, batch: ChangeBatch) -> None:
        if batch.undone:
            writer.undo()
            self._tally = Tally()
            self._tally.move()  # what is noted of the session itself may not have been committed either
        if isinstance(batch.event, TableAltered):
            self._plan, self._notes = self._ends.alter(writer, self._plan, self._notes, batch.event)
            writer.go_on(self._plan)
            self._altered = True
        elif isinstance(batch.event, Truncated):
            writer.truncate(batch, batch.event)
        if batch.event is None or isinstance(batch.event, TableAltered):
            for table, one in writer.take(batch, self._notes.finished):
                self._tally.add(str(table.target.name), len(one.ops), one.after.nbytes)
        if batch.event is not None or self._tally.rows:
            self._tally.move(batch.committed_at)

    def _limit_reached(self) -> bool:
        taken = sum(rows for rows, _ in self._counts.values()) + self._tally.rows.total()
        return bool(self._limit) and taken >= self._limit

    def _due(self, writer: Writer) -> bool:
        """Whether what was taken is to be committed, or the position has stood still for long."""
        now = time.monotonic()
        if self._tally.since is None:
            return now - self._committed_at > IDLE
        waited = now - self._tally.since >= writer.patience
        return waited or writer.full or self._altered or self._limit_reached()

    def _commit(self, log: ChangeSource, writer: Writer, position: Position) -> None:
        more = self._tally.counts()
        for name, (rows, size) in more.items():
            before = self._counts.get(name, (0, 0))
            self._counts[name] = (before[0] + rows, before[1] + size)
        writer.commit(Standing(position, self._notes.document, self._counts))
        self._tally = Tally()
        self._committed_at = time.monotonic()
        log.confirm(position)
        for name, (rows, size) in more.items():
            self._watch.meter.applied(name, rows, size)
        self._watch.meter.position = position
        if more:
            self._unnumbered.update(more)
        elif self._notes.finished:
            self._ends.number(self._plan, self._unnumbered)
            self._unnumbered.clear()
        self._caught_up(log, position)

    def _caught_up(self, log: ChangeSource, position: Position) -> None:
        """Once the changes have caught up with the copy, the rest of the structure can come."""
        notes = self._notes
        if notes.finished or notes.loaded is None or not log.reached(position, notes.loaded):
            return
        self._ends.complete(self._plan)
        self._notes = replace(notes, finished=True, known={})
        self._tally.move()

    def _measure(self, log: ChangeSource, batch: ChangeBatch) -> None:
        """How far what is committed is behind: not at all while there is nothing to do."""
        meter = self._watch.meter
        if batch.position is not None:
            oldest = self._tally.committed_at
            if oldest is None:
                meter.position = batch.position
                oldest = batch.committed_at if batch.rows or batch.event else None
            meter.lag = 0.0 if oldest is None else max(0.0, time.time() - oldest)
            if time.monotonic() - self._looked_at > LOOK:
                self._looked_at = time.monotonic()
                meter.behind = log.distance(batch.position)
