"""How values of a type compare: as Arrow arrays that sort as their values do, and what a filter's words mean as one.

Numbers compare as numbers, whatever their type; NaN is larger than any other and equal to itself. Text compares by its
characters, an enum by the place of its member. Moments without a zone are taken as UTC.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rowferry.connectors.files.parse import STRING, Misfit, parsed
from rowferry.errors import InvalidInput
from rowferry.model import types as t
from rowferry.model.tables import Column
from rowferry.typemap.arrow import arrow_type

_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,9})?\Z", re.ASCII)
_ENDLESS = {"nan": "NaN", "inf": "Infinity", "infinity": "Infinity", "-inf": "-Infinity", "-infinity": "-Infinity"}
_BOOLEANS = {"true": 1, "t": 1, "yes": 1, "on": 1, "1": 1, "false": 0, "f": 0, "no": 0, "off": 0, "0": 0}
_MOST_DIGITS = 200
"""No number of a bounded type has an exponent as high as that."""


@dataclass(frozen=True, slots=True)
class Bound:
    """A filter's value.

    `floor` is the largest value of the type that is not above it, `exact`: they are equal. None: there is no such value
    in the type, which has none that is as small, or where it is `above_all`, none that is as large.
    """

    floor: pa.Scalar | None
    exact: bool = True
    above_all: bool = False

    def less(self, array: pa.Array) -> pa.Array:
        """Which values are less than the bound."""
        return self._compared(pc.less if self.exact else pc.less_equal, array)

    def at_most(self, array: pa.Array) -> pa.Array:
        """Which values are at most the bound."""
        return self._compared(pc.less_equal, array)

    def _compared(self, compare: Callable[[pa.Array, pa.Scalar], pa.Array], array: pa.Array) -> pa.Array:
        if self.above_all or self.floor is None:
            return pa.repeat(self.above_all, len(array))
        return compare(array, self.floor)


@dataclass(frozen=True, slots=True)
class Comparing:
    """`form`: values as an array that sorts as they do. `bound`: a filter's words as one of them, else ValueError."""

    form: Callable[[pa.Array, Any], pa.Array]
    bound: Callable[[str, Any], Bound]
    words: str = "a value of its type"


def form(array: pa.Array, column: Column) -> pa.Array:
    """The column's values as an array that sorts as they do; NULL stays NULL. InvalidInput for a type without order."""
    return _kind(column).form(array, column.type)


def bound(written: str, column: Column) -> Bound:
    """A filter's value; InvalidInput when it is none of the column's type."""
    kind = _kind(column)
    try:
        return kind.bound(written.strip() if kind is not _TEXT else written, column.type)
    except (ValueError, OverflowError, pa.ArrowException):
        raise InvalidInput(
            f"The filter on {column.name} needs {kind.words} to compare with: correct its value."
        ) from None


def _kind(column: Column) -> Comparing:
    kind = _KINDS.get(type(column.type))
    if kind is None:
        raise InvalidInput(
            f"{column.name} is of type {column.native.declared}, which has no order here: filter it by IS NULL, or as "
            "text by LIKE, CONTAINS and their like."
        )
    return kind


def _decimal(written: str) -> Decimal:
    if not _NUMBER.match(written):
        raise ValueError
    return Decimal(written)


def _whole(lowest: int, highest: int, scale: int, written: str) -> tuple[int | None, bool, bool]:
    """The number in units of 10 ** -scale, rounded down: the floor, whether it is exact, whether it is above all."""
    number = _decimal(written)
    if number and number.adjusted() > _MOST_DIGITS:
        return None, True, number > 0
    if number and number.adjusted() < -_MOST_DIGITS:
        return (0 if number > 0 else -1), False, False
    scaled = Fraction(number) * 10**scale
    floor = scaled.numerator // scaled.denominator
    if floor < lowest:
        return None, True, False
    return floor, scaled.denominator == 1, floor > highest


def _integer(written: str, neutral: t.Integer | t.Year) -> Bound:
    bits, signed = (16, True) if isinstance(neutral, t.Year) else (neutral.bits, neutral.signed)
    lowest, highest = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    floor, exact, above = _whole(lowest, highest, 0, written)
    return Bound(None if floor is None or above else pa.scalar(floor, arrow_type(neutral)), exact, above)


def _exact(written: str, neutral: t.Decimal) -> Bound:
    most = 10**neutral.precision - 1
    floor, exact, above = _whole(-most, most, neutral.scale, written)
    if floor is None or above:
        return Bound(None, exact, above)
    digits = tuple(map(int, str(abs(floor))))
    return Bound(pa.scalar(Decimal((int(floor < 0), digits, -neutral.scale)), arrow_type(neutral)), exact)


def _ordered_bits(array: pa.Array, _: t.Float) -> pa.Array:
    """Floats as whole numbers in the same order, both zeros as one, every NaN as the largest."""
    plain = pc.fill_null(array.cast(pa.float64()), 0.0).to_numpy(zero_copy_only=False) + 0.0
    bits = np.where(np.isnan(plain), np.nan, plain).view(np.int64)
    return pa.array(bits ^ ((bits >> 63) & np.int64(2**63 - 1)), mask=~array.is_valid().to_numpy(zero_copy_only=False))


