"""Dates and times as the log has them: bits of whole numbers, taken apart for all rows at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa

from rowferry.connectors.mysql.binlog.cells import Cells
from rowferry.connectors.mysql.binlog.layout import fraction_bytes
from rowferry.connectors.mysql.binlog.tablemap import Type
from rowferry.connectors.mysql.carriers import ZeroDate
from rowferry.typemap.arrow import arrow_type

_SECOND = 1_000_000
_DAY = 86_400 * _SECOND
_MONTHS_IN_YEAR = 13
"""A year and a month are one number in the log, in which each year has room for a month 0."""

_MONTHS = 1 << 17


@dataclass(frozen=True, slots=True)
class Parts:
    """Dates with their times of day; `month` is year * 13 + month, `micro` counts since midnight, `zero`: no moment."""

    month: Any
    day: Any
    micro: Any

    @property
    def odd(self) -> Any:
        """Which of them are no days of the calendar, as far as other engines know it."""
        return (self.day == 0) | (self.day > _calendar().lengths[self.month])

    @property
    def days(self) -> Any:
        """Days since 1970."""
        return _calendar().first[self.month] + self.day - 1


@dataclass(frozen=True, slots=True)
class _Calendar:
    """By year * 13 + month: days since 1970 of the month's first, and its length, 0 where there is no such month."""

    first: Any
    lengths: Any


@cache
def _calendar() -> _Calendar:
    first, lengths = np.zeros(_MONTHS, np.int64), np.zeros(_MONTHS, np.int64)
    years = np.arange(1, 10_000)
    for month in range(1, 13):
        places = years * _MONTHS_IN_YEAR + month
        begins = ((years - 1970) * 12 + month - 1).astype("M8[M]")
        first[places] = begins.astype("M8[D]").astype(np.int64)
        lengths[places] = (begins + 1).astype("M8[D]").astype(np.int64) - first[places]
    return _Calendar(first, lengths)


def date(cells: Cells) -> Parts:
    """DATE: day, month and year in 5, 4 and 15 bits."""
    number = cells.octets.little(cells.at, 3)
    month = (number >> 9) * _MONTHS_IN_YEAR + (number >> 5 & 15)
    return Parts(np.minimum(month, _MONTHS - 1), number & 31, None)


def _datetime(cells: Cells) -> Parts:
    """DATETIME up to MySQL 5.5: the digits YYYYMMDDhhmmss as a number."""
    number = cells.octets.read(cells.at, "<u8").astype(np.int64)
    day, clock = number // 1_000_000, number % 1_000_000
    seconds = clock // 10_000 * 3600 + clock // 100 % 100 * 60 + clock % 100
    month = day // 10_000 * _MONTHS_IN_YEAR + day // 100 % 100
    return Parts(np.clip(month, 0, _MONTHS - 1), day % 100, seconds * _SECOND)


def _datetime2(cells: Cells) -> Parts:
    """DATETIME: a sign, then year and month, day, hour, minute, second in 17, 5, 5, 6, 6 bits."""
    number = cells.octets.big(cells.at, 5)
    seconds = (number >> 12 & 31) * 3600 + (number >> 6 & 63) * 60 + (number & 63)
    return Parts(number >> 22 & _MONTHS - 1, number >> 17 & 31, seconds * _SECOND + _fraction(cells, 5))


def _fraction(cells: Cells, skip: int) -> Any:
    """Microseconds: the digits of the second as a number in as few bytes as can be."""
    size = fraction_bytes(cells.log.first)
    return cells.octets.big(cells.at + skip, size) * 100 ** (3 - size) if size else 0


def _timestamp(cells: Cells) -> Any:
    """TIMESTAMP up to MySQL 5.5: seconds since 1970."""
    return cells.octets.little(cells.at, 4) * _SECOND


def _timestamp2(cells: Cells) -> Any:
    """TIMESTAMP: the same, the highest byte first, and a fraction."""
    return cells.octets.big(cells.at, 4) * _SECOND + _fraction(cells, 4)


