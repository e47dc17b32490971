"""How wide a column's values are in the log."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from rowferry.connectors.mysql.binlog.tablemap import LogColumn, Type
from rowferry.errors import ReadFailed

DIGITS_IN_WORD = 9
BYTES_OF_DIGITS = (0, 1, 1, 2, 2, 3, 3, 4, 4, 4)
"""How many bytes so many digits of a decimal take."""


@dataclass(frozen=True, slots=True)
class Width:
    """A value has `fixed` bytes, or a length of `prefix` bytes before as many as that says."""

    fixed: int = 0
    prefix: int = 0


def decimal_bytes(digits: int) -> int:
    """How many bytes a row of digits takes on one side of the point."""
    return digits // DIGITS_IN_WORD * 4 + BYTES_OF_DIGITS[digits % DIGITS_IN_WORD]


def fraction_bytes(digits: int) -> int:
    """How many bytes the digits of a second take."""
    return (digits + 1) // 2


def _fixed(size: int) -> Callable[[LogColumn], Width]:
    return lambda _: Width(fixed=size)


def _decimal(column: LogColumn) -> Width:
    return Width(fixed=decimal_bytes(column.first - column.second) + decimal_bytes(column.second))


def _bit(column: LogColumn) -> Width:
    return Width(fixed=column.second + (column.first > 0))


def _string(column: LogColumn) -> Width:
    return Width(prefix=2 if column.first > 255 else 1)


def _with_fraction(size: int) -> Callable[[LogColumn], Width]:
    return lambda column: Width(fixed=size + fraction_bytes(column.first))


def _told(column: LogColumn) -> Width:
    return Width(prefix=column.first)


_WIDTHS: Mapping[int, Callable[[LogColumn], Width]] = {
    Type.TINY: _fixed(1),
    Type.SHORT: _fixed(2),
    Type.INT24: _fixed(3),
    Type.LONG: _fixed(4),
    Type.LONGLONG: _fixed(8),
    Type.FLOAT: _fixed(4),
    Type.DOUBLE: _fixed(8),
    Type.NULL: _fixed(0),
    Type.TIMESTAMP: _fixed(4),
    Type.DATE: _fixed(3),
    Type.NEWDATE: _fixed(3),
    Type.TIME: _fixed(3),
    Type.DATETIME: _fixed(8),
    Type.YEAR: _fixed(1),
    Type.BIT: _bit,
    Type.NEWDECIMAL: _decimal,
    Type.TIMESTAMP2: _with_fraction(4),
    Type.DATETIME2: _with_fraction(5),
    Type.TIME2: _with_fraction(3),
    Type.ENUM: lambda column: Width(fixed=column.first),
    Type.SET: lambda column: Width(fixed=column.first),
    Type.VARCHAR: _string,
    Type.VAR_STRING: _string,
    Type.STRING: _string,
    Type.VARCHAR_COMPRESSED: _string,
    Type.BLOB: _told,
    Type.TINY_BLOB: _told,
    Type.MEDIUM_BLOB: _told,
    Type.LONG_BLOB: _told,
    Type.BLOB_COMPRESSED: _told,
    Type.JSON: _told,
    Type.VECTOR: _told,
    Type.GEOMETRY: _told,
}


def width(column: LogColumn) -> Width:
    """The width of a column's values; ReadFailed for a type that no server is known to write."""
    rule = _WIDTHS.get(column.type)
    if rule is None:
        raise ReadFailed(f"The log holds a column of type {column.type}, which is not known here.")
    return rule(column)
