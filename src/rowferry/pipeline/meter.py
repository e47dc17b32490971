"""Counts what has been read and written, and turns the counts into progress."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rowferry.bus.messages import Progress, TableProgress
from rowferry.model.chunks import Committed
from rowferry.model.streams import Stage

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(slots=True)
class _Count:
    estimated_rows: int = 0
    estimated_size: int = 0
    status: str = "READY"
    read: int = 0
    read_size: int = 0
    written: int = 0
    size: int = 0
    started: float | None = None
    finished: float | None = None


class ChunkMeter:
    """What one attempt at a chunk has read so far; taken back when the attempt fails."""

    def __init__(self, meter: Meter, table: str) -> None:
        self._meter = meter
        self._table = table
        self.rows = 0
        self.size = 0

    def count(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """The same batches, counted."""
        self._meter.reading(1)
        try:
            for batch in batches:
                self.rows += batch.num_rows
                self.size += batch.nbytes
                self._meter.read(self._table, batch.num_rows, batch.nbytes)
                yield batch
        finally:
            self._meter.reading(-1)

    def take_back(self) -> None:
        """The attempt came to nothing."""
        self._meter.read(self._table, -self.rows, -self.size)


class Meter:
    """The counts of a run, safe to use from several threads. `elapsed` is what earlier runs took, in seconds."""

    def __init__(self, elapsed: float) -> None:
        self._before = elapsed
        self._started = time.monotonic()
        self._counts: dict[str, _Count] = {}
        self._lock = threading.Lock()
        self._reading = self._uploading = 0
        self.stage = Stage.INIT
        self.lag: float | None = None
        self.behind: int | None = None
        self.position: str | None = None
        self.rejected: Callable[[], int] = int

    @property
    def elapsed(self) -> float:
        """Seconds of running since the stream began."""
        return self._before + time.monotonic() - self._started

    @property
    def written(self) -> int:
        """Rows the target holds for good."""
        with self._lock:
            return sum(count.written for count in self._counts.values())

    @property
    def tables(self) -> int:
        """How many tables are counted."""
        return len(self._counts)

    def expect(self, table: str, rows: int, size: int) -> None:
        """Add a table, or what the source estimates of one whose chunks were `resumed` already."""
        with self._lock:
            count = self._counts.setdefault(table, _Count())
            count.estimated_rows, count.estimated_size = rows, size

    def chunk(self, table: str) -> ChunkMeter:
        """Begin to count one attempt at a chunk."""
        return ChunkMeter(self, table)

    def reading(self, more: int) -> None:
        """So many chunks more (or, negative, fewer) are being read."""
        with self._lock:
            self._reading += more

    def uploading(self, more: int) -> None:
        """So many files more (or, negative, fewer) are on their way into a store."""
        with self._lock:
            self._uploading += more

    def read(self, table: str, rows: int, size: int) -> None:
        """Rows came out of the source (or, negative, went back)."""
        with self._lock:
            count = self._counts[table]
            count.read += rows
            count.read_size += size

    def committed(self, entry: Committed) -> None:
        """A chunk is on the target for good."""
        with self._lock:
            count = self._counts[entry.table]
            count.written += entry.rows
            count.size += entry.size

    def applied(self, table: str, rows: int, size: int) -> None:
        """Changes of a table are on the target for good."""
        with self._lock:
            count = self._counts.setdefault(table, _Count())
            count.read += rows
            count.read_size += size
            count.written += rows
            count.size += size

    def resumed(self, entry: Committed) -> None:
        """A chunk was on the target for good before this run began."""
        with self._lock:
            self._counts.setdefault(entry.table, _Count())
        self.read(entry.table, entry.rows, entry.size)
        self.committed(entry)

    def clear(self) -> None:
        """What the target held was taken back."""
        with self._lock:
            self._counts.clear()

    def status(self, table: str, status: str) -> None:
        """A table begins (RUNNING) or ends (FINISHED)."""
        with self._lock:
            count = self._counts[table]
            count.status = status
            if status == "RUNNING":
                count.started, count.finished = time.monotonic(), None
            else:
                count.finished = time.monotonic()

    @property
    def _doing(self) -> Stage:
        """The stage; uploading is one of its own while nothing is read beside it."""
        waits = self.stage is Stage.DATA_TRANSFER and self._uploading and not self._reading
        return Stage.S3_UPLOAD if waits else self.stage

    def snapshot(self) -> Progress:
        """The progress as it stands now."""
        with self._lock:
            tables = tuple(_progress(name, count) for name, count in self._counts.items())
            counts = list(self._counts.values())
            return Progress(
                stage=self._doing.value,
                elapsed=self.elapsed,
                read=sum(count.read for count in counts),
                written=sum(count.written for count in counts),
                read_size=sum(count.read_size for count in counts),
                written_size=sum(count.size for count in counts),
                rejected=self.rejected(),
                tables=tables,
                lag=self.lag,
                behind=self.behind,
                position=self.position,
            )


def _progress(name: str, count: _Count) -> TableProgress:
    until = time.monotonic() if count.finished is None else count.finished
    return TableProgress(
        name=name,
        status=count.status,
        read=count.read,
        written=count.written,
        size=count.size,
        elapsed=0.0 if count.started is None else until - count.started,
        estimated_rows=count.estimated_rows,
        estimated_size=count.estimated_size,
    )
