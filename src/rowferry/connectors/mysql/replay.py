"""Changes one by one, in their order, for what does not come out right any other way.

A change is a statement; many are sent at once, and what each of them came to is looked at. Rows that come in one after
the other go together.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rowferry.connectors.base import PlannedTable
from rowferry.connectors.changes import RowChanges
from rowferry.connectors.mysql.encode import LARGE, fields_of, inserted_rows, literals
from rowferry.connectors.mysql.failures import error_code
from rowferry.connectors.mysql.merge import DOUBLES
from rowferry.connectors.mysql.names import place, quoted_list
from rowferry.connectors.mysql.refusals import DriverErrors
from rowferry.connectors.mysql.same import bare, comparison
from rowferry.connectors.mysql.sessions import Session
from rowferry.connectors.mysql.shape import Part
from rowferry.connectors.mysql.sql import quoted
from rowferry.connectors.mysql.stage import Stages
from rowferry.errors import WriteFailed
from rowferry.model.changes import Op

_MANY = 50
"""Rows that come in together by the way of a load."""

_PACKET = 256 * 1024
_MOST = 1000
_ROOM = 1024
_POINT = b"SAVEPOINT rowferry_packet"

Words = list[pa.Array | str]
"""What stands in statements, of which there is one for each row."""


@dataclass(frozen=True, slots=True)
class Run:
    """Changes of one kind, one after the other. `names`: the columns that are known of what the rows became.

    `before` means nothing where rows come in.
    """

    op: Op
    names: tuple[str, ...]
    after: pa.RecordBatch
    before: pa.RecordBatch


@dataclass
class Queue:
    """Statements on their way. `must`: each of them has to find its row."""

    session: Session
    table: PlannedTable
    must: bool
    _waiting: list[bytes] = field(default_factory=list)
    _finding: list[bool] = field(default_factory=list)
    _size: int = 0

    def add(self, statement: bytes, finds: bool) -> None:
        """Send it soon; `finds`: it is about a row that is there."""
        if len(statement) + _ROOM > self.session.largest:
            raise WriteFailed(
                f"A change of {self.table.target.name} is longer than the target server's max_allowed_packet: raise it."
            )
        room = min(_PACKET, self.session.largest - _ROOM)
        if self._waiting and (self._size + len(statement) > room or len(self._waiting) >= _MOST):
            self.flush()
        self._waiting.append(statement)
        self._finding.append(finds)
        self._size += len(statement) + 1

    def add_all(self, statements: Iterable[bytes], finds: bool = False) -> None:
        """Several of them."""
        for statement in statements:
            self.add(statement, finds)

    def flush(self) -> None:
        """Send what waits. A warning is as good as an error: then they go one by one, to find out which it was."""
        statements, finding = self._waiting, self._finding
        self._waiting, self._finding, self._size = [], [], 0
        if not statements:
            return
        outcomes = self.session.run_all([_POINT, *statements])[1:]
        counts = [outcome.rows for outcome in outcomes]
        if any(outcome.warnings for outcome in outcomes):
            self.session.execute("ROLLBACK TO SAVEPOINT rowferry_packet")
            counts = [self.session.store(statement) for statement in statements]
        if self.must and any(finds and not count for finds, count in zip(finding, counts, strict=True)):
            raise WriteFailed(
                f"{self.table.target.name} lacks a row that was changed or deleted at the source, and has no key: "
                "the tables are no longer the same; load it again."
            )


def replay(stages: Stages, table: PlannedTable, changes: RowChanges, checked: bool) -> None:
    """Do them all.

    Where a row is in the way whose key it is, they are done once more so that it gives way: a load that overlapped has
    read already what the log tells again.
    """
    session = stages.session
    keyed = bool(changes.table.key or changes.table.primary_key)
    session.execute("SAVEPOINT rowferry_replay")
    try:
        _replay(stages, Queue(session, table, must=not keyed), changes, None if keyed else " LIMIT 1")
    except DriverErrors as error:
        if not keyed or error_code(error) not in DOUBLES:
            raise
        session.execute("ROLLBACK TO SAVEPOINT rowferry_replay")
        _replay_over(Queue(session, table, must=False), changes, checked)
    except pa.ArrowException as error:
        raise WriteFailed("A value does not fit the type that its column was planned with.") from error


def _replay(stages: Stages, queue: Queue, changes: RowChanges, end: str | None) -> None:
    for run in _runs(changes):
        if run.op is Op.INSERT:
            _insert(stages, queue, run)
        elif run.op is Op.UPDATE:
            queue.add_all(_updates(queue, changes.identity, run, end or ""), finds=True)
        else:
            queue.add_all(_deletes(queue, changes.identity, run, end or ""), finds=True)
    queue.flush()


def _replay_over(queue: Queue, changes: RowChanges, checked: bool) -> None:
    """What has a key, with what is there under it already."""
    identity = changes.identity
    for run in _runs(changes):
        if run.op is Op.DELETE:
            queue.add_all(_deletes(queue, identity, run))
        elif run.op is Op.INSERT:
            for update, insert in zip(*_upserts(queue, identity, run), strict=True):
                queue.add_all([update, insert])
        elif set(identity).issubset(run.names):
            room = [f"SET foreign_key_checks = {number}".encode() for number in (0, int(checked))]
            moves = zip(_gives_way(queue, identity, run), _updates(queue, identity, run), strict=True)
            for delete, update in moves:
                queue.add_all([room[0], delete, room[1], update])
        else:
            queue.add_all(_updates(queue, identity, run))
    queue.flush()


def _runs(changes: RowChanges) -> Iterator[Run]:
    count = len(changes.ops)
    ops = np.asarray(changes.ops)
    image = np.full(count, -1, np.int16) if changes.image is None else np.asarray(changes.image.fill_null(-1))
    cuts = np.flatnonzero((ops[1:] != ops[:-1]) | (image[1:] != image[:-1])) + 1
    names = tuple(changes.after.schema.names)
    before = changes.after if changes.before is None else changes.before
    for start, end in zip([0, *cuts], [*cuts, count], strict=True):
        if start == end:
            continue
        known = changes.images[image[start]] if image[start] >= 0 else frozenset(names)
        yield Run(
            Op(int(ops[start])),
            tuple(name for name in names if name in known),
            changes.after.slice(start, end - start),
            before.slice(start, end - start),
        )


def _insert(stages: Stages, queue: Queue, run: Run) -> None:
    part = Part(queue.table, tuple(run.after.schema.names))
    fields = fields_of(part.planned)
    begin = f"INSERT INTO {place(queue.table.target.name)} ({quoted_list(f.name for f in fields)}) VALUES ".encode()
    largest = queue.session.largest - len(begin) - 2 * _ROOM
    rows = [] if run.after.num_rows >= _MANY else inserted_rows(fields, run.after)
    if not rows or max(map(len, rows)) > largest:
        queue.flush()
        stages.put(part.planned, run.after)
        return
    for row in rows:
        queue.add(begin + row, finds=False)


def _updates(queue: Queue, identity: Sequence[str], run: Run, end: str = "") -> list[bytes]:
    """For each row what changes it; nothing where the target computes all that has changed."""
    part = Part(queue.table, run.names)
    fields = fields_of(part.planned)
    if not fields:
        return []
    after = part.of(run.after)
    words: Words = [f"UPDATE {place(queue.table.target.name)} SET "]
    for number, one in enumerate(fields):
        words += [f"{', ' if number else ''}{quoted(one.name)} = ", literals(one, after)]
    words += [f", {quoted(name)} = {quoted(name)}" for name in part.kept]
    return _joined([*words, " WHERE ", *_is(queue, identity, run.before), end])


def _deletes(queue: Queue, identity: Sequence[str], run: Run, end: str = "") -> list[bytes]:
    before = _is(queue, identity, run.before)
    return _joined([f"DELETE FROM {place(queue.table.target.name)} WHERE ", *before, end])


def _upserts(queue: Queue, identity: Sequence[str], run: Run) -> tuple[list[bytes], list[bytes]]:
    """For each row what changes the one under its key, and what puts it in where there is none."""
    part = Part(queue.table, run.names)
    fields = fields_of(part.planned)
    after = part.of(run.after)
    table = place(queue.table.target.name)
    words: Words = [f"INSERT INTO {table} ({quoted_list(one.name for one in fields)}) SELECT "]
    for number, one in enumerate(fields):
        words += [", " if number else "", literals(one, after)]
    same = _is(queue, identity, run.after)
    inserts = _joined([*words, f" FROM DUAL WHERE NOT EXISTS (SELECT 1 FROM {table} WHERE ", *same, ")"])
    return _updates(queue, identity, replace(run, before=run.after)), inserts


def _gives_way(queue: Queue, identity: Sequence[str], run: Run) -> list[bytes]:
    """For each row that moves to another key what removes the one that is there, if there is one to move."""
    old, new = _is(queue, identity, run.before), _is(queue, identity, run.after)
    table = place(queue.table.target.name)
    there = [f" AND EXISTS (SELECT 1 FROM (SELECT 1 FROM {table} WHERE ", *old, " LIMIT 1) moves)"]
    return _joined([f"DELETE FROM {table} WHERE ", *new, " AND NOT (", *old, ")", *there])


def _is(queue: Queue, names: Sequence[str], rows: pa.RecordBatch) -> Words:
    """That these columns are as in the rows; what the target computes itself is not looked at."""
    planned = Part(queue.table, tuple(names)).planned
    chosen = rows.select(list(names))
    words: Words = []
    for one in fields_of(planned):
        source, target = planned.source.columns[one.place], planned.target.columns[one.place]
        literal = literals(one, chosen, ("", "") if bare(source.type, target) else None)
        words += [" AND "] if words else []
        for number, piece in enumerate(comparison(target, queue.session.variant.mariadb)):
            words += [literal, piece] if number else [piece]
    return words


def _joined(words: Words) -> list[bytes]:
    parts = [pa.scalar(word, LARGE) if isinstance(word, str) else word for word in words]
    statements = pc.binary_join_element_wise(*parts, pa.scalar("", LARGE)).cast(pa.large_binary())
    return [bytes(statement) for statement in statements.to_pylist()]
