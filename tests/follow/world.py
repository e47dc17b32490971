"""A source with a log and a target that applies it, in memory, with faults where a test wants them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from rowferry.connectors.base import PlannedTable
from rowferry.connectors.changes import (
    BatchSize,
    ChangeBatch,
    Merge,
    RowChanges,
    Standing,
)
from rowferry.errors import Cancelled, Clash, FencedOff, WriteFailed
from rowferry.model.changes import Op, Position, TableAltered, Truncated
from rowferry.model.findings import Finding
from rowferry.model.tables import Table, TableName
from tests.follow.changes import Change, Row, row_changes
from tests.pipeline.memory import Held, MemorySource, Store

TICK = 0.01
"""Seconds after which a log that has nothing to say says so."""

Transaction = list[tuple[str, Change | Truncated | TableAltered]]
Fault = Callable[[str], None]
"""Told where the work is; raises what goes wrong there."""


def no_fault(_: str) -> None:
    """Nothing goes wrong."""


@dataclass
class Origin:
    """Tables and their log. Every method is one transaction; `log` holds those that committed, in their order."""

    held: dict[str, Held]
    log: list[Transaction] = field(default_factory=list)
    kept: bool = False
    confirmed: int = 0
    lock: threading.RLock = field(default_factory=threading.RLock)

    def commit(self, *changes: tuple[str, Change | Truncated | TableAltered]) -> None:
        """Do the changes, all at once."""
        with self.lock:
            for name, change in changes:
                if isinstance(change, Change):
                    self._do(self.held[name], change)
                elif isinstance(change, Truncated):
                    for one in change.tables:
                        self.held[one.name] = Held(self.held[one.name].table, [])
            self.log.append([*changes])

    def rows(self, name: str) -> list[Row]:
        """A table's rows now."""
        with self.lock:
            return [*self.held[name].rows]

    def _do(self, held: Held, change: Change) -> None:
        rows = [*held.rows]
        if change.before is not None:
            rows.remove(change.before)
        if change.after is not None:
            rows.append(change.after)
        self.held[held.table.name.name] = Held(held.table, rows)


class OriginSource(MemorySource):
    """Reads an origin: each chunk as it is now, or all of them at one moment that is known in the log."""

    def __init__(self, origin: Origin, before_batch: Callable[[Any, int], None] = lambda *_: None) -> None:
        super().__init__(origin.held, before_batch)
        self._origin = origin
        self._at: Position | None = None

    def hold_logged(self, tables: Sequence[Table], readers: int) -> None:
        if all(table.key for table in tables):
            return
        with self._origin.lock:
            self._held, self._at = dict(self._origin.held), str(len(self._origin.log))

    def held_at(self) -> Position | None:
        return self._at

    def let_go(self) -> None:
        self._held, self._at = self._origin.held, None


class OriginLog:
    """`ChangeSource` of an origin; a position is how many transactions lie before it."""

    def __init__(
        self, origin: Origin, fault: Fault = no_fault, lacks: Sequence[Finding] = (), untold: Sequence[str] = ()
    ) -> None:
        self._origin, self._fault, self._lacks, self._untold = origin, fault, lacks, untold
        self._closed = False

    def prerequisites(self, tables: Sequence[Table]) -> list[Finding]:
        return [*self._lacks]

    def untold(self, table: Table) -> Sequence[str]:
        return self._untold

    def prepare(self, tables: Sequence[Table]) -> Position:
        with self._origin.lock:
            if not self._origin.kept:
                self._origin.kept, self._origin.confirmed = True, len(self._origin.log)
            return str(self._origin.confirmed)

    def position(self) -> Position:
        return str(len(self._origin.log))

    def reached(self, position: Position, mark: Position) -> bool:
        return int(position) >= int(mark)

    def follow(
        self, position: Position, tables: Sequence[Table], known: Mapping[TableName, Position], size: BatchSize
    ) -> Generator[ChangeBatch, None, None]:
        by_name = {table.name.name: table for table in tables}
        at = int(position)
        if at < self._origin.confirmed:
            raise WriteFailed("The log no longer has this position.")
        while True:
            self._check_open()
            self._fault("reading")
            if at == len(self._origin.log):
                time.sleep(TICK)
                yield ChangeBatch(position=str(at))
                continue
            yield from self._told(at, by_name, known)
            at += 1

    def confirm(self, position: Position) -> None:
        self._fault("confirming")
        self._origin.confirmed = max(self._origin.confirmed, int(position))

    def distance(self, position: Position) -> int | None:
        return len(self._origin.log) - int(position)

    def release(self) -> None:
        self._origin.kept = False

    def close(self) -> None:
        self._closed = True

    def _check_open(self) -> None:
        if self._closed:
            raise Cancelled("The log was closed.")

    def _told(
        self, at: int, tables: dict[str, Table], known: Mapping[TableName, Position]
    ) -> Generator[ChangeBatch, None, None]:
        """A transaction: each event by itself, and changes of rows in batches of two, the last with the position.

        Of every third the first change is given before, and undone.
        """
        if at % 3 == 2:
            changed = [(name, one) for name, one in self._origin.log[at] if isinstance(one, Change) and name in tables]
            if not known:
                yield from _batches(changed[:1], tables)
                yield ChangeBatch(undone=True)
        rows: list[tuple[str, Change]] = []
        for name, change in self._origin.log[at]:
            if isinstance(change, Change):
                if name in tables and at >= int(known.get(tables[name].name, "0")):
                    rows.append((name, change))
                continue
            yield from _batches(rows, tables)
            rows = []
            if isinstance(change, TableAltered):
                tables[name] = change.after
            yield ChangeBatch(event=change)
        *earlier, last = [*_batches(rows, tables)] or [ChangeBatch()]
        yield from earlier
        yield replace(last, position=str(at + 1), committed_at=time.time())


