"""PostgreSQL's log as a source of changes: what it needs, what it leaves at the server, and following it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from functools import partial
from threading import Lock
from typing import TypeVar

import psycopg

from rowferry.connectors.changes import BatchSize, ChangeBatch, ChangesRequest
from rowferry.connectors.postgres.catalog import Session
from rowferry.connectors.postgres.connect import connect, reading, sqlstate, translate
from rowferry.connectors.postgres.names import qualified
from rowferry.connectors.postgres.pool import Sessions
from rowferry.connectors.postgres.replication.feed import Feed
from rowferry.connectors.postgres.replication.following import Following
from rowferry.connectors.postgres.replication.positions import number, position
from rowferry.connectors.postgres.replication.prerequisites import check_tables, missing
from rowferry.connectors.postgres.replication.relations import Relations
from rowferry.connectors.postgres.replication.slots import (
    check_publication,
    check_slot,
    drop_publication,
    drop_slot,
    free_slot,
    make_publication,
    make_slot,
    names_for,
    needs_identity,
    start_statement,
    way_back,
)
from rowferry.connectors.postgres.versions import Since
from rowferry.errors import Cancelled, ConnectionFailed, ConnectionLost, ReadFailed, RowferryError, SourceChanged
from rowferry.model.changes import Position
from rowferry.model.findings import Finding
from rowferry.model.tables import Table, TableName

_GONE = frozenset({"42704", "55000", "58P01"})
"""No such slot or publication; the slot cannot be used any more; the log is gone."""

_CANNOT_YET = frozenset({"XX000", "0A000", "22023"})
"""A transaction could not be decoded before its end, as in all versions up to 18 where a subtransaction that altered a
table was rolled back and the table is rewritten after that; or the server, which is no plain PostgreSQL, does not offer
it."""

_ENDED_ONLY = "ended only"
"""In the memory of a run: the server was found to be unable to."""

_STORED = "SELECT attname::text FROM pg_attribute WHERE attrelid = %s::regclass AND attgenerated = 's'"

_END = """
SELECT pg_current_wal_insert_lsn()::text, current_setting('wal_block_size')::int
"""

_PAGE_HEADERS = (24, 40)
"""Bytes at the beginning of a page of the log, and of its first page in a file."""

_AT_WORK = """
SELECT FROM pg_stat_activity
WHERE pid = %s AND backend_type = 'walsender' AND coalesce(wait_event_type, '') NOT IN ('Activity', 'Client')
"""

_LEAVING = 5.0
"""Seconds that a reader is given to notice that the source was closed."""

T = TypeVar("T")


class PostgresChanges:
    """The log of one database. Questions are asked in ordinary sessions, the log comes through a walsender."""

    def __init__(self, request: ChangesRequest) -> None:
        self._request = request
        self._names = names_for(request.stream_id, request.options)
        self._lock = Lock()
        # Questions are rare, and a session that waited long may have fallen silent: each has one of its own.
        self._sessions: Sessions[Session] = Sessions(self._open, lambda one: one.cancel_safe(timeout=5), idle=0)
        self._feed: Feed | None = None
        self._following: Following | None = None
        self._confirmed = 0
        self._under_way = False

    def prerequisites(self, tables: Sequence[Table]) -> list[Finding]:
        """See `ChangeSource.prerequisites`."""
        return self._ask(
            lambda session: missing(session, tables, self._names, self._request.options), "looking at the server"
        )

    def untold(self, table: Table) -> Collection[str]:
        """See `ChangeSource.untold`. Since version 18 a publication may have columns that are computed and stored."""
        computed = {column.name for column in table.columns if column.generated is not None}

        def work(session: Session) -> Collection[str]:
            if session.info.server_version < Since.CONSTRAINTS_OF_18 or not self._names.own_publication:
                return computed
            stored = session.execute(_STORED, (qualified(table.name.schema, table.name.name),)).fetchall()
            return computed - {str(name) for (name,) in stored}

        return self._ask(work, "asking what is computed") if computed else ()

    def prepare(self, tables: Sequence[Table]) -> Position:
        """See `ChangeSource.prepare`. The publication comes first: the log's reader must find it wherever it begins."""
        names = self._names

        def work(session: Session) -> Position:
            check_tables(session, tables, self._request.options)
            if names.own_publication:
                make_publication(session, names.publication, tables, self._request.options)
            return make_slot(session, names.slot, names.own_slot)

        return self._ask(work, f"preparing the replication slot {names.slot}")

    def position(self) -> Position:
        """See `ChangeSource.position`. A commit may be seen before it is flushed, but never before it is in the log."""
        return self._ask(_end_of_log, "asking where the log ends")

    def reached(self, position: Position, mark: Position) -> bool:
        """See `ChangeSource.reached`."""
        return number(position) >= number(mark)

    def follow(
        self, position: Position, tables: Sequence[Table], known: Mapping[TableName, Position], size: BatchSize
    ) -> Generator[ChangeBatch, None, None]:
        """See `ChangeSource.follow`."""
        try:
            following = self._begin(position, tables, known, size)
            yield from following.batches()
        except psycopg.Error as error:
            raise self._told(error) from error
        finally:
            self._end()

    def confirm(self, position: Position) -> None:
        """See `ChangeSource.confirm`."""
        with self._lock:
            self._confirmed = max(self._confirmed, number(position))
            if self._feed is not None:
                self._feed.confirmed = self._confirmed

    def distance(self, position: Position) -> int | None:
        """See `ChangeSource.distance`."""

        def work(session: Session) -> Position:
            check_publication(session, self._names.publication)
            return _end_of_log(session)

        return max(0, number(self._ask(work, "asking where the log ends")) - number(position))

    def release(self) -> None:
        """See `ChangeSource.release`."""
        names = self._names
        if not (names.own_slot or names.own_publication):
            return
        try:
            with self._open() as session:
                if names.own_slot:
                    drop_slot(session, names.slot)
                if names.own_publication:
                    drop_publication(session, names.publication)
        except psycopg.Error as error:
            raise translate(error, f"removing the replication slot {names.slot}") from error

    def close(self) -> None:
        """See `ChangeSource.close`."""
        with self._lock:
            self._sessions.close()
            if self._following is not None:
                self._following.closed = True
            feed = self._feed
        if feed is None:
            return
        feed.wake()
        # Whoever reads leaves at once, and closes the feed; a caller who is busy elsewhere does not.
        if feed.lock.acquire(timeout=_LEAVING):
            try:
                feed.close()
            finally:
                feed.lock.release()

    def _begin(
        self, position: Position, tables: Sequence[Table], known: Mapping[TableName, Position], size: BatchSize
    ) -> Following:
        names = self._names
        relations = Relations(
            tables,
            partial(self._ask, doing="following tables"),
            identified=needs_identity(self._request.options),
            whole=self._request.whole,
        )

        def work(session: Session) -> None:
            check_slot(session, names.slot, position)
            check_publication(session, names.publication)
            if names.own_slot:
                free_slot(session, names.slot)

        self._ask(work, f"looking at the replication slot {names.slot}")
        session = self._open(replication=True)
        feed = Feed(session, number(position))
        pid, ends = session.info.backend_pid, self._request.whole
        following = Following(feed, relations, known, size, lambda: self.is_at_work(pid), ends=ends)
        with self._lock:
            closed = self._sessions.closed
            if not closed:
                self._feed, self._following = feed, following
                feed.confirmed = self._confirmed
        if closed:
            feed.close()
            raise Cancelled("The source was closed.")
        [(patience,)] = session.execute(
            "SELECT setting::int / 1000.0 FROM pg_settings WHERE name = 'wal_sender_timeout'"
        ).fetchall()
        version = session.info.server_version
        self._under_way = version >= Since.TOLD_UNDER_WAY and not self._request.memory.get(_ENDED_ONLY)
        feed.start(start_statement(names, position, under_way=self._under_way), float(patience))
        return following

    def _end(self) -> None:
        with self._lock:
            feed, self._feed, self._following = self._feed, None, None
        if feed is not None:
            feed.close()

    def is_at_work(self, pid: int) -> bool:
        """Whether a walsender that says nothing is reading past something; not if it waits for us, or is gone."""
        try:
            return bool(self._ask(lambda session: session.execute(_AT_WORK, (pid,)).rowcount, "looking for it"))
        except ConnectionFailed:
            return False

    def _open(self, *, replication: bool = False) -> Session:
        request = self._request
        session = connect(request.connection, request.database, replication=replication)
        if replication:
            session.execute(reading(request.schema))
        return session

    def _ask(self, work: Callable[[Session], T], doing: str) -> T:
        try:
            with self._sessions.borrowed() as session:
                return work(session)
        except psycopg.Error as error:
            if self._sessions.closed:
                raise Cancelled("The source was closed.") from error
            raise translate(error, doing, ReadFailed) from error

    def _told(self, error: psycopg.Error) -> RowferryError:
        """Why following came to an end."""
        if self._sessions.closed:
            return Cancelled("The source was closed.")
        slot = self._names.slot
        if sqlstate(error) in _CANNOT_YET and self._under_way:
            self._request.memory[_ENDED_ONLY] = True
            return ConnectionLost(
                "PostgreSQL could not tell of a transaction that is under way, and is asked to tell of transactions "
                "that have ended alone."
            )
        if sqlstate(error) in _GONE:
            said = translate(error, f"following the replication slot {slot}").message
            return SourceChanged(f"{said} If the slot is of no more use, {way_back(slot)}.")
        found = translate(error, f"following the replication slot {slot}", ReadFailed)
        lost = isinstance(found, ConnectionFailed) and not isinstance(found, ConnectionLost)
        return ConnectionLost(found.message) if lost else found


def _end_of_log(session: Session) -> Position:
    end, page = session.execute(_END).fetchall()[0]
    at = number(end)
    # The server tells of its log up to the end of a page, not up to behind the next one's header.
    return position(at - at % page if at % page in _PAGE_HEADERS else at)


def open_changes(request: ChangesRequest) -> PostgresChanges:
    """The log for that request; it connects when it is first asked."""
    return PostgresChanges(request)
