"""From one neutral type to another that a config asks for: each value equal, or an error."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from rowferry.model import types as t
from rowferry.model.types import NeutralType
from rowferry.typemap.arrow import arrow_type
from rowferry.typemap.treatment import crossing_type

Recast = Callable[[pa.Array, Any], pa.Array]


class Unfit(ValueError):
    """A value that the other type has not. It says nothing about the value."""


def recast(array: pa.Array, source: NeutralType, wanted: NeutralType) -> pa.Array:
    """The values of a column of type `source` as `wanted` carries them; Unfit when one does not fit."""
    try:
        return _STEPS[type(source), type(wanted)](array, wanted)
    except (pa.ArrowException, OverflowError) as error:
        raise Unfit from error


def possible(source: NeutralType, wanted: NeutralType) -> bool:
    """Whether there is a way from the one to the other at all."""
    return (type(crossing_type(source, wanted)), type(wanted)) in _STEPS


def _cast(array: pa.Array, wanted: NeutralType) -> pa.Array:
    return array.cast(arrow_type(wanted))


def _back_and_forth(array: pa.Array, wanted: NeutralType) -> pa.Array:
    """A cast that must be undone without a difference."""
    found = array.cast(arrow_type(wanted), safe=False)
    back = found.cast(array.type, safe=False)
    same = pc.equal(back, array)
    if pa.types.is_floating(array.type):
        same = pc.or_(same, pc.is_nan(array))
    if pc.all(same).as_py() is False:
        raise Unfit
    return found


def _text(array: pa.Array, wanted: t.Text) -> pa.Array:
    found = array.cast(pa.string())
    if wanted.length is not None and (pc.max(pc.utf8_length(found)).as_py() or 0) > wanted.length:
        raise Unfit
    return found


_UUID = r"^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$"


def _uuid(array: pa.Array, _: t.Uuid) -> pa.Array:
    text = array.cast(pa.string())
    if pc.all(pc.match_substring_regex(text, _UUID)).as_py() is False:
        raise Unfit
    values = [None if one is None else bytes.fromhex(one.replace("-", "")) for one in text.to_pylist()]
    return pa.array(values, pa.binary(16))


def _boolean(array: pa.Array, _: t.Boolean) -> pa.Array:
    least, most = (value.as_py() for value in pc.min_max(array).values())
    if least is not None and (least < 0 or most > 1):
        raise Unfit
    return array.cast(pa.bool_())


def _whole(array: pa.Array, wanted: NeutralType) -> pa.Array:
    """A decimal as a whole number: by way of text, which Arrow reads exactly or not at all."""
    found = array if pa.types.is_string(array.type) else array.cast(pa.string())
    point = pc.replace_substring_regex(found, r"\.0+$", "")
    return point.cast(arrow_type(wanted))


def _digits(array: pa.Array, wanted: t.Decimal) -> pa.Array:
    if pa.types.is_boolean(array.type):
        array = array.cast(pa.int8())
    if pa.types.is_string(array.type):
        array = pc.replace_substring_regex(array, r"(\.\d*?)0+$", r"\1")
    if pa.types.is_unsigned_integer(array.type):
        array = array.cast(pa.decimal128(20, 0))
    return array.cast(arrow_type(wanted))


def _moment(array: pa.Array, wanted: Any) -> pa.Array:
    """A date or moment with another number of digits; one without a zone is one of UTC."""
    kept = 10 ** (6 - wanted.precision)
    counts = (
        array.cast(pa.timestamp("us")).cast(pa.int64()) if pa.types.is_date32(array.type) else array.cast(pa.int64())
    )
    if kept > 1 and not pc.multiply(pc.divide(counts, kept), kept).equals(counts):
        raise Unfit
    return counts.cast(arrow_type(wanted))


def _same(array: pa.Array, _: NeutralType) -> pa.Array:
    return array


def _bytes(array: pa.Array, wanted: t.Binary) -> pa.Array:
    if wanted.length is not None and (pc.max(pc.binary_length(array)).as_py() or 0) > wanted.length:
        raise Unfit
    return array.cast(pa.binary())


_WHOLES = (t.Integer, t.Year)
_EXACT = (*_WHOLES, t.Boolean, t.Decimal, t.Number)
_MOMENTS = (t.Date, t.DateTime, t.Instant)
_UNMEASURED = (
    t.Boolean, t.Date, t.Interval, t.Json, t.Enum, t.Set, t.Uuid, t.Inet, t.Geometry, t.Array, t.Foreign
)  # fmt: skip
"""Types of which one column's values are as good as another's, or are looked at by the target's server."""

_STEPS: dict[tuple[type, type], Recast] = {
    (t.Text, t.Text): _text,
    **{(source, t.Decimal): _digits for source in (*_EXACT, t.Text)},
    **{(source, t.Number): lambda array, _: array.cast(pa.string()) for source in (*_WHOLES, t.Decimal, t.Number)},
    **{(source, wanted): _cast for source in _WHOLES for wanted in _WHOLES},
    **{(source, wanted): _whole for source in (t.Decimal, t.Number, t.Text) for wanted in _WHOLES},
    (t.Boolean, t.Integer): _cast,
    **{(source, t.Boolean): _boolean for source in _WHOLES},
    **{(source, t.Float): _back_and_forth for source in (*_WHOLES, t.Float)},
    **{(source, wanted): _moment for source in _MOMENTS for wanted in (t.DateTime, t.Instant)},
    **{(one, one): _same for one in _UNMEASURED},
    (t.DateTime, t.Date): _back_and_forth,
    **{(t.Text, wanted): _same for wanted in (t.Json, t.Enum, t.Inet)},
    (t.Text, t.Uuid): _uuid,
    (t.Binary, t.Binary): _bytes,
    (t.Binary, t.Uuid): lambda array, _: array.cast(pa.binary(16)),
    (t.Uuid, t.Binary): lambda array, _: array.cast(pa.binary()),
    (t.Time, t.Time): _moment,
    (t.Duration, t.Duration): _moment,
    (t.Geometry, t.Binary): _same,
}
"""By both types. Text that becomes JSON, an address or an enum's member is looked at by the target's server."""
