"""How each type is selected so that a driver carries every value exactly, and how Arrow gets it back.

Two readers there are: ConnectorX, the quickest, for chunks of bounded size; and `rows`, which waits for a slow
consumer, keeps its session and gets every value as text. What one of them would change or cannot read is cast by the
server first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from rowferry.model import types as t
from rowferry.model.tables import Column
from rowferry.typemap.arrow import arrow_type

Expression = Callable[[str, Column], str]
Decode = Callable[[pa.Array, Column], pa.Array]

_DIGITS_OF_INT64 = 18
_DIGITS_OF_DECIMAL128 = 38
_FIRST_DAY = {pa.date32(): -719162, pa.timestamp("us"): -719162 * 86_400_000_000}
"""0001-01-01 in the units of each type; a year 0 is MySQL's own."""

_TIME = r"^(?P<sign>-?)(?P<h>\d+):(?P<m>\d\d):(?P<s>\d\d)(?:\.(?P<f>\d{1,6}))?$"


@dataclass(frozen=True, slots=True)
class Carrier:
    """How a type crosses: the expression for each reader, and what becomes of the answer."""

    bounded: Expression
    waiting: Expression
    decode: Decode


_END = 2**31 - 1
"""The end of any value; Arrow miscounts a slice that has none (arrays of an even length fail)."""


class ZeroDate(ValueError):
    """A date without a year, a month or a day."""


def _plain(name: str, _: Column) -> str:
    return name


def _as_char(name: str, _: Column) -> str:
    return f"CAST({name} AS CHAR)"


def _as_binary(name: str, _: Column) -> str:
    return f"CAST({name} AS BINARY)"


def _as_double(name: str, _: Column) -> str:
    """As text a FLOAT has six digits, a double all of them."""
    return f"{name} * 1e0"


def _as_bits(name: str, column: Column) -> str:
    length = column.type.length if isinstance(column.type, t.Bits) else None
    return f"LPAD(BIN({name} + 0), {length or 1}, '0')"


def _decimal(name: str, column: Column) -> str:
    """Up to 18 digits travel as a whole number, the point taken out; more as text."""
    kind = _of(column, t.Decimal)
    if kind.precision > _DIGITS_OF_INT64:
        return f"CAST({name} AS CHAR)"
    return f"CAST({name} * {10**kind.scale} AS SIGNED)" if kind.scale else f"CAST({name} AS SIGNED)"


def _json(name: str, column: Column) -> str:
    """MySQL's own JSON would be spelled anew by the driver."""
    return name if column.native.charset else f"CAST({name} AS CHAR)"


def _duration(name: str, column: Column) -> str:
    return f"CAST({name} AS CHAR)" if column.native.scale else f"TIME_TO_SEC({name})"


def _of(column: Column, kind: type[Any]) -> Any:
    if not isinstance(column.type, kind):
        raise TypeError(f"{column.name} is no {kind.__name__}")
    return column.type


def _cast(array: pa.Array, column: Column) -> pa.Array:
    return array.cast(arrow_type(column.type))


def _to_text(array: pa.Array, _: Column) -> pa.Array:
    return array.cast(pa.string())


def _to_decimal(array: pa.Array, column: Column) -> pa.Array:
    target = arrow_type(column.type)
    if not pa.types.is_integer(array.type):
        return array.cast(pa.string()).cast(target)
    whole = array.cast(pa.int64()).cast(pa.decimal128(19, 0))
    return pa.Array.from_buffers(target, len(whole), whole.buffers(), whole.null_count, whole.offset)


def _to_time(array: pa.Array, column: Column) -> pa.Array:
    """A date with or without a time, from the driver's own type or from text; ZeroDate for one that is none."""
    zoned = arrow_type(column.type)
    plain = pa.timestamp("us") if pa.types.is_timestamp(zoned) else zoned
    try:
        found = array.cast(plain)
    except pa.ArrowInvalid as error:
        raise ZeroDate(column.name) from error
    earliest = pc.min(found.cast(pa.int64() if plain != pa.date32() else pa.int32())).as_py()
    if earliest is not None and earliest < _FIRST_DAY[plain]:
        raise ZeroDate(column.name)
    return found.cast(zoned)


def _to_duration(array: pa.Array, _: Column) -> pa.Array:
    if pa.types.is_integer(array.type):
        return pc.multiply_checked(array.cast(pa.int64()), 1_000_000).cast(pa.duration("us"))
    parts = pc.extract_regex(array.cast(pa.string()), _TIME)
    hours, minutes, seconds = (pc.struct_field(parts, name).cast(pa.int64()) for name in ("h", "m", "s"))
    micros = pc.utf8_rpad(pc.struct_field(parts, "f"), 6, "0").cast(pa.int64())
    total = pc.add(
        pc.multiply(pc.add(pc.multiply(pc.add(pc.multiply(hours, 60), minutes), 60), seconds), 1_000_000), micros
    )
    negative = pc.equal(pc.struct_field(parts, "sign"), "-")
    return pc.if_else(negative, pc.negate(total), total).cast(pa.duration("us"))


def to_ewkb(array: pa.Array, _: Column) -> pa.Array:
    """The server's own form is the SRID in four bytes, then WKB; EWKB has the SRID inside and a flag that says so."""
    shortest = pa.scalar(bytes(9), pa.large_binary())
    inner = pc.fill_null(array.cast(pa.large_binary()), shortest)  # slicing does not take NULLs that hold no bytes

    def part(start: int, stop: int = _END) -> pa.Array:
        return pc.binary_slice(inner, start, stop)

    flag, nothing = pa.scalar(b"\x20", pa.large_binary()), pa.scalar(b"", pa.large_binary())
    with_srid = pc.binary_join_element_wise(part(4, 8), flag, part(0, 4), part(9), nothing)
    without = pc.equal(part(0, 4), pa.scalar(b"\0\0\0\0", pa.large_binary()))
    shapes = pc.if_else(without, part(4), with_srid).cast(pa.binary())
    return pc.if_else(pc.is_valid(array), shapes, pa.scalar(None, pa.binary()))


_SAME = Carrier(_plain, _plain, _cast)
_TEXT = Carrier(_plain, _plain, _to_text)
_MOMENT = Carrier(_plain, _as_char, _to_time)

CARRIERS: Mapping[type, Carrier] = {
    t.Integer: _SAME,
    t.Year: _SAME,
    t.Float: Carrier(_plain, _as_double, _cast),
    t.Decimal: Carrier(_decimal, _as_char, _to_decimal),
    t.Text: _TEXT,
    t.Enum: _TEXT,
    t.Set: _TEXT,
    t.Inet: _TEXT,
    t.Foreign: _TEXT,
    t.Json: Carrier(_json, _plain, _to_text),
    t.Bits: Carrier(_as_bits, _as_bits, _to_text),
    t.Binary: _SAME,
    t.Uuid: Carrier(_as_binary, _as_binary, _cast),
    t.Date: _MOMENT,
    t.DateTime: _MOMENT,
    t.Instant: _MOMENT,
    t.Duration: Carrier(_duration, _as_char, _to_duration),
    t.Geometry: Carrier(_as_binary, _plain, to_ewkb),
}
"""One row per neutral type that these servers hold."""


def carrier(column: Column) -> Carrier:
    """The carrier of a column; KeyError for a type that none carries."""
    return CARRIERS[type(column.type)]
