"""The connection on which a server sends its log."""

from __future__ import annotations

import random
import select
import socket
from collections.abc import Iterator
from contextlib import suppress
from struct import pack
from typing import Any
from uuid import UUID, uuid4

import pymysql
from pymysql.connections import Connection as Session

from rowferry.connectors.mysql.binlog.frames import Event, Opener, Packets
from rowferry.connectors.mysql.binlog.gtids import Domains, Sources
from rowferry.connectors.mysql.binlog.position import Place
from rowferry.connectors.mysql.connect import Access, variant_of
from rowferry.connectors.mysql.failures import error_code, lost
from rowferry.errors import ConnectionLost, ReadFailed, RowferryError, SourceChanged

HEARTBEAT = 1.0
"""Seconds after which the server says that it is there, when it has nothing else to say."""

STALL = 30.0
"""Seconds of silence after which the connection is taken for lost."""

_PIECE = 1 << 20
_REGISTER, _DUMP, _DUMP_GTID = 0x15, 0x12, 0x1E
_THROUGH_GTID = 0x04
_ERROR, _END = 0xFF, 0xFE
_SHORT = 9
_LARGEST_OFFSET = 0xFFFFFFFF
_UNDERSTANDS_GTIDS = 4
_PURGED = 1236
_NOT_ALLOWED = (1227, 1045, 1044)


class Dump:
    """The log from one place on. Used by one thread; `close` may come from any."""

    def __init__(self, access: Access, place: Place, stall: float = STALL) -> None:
        self._stall, self._silent = stall, 0.0
        self._packets, self._opener = Packets(), Opener(checked=None)
        wire: Any = access.connect_as(Session)
        self._session = wire
        self._closed = False
        self.variant = variant_of(self._session)
        try:
            self._prepare(place)
            self._ask(place)
        except (pymysql.Error, OSError) as error:
            self.close()
            raise _failed(error, place) from error
        self._place = place
        self._socket: Any = wire._sock

    def events(self, patience: float) -> Iterator[Event] | None:
        """What has arrived, some of it at least; None when nothing does so within these seconds."""
        piece = self._piece(patience)
        return None if piece is None else self._opened(piece)

    def close(self) -> None:
        """Break the connection off."""
        self._closed = True
        with suppress(Exception):
            self._session._sock.shutdown(socket.SHUT_RDWR)
        with suppress(Exception):
            self._session._force_close()

    def _piece(self, patience: float) -> bytes | None:
        try:
            if not self._ready(patience):
                self._silent += patience
                if self._silent >= self._stall:
                    raise ConnectionLost(f"The source's log has been silent for {self._stall:.0f} seconds.")
                return None
            piece: bytes = self._socket.recv(_PIECE)
        except (OSError, ValueError) as error:
            raise ConnectionLost("The connection to the source broke while its log was read.") from error
        if not piece:
            raise ConnectionLost("The source has ended the connection on which it sends its log.")
        self._silent = 0.0
        return piece

    def _ready(self, patience: float) -> bool:
        pending = getattr(self._socket, "pending", None)
        if pending is not None and pending():
            return True
        return bool(select.select([self._socket], [], [], patience)[0])

    def _opened(self, piece: bytes) -> Iterator[Event]:
        for payload in self._packets.feed(piece):
            if payload[0]:
                raise self._refusal(payload)
            yield self._opener.open(payload[1:])

    def _refusal(self, payload: bytes) -> RowferryError:
        """What the server says in place of an event."""
        if payload[0] == _END and len(payload) < _SHORT:
            return ConnectionLost("The source has ended its log, as it does when it shuts down.")
        try:
            pymysql.err.raise_mysql_exception(payload)
        except pymysql.Error as error:
            return _failed(error, self._place)
        return ReadFailed("The source sends something that is no event of its log.")

    def _prepare(self, place: Place) -> None:
        """Tell the server what we understand, before it is asked for its log."""
        names = ["master"] if self.variant.mariadb else ["master", "source"]
        words = {f"@{name}_heartbeat_period": str(int(HEARTBEAT * 1e9)) for name in names}
        if self._checksums():
            words |= {f"@{name}_binlog_checksum": "'CRC32'" for name in names}
        if self.variant.mariadb:
            words["@mariadb_slave_capability"] = str(_UNDERSTANDS_GTIDS)
            if isinstance(place.gtids, Domains):
                words |= {"@slave_connect_state": f"'{place.gtids}'", "@slave_gtid_strict_mode": "0"}
        else:
            words |= {f"@{name}_uuid": f"'{uuid4()}'" for name in ("slave", "replica")}
        self._session.query("SET " + ", ".join(f"{name} = {value}" for name, value in words.items()))

    def _checksums(self) -> bool:
        with self._session.cursor() as cursor:
            cursor.execute("SHOW GLOBAL VARIABLES LIKE 'binlog_checksum'")
            return bool(cursor.fetchall())

    def _ask(self, place: Place) -> None:
        """Register with a number of our own, and ask for the log."""
        number = random.SystemRandom().randrange(1 << 31, (1 << 32) - 1)
        self._command(_REGISTER, pack("<IBBBHII", number, 0, 0, 0, 0, 0, 0))
        self._session._read_ok_packet()
        if isinstance(place.gtids, Sources) and not place.gtids.tagged and str(place.gtids):
            block = _encoded(place.gtids)
            head = pack("<HII", _THROUGH_GTID, number, 0) + pack("<QI", 4, len(block))
            self._command(_DUMP_GTID, head + block)
            return
        by_number = self.variant.mariadb and isinstance(place.gtids, Domains)
        file, offset = ("", 4) if by_number else (place.file, place.offset)
        if offset > _LARGEST_OFFSET:
            raise ReadFailed(
                f"A source without GTIDs cannot go on at {place.file}:{offset}, beyond 4 GB of one file: turn GTIDs on."
            )
        self._command(_DUMP, pack("<IHI", offset, 0, number) + file.encode())

    def _command(self, command: int, payload: bytes) -> None:
        self._session._execute_command(command, payload)


def _encoded(gtids: Sources) -> bytes:
    """The set as the command wants it: intervals without their end."""
    parts = [pack("<Q", len(gtids.intervals))]
    for source, there in sorted(gtids.intervals.items()):
        parts.append(UUID(source).bytes + pack("<Q", len(there)))
        parts += (pack("<QQ", low, high + 1) for low, high in there)
    return b"".join(parts)


def _failed(error: Exception, place: Place) -> RowferryError:
    code = error_code(error)
    if code == _PURGED:
        return SourceChanged(
            f"The source's log can no longer be read from {place.file}:{place.offset} on; it may have been purged. "
            "Start a new stream, which loads the tables anew, and keep the log longer (binlog_expire_logs_seconds)."
        )
    if code in _NOT_ALLOWED:
        return ReadFailed("The source's user may not read its log: grant it REPLICATION SLAVE.")
    if lost(error) or isinstance(error, OSError):
        return ConnectionLost("The connection to the source broke while its log was read.")
    return ReadFailed(f"The source does not give its log: it answers with error {code or 'unknown'}.")
