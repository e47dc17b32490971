"""Arrow columns in the forms that PostgreSQL's COPY takes: the column's own binary form, or text.

Binary COPY checks nothing, so a column's Arrow type must be exactly what the server's type reads. Where
there is no such form (inet, bit, arrays, an enum of another engine's text …) the whole table crosses as
CSV, which the server parses itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from rowferry.connectors.base import PlannedTable
from rowferry.model import types as t
from rowferry.model.tables import Column

Encode = Callable[[pa.Array], pa.Array]


@dataclass(frozen=True, slots=True)
class Field:
    """One column as it is sent: its place in the batch, its name on the target, what is done to its values."""

    place: int
    name: str
    encode: Encode | None


def _cast(to: pa.DataType) -> Encode:
    return lambda array: array if array.type == to else array.cast(to)


def _jsonb(array: pa.Array) -> pa.Array:
    """jsonb's binary form is its version, 1, and the text."""
    mark = pa.scalar(b"\x01", pa.large_binary())
    return pc.binary_join_element_wise(mark, array.cast(pa.large_binary()), pa.scalar(b"", pa.large_binary()))


def _same(array: pa.Array) -> pa.Array:
    return array


def _whole_numeric(array: pa.Array) -> pa.Array:
    """The driver writes uint64 and decimals as numeric, but no signed integer."""
    return array if array.type == pa.uint64() else array.cast(pa.decimal128(20, 0))


_TEXTS = ("text", "varchar", "bpchar", "citext")
_WHOLE = {"int2": _cast(pa.int16()), "int4": _cast(pa.int32()), "int8": _cast(pa.int64())}
_WORDS: dict[str, Encode] = dict.fromkeys((*_TEXTS, "json"), _same)

BINARY: dict[type, dict[str, Encode]] = {
    t.Boolean: {"bool": _same},
    t.Integer: {**_WHOLE, "numeric": _whole_numeric},
    t.Year: {**_WHOLE, "numeric": _whole_numeric},
    t.Decimal: {"numeric": _same},
    t.Float: {"float4": _cast(pa.float32()), "float8": _cast(pa.float64())},
    t.Text: _WORDS,
    t.Enum: {**_WORDS, "enum": _same},
    t.Set: _WORDS,
    t.Json: {**_WORDS, "jsonb": _jsonb},
    t.Inet: dict.fromkeys(_TEXTS, _same),
    t.Array: dict.fromkeys(_TEXTS, _same),
    t.Foreign: dict.fromkeys(_TEXTS, _same),
    t.Binary: {"bytea": _same},
    t.Geometry: {"bytea": _same},
    t.Date: {"date": _same},
    t.Time: {"time": _same},
    t.DateTime: {"timestamp": _same},
    t.Instant: {"timestamptz": _same},
    t.Duration: {"interval": _same},
    t.Uuid: {"uuid": _same},
}
"""By neutral type, then by the target's type: how binary COPY takes the values. Not listed: it cannot."""


def binary_fields(table: PlannedTable) -> list[Field] | None:
    """The table's columns for binary COPY, or None when one of them has no exact binary form."""
    fields = []
    for place, source, target in _written(table):
        form = BINARY.get(type(source.type), {}).get(_kind(target))
        if form is None:
            return None
        fields.append(Field(place, target.name, form))
    return fields


def text_fields(table: PlannedTable) -> list[Field]:
    """The table's columns for COPY in CSV."""
    return [Field(place, target.name, TEXT.get(type(source.type))) for place, source, target in _written(table)]


def encoded(fields: Sequence[Field], batch: pa.RecordBatch) -> pa.RecordBatch:
    """The batch with its columns renamed and in the forms that `fields` say."""
    arrays = [batch.column(f.place) if f.encode is None else f.encode(batch.column(f.place)) for f in fields]
    return pa.RecordBatch.from_arrays(arrays, names=[f.name for f in fields])


def csv_bytes(batch: pa.RecordBatch) -> bytes:
    """The batch as CSV: NULL is nothing at all, text stands in quotes even when it is empty."""
    sink = BytesIO()
    with csv.CSVWriter(sink, batch.schema, write_options=csv.WriteOptions(include_header=False)) as writer:
        writer.write_batch(batch)
    return sink.getvalue()


def _written(table: PlannedTable) -> Iterator[tuple[int, Column, Column]]:
    """The columns that are sent; what the target computes itself is not."""
    for place, (source, target) in enumerate(zip(table.source.columns, table.target.columns, strict=True)):
        if target.generated is None:
            yield place, source, target


def _kind(column: Column) -> str:
    return "enum" if column.native.kind == "enum" else column.native.name


def _hex(prefix: str) -> Encode:
    return lambda array: pc.binary_join_element_wise(
        pa.scalar(prefix, pa.large_string()), _hex_digits(array), pa.scalar("", pa.large_string())
    )


def _hex_digits(array: pa.Array) -> pa.Array:
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


def _microseconds(array: pa.Array) -> pa.Array:
    return pc.binary_join_element_wise(array.cast(pa.int64()).cast(pa.string()), "microseconds", " ")


_DAY = 86_400_000_000
_YEAR_1 = -719_162
_YEAR_10000 = 2_932_897


def _date(array: pa.Array) -> pa.Array:
    if _plain(array.cast(pa.int32()), _YEAR_1, _YEAR_10000):
        return array
    return pa.array(
        [None if day is None else _spelled(day, "") for day in array.cast(pa.int32()).to_pylist()], pa.string()
    )


def _moment(zone: str) -> Encode:
    def encode(array: pa.Array) -> pa.Array:
        counts = array.cast(pa.int64())
        if _plain(counts, _YEAR_1 * _DAY, _YEAR_10000 * _DAY):
            return array
        return pa.array([None if c is None else _spelled_moment(c, zone) for c in counts.to_pylist()], pa.string())

    return encode


def _plain(counts: pa.Array, first: int, end: int) -> bool:
    """Whether all lie within the years 1 to 9999, which Arrow spells as PostgreSQL reads them."""
    least, most = (value.as_py() for value in pc.min_max(counts).values())
    return least is None or (least >= first and most < end)


def _spelled_moment(count: int, zone: str) -> str:
    day, rest = divmod(count, _DAY)
    seconds, micro = divmod(rest, 1_000_000)
    clock = f" {seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{micro:06}{zone}"
    return _spelled(day, clock)


def _spelled(day: int, clock: str) -> str:
    """A day counted from 1970 in the Gregorian calendar as far back as one likes, as PostgreSQL spells it."""
    era, of_era = divmod(day + 719_468, 146_097)
    year_of_era = (of_era - of_era // 1460 + of_era // 36_524 - of_era // 146_096) // 365
    of_year = of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    month_from_march = (5 * of_year + 2) // 153
    day_of_month = of_year - (153 * month_from_march + 2) // 5 + 1
    month = month_from_march + 3 if month_from_march < 10 else month_from_march - 9
    year = year_of_era + era * 400 + (1 if month <= 2 else 0)
    shown = year if year > 0 else 1 - year
    return f"{shown:04}-{month:02}-{day_of_month:02}{clock}{'' if year > 0 else ' BC'}"


TEXT: dict[type[Any], Encode] = {
    t.Binary: _hex("\\x"),
    t.Geometry: _hex("\\x"),
    t.Uuid: _hex(""),
    t.Duration: _microseconds,
    t.Date: _date,
    t.DateTime: _moment(""),
    t.Instant: _moment("Z"),
}
"""What is done to a column before Arrow spells it as CSV; all others it spells as PostgreSQL reads them."""
