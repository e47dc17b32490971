"""A source and a target that live in memory and keep the contracts, faults included."""

from __future__ import annotations

import operator
import threading
from bisect import bisect_right
from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import cycle
from typing import Any

import pyarrow as pa

from rowferry.config.stream import Consistency, SchemaPolicy, WriteMode
from rowferry.connectors.base import ChunkSize, Journal, PlannedTable, Rejected, TableRequest, TargetPlan
from rowferry.errors import (
    Cancelled,
    Conflict,
    ConnectionLost,
    InvalidInput,
    MissingTable,
    RowferryError,
    SourceChanged,
    TargetExists,
    TargetNotEmpty,
    WriteFailed,
)
from rowferry.model.chunks import Chunk, Committed, Key
from rowferry.model.findings import Finding, Remark, Severity
from rowferry.model.policies import Holds
from rowferry.model.tables import Column, Filter, FilterOperator, NativeType, Table, TableName
from rowferry.model.types import Integer, Unknown
from rowferry.typemap.treatment import Policies, Treated, Want
from tests.tables import batch

DATABASE = "db"
BATCH_ROWS = 10
QUERY = "SELECT * FROM "
"""The one query that is understood, before the name of a table."""

_COMPARED: Mapping[FilterOperator, Callable[[Any, Any], bool]] = {
    FilterOperator.EQ: operator.eq,
    FilterOperator.NE: operator.ne,
    FilterOperator.LT: operator.lt,
    FilterOperator.LE: operator.le,
    FilterOperator.GT: operator.gt,
    FilterOperator.GE: operator.ge,
}


class Held:
    """A table with its rows, in the order of its key. An `endless` one begins anew where it would end."""

    def __init__(self, table: Table, rows: Collection[tuple[Any, ...]], *, endless: bool = False) -> None:
        self.table = table
        self.endless = endless
        self._at = {name: number for number, name in enumerate(table.column_names())}
        self.rows = sorted(rows, key=self._key) if table.key else list(rows)

    @cached_property
    def keys(self) -> list[Key]:
        """Each row's key as chunks spell it; its place where the table has none."""
        return [self._key(row) or (at,) for at, row in enumerate(self.rows)]

    def selected(self, table: Table, chunk: Chunk) -> list[tuple[Any, ...]]:
        """The chunk's rows as the selection of `table` shows them."""
        first = 0 if chunk.low is None else bisect_right(self.keys, chunk.low)
        last = len(self.rows) if chunk.high is None else bisect_right(self.keys, chunk.high)
        selection = table.selection
        rows = [row for row in self.rows[first:last] if all(self._passes(row, one) for one in selection.filters)]
        for sort in reversed(selection.sorts):
            rows.sort(key=operator.itemgetter(self._at[sort.column]), reverse=sort.descending)
        wanted = [self._at[name] for name in table.column_names()]
        return [tuple(row[at] for at in wanted) for row in rows[: selection.limit]]

    def _key(self, row: tuple[Any, ...]) -> Key:
        values = (row[self._at[name]] for name in self.table.key)
        return tuple(value.hex() if isinstance(value, bytes) else value for value in values)

    def _passes(self, row: tuple[Any, ...], wanted: Filter) -> bool:
        value = row[self._at[wanted.column]]
        return value is not None and _COMPARED[wanted.operator](value, type(value)(wanted.value))


def counting(sizes: Mapping[str, int], keyed: bool = True) -> dict[str, Held]:
    """Tables of one column that counts from 0, with a key or without."""
    key = ("id",) if keyed else ()
    native = NativeType("bigint", "bigint")
    columns = (Column("id", Integer(64), native, nullable=False),)
    return {
        name: Held(
            Table(TableName(DATABASE, name), columns, key, key, estimated_rows=rows, estimated_bytes=rows * 8),
            [(number,) for number in range(rows)],
        )
        for name, rows in sizes.items()
    }


