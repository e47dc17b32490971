"""Copying: chunks go from the source to the target, several at a time, each exactly once.

The target's journal says which chunks are done. A chunk and its journal entry commit together, so whatever
dies, a later run copies just the chunks that have no entry.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

from rowferry.connectors.base import ChunkSize, Journal, PlannedTable, Target
from rowferry.errors import Cancelled, ConnectionFailed, ConnectionLost, Recovery, RowferryError, WriteFailed
from rowferry.model.changes import Position
from rowferry.model.chunks import Chunk, Committed
from rowferry.model.streams import StreamState
from rowferry.pipeline.job import Events
from rowferry.pipeline.meter import ChunkMeter, Meter
from rowferry.pipeline.plan import Plan
from rowferry.pipeline.signals import Signals

if TYPE_CHECKING:
    import pyarrow as pa

CHUNK_BYTES = 16 * 1024 * 1024
"""About how much of a table one chunk holds: what a reader may pile up, and what a crash makes us copy again."""

BACKOFF = (0.2, 0.5, 1.0, 2.0, 5.0)
"""Seconds between the tries of a chunk whose connection was lost; the last one again and again."""

PATIENCE = 60.0
"""Seconds for which a chunk is tried."""

T = TypeVar("T")
Finisher = Callable[[PlannedTable], None]
Task = Callable[[], None]
Moment = Callable[[], Position | None]

_WHOLE = ChunkSize(rows=1 << 62, size=1 << 62)


@dataclass(frozen=True, slots=True)
class Watch:
    """What every part of a run reports to and obeys."""

    meter: Meter
    signals: Signals
    events: Events


class Pauses:
    """The pauses between tries after a connection was lost, for `patience` seconds in all; other errors end them.

    A server that was lost may refuse connections for a while, until it is back. `reached`: the servers were reached
    before, so that even the first of such errors is one of these.
    """

    def __init__(self, patience: float, *, reached: bool = False) -> None:
        self._patience = patience
        self.reached = reached
        self._tries = 0
        self._since = time.monotonic()

    def after(self, error: RowferryError) -> float | None:
        """How many seconds to wait after this error; None to give up."""
        lost = self.reached and isinstance(error, ConnectionFailed)
        again = error.policy.recovery is Recovery.RETRY or lost
        if not again or time.monotonic() - self._since > self._patience:
            return None
        pause = BACKOFF[min(self._tries, len(BACKOFF) - 1)]
        self._tries += 1
        self.reached = True
        return pause


class Budget:
    """How many rows may still be written (no limit: 0). Chunks are copied one at a time while there is a limit.

    `reached` becomes true when a row had to be left out; a source that ends at the limit is simply complete.
    """

    def __init__(self, limit: int, used: int) -> None:
        self.limit = limit
        self.reached = False
        self._left = limit - used

    def cut(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """The batches up to what is left. A chunk of which nothing may be written any more is cancelled."""
        self.reached = False
        left = self._left
        for batch in batches:
            if batch.num_rows <= left:
                left -= batch.num_rows
                yield batch
                continue
            self.reached = True
            if self._left <= 0:
                raise Cancelled("The limit of events is reached.")
            yield batch.slice(0, left)
            return

    def spend(self, rows: int) -> None:
        """Rows were committed."""
        self._left -= rows


class _Unfinished:
    """A table whose copy has begun: how many of its chunks are still to come."""

    def __init__(self, table: PlannedTable, chunks: int) -> None:
        self.table = table
        self._left = chunks
        self._lock = threading.Lock()

    def one_done(self) -> bool:
        """Whether that was the last one."""
        with self._lock:
            self._left -= 1
            return self._left == 0


class Copy:
    """One run's copying. `finish` is called for each table after its last chunk, in the thread that wrote it.

    `moment`: the place in the source's log at which reads are made just now, for a source whose log is followed
    afterwards. Then a table without a key is one chunk, so that all of it is of one moment.
    """

    def __init__(
        self,
        plan: Plan,
        target: Target,
        journal: Journal,
        *,
        size: ChunkSize,
        budget: Budget,
        watch: Watch,
        finish: Finisher,
        moment: Moment | None = None,
    ) -> None:
        self._plan = plan
        self._target = target
        self._journal = journal
        self._size = size
        self._budget = budget
        self._meter = watch.meter
        self._signals = watch.signals
        self._events = watch.events
        self._finish = finish
        self._moment = moment
        self._done: dict[str, set[int]] = {}
        self._tasks: deque[Task] = deque()
        self._open_tables = 0
        self._changed = threading.Condition()
        self._failure: BaseException | None = None

    def run(self, workers: int) -> None:
        """Copy every chunk that the journal does not hold. Raises the first failure, Cancelled when told to end."""
        for entry in self._journal.committed:
            self._done.setdefault(entry.table, set()).add(entry.number)
        for table in sorted(self._plan.tables, key=lambda table: -table.source.estimated_bytes):
            self._tasks.append(lambda table=table: self._open(table))  # type: ignore[misc]
            self._open_tables += 1
        threads = 1 if self._budget.limit else workers
        team = [threading.Thread(target=self._work, name=f"copy-{number}", daemon=True) for number in range(threads)]
        for thread in team:
            thread.start()
        for thread in team:
            thread.join()
        if self._failure is not None and not (self._budget.reached and isinstance(self._failure, Cancelled)):
            raise self._failure
        self._signals.check()

    def _work(self) -> None:
        try:
            while task := self._next():
                task()
        except BaseException as error:
            self._fail(error)

    def _next(self) -> Task | None:
        """The next task; waits while tables are being opened, None when there is nothing left to do."""
        with self._changed:
            while not self._tasks and self._open_tables and self._failure is None:
                self._changed.wait()
            if self._failure is not None or self._budget.reached or not self._tasks:
                return None
            self._signals.check()
            return self._tasks.popleft()

    def _fail(self, error: BaseException) -> None:
        """The first failure counts; the other threads stop, chunks under way included."""
        with self._changed:
            if self._failure is None or isinstance(self._failure, Cancelled):
                self._failure = error
            self._changed.notify_all()
        if not isinstance(error, Cancelled):
            self._signals.end(StreamState.FAILED, error if isinstance(error, RowferryError) else None)

    def _open(self, table: PlannedTable) -> None:
        """Split a table into chunks, journalled before the first is copied, and queue those that are not done."""
        name = str(table.target.name)
        self._meter.status(name, "RUNNING")
        chunks = self._journal.chunks.get(name)
        if chunks is None:
            size = _WHOLE if self._moment and not table.source.key else self._size
            chunks = self._retry(lambda: self._plan.source_of(table).chunks(table.reading, size))
            self._retry(lambda: self._target.begin(table, chunks))
        done = self._done.get(name, set())
        left = [chunk for chunk in chunks if chunk.number not in done]
        self._events.log(
            "debug", f"{name}: {len(chunks)} chunks, {len(chunks) - len(left)} of them done before.", table=name
        )
        unfinished = _Unfinished(table, len(left))
        with self._changed:
            self._open_tables -= 1
            tasks: list[Task] = [lambda chunk=chunk: self._copy(unfinished, chunk) for chunk in left]  # type: ignore[misc]
            self._tasks.extendleft(reversed(tasks))
            self._changed.notify_all()
        if not left:
            self._complete(table)

    def _copy(self, unfinished: _Unfinished, chunk: Chunk) -> None:
        entry = self._retry(lambda: self._attempt(unfinished.table, chunk))
        self._budget.spend(entry.rows)
        self._meter.committed(entry)
        if unfinished.one_done():
            self._complete(unfinished.table)

    def _attempt(self, table: PlannedTable, chunk: Chunk) -> Committed:
        from rowferry.pipeline.crossing import Crossing  # noqa: PLC0415 - a process that only plans needs no Arrow

        name = str(table.target.name)
        meter = self._meter.chunk(name)
        try:
            at = self._moment() if self._moment else None
            chunk = replace(chunk, at=at)
            with closing(self._plan.source_of(table).read(table.reading, chunk)) as rows:
                crossing = Crossing(table, self._plan.holds[name]).take(self._of_moment(rows, at), chunk)
                batches = self._budget.cut(crossing) if self._budget.limit else crossing
                entry = self._target.write(table, chunk, meter.count(self._signals.guard(batches)))
        except BaseException:
            meter.take_back()
            raise
        if meter.rows != entry.rows:
            self._settle_difference(meter, entry, chunk)
        return entry

    def _of_moment(self, rows: Iterator[pa.RecordBatch], at: Position | None) -> Iterator[pa.RecordBatch]:
        """The same rows; a lost connection where the moment that they should be of has meanwhile been lost."""
        yield from rows
        if self._moment and self._moment() != at:
            raise ConnectionLost("The snapshot of the source was lost while a chunk was read.")

    def _settle_difference(self, meter: ChunkMeter, entry: Committed, chunk: Chunk) -> None:
        """A chunk that turns out to be committed already was not read now; any other difference is a fault."""
        if meter.rows:
            raise WriteFailed(f"{chunk}: {meter.rows} rows were read, but the target counts {entry.rows}.")
        self._meter.read(entry.table, entry.rows, entry.size)

    def _complete(self, table: PlannedTable) -> None:
        self._finish(table)
        self._meter.status(str(table.target.name), "FINISHED")

    def _retry(self, action: Callable[[], T]) -> T:
        """Try again after a lost connection, with growing pauses; other errors pass."""
        pauses = Pauses(PATIENCE)
        while True:
            try:
                return action()
            except RowferryError as error:
                if self._signals.ending is not None:
                    raise Cancelled("The work was cut off.") from error
                pause = pauses.after(error)
                if pause is None:
                    raise
                self._events.log("warning", f"{error.message} Trying again in {pause} s.", "error")
                if self._signals.wait(pause):
                    raise Cancelled("The run ends.") from error
