"""One moment for all reads: a session holds an exported snapshot open, and every session that reads imports it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from threading import Lock

import psycopg

from rowferry.connectors.postgres.catalog import Session
from rowferry.connectors.postgres.versions import Since

_BEGIN = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_ENDLESS = "SET transaction_timeout = 0"


class Snapshot:
    """The snapshot of a stream's reads, taken when it is first wanted. Any thread may ask.

    It lives as long as the session that holds it. Where that was lost, the next reader gets a later snapshot, and
    `taken` says how many there were.
    """

    def __init__(self, open_one: Callable[[], Session]) -> None:
        self._open_one = open_one
        self._lock = Lock()
        self._holder: Session | None = None
        self._import: tuple[str, ...] = ()
        self.taken = 0

    def statements(self) -> tuple[str, ...]:
        """What a session has to run, so that from then on it sees the rows of the snapshot."""
        with self._lock:
            if self._holder is None or not _alive(self._holder):
                self._take()
            return self._import

    def close(self) -> None:
        """Let the server forget the snapshot."""
        with self._lock:
            if self._holder is not None:
                self._holder.close()
                self._holder = None

    def _take(self) -> None:
        holder = self._open_one()
        first = (_ENDLESS,) if holder.info.server_version >= Since.TRANSACTION_TIMEOUT else ()
        for statement in (*first, _BEGIN):
            holder.execute(statement.encode())
        [(name,)] = holder.execute("SELECT pg_export_snapshot()").fetchall()
        self._holder = holder
        self._import = (*first, _BEGIN, f"SET TRANSACTION SNAPSHOT '{name}'")
        self.taken += 1


def _alive(session: Session) -> bool:
    with suppress(psycopg.Error):
        session.execute("SELECT 1")
        return True
    return False