class MemorySource:
    """Reads `held`, whoever changes it meanwhile. `before_batch` is called before each batch comes out."""

    dialect = "mysql"
    steady = False

    def __init__(self, held: Mapping[str, Held], before_batch: Callable[[Chunk, int], None] = lambda *_: None) -> None:
        self._held = held
        self._before_batch = before_batch
        self.closed = False
        self.reads = 0

    def tables(self, requests: Sequence[TableRequest]) -> list[Table]:
        self._check_open()
        if not requests:
            return [self._held[name].table for name in sorted(self._held)]
        missing = sorted({request.name for request in requests if request.query is None and not self._known(request)})
        if missing:
            raise MissingTable(f"There is no table {', '.join(missing)}.")
        return [self._requested(request) for request in requests]

    def treated(self, want: Want, policies: Policies) -> Treated:
        return Treated(want.column)

    def besides(self) -> list[Remark]:
        """Nothing else."""
        return []

    def hold(self, wish: Consistency | None, tables: Sequence[Table], readers: int) -> None:
        if wish is not Consistency.CHUNK:
            self._held = dict(self._held)

    def consistency(self) -> str:
        return "Nothing changes here."

    def chunks(self, table: Table, size: ChunkSize) -> list[Chunk]:
        self._check_open()
        held = self._still(table)
        whole = table.query is not None or table.selection.ordered
        bounds = [] if whole else held.keys[size.rows - 1 : len(held.keys) - 1 : size.rows]
        lows, highs = (None, *bounds), (*bounds, None)
        return [Chunk(table.name, number, *ends) for number, ends in enumerate(zip(lows, highs, strict=True))]

    def read(self, table: Table, chunk: Chunk) -> Generator[pa.RecordBatch, None, None]:
        self._check_open()
        held = self._still(table)
        rows = held.selected(table, chunk)
        starts = range(0, len(rows), BATCH_ROWS)
        self.reads += 1
        try:
            for number, start in enumerate(cycle(starts) if held.endless else starts):
                self._before_batch(chunk, number)
                self._check_open()
                yield batch(table.columns, rows[start : start + BATCH_ROWS])
            self._check_open()
        finally:
            self.reads -= 1

    def rejected(self) -> dict[TableName, Rejected]:
        return {}

    def close(self) -> None:
        self.closed = True

    def _check_open(self) -> None:
        if self.closed:
            raise Cancelled("The source was closed.")

    def _known(self, request: TableRequest) -> bool:
        return request.name.removeprefix(f"{DATABASE}.") in self._held

    def _requested(self, request: TableRequest) -> Table:
        if request.query is None:
            table = self._held[request.name.removeprefix(f"{DATABASE}.")].table
        else:
            table = self._queried(request.name, request.query)
        selection = request.selection
        named = [*selection.columns, *(f.column for f in selection.filters), *(s.column for s in selection.sorts)]
        strangers = sorted(set(named).difference(table.column_names()))
        if strangers or any(one.operator not in _COMPARED for one in selection.filters):
            raise InvalidInput(f"{table.name} has no column {', '.join(strangers)}, or a filter is not understood.")
        return table.with_selection(selection)

    def _queried(self, name: str, query: str) -> Table:
        read = self._held.get(query.removeprefix(QUERY))
        if read is None:
            raise InvalidInput(f"The query {name} is not understood.")
        return Table(TableName(DATABASE, name), read.table.columns, query=query)

    def _still(self, table: Table) -> Held:
        held = self._held.get(table.name.name if table.query is None else table.query.removeprefix(QUERY))
        if held is None or not set(table.columns) <= set(held.table.columns):
            raise SourceChanged(f"{table.name} is no longer there, or no longer what it was.")
        return held


@dataclass
class Entries:
    """The journal of one stream."""

    fingerprints: dict[str, str]
    existing: frozenset[str] = frozenset()
    chunks: dict[str, list[Chunk]] = field(default_factory=dict)
    committed: dict[tuple[str, int], Committed] = field(default_factory=dict)


@dataclass
class Store:
    """What survives a crash of the target's client: rows by table, journals by stream."""

    rows: dict[str, list[tuple[Any, ...]]] = field(default_factory=dict)
    journals: dict[str, Entries] = field(default_factory=dict)
    finished: list[str] = field(default_factory=list)
    prepared: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


