"""PostgreSQL as a target of changes: the contract of `changes.Applier`.

Commits wait for the disk, unlike those of chunks: as soon as one has returned, the source may be told to forget what
lies before it, so no crash of the server may take it back. A batch of changes pays for one such wait.

Where the user may set `session_replication_role`, neither foreign keys nor triggers act on what is applied: what they
did at the source is in the log. Elsewhere they act, and what they refuse is a Clash like any other.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from threading import RLock
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus

from rowferry.connectors.base import PlannedTable, TargetRequest
from rowferry.connectors.changes import Merge, RowChanges, Standing
from rowferry.connectors.postgres import follows, journal
from rowferry.connectors.postgres.alter import alter
from rowferry.connectors.postgres.connect import PATIENCE, PATIENT, connect, translate
from rowferry.connectors.postgres.emptying import empty
from rowferry.connectors.postgres.failures import while_writing
from rowferry.connectors.postgres.merge import Merger
from rowferry.connectors.postgres.replay import NOT_FOUND, Replayer
from rowferry.connectors.postgres.shape import PINNED, Shape, read_shape
from rowferry.connectors.postgres.stage import Stages
from rowferry.errors import Cancelled, Clash, Conflict, ConnectionLost, InvalidInput, RowferryError, WriteFailed
from rowferry.model.changes import TableAltered
from rowferry.model.tables import TableName

Session = psycopg.Connection[tuple[Any, ...]]

_SETTINGS = (
    PATIENT,
    "SET default_transaction_isolation = 'read committed'",
    "SET default_transaction_read_only = off",
    "SET jit = off",
    "SELECT set_config(name, '0', false) FROM pg_settings WHERE name = 'transaction_timeout'",
    "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'",
)
"""`jit`: what is compiled for one batch is not used again."""

_REPLICA, _ORIGIN = (f"SET LOCAL session_replication_role = {role}" for role in ("replica", "origin"))

_GIVING_UP = 10
"""Tries to cancel what is under way, half a second each, before the connection is cut."""


def open_applier(request: TargetRequest, tables: Sequence[PlannedTable]) -> PostgresApplier:
    """The stream's writer from now on; any that was opened before commits nothing more."""
    if request.spec.db is None:
        raise InvalidInput("A PostgreSQL target needs target.spec.db.")
    return PostgresApplier(request, request.spec.db.database, tables)


