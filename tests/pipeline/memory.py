"""A source and a target that live in memory and keep the contracts, faults included."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from rowferry.config.stream import Consistency
from rowferry.connectors.base import ChunkSize, Journal, PlannedTable, TableRequest, TargetPlan
from rowferry.errors import ConnectionLost
from rowferry.model.chunks import Chunk, Committed
from rowferry.model.findings import Finding
from rowferry.model.tables import Column, NativeType, Table, TableName
from rowferry.model.types import Integer

ID = Column("id", Integer(64), NativeType("bigint", "bigint"), nullable=False)


def table(name: str, rows: int, keyed: bool = True) -> Table:
    """A table of one column that counts from 0."""
    key = ("id",) if keyed else ()
    return Table(TableName("db", name), (ID,), key, key, estimated_rows=rows, estimated_bytes=rows * 8)


class MemorySource:
    """Tables that count, with a key or without. `before_batch` is called before each batch comes out."""

    dialect = "mysql"

    def __init__(
        self,
        sizes: Mapping[str, int],
        before_batch: Callable[[Chunk, int], None] = lambda *_: None,
        keyed: bool = True,
    ) -> None:
        self.sizes = sizes
        self._keyed = keyed
        self._before_batch = before_batch
        self.closed = False

    def tables(self, requests: Sequence[TableRequest]) -> list[Table]:
        return [table(name, rows, self._keyed) for name, rows in sorted(self.sizes.items())]

    def hold(self, wish: Consistency | None) -> None:
        """Nothing changes here."""

    def consistency(self) -> str:
        return "Nothing changes here."

    def chunks(self, table: Table, size: ChunkSize) -> list[Chunk]:
        rows = self.sizes[table.name.name]
        bounds: list[int | None] = [None, *range(size.rows - 1, max(rows - 1, 0), size.rows), None]
        return [
            Chunk(table.name, number, None if low is None else (low,), None if high is None else (high,))
            for number, (low, high) in enumerate(itertools.pairwise(bounds))
        ]

    def read(self, table: Table, chunk: Chunk) -> Generator[pa.RecordBatch, None, None]:
        first = 0 if chunk.low is None else int(chunk.low[0]) + 1
        last = self.sizes[table.name.name] - 1 if chunk.high is None else int(chunk.high[0])
        for number, start in enumerate(range(first, last + 1, 10)):
            self._before_batch(chunk, number)
            yield pa.record_batch({"id": pa.array(range(start, min(start + 10, last + 1)), pa.int64())})

    def close(self) -> None:
        self.closed = True


@dataclass
class Store:
    """What survives a crash of the target's client."""

    rows: dict[str, list[int]] = field(default_factory=dict)
    fingerprints: dict[str, str] | None = None
    chunks: dict[str, list[Chunk]] = field(default_factory=dict)
    committed: dict[tuple[str, int], Committed] = field(default_factory=dict)
    finished: list[str] = field(default_factory=list)
    prepared: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


class MemoryTarget:
    """Writes into a `Store`. `after_rows` is called when a chunk's rows are there but not committed."""

    def __init__(self, store: Store, after_rows: Callable[[Chunk], None] = lambda _: None) -> None:
        self.store = store
        self._after_rows = after_rows

    def journal(self) -> Journal | None:
        if self.store.fingerprints is None:
            return None
        return Journal(self.store.fingerprints, dict(self.store.chunks), list(self.store.committed.values()))

    def plan(self, tables: Sequence[Table], dialect: str, prepared: bool) -> TargetPlan:
        return TargetPlan(tuple(PlannedTable(table, table) for table in tables))

    def prepare(self, plan: TargetPlan, fingerprints: Mapping[str, str]) -> None:
        self.store.prepared += 1
        self.store.fingerprints = dict(fingerprints)
        self.store.rows = {str(table.target.name): [] for table in plan.tables}

    def begin(self, table: PlannedTable, chunks: Sequence[Chunk]) -> None:
        self.store.chunks[str(table.target.name)] = list(chunks)

    def write(self, table: PlannedTable, chunk: Chunk, batches: Iterator[pa.RecordBatch]) -> Committed:
        name = str(table.target.name)
        rows: list[int] = []
        for batch in batches:
            rows += batch.column(0).to_pylist()
        self._after_rows(chunk)
        with self.store.lock:
            known = self.store.committed.get((name, chunk.number))
            if known is not None:
                return known
            self.store.rows[name] += rows
            return self.store.committed.setdefault(
                (name, chunk.number), Committed(name, chunk.number, len(rows), 8 * len(rows))
            )

    def finish_table(self, table: PlannedTable) -> list[Finding]:
        self.store.finished.append(str(table.target.name))
        return []

    def finish(self, tables: Sequence[PlannedTable]) -> list[Finding]:
        self.store.finished.append("*")
        return []

    def forget(self) -> None:
        self.store.fingerprints = None

    def close(self) -> None:
        """Nothing is held."""


def lose_connection_once(numbers: set[int]) -> Callable[[Chunk, int], None]:
    """A `before_batch` that breaks each of these chunks once, in its second batch."""
    left = set(numbers)

    def fault(chunk: Chunk, batch: int) -> None:
        if batch == 1 and chunk.number in left:
            left.discard(chunk.number)
            raise ConnectionLost("The connection to the source was lost.")

    return fault