class MemoryTarget:
    """Writes into a `Store`. `after_rows` is called when a chunk's rows are there but not committed."""

    def __init__(
        self,
        store: Store,
        after_rows: Callable[[Chunk], None] = lambda _: None,
        *,
        stream: str = "stream",
        policy: SchemaPolicy = SchemaPolicy.FAIL_IF_EXISTS,
        mode: WriteMode = WriteMode.FAIL_IF_NOT_EMPTY,
    ) -> None:
        self._store = store
        self._after_rows = after_rows
        self._stream, self._policy, self._mode = stream, policy, mode
        self._closed = False

    def journal(self) -> Journal | None:
        with self._store.lock:
            kept = self._store.journals.get(self._stream)
            if kept is None:
                return None
            return Journal(dict(kept.fingerprints), dict(kept.chunks), list(kept.committed.values()))

    def plan(self, tables: Sequence[Table], dialect: str, prepared: bool) -> TargetPlan:
        there = {str(table.name) for table in tables if str(table.name) in self._store.rows}
        if prepared:
            existing = self._store.journals[self._stream].existing
        else:
            self._apply_policies([str(table.name) for table in tables], there)
            existing = frozenset() if self._policy is SchemaPolicy.DROP_AND_RECREATE else frozenset(there)
        unknown = [
            Finding(Severity.ERROR, str(table.name), f"Nothing carries {column.type}.", column.name)
            for table in tables
            for column in table.columns
            if isinstance(column.type, Unknown)
        ]
        return TargetPlan(tuple(PlannedTable(one, one, str(one.name) in existing) for one in tables), tuple(unknown))

    def holds(self, dialect: str) -> Holds:
        return Holds()

    def declared(self, types: Collection[str]) -> Mapping[str, Column]:
        if types:
            raise InvalidInput(f"There is no type {', '.join(types)}.")
        return {}

    def prepare(self, plan: TargetPlan, fingerprints: Mapping[str, str]) -> None:
        with self._store.lock:
            if self._stream in self._store.journals:
                return
            for table in plan.tables:
                name = str(table.target.name)
                if not table.existing or self._mode is WriteMode.TRUNCATE_AND_LOAD:
                    self._store.rows[name] = []
            existing = frozenset(str(table.target.name) for table in plan.tables if table.existing)
            self._store.journals[self._stream] = Entries(dict(fingerprints), existing)
            self._store.prepared += 1

    def begin(self, table: PlannedTable, chunks: Sequence[Chunk]) -> None:
        name = str(table.target.name)
        with self._store.lock:
            if self._entries(name).chunks.setdefault(name, list(chunks)) != list(chunks):
                raise Conflict(f"The journal expects other chunks of {name}.")

    def write(self, table: PlannedTable, chunk: Chunk, batches: Iterator[pa.RecordBatch]) -> Committed:
        name = str(table.target.name)
        self._check_open()
        with self._store.lock:
            known = self._entries(name).committed.get((name, chunk.number))
        if known is not None:
            return known
        rows: list[tuple[Any, ...]] = []
        size = 0
        for one in batches:
            self._check_open()
            rows += zip(*(values.to_pylist() for values in one.columns), strict=True)
            size += one.nbytes
        self._after_rows(chunk)
        self._check_open()
        with self._store.lock:
            done = Committed(name, chunk.number, len(rows), size, chunk.at)
            entry = self._entries(name).committed.setdefault((name, chunk.number), done)
            if entry is done:
                self._store.rows[name] += rows
            return entry

    def finish_table(self, table: PlannedTable) -> list[Finding]:
        self._store.finished.append(str(table.target.name))
        return []

    def finish(self, tables: Sequence[PlannedTable]) -> list[Finding]:
        self._store.finished.append("*")
        return []

    def forget(self) -> None:
        with self._store.lock:
            self._store.journals.pop(self._stream, None)

    def close(self) -> None:
        self._closed = True

    def _check_open(self) -> None:
        if self._closed:
            raise Cancelled("The target was closed.")

    def _entries(self, name: str) -> Entries:
        if self._stream not in self._store.journals:
            raise WriteFailed(f"{name} was not prepared by this stream.")
        return self._store.journals[self._stream]

    def _apply_policies(self, names: Sequence[str], there: Collection[str]) -> None:
        kept = sorted(there) if self._policy is not SchemaPolicy.DROP_AND_RECREATE else []
        full = [name for name in kept if self._store.rows[name]]
        refusals: list[tuple[bool, type[RowferryError], Collection[str]]] = [
            (self._policy is SchemaPolicy.FAIL_IF_EXISTS, TargetExists, kept),
            (self._policy is SchemaPolicy.VALIDATE_EXISTING, MissingTable, sorted(set(names) - set(there))),
            (self._mode is WriteMode.FAIL_IF_NOT_EMPTY, TargetNotEmpty, full),
        ]
        for asked, kind, named in refusals:
            if asked and named:
                raise kind(f"The policy forbids {', '.join(named)}.")


def lose_connection_once(numbers: set[int]) -> Callable[[Chunk, int], None]:
    """A `before_batch` that breaks each of these chunks once, in its second batch."""
    left = set(numbers)

    def fault(chunk: Chunk, batch: int) -> None:
        if batch == 1 and chunk.number in left:
            left.discard(chunk.number)
            raise ConnectionLost("The connection to the source was lost.")

    return fault
