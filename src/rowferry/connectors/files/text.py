"""Columns as text, whole arrays at a time: the forms that CSV and JSON Lines share.

| neutral type | text |
|---|---|
| Boolean | true, false |
| Integer, Year | digits |
| Decimal | plain digits, never an exponent |
| Float | the shortest digits that read back to the same bits; nan, inf, -inf |
| Date, Time | 2024-02-29, 23:59:59.000000 |
| DateTime, Instant | 2024-02-29T23:59:59.000000, and the same with Z |
| Duration | -838:59:59.000000 |
| Binary, Geometry | \\x and two hex digits a byte |
| Uuid | 8-4-4-4-12 hex digits |
| all others | the text in which they cross |
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from rowferry.model import types as t

SLICE_BYTES = 8 * 1024 * 1024
LARGE_BYTES = 128 * 1024 * 1024
"""From this size on a single row's texts need 64-bit offsets."""

_LOWEST_EXPONENT = 6
_HOUR, _MINUTE, _SECOND = 3_600_000_000, 60_000_000, 1_000_000
_EPOCH = datetime(1970, 1, 1)
_CYCLE_YEARS, _CYCLE_DAYS = 400, 146_097
"""After so many the calendar comes again."""

_NO_TEXT = "<"
"""How the text begins that a cast gives for a year that it has none for."""


def slices(batch: pa.RecordBatch, size: int = SLICE_BYTES) -> Iterator[pa.RecordBatch]:
    """The batch in pieces of about `size` bytes at the most, or of one row."""
    if batch.num_rows <= 1 or batch.nbytes <= size:
        if batch.num_rows:
            yield batch
        return
    half = batch.num_rows // 2
    yield from slices(batch.slice(0, half), size)
    yield from slices(batch.slice(half), size)


def _cast(array: pa.Array) -> pa.Array:
    return array.cast(pa.string())


def _decimal(array: pa.Array) -> pa.Array:
    text = _cast(array)
    scale = array.type.scale
    if scale <= _LOWEST_EXPONENT or not pc.any(pc.match_substring(text, "E")).as_py():
        return text
    whole = pa.decimal128(38, 0) if pa.types.is_decimal128(array.type) else pa.decimal256(76, 0)
    signed = _cast(array.view(whole))
    digits = pc.utf8_lpad(pc.utf8_ltrim(signed, "-"), scale + 1, "0")
    sign = pc.if_else(pc.starts_with(signed, "-"), "-", "")
    before = pc.utf8_slice_codeunits(digits, 0, -scale)
    after = pc.utf8_slice_codeunits(digits, -scale)
    return pc.binary_join_element_wise(sign, before, ".", after, "")


def _day(array: pa.Array) -> pa.Array:
    text = _cast(array)
    far = pc.starts_with(text, _NO_TEXT)
    return pc.if_else(far, _far_day(array), text) if pc.any(far).as_py() else text


def _far_day(array: pa.Array) -> pa.Array:
    """Days and moments of any year, one at a time; the cast stops at the year 32767."""
    plain = pa.types.is_date32(array.type)
    form = pa.int32() if plain else pa.int64()
    return pa.array([None if count is None else _one_day(count, plain) for count in array.cast(form).to_pylist()])


def _one_day(count: int, plain: bool) -> str:
    days, micros = (count, 0) if plain else divmod(count, 24 * _HOUR)
    cycles, rest = divmod(days, _CYCLE_DAYS)
    day = _EPOCH + timedelta(rest, microseconds=micros)
    text = f"{day.year + cycles * _CYCLE_YEARS:04}-{day:%m-%d}"
    return text if plain else f"{text} {day:%H:%M:%S.%f}"


def _moment(array: pa.Array) -> pa.Array:
    return pc.replace_substring(_day(array), " ", "T", max_replacements=1)


def _instant(array: pa.Array) -> pa.Array:
    """As a moment without zone: the cast of zoned timestamps gets far years wrong."""
    return pc.binary_join_element_wise(_moment(array.view(pa.timestamp(array.type.unit))), "Z", "")