def _float(written: str, neutral: t.Float) -> Bound:
    word = _ENDLESS.get(written.lower())
    number = float(word or _decimal(written))
    with np.errstate(over="ignore"):
        kept = float(np.float32(number)) if neutral.bits == 32 else number
    return Bound(_ordered_bits(pa.array([kept], pa.float64()), neutral)[0])


def _number_key(number: Decimal) -> bytes:
    """Bytes that sort as numbers of any length do."""
    if number.is_nan() or number.is_infinite() or not number:
        return b"\5" if number.is_nan() else b"\2" if not number else b"\4" if number > 0 else b"\0"
    digits = bytes(number.as_tuple().digits)
    size = (number.adjusted() + 2**40).to_bytes(6, "big") + digits.lstrip(b"\0").rstrip(b"\0")
    return b"\3" + size if number > 0 else b"\1" + bytes(255 - one for one in size) + b"\xff"


def _number_keys(array: pa.Array, _: t.Number) -> pa.Array:
    return pa.array([None if one is None else _number_key(Decimal(one)) for one in array.to_pylist()], pa.binary())


def _number(written: str, _: t.Number) -> Bound:
    word = _ENDLESS.get(written.lower())
    return Bound(pa.scalar(_number_key(Decimal(word) if word else _decimal(written)), pa.binary()))


def _text(array: pa.Array, neutral: t.NeutralType) -> pa.Array:
    array = array.cast(STRING)
    return pc.utf8_rtrim(array, " ") if isinstance(neutral, t.Text) and neutral.fixed else array


def _words(written: str, neutral: t.NeutralType) -> Bound:
    return Bound(_text(pa.array([written], STRING), neutral)[0])


def _place(array: pa.Array, neutral: t.Enum) -> pa.Array:
    return pc.index_in(array.cast(STRING), pa.array(neutral.members, STRING))


def _bits(written: str, neutral: t.Bits) -> Bound:
    if set(written) - {"0", "1"}:
        raise ValueError
    return _words(written, neutral)


def _bytes(written: str, _: t.Binary) -> Bound:
    return Bound(pa.scalar(bytes.fromhex(written[2:]) if written.startswith("\\x") else written.encode(), pa.binary()))


def _datetime(written: str, neutral: t.DateTime | t.Instant) -> Bound:
    found = datetime.fromisoformat(written)
    if isinstance(neutral, t.DateTime):
        if found.tzinfo is not None:
            raise ValueError
        return Bound(pa.scalar(found, pa.timestamp("us")))
    zoned = found if found.tzinfo is not None else found.replace(tzinfo=UTC)
    return Bound(pa.scalar(zoned.astimezone(UTC), pa.timestamp("us", tz="UTC")))


def _time(written: str, _: t.Time) -> Bound:
    found = time.fromisoformat(written)
    if found.tzinfo is not None:
        raise ValueError
    return Bound(pa.scalar(found, pa.time64("us")).cast(pa.int64()))


def _duration(written: str, neutral: t.Duration) -> Bound:
    try:
        return Bound(parsed(pa.array([written], STRING), neutral).cast(pa.int64())[0])
    except Misfit:
        raise ValueError from None


def _same(array: pa.Array, _: t.NeutralType) -> pa.Array:
    return array


def _cast(kind: pa.DataType) -> Callable[[pa.Array, t.NeutralType], pa.Array]:
    return lambda array, _: array.cast(kind)


_MOMENT = "a date with a time, such as 2024-02-29 23:59:59,"
_TEXT = Comparing(_text, _words)

_KINDS: Mapping[type, Comparing] = {
    t.Boolean: Comparing(
        _cast(pa.uint8()), lambda written, _: Bound(pa.scalar(_boolean(written), pa.uint8())), "true or false"
    ),
    t.Integer: Comparing(_same, _integer, "a number"),
    t.Year: Comparing(_same, _integer, "a number"),
    t.Decimal: Comparing(_same, _exact, "a number"),
    t.Number: Comparing(_number_keys, _number, "a number"),
    t.Float: Comparing(_ordered_bits, _float, "a number"),
    t.Text: _TEXT,
    t.Set: _TEXT,
    t.Enum: Comparing(
        _place, lambda written, one: Bound(pa.scalar(one.members.index(written), pa.int32())), "a member of its type"
    ),
    t.Bits: Comparing(_text, _bits, "zeros and ones"),
    t.Binary: Comparing(_cast(pa.binary()), _bytes, "text, or \\x and hex digits,"),
    t.Uuid: Comparing(
        _cast(pa.binary()), lambda written, _: Bound(pa.scalar(uuid.UUID(written).bytes, pa.binary())), "a UUID"
    ),
    t.Date: Comparing(
        _same,
        lambda written, _: Bound(pa.scalar(date.fromisoformat(written), pa.date32())),
        "a date, such as 2024-02-29,",
    ),
    t.DateTime: Comparing(_same, _datetime, _MOMENT),
    t.Instant: Comparing(_same, _datetime, _MOMENT),
    t.Time: Comparing(_cast(pa.int64()), _time, "a time, such as 23:59:59,"),
    t.Duration: Comparing(_cast(pa.int64()), _duration, "a duration, such as 23:59:59,"),
}


def _boolean(written: str) -> int:
    if written.lower() not in _BOOLEANS:
        raise ValueError
    return _BOOLEANS[written.lower()]
