"""Sessions that write.

A session sends rows to MariaDB as parameters, many at a time. Elsewhere, and where values are long, it gives the rows
of a LOAD DATA LOCAL from memory, one piece at a time and only as fast as the server reads: no file is ever opened,
whatever a server may ask for.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Generator, Iterable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import Any

import pymysql
from pymysql.connections import Connection, MySQLResult
from pymysql.constants import CLIENT, CR

from rowferry.connectors.mysql.connect import STALL, Access, variant_of

PATIENCE = 60
"""Seconds that a statement waits for the locks of others, such as those of a writer that has lost its way."""

SQL_MODE = (
    "STRICT_ALL_TABLES",
    "STRICT_TRANS_TABLES",
    "NO_AUTO_VALUE_ON_ZERO",
    "NO_ENGINE_SUBSTITUTION",
    "ERROR_FOR_DIVISION_BY_ZERO",
    "ALLOW_INVALID_DATES",
)
"""A value that does not fit is an error; 0 in a numbered column is a 0, and a date of MySQL's own is what it was."""

SETTINGS = (
    f"SET sql_mode = '{','.join(SQL_MODE)}', lock_wait_timeout = {PATIENCE}, innodb_lock_wait_timeout = {PATIENCE}, "
    f"net_read_timeout = {STALL}, wait_timeout = {STALL}, foreign_key_checks = 1, unique_checks = 1",
    "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
)
"""What a session that writes is set to, besides `connect`'s own settings."""

Row = tuple[Any, ...]


class _Result(MySQLResult):
    """A result that answers a server's wish for a local file out of memory."""

    def _read_load_local_packet(self, _: Any) -> None:
        this: Any = self
        this.connection.send_feed()
        this._read_ok_packet(this.connection._read_packet())


_BULK = 0x4
"""The bit by which MariaDB and a client tell each other that they know bulk execution."""

_MYSQL = 0x1
"""The bit by which a server or a client says that it knows nothing of MariaDB's own bits."""

_PREPARE, _FORGET, _EXECUTE_MANY = 0x16, 0x19, 0xFA
_WITH_TYPES = 128
_SSL_REQUEST = 32