def _two(numbers: pa.Array) -> pa.Array:
    return pc.utf8_lpad(_cast(numbers), 2, "0")


def _duration(array: pa.Array) -> pa.Array:
    signed = array.cast(pa.int64())
    rest = pc.abs(signed)
    hours = pc.divide(rest, _HOUR)
    rest = pc.subtract(rest, pc.multiply(hours, _HOUR))
    minutes = pc.divide(rest, _MINUTE)
    rest = pc.subtract(rest, pc.multiply(minutes, _MINUTE))
    seconds = pc.divide(rest, _SECOND)
    micros = pc.subtract(rest, pc.multiply(seconds, _SECOND))
    sign = pc.if_else(pc.less(signed, 0), "-", "")
    fraction = pc.utf8_lpad(_cast(micros), 6, "0")
    return pc.binary_join_element_wise(
        sign, _two(hours), ":", _two(minutes), ":", _two(seconds), ".", fraction, ""
    )  # fmt: skip


def hex_digits(array: pa.Array) -> pa.Array:
    """Two digits a byte: the values lie end to end in one buffer, which is written in hex as a whole."""
    values = array.cast(pa.large_binary())
    count = len(values)
    if not count:
        return pa.array([], pa.large_string())
    _, offsets, data = values.buffers()
    bounds = pa.Array.from_buffers(pa.int64(), count + 1, [None, offsets], offset=values.offset)
    start, stop = bounds[0].as_py(), bounds[count].as_py()
    digits = memoryview(data)[start:stop].hex().encode() if stop > start else b""
    moved = pc.multiply(pc.subtract(bounds, start), 2)
    text = pa.Array.from_buffers(pa.large_string(), count, [None, moved.buffers()[1], pa.py_buffer(digits)])
    return pc.if_else(values.is_valid(), text, pa.scalar(None, pa.large_string())) if values.null_count else text


def _bytes(array: pa.Array) -> pa.Array:
    mark, nothing = (pa.scalar(word, pa.large_string()) for word in ("\\x", ""))
    return pc.binary_join_element_wise(mark, hex_digits(array), nothing)


def _uuid(array: pa.Array) -> pa.Array:
    digits = hex_digits(array).cast(pa.string())
    bounds = ((0, 8), (8, 12), (12, 16), (16, 20), (20, 32))
    return pc.binary_join_element_wise(*(pc.utf8_slice_codeunits(digits, low, high) for low, high in bounds), "-")


def _as_is(array: pa.Array) -> pa.Array:
    return array


_TEXTS: dict[type, Callable[[pa.Array], pa.Array]] = {
    t.Boolean: _cast,
    t.Integer: _cast,
    t.Year: _cast,
    t.Decimal: _decimal,
    t.Float: _cast,
    t.Date: _day,
    t.Time: _cast,
    t.DateTime: _moment,
    t.Instant: _instant,
    t.Duration: _duration,
    t.Binary: _bytes,
    t.Geometry: _bytes,
    t.Uuid: _uuid,
}

WORDLESS = frozenset(_TEXTS)
"""The kinds whose text holds nothing but ASCII letters, digits and the signs + - . : and backslash."""


def texts(array: pa.Array, neutral: t.NeutralType, form: pa.DataType) -> pa.Array:
    """The array's values as strings of Arrow type `form` (string or large_string); NULL stays NULL."""
    return _TEXTS.get(type(neutral), _as_is)(array).cast(form)


def form_of(piece: pa.RecordBatch) -> pa.DataType:
    """The string type in which the texts of `piece` have room."""
    return pa.large_string() if piece.nbytes > LARGE_BYTES else pa.string()


def bytes_of(lines: pa.Array) -> pa.Buffer:
    """The strings end to end, without a copy. There is no NULL among them."""
    _, offsets, data = lines.buffers()
    wide = pa.int64() if pa.types.is_large_string(lines.type) else pa.int32()
    bounds = pa.Array.from_buffers(wide, len(lines) + 1, [None, offsets], offset=lines.offset)
    start, stop = bounds[0].as_py(), bounds[len(lines)].as_py()
    return data.slice(start, stop - start)