def _time(cells: Cells) -> Any:
    """TIME up to MySQL 5.5: the digits hhmmss as a number with a sign."""
    number = cells.octets.little(cells.at, 3)
    number = np.where(number >= 1 << 23, number - (1 << 24), number)
    size = np.abs(number)
    return np.sign(number) * (size // 10_000 * 3600 + size // 100 % 100 * 60 + size % 100) * _SECOND


def _time2(cells: Cells) -> Any:
    """TIME: hour, minute, second in 10, 6, 6 bits and a fraction, all of it one number with a sign."""
    size = fraction_bytes(cells.log.first)
    shift = 8 * size
    number = cells.octets.big(cells.at, 3 + size) - (0x800000 << shift)
    whole = np.abs(number)
    clock, fraction = whole >> shift, (whole & (1 << shift) - 1) * 100 ** (3 - size)
    seconds = (clock >> 12) * 3600 + (clock >> 6 & 63) * 60 + (clock & 63)
    return np.sign(number) * (seconds * _SECOND + fraction)


_DAYS: Mapping[int, Callable[[Cells], Parts]] = {
    Type.DATE: date,
    Type.NEWDATE: date,
    Type.DATETIME: _datetime,
    Type.DATETIME2: _datetime2,
}
_INSTANTS: Mapping[int, Callable[[Cells], Any]] = {Type.TIMESTAMP: _timestamp, Type.TIMESTAMP2: _timestamp2}
_LENGTHS: Mapping[int, Callable[[Cells], Any]] = {Type.TIME: _time, Type.TIME2: _time2}


def odd(cells: Cells) -> Any:
    """Which dates, with or without a time, are none to other engines."""
    if cells.log.type in _INSTANTS:
        return _INSTANTS[cells.log.type](cells) == 0
    return _DAYS[cells.log.type](cells).odd


def days(cells: Cells) -> pa.Array:
    """DATE as days; ZeroDate for one that is none."""
    parts = _checked(cells)
    return cells.array(parts.days.astype(np.int32)).cast(pa.date32())


def datetimes(cells: Cells) -> pa.Array:
    """DATETIME as microseconds; ZeroDate for one that is none."""
    parts = _checked(cells)
    return cells.array(parts.days * _DAY + parts.micro).cast(pa.timestamp("us"))


def _checked(cells: Cells) -> Parts:
    parts = _DAYS[cells.log.type](cells)
    if cells.any(parts.odd):
        raise ZeroDate(cells.column.name)
    return parts


def instants(cells: Cells) -> pa.Array:
    """TIMESTAMP as microseconds; ZeroDate for 0, which stands for 0000-00-00."""
    micros = _INSTANTS[cells.log.type](cells)
    if cells.any(micros == 0):
        raise ZeroDate(cells.column.name)
    return cells.array(micros).cast(arrow_type(cells.column.type))


def durations(cells: Cells) -> pa.Array:
    """TIME as microseconds."""
    return cells.array(_LENGTHS[cells.log.type](cells)).cast(pa.duration("us"))


def spelled(cells: Cells) -> pa.Array:
    """Dates with or without a time as the server spells them, whether any other engine has them or not."""
    if cells.log.type in _INSTANTS:
        parts = _of_instants(_INSTANTS[cells.log.type](cells))
    else:
        parts = _DAYS[cells.log.type](cells)
    year, month = parts.month // _MONTHS_IN_YEAR, parts.month % _MONTHS_IN_YEAR
    fields = [(year, 4, ""), (month, 2, "-"), (parts.day, 2, "-")]
    if parts.micro is not None:
        seconds = parts.micro // _SECOND
        clock = (seconds // 3600, seconds // 60 % 60, seconds % 60)
        fields += [(part, 2, mark) for part, mark in zip(clock, " ::", strict=True)]
        digits = cells.column.native.scale or 0
        if digits:
            fields.append((parts.micro % _SECOND // 10 ** (6 - digits), digits, "."))
    return cells.digits(letters(fields, len(cells)))


def _of_instants(micros: Any) -> Parts:
    """In UTC; 0 is a zero date."""
    found = micros // _DAY
    months = found.astype("M8[D]").astype("M8[M]")
    number = months.astype(np.int64)
    zero = micros == 0
    month = (number // 12 + 1970) * _MONTHS_IN_YEAR + number % 12 + 1
    day = found - months.astype("M8[D]").astype(np.int64) + 1
    return Parts(np.where(zero, 0, month), np.where(zero, 0, day), micros % _DAY)


def letters(fields: list[tuple[Any, int, str]], count: int) -> Any:
    """Numbers in so many digits each, with a mark before them, as a matrix of letters."""
    found = np.empty((count, sum(size + len(mark) for _, size, mark in fields)), np.uint8)
    at = 0
    for number, size, mark in fields:
        if mark:
            found[:, at] = ord(mark)
            at += 1
        rest = number
        for place in range(at + size - 1, at - 1, -1):
            rest, digit = np.divmod(rest, 10)
            found[:, place] = digit + ord("0")
        at += size
    return found
