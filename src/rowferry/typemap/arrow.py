"""The Arrow type in which each neutral type crosses between a source and a target."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from rowferry.model import types as t
from rowferry.model.tables import Column

_INTEGERS = {
    (8, True): pa.int8(),
    (16, True): pa.int16(),
    (24, True): pa.int32(),
    (32, True): pa.int32(),
    (64, True): pa.int64(),
    (8, False): pa.uint8(),
    (16, False): pa.uint16(),
    (24, False): pa.uint32(),
    (32, False): pa.uint32(),
    (64, False): pa.uint64(),
}


def _decimal(neutral: t.Decimal) -> pa.DataType:
    if neutral.precision <= 38:
        return pa.decimal128(neutral.precision, neutral.scale)
    return pa.decimal256(neutral.precision, neutral.scale)


def _text(_: object) -> pa.DataType:
    return pa.string()


def _binary(_: object) -> pa.DataType:
    return pa.binary()


_FORMS: dict[type, Callable[[Any], pa.DataType]] = {
    t.Boolean: lambda _: pa.bool_(),
    t.Integer: lambda n: _INTEGERS[n.bits, n.signed],
    t.Decimal: _decimal,
    t.Number: _text,
    t.Float: lambda n: pa.float32() if n.bits == 32 else pa.float64(),
    t.Text: _text,
    t.Binary: _binary,
    t.Bits: _text,
    t.Date: lambda _: pa.date32(),
    t.Time: lambda _: pa.time64("us"),
    t.DateTime: lambda _: pa.timestamp("us"),
    t.Instant: lambda _: pa.timestamp("us", tz="UTC"),
    t.Duration: lambda _: pa.duration("us"),
    t.Interval: _text,
    t.Year: lambda _: pa.int16(),
    t.Json: _text,
    t.Enum: _text,
    t.Set: _text,
    t.Uuid: lambda _: pa.binary(16),
    t.Inet: _text,
    t.Geometry: _binary,
    t.Array: _text,
    t.Foreign: _text,
}


def arrow_type(neutral: t.NeutralType) -> pa.DataType:
    """The Arrow type of `neutral`; KeyError for `Unknown`, which never crosses."""
    return _FORMS[type(neutral)](neutral)


def arrow_schema(columns: Sequence[Column]) -> pa.Schema:
    """The schema of the record batches that carry `columns`, in their order and under their names."""
    return pa.schema([pa.field(column.name, arrow_type(column.type), column.nullable) for column in columns])


def hex_digits(array: pa.Array) -> pa.Array:
    """Two hex digits for each byte: the values' buffer as a whole, the offsets doubled."""
    array = array.cast(pa.large_binary())
    validity = pc.is_valid(array).buffers()[1] if array.null_count else None
    _, offsets, data = array.buffers()
    ends = pa.Array.from_buffers(pa.int64(), len(array) + 1, [None, offsets], offset=array.offset)
    first, last = ends[0].as_py(), ends[-1].as_py()
    digits = memoryview(data)[first:last].hex().encode() if data is not None else b""
    doubled = pc.multiply(pc.subtract(ends, first), 2)
    return pa.Array.from_buffers(
        pa.large_string(), len(array), [validity, doubled.buffers()[1], pa.py_buffer(digits)], null_count=-1
    )