def _batches(rows: list[tuple[str, Change]], tables: Mapping[str, Table]) -> Generator[ChangeBatch, None, None]:
    for first in range(0, len(rows), 2):
        numbered = [*enumerate(rows[first : first + 2])]
        names = dict.fromkeys(name for _, (name, _) in numbered)
        parts = [[(at, change) for at, (of, change) in numbered if of == name] for name in names]
        yield ChangeBatch(
            [
                row_changes(tables[name], [change for _, change in part], [at for at, _ in part])
                for name, part in zip(names, parts, strict=True)
            ]
        )


@dataclass
class Followed:
    """What the target keeps of a stream that is followed."""

    standing: Standing = field(default_factory=Standing)
    epoch: int = 0


class MemoryApplier:
    """`Applier` on a `Store`. What is applied is seen once it is committed."""

    lenient = True

    def __init__(self, store: Store, followed: Followed, fault: Fault = no_fault, clashes: bool = False) -> None:
        self._store, self._followed, self._fault, self._clashes = store, followed, fault, clashes
        self._closed = False
        followed.epoch += 1
        self._epoch = followed.epoch
        self._rows = {name: [*rows] for name, rows in store.rows.items()}

    def standing(self) -> Standing:
        return self._followed.standing

    def merge(self, merge: Merge) -> None:
        self._check_open()
        self._fault("merging")
        if self._clashes:
            raise Clash("Two rows want the same value.")
        held = self._rows[str(merge.table.target.name)]
        names = [*merge.table.source.column_names()]
        rows = {tuple(row[names.index(name)] for name in merge.key): row for row in held}
        for part in (merge.deletes,) if merge.deletes else ():
            for key in part.to_pylist():
                rows.pop(tuple(key[name] for name in merge.key), None)
        for part in merge.updates:
            for said in part.to_pylist():
                key = tuple(said[name] for name in merge.key)
                if key in rows:
                    rows[key] = tuple(said.get(name, was) for name, was in zip(names, rows[key], strict=True))
        for said in merge.upserts.to_pylist() if merge.upserts else []:
            rows[tuple(said[name] for name in merge.key)] = tuple(said.values())
        self._rows[str(merge.table.target.name)] = [*rows.values()]

    def replay(self, table: PlannedTable, changes: RowChanges, checked: bool) -> None:
        self._check_open()
        self._fault("replaying")
        rows = self._rows[str(table.target.name)]
        names = [*table.source.column_names()]
        places = [names.index(name) for name in changes.identity]
        befores: list[Any] = changes.before.to_pylist() if changes.before else [None] * len(changes.ops)
        for op, before, after in zip(changes.ops.to_pylist(), befores, changes.after.to_pylist(), strict=True):
            if op != Op.INSERT:
                identity = tuple(before.values())
                found = next((row for row in rows if tuple(row[at] for at in places) == identity), None)
                if found is None and not table.source.key:
                    raise WriteFailed("A row that changed is not there.")
                if found is None:
                    continue
                rows.remove(found)
            if op != Op.DELETE:
                rows.append(tuple(after.values()))

    def truncate(self, tables: Sequence[PlannedTable], restart: bool) -> None:
        self._check_open()
        for table in tables:
            self._rows[str(table.target.name)] = []

    def alter(self, before: PlannedTable, after: PlannedTable, altered: TableAltered) -> None:
        self._check_open()
        old = [*before.source.column_names()]
        self._rows[str(after.target.name)] = [
            tuple(
                row[old.index(was)] if (was := altered.renamed.get(name, name)) in old else None
                for name in after.source.column_names()
            )
            for row in self._rows[str(before.target.name)]
        ]

    def undo(self) -> None:
        self._check_open()
        self._rows = {name: [*rows] for name, rows in self._store.rows.items()}

    def commit(self, standing: Standing) -> None:
        self._check_open()
        self._fault("committing")
        with self._store.lock:
            if self._followed.epoch != self._epoch:
                raise FencedOff("Another writer has taken the stream over.")
            for name, rows in self._rows.items():
                self._store.rows[name] = [*rows]
            self._followed.standing = standing
        self._fault("committed")

    def close(self) -> None:
        self._closed = True

    def _check_open(self) -> None:
        if self._closed:
            raise Cancelled("The target was closed.")
