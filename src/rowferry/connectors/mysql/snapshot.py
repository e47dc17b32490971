"""One moment for all reads: a few sessions whose transactions began while nobody could commit.

These servers cannot hand a snapshot from one session to another. So the sessions that will read are opened first,
then commits are locked out for as long as it takes each of them to begin its transaction, some milliseconds.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from threading import Condition

import pymysql
from pymysql.connections import Connection as Session

from rowferry.connectors.mysql.binlog.place import held_here
from rowferry.connectors.mysql.connect import Access, Variant, variant_of
from rowferry.connectors.mysql.failures import DENIED, error_code, failed
from rowferry.connectors.mysql.reading import ReadSession
from rowferry.connectors.mysql.sql import quoted
from rowferry.errors import Cancelled, MomentLost, ReadFailed, Refused, RowferryError
from rowferry.model.changes import Position
from rowferry.model.tables import Table

PATIENCE = 5
"""Seconds that the lock waits for statements of others, which wait behind it meanwhile."""

_WAITED_LONG_ENOUGH = frozenset({1205, 1969, 3024})

_ISOLATION = "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ"
_BEGIN = "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY"
_SAVE = "SAVEPOINT rowferry"
_BACK = "ROLLBACK TO SAVEPOINT rowferry"
"""Lets go of the tables that were read, so that others may change them, and stays in the transaction."""


@dataclass(frozen=True, slots=True)
class Lock:
    """A way to keep others from committing."""

    name: str
    begin: tuple[str, ...]
    end: str = "UNLOCK TABLES"


_STAGES = Lock("BACKUP STAGE BLOCK_COMMIT", ("BACKUP STAGE START", "BACKUP STAGE BLOCK_COMMIT"), "BACKUP STAGE END")
_EVERYTHING = Lock("FLUSH TABLES WITH READ LOCK", ("FLUSH TABLES WITH READ LOCK",))


@dataclass
class Snapshot:
    """The sessions that hold it. Any thread may borrow one; it waits while all of them are lent.

    A session that is lost takes nothing with it: the others hold the same moment. `place`: where in the server's log
    that is, if somebody wanted to know.
    """

    sessions: list[ReadSession]
    lock: str | None = None
    seconds: float = 0.0
    place: Position | None = None
    held: bool = True
    _idle: list[ReadSession] = field(default_factory=list)
    _changed: Condition = field(default_factory=Condition)
    _closed: bool = False

    def __post_init__(self) -> None:
        self._idle = list(self.sessions)

    def told(self) -> str:
        """How the snapshot came about, for the run's report."""
        if self.lock is None:
            return "one session read everything"
        return f"{len(self.sessions)} sessions began it under {self.lock}, which lasted {self.seconds * 1000:.0f} ms"

    @contextmanager
    def lease(self) -> Iterator[ReadSession]:
        """A session inside the snapshot; MomentLost when all of them are lost."""
        session = self._take()
        try:
            yield session
        finally:
            self._give(session)

    def close(self) -> None:
        """End all of them, whatever they are doing."""
        with self._changed:
            self._closed = True
            idle, self._idle = self._idle, []
            self._changed.notify_all()
        for session in self.sessions:
            if session in idle or session.broken:
                session.close()
            else:
                session.cancel()

    def _take(self) -> ReadSession:
        with self._changed:
            while True:
                if self._closed:
                    raise Cancelled("The source was closed.")
                if self._idle:
                    return self._idle.pop()
                if all(session.broken for session in self.sessions):
                    raise MomentLost(
                        "The connections that held the source's snapshot were lost: resume the stream, which then "
                        "reads what is missing in a new snapshot."
                    )
                self._changed.wait()

    def _give(self, session: ReadSession) -> None:
        if session.unfinished and not self._closed:
            session.break_off()
        _let_go(session)
        with self._changed:
            if not session.broken and not self._closed:
                self._idle.append(session)
            else:
                session.close()
            if session.broken:  # what ended this one may have ended those that wait
                self._idle = [one for one in self._idle if _let_go(one)]
            self._changed.notify_all()


def _let_go(session: ReadSession) -> bool:
    """Let go of the tables that were read; whether the session still holds its transaction."""
    if not session.broken:
        try:
            session.wire.query(_BACK)
        except (pymysql.Error, OSError):
            session.broken = True
    return not session.broken


