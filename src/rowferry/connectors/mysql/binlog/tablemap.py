"""The event that says how the rows lie which follow it: the table, and each column's type as the log has it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import IntEnum

from rowferry.connectors.mysql.binlog.fields import packed
from rowferry.model.tables import TableName


class Type(IntEnum):
    """How a column's values lie in the log."""

    DECIMAL = 0
    TINY = 1
    SHORT = 2
    LONG = 3
    FLOAT = 4
    DOUBLE = 5
    NULL = 6
    TIMESTAMP = 7
    LONGLONG = 8
    INT24 = 9
    DATE = 10
    TIME = 11
    DATETIME = 12
    YEAR = 13
    NEWDATE = 14
    VARCHAR = 15
    BIT = 16
    TIMESTAMP2 = 17
    DATETIME2 = 18
    TIME2 = 19
    TYPED_ARRAY = 20
    BLOB_COMPRESSED = 140
    VARCHAR_COMPRESSED = 141
    VECTOR = 242
    JSON = 245
    NEWDECIMAL = 246
    ENUM = 247
    SET = 248
    TINY_BLOB = 249
    MEDIUM_BLOB = 250
    LONG_BLOB = 251
    BLOB = 252
    VAR_STRING = 253
    STRING = 254
    GEOMETRY = 255


class Extra(IntEnum):
    """What may stand behind the types, as far as the server is told to write it, and is of use here."""

    COLUMN_NAME = 4
    SET_MEMBERS = 5
    ENUM_MEMBERS = 6


_TWO = frozenset({Type.VARCHAR, Type.VARCHAR_COMPRESSED, Type.BIT, Type.NEWDECIMAL})
_TYPED = frozenset({Type.STRING, Type.VAR_STRING, Type.ENUM, Type.SET})
_ONE = frozenset(
    {Type.FLOAT, Type.DOUBLE, Type.BLOB, Type.TINY_BLOB, Type.MEDIUM_BLOB, Type.LONG_BLOB, Type.GEOMETRY, Type.JSON}
    | {Type.VECTOR, Type.BLOB_COMPRESSED, Type.TIME2, Type.DATETIME2, Type.TIMESTAMP2}
)
_TYPE_IN_LENGTH = 0x30
"""Bits of a string's type that lengths from 256 on use, turned over."""


@dataclass(frozen=True, slots=True)
class LogColumn:
    """A column as the log has it.

    `first` and `second` are what its type needs: digits and scale of a decimal, bytes of an enum (`first`), the
    largest number of bytes of a string (`first`), bytes of a blob's length, digits of a second. `members`: those of an
    enum or a set, in its character set.
    """

    type: int
    first: int = 0
    second: int = 0
    name: str | None = None
    members: tuple[bytes, ...] | None = None


@dataclass(frozen=True, slots=True)
class TableMap:
    """What a table map says, but for the number by which the following events call it."""

    name: TableName
    columns: tuple[LogColumn, ...]

    @property
    def named(self) -> bool:
        """Whether it says what the columns are called."""
        return bool(self.columns) and all(column.name is not None for column in self.columns)


def read(data: bytes, at: int, end: int) -> TableMap:
    """The table map whose body goes on at `at`, behind the number and the flags."""
    schema, at = _text(data, at)
    table, at = _text(data, at)
    count, at = packed(data, at)
    types, at = data[at : at + count], at + count
    size, at = packed(data, at)
    columns = list(_columns(types, data[at : at + size]))
    at += size + (count + 7) // 8
    if at < end:
        _complete(columns, data, at, end)
    return TableMap(TableName(schema, table), tuple(columns))


def _text(data: bytes, at: int) -> tuple[str, int]:
    size = data[at]
    return data[at + 1 : at + 1 + size].decode("utf-8", "replace"), at + size + 2


def _columns(types: bytes, meta: bytes) -> Iterator[LogColumn]:
    at = 0
    for kind in types:
        if kind in _TYPED:
            yield _typed(meta[at], meta[at + 1])
            at += 2
        elif kind in _TWO:
            yield LogColumn(kind, *_pair(kind, meta[at], meta[at + 1]))
            at += 2
        elif kind in _ONE:
            yield LogColumn(kind, meta[at])
            at += 1
        elif kind == Type.TYPED_ARRAY:
            element = _columns(meta[at : at + 1], meta[at + 1 :])
            next(element)
            at += 1 + _meta_size(meta[at])
            yield LogColumn(kind)
        else:
            yield LogColumn(kind)


def _meta_size(kind: int) -> int:
    return 2 if kind in _TYPED or kind in _TWO else int(kind in _ONE)


def _typed(kind: int, length: int) -> LogColumn:
    """A string, an enum or a set, whose own type stands in what the type needs."""
    if kind & _TYPE_IN_LENGTH != _TYPE_IN_LENGTH:
        length |= ((kind & _TYPE_IN_LENGTH) ^ _TYPE_IN_LENGTH) << 4
        kind |= _TYPE_IN_LENGTH
    return LogColumn(kind, length)


def _pair(kind: int, one: int, two: int) -> tuple[int, int]:
    """Digits and scale, bytes and bits beside them, or a length of two bytes."""
    return (one, two) if kind in (Type.NEWDECIMAL, Type.BIT) else (one | two << 8, 0)


def _complete(columns: list[LogColumn], data: bytes, at: int, end: int) -> None:
    """Put in what else is told of the columns."""
    while at < end:
        what = data[at]
        size, at = packed(data, at + 1)
        if what == Extra.COLUMN_NAME:
            for place, name in enumerate(_strings(data, at, at + size)):
                columns[place] = replace(columns[place], name=name.decode())
        elif what in _OF_MEMBERS:
            places = [place for place, column in enumerate(columns) if column.type == _OF_MEMBERS[what]]
            for place, members in zip(places, _members(data, at, at + size), strict=True):
                columns[place] = replace(columns[place], members=members)
        at += size


_OF_MEMBERS = {int(Extra.SET_MEMBERS): Type.SET, int(Extra.ENUM_MEMBERS): Type.ENUM}


def _strings(data: bytes, at: int, end: int) -> Iterator[bytes]:
    while at < end:
        size, at = packed(data, at)
        yield data[at : at + size]
        at += size


def _members(data: bytes, at: int, end: int) -> Iterator[tuple[bytes, ...]]:
    while at < end:
        count, at = packed(data, at)
        found = []
        for _ in range(count):
            size, at = packed(data, at)
            found.append(data[at : at + size])
            at += size
        yield tuple(found)