class PostgresApplier:
    """One writer's session."""

    def __init__(self, request: TargetRequest, database: str, tables: Sequence[PlannedTable]) -> None:
        self._request, self._database = request, database
        self._busy = RLock()
        self._closed = False
        self._ended = False
        self._noted: Mapping[str, object] | None = None
        self._session = self._connect()
        try:
            for statement in _SETTINGS:
                self._run(statement)
            self._turn = follows.take_over(self._session, request.stream_id)
            self._free = self._freed()
            self._stages = Stages(self._session)
            self._shapes: dict[TableName, Shape] = {}
            for table in tables:
                self._shape(table)
        except psycopg.Error as error:
            self._session.close()
            raise translate(error, "taking the stream over on the target", WriteFailed) from error
        except BaseException:
            self._session.close()
            raise

    @property
    def lenient(self) -> bool:
        """See `Applier.lenient`."""
        return self._free

    def standing(self) -> Standing:
        """See `Applier.standing`."""
        with self._doing("reading how far the target has come", begin=False):
            return follows.standing(self._session, self._request.stream_id)

    def merge(self, merge: Merge) -> None:
        """See `Applier.merge`."""
        with self._changing(merge.table):
            Merger(self._session, self._stages).merge(self._shape(merge.table), merge)

    def replay(self, table: PlannedTable, changes: RowChanges, checked: bool) -> None:
        """See `Applier.replay`."""
        acting = self._free and checked
        with self._changing(table):
            shape = self._shape(table)
            if acting:
                self._run(_ORIGIN)
                shape = replace(shape, acting=True)
            Replayer(self._session, self._stages).replay(shape, table, changes)
            if acting:
                self._run(_REPLICA)

    def truncate(self, tables: Sequence[PlannedTable], restart: bool) -> None:
        """See `Applier.truncate`."""
        with self._doing("emptying tables"):
            empty(self._session, [table.target.name for table in tables], restart, acting=not self._free)

    def uncopy(self, tables: Sequence[PlannedTable]) -> None:
        """See `Applier.uncopy`."""
        names = [str(table.target.name) for table in tables]
        with self._doing("taking the copy back"):
            journal.uncopy(self._session, self._request.stream_id, names)
        self.truncate(tables, restart=False)

    def alter(self, before: PlannedTable, after: PlannedTable, altered: TableAltered) -> None:
        """See `Applier.alter`."""
        name = after.target.name
        with self._doing(f"altering {name}", after.target.column_names()):
            self._stages.forget(name)
            self._shapes.pop(name, None)
            alter(self._session, before, after, altered, self._connect)

    def undo(self) -> None:
        """See `Applier.undo`."""
        with self._doing("taking changes back"):
            self._run("ROLLBACK")
            self._stages.rolled_back()

    def commit(self, standing: Standing) -> None:
        """See `Applier.commit`."""
        with self._doing("committing changes"):
            follows.move(self._session, self._turn, standing, noted=standing.notes is self._noted)
            self._run("COMMIT")
            self._noted = standing.notes
            self._stages.committed()

    def close(self) -> None:
        """See `Applier.close`."""
        self._closed = True
        tries = 0
        while not self._busy.acquire(timeout=0.5 if tries else 0):
            tries += 1
            with suppress(Exception):
                if tries <= _GIVING_UP:
                    self._session.cancel_safe(timeout=5)
                else:
                    _cut(self._session)
        with suppress(Exception):
            self._session.close()
        self._busy.release()

    def _connect(self) -> Session:
        return connect(self._request.connection, self._database)

    def _freed(self) -> bool:
        """Whether foreign keys and triggers could be kept from acting; the journal's own act until here."""
        try:
            self._run("SET session_replication_role = replica")
        except psycopg.errors.InsufficientPrivilege:
            return False
        return True

    def _shape(self, table: PlannedTable) -> Shape:
        name = table.target.name
        if name not in self._shapes:
            self._shapes[name] = read_shape(self._session, name, acting=not self._free)
        return self._shapes[name]

    @contextmanager
    def _changing(self, table: PlannedTable) -> Iterator[None]:
        name = table.target.name
        with self._doing(f"applying changes to {name}", table.target.column_names()):
            try:
                yield
            except psycopg.Error as error:
                ours = _of_ours(error.sqlstate, name)
                if ours is None:
                    raise
                raise ours from error

    @contextmanager
    def _doing(self, doing: str, columns: Iterable[str] = (), *, begin: bool = True) -> Iterator[None]:
        """A step of the open transaction; any error but Clash ends it, and this applier's use."""
        with self._busy:
            if self._closed:
                raise Cancelled("The applier is closed.")
            if self._ended:
                raise Conflict("The applier ended with an error: open another one.")
            try:
                if begin and self._session.info.transaction_status is TransactionStatus.IDLE:
                    self._run("BEGIN")
                yield
            except Clash:
                raise
            except Exception as error:
                meaning = self._meaning(error, doing, columns)
                self._end()
                if meaning is error:
                    raise
                raise meaning from error
            except BaseException:
                self._end()
                raise

    def _end(self) -> None:
        self._ended = True
        with suppress(psycopg.Error):
            self._session.execute("ROLLBACK")

    def _meaning(self, error: Exception, doing: str, columns: Iterable[str]) -> Exception:
        if self._closed:
            return Cancelled("The applier was closed.")
        if self._session.broken and self._is_over():
            return follows.overtaken()
        if isinstance(error, psycopg.errors.LockNotAvailable):
            return ConnectionLost(f"Another session has held locks for more than {PATIENCE} s, while {doing}.")
        if isinstance(error, psycopg.Error):
            return while_writing(error, doing, columns)
        return error

    def _is_over(self) -> bool:
        """Whether the session was lost because another writer began."""
        try:
            with self._connect() as session:
                return follows.is_over(session, self._turn)
        except (RowferryError, psycopg.Error):
            return False

    def _run(self, statement: str) -> None:
        self._session.execute(statement.encode(), prepare=False)


def _of_ours(state: str | None, table: TableName) -> WriteFailed | None:
    """What codes of our own say."""
    said = {
        NOT_FOUND: f"A row of {table} that changed at the source is not on the target, and no key tells which it was: "
        "others must have changed it there. Load the table again, or give it a key.",
        PINNED: f"A row of {table} changes in a column that PostgreSQL always numbers itself, so it has to be taken "
        "out and put in again: let the user set session_replication_role, or ALTER the column to GENERATED BY DEFAULT.",
    }
    return WriteFailed(said[state]) if state in said else None


def _cut(session: Session) -> None:
    """End a connection that no longer answers; whoever waits for it finds out."""
    with socket.socket(fileno=os.dup(session.fileno())) as line:
        line.shutdown(socket.SHUT_RDWR)