class Wire(Connection):
    """A connection of the driver's that sends `feed` when the server asks for the rows of a LOAD DATA LOCAL.

    `bulk`: the server is a MariaDB that takes many rows for one prepared statement, by a command that the driver does
    not know ("COM_STMT_BULK_EXECUTE" and "Connecting" in MariaDB's manual of its protocol).
    """

    feed: Iterable[bytes] = ()
    bulk: bool | None = None
    _introducing = True

    def execute_many(
        self, statement: str, types: bytes, slices: Iterable[bytes | memoryview]
    ) -> Generator[int, None, None]:
        """Run a statement for each slice of rows, its parameters of these types; how many rows each has changed."""
        wire: Any = self
        wire._execute_command(_PREPARE, statement)
        number, _, parameters = struct.unpack_from("<IHH", wire._read_packet().get_all_data(), 1)
        for _ in range(parameters + 1):
            wire._read_packet()
        head = struct.pack("<IH", number, _WITH_TYPES) + types
        try:
            for rows in slices:
                wire._execute_command(_EXECUTE_MANY, b"".join((head, rows)))
                yield self._read_query_result()
        finally:
            with suppress(pymysql.Error, OSError):
                wire._execute_command(_FORGET, struct.pack("<I", number))

    def write_packet(self, payload: bytes) -> None:
        """Send a packet. In the first, or the first two with TLS, we say that we know bulk execution if they do."""
        if self._introducing:
            self._introducing = len(payload) == _SSL_REQUEST
            if self.bulk:
                ours = struct.pack("<I", _BULK)
                payload = bytes((payload[0] & ~_MYSQL, *payload[1:28])) + ours + payload[32:]
        wire: Any = super()
        wire.write_packet(payload)

    def _read_packet(self, *how: Any) -> Any:
        wire: Any = super()
        packet = wire._read_packet(*how)
        if self.bulk is None:
            self.bulk = _knows_bulk(packet.get_all_data())
        return packet

    def send_feed(self) -> None:
        """Send all pieces, then the end. What the feed raises passes, once the server knows that it is over."""
        feed, self.feed = iter(self.feed), ()
        wire: Any = self
        while True:
            try:
                piece = next(feed, None)
            except BaseException:
                with suppress(pymysql.Error, OSError):
                    wire.write_packet(b"")
                    wire._read_packet()
                raise
            wire.write_packet(piece or b"")
            if not piece:
                return

    def _read_query_result(self, unbuffered: bool = False) -> int:
        self._result = None
        result: Any = _Result(self)
        result.read()
        self._result = result
        if result.server_status is not None:
            self.server_status = result.server_status
        return int(result.affected_rows or 0)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one of several statements."""

    rows: int
    warnings: int


class Session:
    """One connection, used by one thread at a time. `broken`: it is of no use any more.

    `applies`: it takes several statements at a time, and counts rows that an UPDATE found, not those that it changed.
    """

    def __init__(self, access: Access, applies: bool = False) -> None:
        self._access = access
        self.broken = False
        flags = CLIENT.FOUND_ROWS | CLIENT.MULTI_STATEMENTS if applies else 0
        self.wire = access.connect_as(Wire, local_infile=True, client_flag=flags)
        for statement in SETTINGS:
            self.wire.query(statement)
        ((number, packet, infile),) = rows(self.wire, "SELECT CONNECTION_ID(), @@max_allowed_packet, @@local_infile")
        self._number = int(number)
        self.largest = int(packet)
        self.local_infile = str(infile) in ("1", "ON")
        self.bulk = bool(self.wire.bulk)
        self.variant = variant_of(self.wire)

    def execute(self, statement: str) -> int:
        """Run one statement; the number of rows it changed."""
        return int(self.wire.query(statement))

    def store(self, statement: str | bytes) -> int:
        """Run one statement that stores values; the number of rows it changed. A warning is as good as an error."""
        changed = int(self.wire.query(statement))
        self._refuse_warnings()
        return changed

    def run_all(self, statements: Sequence[bytes]) -> list[Outcome]:
        """Run statements that give no rows, in their order, sent at once. An error leaves out those that follow."""
        wire: Any = self.wire
        wire.query(b";".join(statements))
        outcomes = [Outcome(int(wire._result.affected_rows), int(wire._result.warning_count))]
        while wire._result.has_next:
            wire.next_result()
            outcomes.append(Outcome(int(wire._result.affected_rows), int(wire._result.warning_count)))
        return outcomes

    def load(self, statement: str, pieces: Iterable[bytes]) -> int:
        """Run one LOAD DATA LOCAL with these pieces as its file; the number of rows it put in."""
        self.wire.feed = pieces
        try:
            return self.store(statement)
        finally:
            self.wire.feed = ()

    def fill(self, statement: str, types: bytes, slices: Iterable[bytes | memoryview]) -> int:
        """Run one INSERT or REPLACE for all slices of rows, whose parameters have these types; as `store`."""
        arrived = 0
        with closing(self.wire.execute_many(statement, types, slices)) as changes:
            for changed in changes:
                self._refuse_warnings()
                arrived += changed
        return arrived

    def rows(self, query: str) -> list[Row]:
        """The rows of one query."""
        return rows(self.wire, query)

    def roll_back(self) -> None:
        """Undo the transaction, or know that the session is broken."""
        try:
            self.wire.query("ROLLBACK")
        except (pymysql.Error, OSError):
            self.broken = True

    def cancel(self) -> None:
        """Break off what the server is doing; from any thread."""
        with suppress(Exception), self._access.session() as other:
            other.query(f"KILL {self._number}")
        wire: Any = self.wire
        with suppress(Exception):
            wire._sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Leave the server."""
        with suppress(Exception):
            self.wire.close()

    def _refuse_warnings(self) -> None:
        """The server's first warning that is more than advice, as the error it would have been without LOCAL."""
        result: Any = self.wire._result
        if result is None or not result.warning_count:
            return
        count = int(result.warning_count)
        found = [(int(code), str(text)) for _, code, text in rows(self.wire, "SHOW WARNINGS")]
        grave = [one for one in found if one[0] not in ADVICE]
        if grave or len(found) < count:
            known = [one for one in grave if one[0] not in _VAGUE]
            raise pymysql.DataError(*(known or grave or [(CR.CR_UNKNOWN_ERROR, "")])[0])


def _knows_bulk(greeting: bytes) -> bool:
    """What a server's first packet says: behind its version, its bits lie at 13, and MariaDB's own at 27."""
    end = greeting.find(b"\0", 1) + 1
    bits = greeting[end + 13 : end + 31]
    return end > 0 and len(bits) == 18 and not bits[0] & _MYSQL and bool(bits[14] & _BULK)


ADVICE = frozenset({1287, 1681, 3090, 3719, 3778})
"""Warnings about words that will go one day."""

_VAGUE = frozenset({4037, 4038})
"""Notes that come before the warning that counts."""


def rows(session: Connection[Any], query: str) -> list[Row]:
    """The rows of one query, on any session."""
    with session.cursor() as cursor:
        cursor.execute(query)
        return list(cursor.fetchall())
