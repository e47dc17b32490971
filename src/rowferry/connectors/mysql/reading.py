"""Sessions that read, and where a read gets one: out of a pool, or out of the few that hold a snapshot."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import TYPE_CHECKING, Any, Protocol

import pymysql

from rowferry.connectors.mysql.connect import Access, variant_of
from rowferry.connectors.mysql.pool import Pool

if TYPE_CHECKING:
    from rowferry.connectors.mysql.rows import Batches, Result


class ReadSession:
    """One connection, used by one thread at a time. `broken`: it is of no use any more.

    `packet`: the server's max_allowed_packet, which bounds what other drivers take.
    """

    def __init__(self, access: Access) -> None:
        self._access = access
        self._database = ""
        self._result: Result | None = None
        self.broken = False
        self.wire = access.connect()
        self.variant = variant_of(self.wire)
        self.number = int(self.wire.thread_id())  # type: ignore[no-untyped-call]
        with self.wire.cursor() as cursor:
            cursor.execute("SELECT @@max_allowed_packet")
            self.packet = int((cursor.fetchone() or (0,))[0])

    def use(self, database: str) -> None:
        """Make `database` the one in which unqualified names are looked up."""
        if database and database != self._database:
            self.wire.select_db(database)
            self._database = database

    def read(self, sql: str) -> Batches:
        """The rows of a query, in batches of a few megabytes. Left early, it is for the lender to end it."""
        from rowferry.connectors.mysql.rows import Result  # noqa: PLC0415 - planning needs no Arrow

        self._result = Result(self.wire, sql)
        yield from self._result.batches()

    @property
    def unfinished(self) -> bool:
        """Whether rows of a read are still to come."""
        return self._result is not None and not self._result.over

    def cancel(self) -> None:
        """Break off what the server is doing, and the connection; from any thread."""
        self._kill("CONNECTION")
        wire: Any = self.wire
        with suppress(Exception):
            wire._sock.shutdown(socket.SHUT_RDWR)

    def break_off(self) -> None:
        """End the read that is under way, but not the session nor its transaction; it may turn out to be broken."""
        self._kill("QUERY")
        try:
            if self._result is not None:
                self._result.drain()
            self.wire.ping(reconnect=False)
        except (pymysql.Error, OSError):
            self.broken = True

    def close(self) -> None:
        """Leave the server, without taking what it still sends."""
        result: Any = self.wire._result  # type: ignore[attr-defined]
        if result is not None:
            result.unbuffered_active = False
        with suppress(pymysql.Error, OSError):
            self.wire.close()

    def _kill(self, what: str) -> None:
        with suppress(Exception), self._access.session() as other:
            other.query(f"KILL {what} {self.number}")


class Lender(Protocol):
    """Where reads get their sessions. `held`: all of them see the rows of one moment, and no other session does."""

    held: bool

    def lease(self) -> AbstractContextManager[ReadSession]:
        """A session of one's own for a while; Cancelled once it is closed."""

    def close(self) -> None:
        """Leave with all of them; reads that are under way end with an error."""


class Sessions:
    """Sessions that hold nothing, kept between reads; as many as there are reads at the same time."""

    held = False

    def __init__(self, access: Access) -> None:
        self._pool = Pool(lambda: ReadSession(access), "source")

    @contextmanager
    def lease(self) -> Iterator[ReadSession]:
        """See `Lender.lease`."""
        with self._pool.lease() as session:
            done = False
            try:
                yield session
                done = True
            finally:
                if session.unfinished:
                    session.cancel()
                session.broken = not done or session.unfinished

    def close(self) -> None:
        """See `Lender.close`."""
        self._pool.close()
