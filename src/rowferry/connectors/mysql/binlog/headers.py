"""The small events: what begins and ends transactions, and what a server says about its log."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from struct import Struct
from typing import NamedTuple
from uuid import UUID

from rowferry.connectors.mysql.binlog.fields import long, short
from rowferry.connectors.mysql.binlog.frames import HEADER, Event
from rowferry.errors import ReadFailed

_QUERY = 13
_gtid = Struct("<QIB").unpack_from
_STANDALONE = 1
_IN_GROUP = 2
_XA = 64 | 128
_UNDECIDED_ALTER = 2 | 8
_SHORTEST_GTID = 19
_BODY_OF_GTID = 42
_STAMP_MASK = (1 << 55) - 1


@dataclass(frozen=True, slots=True)
class Format:
    """What a format description says: the server's version, and how long the first part of each event's body is."""

    version: str
    lengths: bytes

    def post(self, kind: int) -> int:
        """The bytes of an event's body that all events of its kind have."""
        return self.lengths[kind - 1] if 0 < kind <= len(self.lengths) else 0


def read_format(event: Event) -> Format:
    """The format description; ReadFailed for a log of a server before 5.0."""
    data = event.data
    number = short(data, HEADER)[0]
    if number != 4 or data[HEADER + 56] != HEADER:
        raise ReadFailed(f"The log is of version {number}, as servers before 5.0 wrote it, and cannot be read.")
    version = data[HEADER + 2 : HEADER + 52].split(b"\0", 1)[0].decode("ascii", "replace")
    return Format(version, data[HEADER + 57 : event.end])


def read_rotate(event: Event) -> tuple[str, int]:
    """The file that goes on, and where in it."""
    data = event.data
    return data[HEADER + 8 : event.end].split(b"\0", 1)[0].decode("utf-8", "replace"), long(data, HEADER)[0]


@dataclass(frozen=True, slots=True)
class Query:
    """A statement as it was sent, and the database it was run in."""

    database: str
    text: str


def read_query(event: Event, compressed: bool = False) -> Query:
    """The statement of an event; what cannot be read of it as UTF-8 is replaced."""
    data = event.data
    name, variables = data[HEADER + 8], short(data, HEADER + 11)[0]
    at = HEADER + _QUERY + variables
    text = data[at + name + 1 : event.end]
    if compressed:
        text = inflated(text)
    return Query(data[at : at + name].decode("utf-8", "replace"), text.decode("utf-8", "replace"))


def inflated(data: bytes) -> bytes:
    """What MariaDB has compressed: a byte says how and how long the length is that follows, the highest byte first."""
    method, size = data[0] >> 4 & 7, data[0] & 7
    if method or not data[0] & 0x80:
        raise ReadFailed("The log holds an event that is compressed in a way that is not known here.")
    found = zlib.decompress(data[1 + size :])
    if len(found) != int.from_bytes(data[1 : 1 + size], "big"):
        raise ReadFailed("The log holds a compressed event of another length than it says: it is damaged.")
    return found


class DomainGtid(NamedTuple):
    """MariaDB's number of a transaction. `alone`: of a single statement, which no commit follows.

    `begun`: that statement is an ALTER of which is not yet said whether it succeeds, or that failed.
    """

    domain: int
    server: int
    number: int
    alone: bool
    begun: bool = False


def read_mariadb_gtid(event: Event) -> DomainGtid:
    """The number of the transaction that follows."""
    number, domain, flags = _gtid(event.data, HEADER)
    begun = event.end > HEADER + _SHORTEST_GTID and _is_begun(event.data, flags, event.end)
    return DomainGtid(domain, event.server, number, flags & _STANDALONE > 0, begun)


def _is_begun(data: bytes, flags: int, end: int) -> bool:
    """Whether an ALTER only begins, or is taken back: what stands behind the fields that may be there."""
    at = HEADER + 13
    if flags & _IN_GROUP:
        at += 8
    if flags & _XA:
        at += 6 + data[at + 4] + data[at + 5]
    return at < end and bool(data[at] & _UNDECIDED_ALTER)


@dataclass(frozen=True, slots=True)
class SourceGtid:
    """MySQL's number of a transaction, and when it committed, in Unix seconds."""

    source: str
    number: int
    committed: float | None


def read_mysql_gtid(event: Event) -> SourceGtid:
    """The number of the transaction that follows; of an anonymous one it is 0."""
    data = event.data
    source, number = str(UUID(bytes=data[HEADER + 1 : HEADER + 17])), long(data, HEADER + 17)[0]
    at = HEADER + _BODY_OF_GTID
    committed = None
    if event.end >= at + 7 and data[HEADER + 25] == 2:
        committed = (int.from_bytes(data[at : at + 7], "little") & _STAMP_MASK) / 1e6
    return SourceGtid(source, number, committed)


_MESSAGE = 3
"""Numbers before the fields: of the coding, of bytes, and the last field that must be understood."""

_F_SOURCE, _F_NUMBER, _F_TAG, _F_COMMITTED = 1, 2, 3, 6
_UUID_BYTES = 16


def read_tagged_gtid(event: Event) -> SourceGtid:
    """The same of MySQL since 8.3, which may have a tag: fields, each behind its number, in numbers of many sizes."""
    data, at = event.data, HEADER
    for _ in range(_MESSAGE):
        _, at = _stretched(data, at)
    source, tag, number, committed = bytearray(), "", 0, None
    while at < event.end:
        field, at = _stretched(data, at)
        if field == _F_SOURCE:
            for _ in range(_UUID_BYTES):
                octet, at = _stretched(data, at)
                source.append(octet)
        elif field == _F_TAG:
            size, at = _stretched(data, at)
            tag, at = data[at : at + size].decode("ascii", "replace"), at + size
        else:
            value, at = _stretched(data, at)
            number = value >> 1 if field == _F_NUMBER else number
            committed = value / 1e6 if field == _F_COMMITTED else committed
    name = str(UUID(bytes=bytes(source)))
    return SourceGtid(f"{name}:{tag}" if tag else name, number, committed)


def _stretched(data: bytes, at: int) -> tuple[int, int]:
    """A number that has as many bytes more as its first one has ones at its low end, and where it ends."""
    first = data[at]
    more = next((bit for bit in range(8) if not first >> bit & 1), 8)
    whole = int.from_bytes(data[at : at + 1 + more], "little")
    return whole >> min(more + 1, 8), at + 1 + more
