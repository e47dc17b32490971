"""Text, bytes and what lies in the log as one of them."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rowferry.connectors.mysql.binlog import charsets, jsonb
from rowferry.connectors.mysql.binlog.cells import Cells
from rowferry.connectors.mysql.binlog.tablemap import Type
from rowferry.connectors.mysql.carriers import to_ewkb
from rowferry.model import types as t

_COMPRESSED = frozenset({Type.VARCHAR_COMPRESSED, Type.BLOB_COMPRESSED})
_BINARY_16 = 16
_IPV4 = 4
_BEFORE_IPV4 = 6
_MAPPED = 0xFFFF
"""Words of zeros before an IPv4 address in an IPv6 one, or one less and this."""


def _bytes(cells: Cells) -> pa.Array:
    """As they lie there, but for MariaDB's compressed columns."""
    values = cells.bytes()
    if cells.log.type not in _COMPRESSED:
        return values
    return pa.array([None if one is None else _inflated(one) for one in values.to_pylist()], pa.large_binary())


def _inflated(value: bytes) -> bytes:
    """MariaDB's compressed value: a byte says how, the length follows, the highest byte first; none for the empty."""
    if not value:
        return b""
    method = value[0] >> 4
    if method == 0:
        return value[1:]
    return zlib.decompress(value[1 + (value[0] & 7) :], wbits=-15 if value[0] & 8 else 15)


def texts(cells: Cells) -> pa.Array:
    """Characters; also those of an enum's members that the catalogue does not show as they are."""
    if cells.log.type in _MEMBERS:
        return _MEMBERS[cells.log.type](cells)
    return charsets.text(_bytes(cells), cells.column.native.charset or "utf8mb4")


def binaries(cells: Cells) -> pa.Array:
    """Bytes; those of one length get back the zeros that the log leaves out at their end."""
    values = _bytes(cells)
    kind = cells.column.type
    if isinstance(kind, t.Binary) and kind.fixed and kind.length:
        return _padded(cells, kind.length).cast(pa.binary())
    return values.cast(pa.binary())


def _padded(cells: Cells, size: int) -> pa.Array:
    """The values as bytes of one length."""
    places = np.arange(size)
    last = len(cells.octets.bytes) - 1
    matrix: Any = cells.octets.bytes[np.minimum(cells.at[:, None] + places, last)]
    matrix[places >= cells.lengths[:, None]] = 0
    return cells.buffers(pa.binary(size), matrix)


def _members(cells: Cells) -> tuple[str, ...]:
    """The members as the log itself has them, where it does; the catalogue's words for them may not be theirs."""
    native = cells.column.native
    if cells.log.members is None:
        return native.members
    return tuple(map(charsets.decoder(native.charset or "utf8mb4"), cells.log.members))


def enums(cells: Cells) -> pa.Array:
    """The member that the number stands for; 0 is the empty one that a wrong value became."""
    members = ("", *_members(cells))
    number = cells.octets.little(cells.at, cells.log.first)
    if cells.any(number >= len(members)):
        raise ValueError(cells.column.name)
    return pc.take(pa.array(members, pa.string()), cells.array(number))


def sets(cells: Cells) -> pa.Array:
    """The members whose bit is set."""
    members = _members(cells)
    number = cells.octets.read(cells.at, "<u8") & np.uint64((1 << 8 * cells.log.first) - 1)
    found, places = np.unique(number, return_inverse=True)
    spelled = [",".join(one for place, one in enumerate(members) if int(mask) >> place & 1) for mask in found]
    return pc.take(pa.array(spelled, pa.string()), cells.array(places))


def documents(cells: Cells) -> pa.Array:
    """JSON: MariaDB's is text, MySQL's a form of its own."""
    if cells.log.type != Type.JSON:
        return texts(cells)
    return pa.array([None if one is None else jsonb.spelled(one) for one in cells.bytes().to_pylist()], pa.string())


def shapes(cells: Cells) -> pa.Array:
    """The server's own form, made EWKB."""
    return to_ewkb(cells.bytes(), cells.column)


def uuids(cells: Cells) -> pa.Array:
    """MariaDB keeps a UUID so that those made one after another lie side by side."""
    return _padded(cells, _BINARY_16)


def addresses(cells: Cells) -> pa.Array:
    """IP addresses as MariaDB spells them."""
    if isinstance(cells.column.type, t.Inet) and cells.column.type.version == _IPV4:
        size, spelled = 4, _dotted
    else:
        size, spelled = _BINARY_16, _ipv6
    values = _padded(cells, size).to_pylist()
    return pa.array([None if one is None else spelled(one) for one in values], pa.string())


def _dotted(value: bytes) -> str:
    return ".".join(map(str, value))


def _ipv6(value: bytes) -> str:
    """Words in hex, the first longest row of zeros left out; what holds an IPv4 address ends with its dots."""
    words = [int.from_bytes(value[at : at + 2], "big") for at in range(0, len(value), 2)]
    length, begin = max(((_zeros(words, at), -at) for at in range(len(words))), default=(0, 0))
    begin = -begin
    if not length:
        return ":".join(f"{word:x}" for word in words)
    tail = [f"{word:x}" for word in words[begin + length :]]
    if begin == 0 and (length == _BEFORE_IPV4 or (length == _BEFORE_IPV4 - 1 and words[length] == _MAPPED)):
        tail = [*tail[:-2], _dotted(value[-4:])]
    return ":".join(f"{word:x}" for word in words[:begin]) + "::" + ":".join(tail)


def _zeros(words: Sequence[int], at: int) -> int:
    """How many zeros stand there one behind the other."""
    return next((number for number, word in enumerate(words[at:]) if word), len(words) - at)


_MEMBERS: Mapping[int, Callable[[Cells], pa.Array]] = {Type.ENUM: enums, Type.SET: sets}
