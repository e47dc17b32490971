"""One moment for all reads: a session holds an exported snapshot open, and every session that reads imports it."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack, suppress
from itertools import count
from threading import Lock

import psycopg

from rowferry.connectors.postgres.catalog import Session
from rowferry.connectors.postgres.versions import Since
from rowferry.errors import Cancelled
from rowferry.model.changes import Position

_BEGIN = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_ENDLESS = "SET transaction_timeout = 0"


class Snapshot:
    """The snapshot of a stream's reads, taken when it is first wanted. Any thread may ask.

    It lives as long as the session that holds it. Where that was lost, the next reader gets a later snapshot, and
    `taken` says how many there were. With `open_log` (sessions that the log can be followed in) it is one whose place
    in the log is known.
    """

    def __init__(self, open_one: Callable[[], Session], open_log: Callable[[], Session] | None = None) -> None:
        self._open_one, self._open_log = open_one, open_log
        self._lock = Lock()
        self._numbers = count(1)
        self._holder: Session | None = None
        self._waiting: Session | None = None
        self._import: tuple[str, ...] = ()
        self._place: Position | None = None
        self._closed = False
        self.taken = 0

    @property
    def logged(self) -> bool:
        """Whether its place in the log is known."""
        return self._open_log is not None

    def statements(self) -> tuple[str, ...]:
        """What a session has to run, so that from then on it sees the rows of the snapshot."""
        with self._lock:
            self._hold()
            return self._import

    def place(self) -> Position | None:
        """The snapshot as a place in the log: it shows what was committed before, and nothing that was behind."""
        with self._lock:
            self._hold()
            return self._place

    def number(self) -> int:
        """Which of the snapshots it is by now, from 1."""
        with self._lock:
            self._hold()
            return self.taken

    def close(self) -> None:
        """Let the server forget the snapshot; one that is being taken will not be."""
        self._closed = True
        waiting = self._waiting
        if waiting is not None:
            with suppress(psycopg.Error):
                waiting.cancel_safe(timeout=5)
        with self._lock:
            if self._holder is not None:
                self._holder.close()
                self._holder = None

    def _hold(self) -> None:
        if self._holder is None or not _alive(self._holder):
            self._take()

    def _take(self) -> None:
        if self._closed:
            raise Cancelled("The source was closed.")
        if self._holder is not None:
            self._holder.close()
        with ExitStack() as failing:
            holder = self._open_one()
            failing.callback(holder.close)
            first = (_ENDLESS,) if holder.info.server_version >= Since.TRANSACTION_TIMEOUT else ()
            for statement in (*first, _BEGIN):
                holder.execute(statement.encode())
            if self._open_log is not None:
                self._take_logged(holder, self._open_log)
            [(name,)] = holder.execute("SELECT pg_export_snapshot()").fetchall()
            failing.pop_all()
        self._holder = holder
        self._import = (*first, _BEGIN, f"SET TRANSACTION SNAPSHOT '{name}'")
        self.taken += 1

    def _take_logged(self, holder: Session, open_log: Callable[[], Session]) -> None:
        """Let the holder see what a new slot begins behind; the slot is only there for that, and goes at once.

        It begins when every transaction that was under way has ended.
        """
        with open_log() as log:
            self._waiting = log
            try:
                name = f"rowferry_{log.info.backend_pid}_{os.getpid()}_{next(self._numbers)}"
                row = log.execute(
                    f"CREATE_REPLICATION_SLOT {name} TEMPORARY LOGICAL pgoutput EXPORT_SNAPSHOT".encode()
                ).fetchone()
            finally:
                self._waiting = None
            if row is None:
                raise psycopg.InterfaceError("no snapshot came with the slot")
            _, place, snapshot, _ = row
            holder.execute(f"SET TRANSACTION SNAPSHOT '{snapshot}'".encode())
        self._place = str(place)


def _alive(session: Session) -> bool:
    with suppress(psycopg.Error):
        session.execute("SELECT 1")
        return True
    return False
