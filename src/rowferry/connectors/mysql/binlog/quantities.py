"""Exact numbers of a column beside the range of another type: which are outside, and which of the range is nearest.

A number is counted in units of the column's last digit: int64 where that is enough, else Python's own.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal, localcontext
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rowferry.model.types import NeutralType
from rowferry.typemap.treatment import range_of

_DIGITS_OF_INT64 = 18
_INT64 = 2**63
_MOST_DIGITS = 200
"""More than any number has."""


@dataclass(frozen=True, slots=True)
class _Bounds:
    """The wanted range in units: `least` to `most`, of which not all may be whole; `step`: a unit of its last digit."""

    least: Decimal
    most: Decimal
    step: int

    def whole(self, units: Any) -> tuple[int, int]:
        """The least and the greatest whole number of units within, as far as such units go."""
        least = int(self.least.to_integral_value(ROUND_CEILING))
        most = int(self.most.to_integral_value(ROUND_FLOOR))
        return (least, most) if units.dtype == object else (max(least, -_INT64), min(most, _INT64 - 1))


def outside(values: pa.Array, wanted: NeutralType) -> Any:
    """For each value whether it is none of the wanted type; what is said of NULL means nothing."""
    units = _units(values)
    bounds = _bounds(values, wanted)
    least, most = bounds.whole(units)
    return ((units < least) | (units > most) | (units % bounds.step != 0)).astype(np.bool_)


def nearest(values: pa.Array, wanted: NeutralType) -> pa.Array:
    """For each value the nearest of the wanted type; ValueError where the column itself has not room for one."""
    units, bounds = _units(values), _bounds(values, wanted)
    least, most = bounds.whole(units)
    low, high = units < least, units > most
    for beyond, bound in ((low, bounds.least), (high, bounds.most)):
        if beyond.any() and bound != int(bound):
            raise ValueError(wanted)
    size = abs(units)
    rounded = np.where(units < 0, -1, 1) * ((size + bounds.step // 2) // bounds.step * bounds.step)
    found = np.where(low, least, np.where(high, most, rounded))
    return _array(found, values)


def _bounds(values: pa.Array, wanted: NeutralType) -> _Bounds:
    range_ = range_of(wanted)
    if range_ is None:
        raise ValueError(wanted)
    scale = _scale(values.type)
    with localcontext(prec=_MOST_DIGITS):
        least, most = (Decimal(bound).scaleb(scale) for bound in (range_.least, range_.most))
        return _Bounds(least, most, 10 ** max(scale - range_.scale, 0))


def _scale(kind: pa.DataType) -> int:
    return kind.scale if pa.types.is_decimal(kind) else 0


def _units(values: pa.Array) -> Any:
    if not pa.types.is_decimal(values.type):
        kind = object if values.type == pa.uint64() else np.int64
        return np.asarray(pc.fill_null(values, 0)).astype(kind)
    size = values.type.byte_width
    data = memoryview(values.buffers()[1])[values.offset * size : (values.offset + len(values)) * size]
    if values.type.precision <= _DIGITS_OF_INT64:
        return np.frombuffer(data, np.int64).reshape(len(values), -1)[:, 0]
    numbers = [int.from_bytes(data[at : at + size], "little", signed=True) for at in range(0, len(data), size)]
    return np.array(numbers, object)


def _array(units: Any, like: pa.Array) -> pa.Array:
    """The numbers as values of the same type, NULL where those are."""
    if not pa.types.is_decimal(like.type):
        return pa.array([int(one) for one in units], like.type, mask=np.asarray(like.is_null()))
    size = like.type.byte_width
    data = b"".join(int(one).to_bytes(size, "little", signed=True) for one in units)
    whole = pa.Array.from_buffers(like.type, len(units), [None, pa.py_buffer(data)])
    return pc.if_else(like.is_valid(), whole, pa.scalar(None, like.type))
