"""Bytes cut into events, wherever the pieces that arrive begin and end.

On a wire each event is a packet of the client protocol, or several where it is longer than one may be; in a file, and
inside of a compressed transaction, events lie one behind the other. All of them come out as `Event`, their checksum
checked.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from struct import Struct
from typing import NamedTuple

from rowferry.connectors.mysql.binlog.kinds import Flag, Kind
from rowferry.connectors.mysql.connect import Variant
from rowferry.errors import ReadFailed

HEADER = 19
"""Bytes of an event's header, in every version that is read here."""

MAGIC = b"\xfebin"
"""How a file begins."""

CHECKSUM = 4
_RESIDUE = 0x2144DF1C
"""The CRC32 of anything that ends with its own CRC32."""

_MOST = 0xFFFFFF
"""The length of a packet that another one continues."""

_CRC32 = 1
_FIRST_WITH_CHECKSUMS = {"mysql": (5, 6, 1), "mariadb": (5, 3)}

_FIRST = frozenset(map(int, (Kind.FORMAT_DESCRIPTION, Kind.ROTATE)))
_crc32 = zlib.crc32
_header = Struct("<IBIIIH").unpack_from
_word = Struct("<I").unpack_from


class Event(NamedTuple):
    """One event. `data` is all of it; the body lies from `HEADER` to `end`.

    `when` is in Unix seconds, `after` where the next event begins in the log (its lower 32 bits; 0: not in the log).
    """

    when: int
    kind: int
    server: int
    size: int
    after: int
    flags: int
    data: bytes
    end: int


class _Pieces:
    """Bytes that have come and are not yet of use, held in the pieces they came in until enough are there."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._size, self._needed = 0, 0

    def with_next(self, piece: bytes) -> bytes:
        """All that is there with one more piece; nothing as long as that is less than what is needed."""
        if not self._pieces and len(piece) >= self._needed:
            return piece
        self._pieces.append(piece)
        self._size += len(piece)
        if self._size < self._needed:
            return b""
        whole = b"".join(self._pieces)
        self.keep(b"", 0)
        return whole

    def keep(self, rest: bytes, needed: int) -> None:
        """Hold the rest, which is of use when there are so many bytes of it."""
        self._pieces = [rest] if rest else []
        self._size, self._needed = len(rest), needed


class Packets:
    """The payloads in what a server sends."""

    def __init__(self) -> None:
        self._pieces = _Pieces()
        self._parts: list[bytes] = []

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """The payloads that `piece` completes; all of them must be taken before the next piece comes."""
        block = self._pieces.with_next(piece)
        at, end, needed = 0, len(block), 0
        while end - at >= 4:
            size = _word(block, at)[0] & _MOST
            begin, stop = at + 4, at + 4 + size
            if stop > end:
                needed = stop - at
                break
            at = stop
            if size == _MOST:
                self._parts.append(block[begin:at])
            elif self._parts:
                whole = b"".join([*self._parts, block[begin:at]])
                self._parts.clear()
                yield whole
            else:
                yield block[begin:at]
        if block:
            self._pieces.keep(block[at:], needed)


class Stretch:
    """Events that lie one behind the other."""

    def __init__(self) -> None:
        self._pieces = _Pieces()

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """The events that `piece` completes, whole; all of them must be taken before the next piece comes."""
        block = self._pieces.with_next(piece)
        at, end, needed = 0, len(block), 0
        while end - at >= HEADER:
            size = _word(block, at + 9)[0]
            if size < HEADER:
                raise ReadFailed("The log holds an event that is shorter than its own header: it is damaged.")
            if at + size > end:
                needed = size
                break
            yield block[at : at + size]
            at += size
        if block:
            self._pieces.keep(block[at:], needed)


class Opener:
    """Makes events of their bytes. `checked`: whether they end with a checksum, until a format description says it.

    None: that is to be seen by the event that leads to the first file.
    """

    def __init__(self, checked: bool | None) -> None:
        self._checked = checked

    def open(self, data: bytes) -> Event:
        """The event; ReadFailed when its checksum does not fit, or its length."""
        when, kind, server, size, after, flags = _header(data, 0)
        if size != len(data):
            raise ReadFailed("The log holds an event of another length than it says: it is damaged.")
        if kind in _FIRST:
            return Event(when, kind, server, size, after, flags, data, self._first(data, kind, after, flags))
        if not self._checked:
            return Event(when, kind, server, size, after, flags, data, size)
        if _crc32(data) != _RESIDUE:
            raise _damaged(after)
        return Event(when, kind, server, size, after, flags, data, size - CHECKSUM)

    def _first(self, data: bytes, kind: int, after: int, flags: int) -> int:
        """Where the body of an event ends that leads to a file or begins it."""
        fits = _crc32(_closed(data) if flags & Flag.IN_USE else data) == _RESIDUE
        if kind == Kind.FORMAT_DESCRIPTION:
            self._checked = _told_checked(data)
        elif flags & Flag.ARTIFICIAL:
            return len(data) - CHECKSUM * fits
        if self._checked and not fits:
            raise _damaged(after)
        return len(data) - CHECKSUM * bool(self._checked)


def _damaged(after: int) -> ReadFailed:
    return ReadFailed(
        f"The checksum of an event that ends at {after} does not fit: the log was damaged on its way or on the "
        "server's disk."
    )


def _closed(data: bytes) -> bytes:
    """The event as it was when its checksum was made: a file's first event says later that the file is in use."""
    flags = data[17] & ~Flag.IN_USE
    return data[:17] + bytes((flags,)) + data[18:]


def _told_checked(data: bytes) -> bool:
    """Whether the events behind this format description, and itself, end with a checksum."""
    if not has_checksum_field(server_version(data)):
        return False
    return data[-1 - CHECKSUM] == _CRC32


def server_version(data: bytes) -> str:
    """Which server wrote the log, as its format description says."""
    return data[HEADER + 2 : HEADER + 52].split(b"\0", 1)[0].decode("ascii", "replace")


def has_checksum_field(version: str) -> bool:
    """Whether a server of that version says how it makes checksums."""
    variant = Variant.of(version)
    return variant.version >= _FIRST_WITH_CHECKSUMS[variant.name]