def take(access: Access, tables: Sequence[Table], readers: int, logged: bool = False) -> Snapshot:
    """The snapshot in `readers` sessions; Refused, with what to change, where it cannot be had.

    `logged`: its place in the server's log is wanted, too.
    """
    sessions: list[ReadSession] = []
    try:
        sessions += (ReadSession(access) for _ in range(readers))
        _refuse_unheld(sessions[0].wire, tables)
        for session in sessions:
            session.wire.query(_ISOLATION)
        alone = readers == 1 and (not logged or sessions[0].variant.mariadb)
        with nullcontext(None) if alone else _locked(access, tables) as lock:
            since = time.monotonic()
            for session in sessions:
                session.wire.query(_BEGIN)
            place = str(held_here(sessions[0].wire)) if logged else None
            seconds = time.monotonic() - since
        for session in sessions:
            session.wire.query(_SAVE)
        return Snapshot(sessions, lock, seconds, place)
    except BaseException as error:
        for session in sessions:
            session.close()
        if isinstance(error, pymysql.Error | OSError):
            raise failed(error, "the snapshot of the source") from error
        raise


def _refuse_unheld(session: Session, tables: Sequence[Table]) -> None:
    """Refused when a table's engine knows no transactions."""
    wanted: dict[str, list[str]] = defaultdict(list)
    for table in tables:
        if table.query is None:
            wanted[table.name.schema].append(table.name.name)
    found: list[str] = []
    with session.cursor() as cursor:
        cursor.execute("SELECT ENGINE FROM information_schema.ENGINES WHERE TRANSACTIONS = 'YES'")
        able = [str(name) for (name,) in cursor.fetchall()]
        for database, names in wanted.items():
            cursor.execute(
                "SELECT TABLE_SCHEMA, TABLE_NAME, ENGINE FROM information_schema.TABLES "
                "WHERE TABLE_SCHEMA = %s AND TABLE_NAME IN %s AND ENGINE NOT IN %s ORDER BY TABLE_NAME",
                (database, names, able or [""]),
            )
            found += [f"{schema}.{name} ({engine})" for schema, name, engine in cursor.fetchall()]
    if found:
        raise Refused(
            f"A snapshot cannot hold tables whose engine knows no transactions: {', '.join(found)}. Make them InnoDB, "
            "leave them out, or leave source.options.consistency out."
        )


@contextmanager
def _locked(access: Access, tables: Sequence[Table]) -> Iterator[str]:
    """Nobody commits within the block; gives the name of the lock, the least one that the user is granted."""
    session = access.connect_as(Session, read_timeout=2 * PATIENCE)
    try:
        # The server itself ends the lock when nothing is heard from this side any more.
        session.query(f"SET lock_wait_timeout = {PATIENCE}, wait_timeout = {2 * PATIENCE}")
        lock = _acquired(session, tables)
        yield lock.name
        session.query(lock.end)
    finally:
        with suppress(pymysql.Error, OSError):
            session.close()


def _acquired(session: Session, tables: Sequence[Table]) -> Lock:
    for lock in _ways(variant_of(session), tables):
        try:
            for statement in lock.begin:
                session.query(statement)
            return lock
        except pymysql.Error as error:
            if error_code(error) not in DENIED:
                raise _not_locked(error) from error
    raise Refused(
        "A snapshot of the source needs a moment in which nobody commits, which its user may not ask for: grant it "
        "RELOAD, or LOCK TABLES on the database, or leave source.options.consistency out."
    )


def _ways(variant: Variant, tables: Sequence[Table]) -> list[Lock]:
    """The locks that there are, beginning with the one that waits for least; the last needs the least grants."""
    stages = [_STAGES] if variant.mariadb and variant.version >= (10, 4, 1) else []
    if not tables or any(table.query is not None for table in tables):
        return [*stages, _EVERYTHING]
    places = sorted({f"{quoted(table.name.schema)}.{quoted(table.name.name)}" for table in tables})
    listed = ", ".join(f"{place} READ" for place in places)
    return [*stages, _EVERYTHING, Lock("LOCK TABLES", (f"LOCK TABLES {listed}",))]


def _not_locked(error: pymysql.Error) -> RowferryError:
    if error_code(error) in _WAITED_LONG_ENOUGH or "timed out" in str(error):
        return ReadFailed(
            f"No snapshot of the source came about within {PATIENCE} seconds, because a backup or a long-running "
            "statement holds its tables: let that end, then resume the stream."
        )
    return failed(error, "the snapshot of the source")
