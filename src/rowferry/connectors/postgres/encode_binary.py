"""Rows in the format of `COPY … (FORMAT binary)`, a slice of a batch at a time and never value by value.

A row is the number of its fields, then each field's length (-1: NULL) and its bytes, all in network order
("Binary Format" in PostgreSQL's manual under COPY); the bytes are what the type's receive function reads. The
server takes them for granted, so a column's type must be exactly the one that its encoder is made for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from rowferry.connectors.base import PlannedTable
from rowferry.connectors.postgres.encode import Field, written
from rowferry.errors import WriteFailed
from rowferry.model import types as t
from rowferry.typemap.packing import Part, Pieces, packed, values, with_nulls

_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TRAILER = b"\xff\xff"

SLICE_BYTES = 2 * 1024 * 1024
"""About how much is encoded at once: little enough for the processor's cache, much enough for a call to pay."""

Encode = Callable[[pa.Array], Pieces]


@dataclass(frozen=True, slots=True)
class BinaryCopy:
    """A table's rows in the binary format."""

    fields: Sequence[Field[Encode]]
    format = "binary"

    @property
    def names(self) -> tuple[str, ...]:
        """The columns that are sent, in their order."""
        return tuple(field.name for field in self.fields)

    def sent(self, batches: Iterable[pa.RecordBatch]) -> Iterator[bytes | memoryview]:
        """The header, the rows slice by slice, the trailer."""
        yield _HEADER
        for batch in batches:
            count = max(1, min(batch.num_rows, SLICE_BYTES * batch.num_rows // max(batch.nbytes, 1)))
            for first in range(0, batch.num_rows, count):
                yield _rows(self.fields, batch.slice(first, count))
        yield _TRAILER


def binary_copy(table: PlannedTable) -> BinaryCopy | None:
    """How the table's rows are sent in the binary format, or None when a column has no such form."""
    fields = []
    for place, source, target in written(table):
        kind = "enum" if target.native.kind == "enum" else target.native.name
        forms = ENDLESS if isinstance(source.type, t.Endless) and source.type.endless else BINARY
        encode = forms.get(type(source.type), {}).get(kind)
        if encode is None:
            return None
        fields.append(Field(place, target.name, encode))
    return BinaryCopy(fields)


def _rows(fields: Sequence[Field[Encode]], batch: pa.RecordBatch) -> memoryview:
    count = [Part(">i2", len(fields))]
    return packed(chain(count, *(_encoded(field, batch) for field in fields)), batch.num_rows)


def _encoded(field: Field[Encode], batch: pa.RecordBatch) -> Pieces:
    try:
        return field.encode(batch.column(field.place))
    except OverflowError as error:
        raise WriteFailed(f"A date or time in column {field.name} is out of PostgreSQL's range.") from error
    except pa.ArrowException as error:
        raise WriteFailed(f"A value in column {field.name} does not fit the type it was planned with.") from error


def _with_nulls(parts: Sequence[Part], array: pa.Array) -> Pieces:
    """The parts of a field, the first of which is its length; where `array` is NULL, nothing but the length -1."""
    return with_nulls(parts, array, -1)


def _plain(arrow: pa.DataType, form: str) -> Encode:
    """A number that is cast to an Arrow type without loss and sent as it is, but in network order."""
    own = form.replace(">", "<")
    length = np.dtype(form).itemsize

    def encode(array: pa.Array) -> Pieces:
        return _with_nulls([Part(">i4", length), Part(form, values(array.cast(arrow), own))], array)

    return encode


def _boolean(array: pa.Array) -> Pieces:
    return _with_nulls([Part(">i4", 1), Part("u1", values(array.cast(pa.uint8()), "u1"))], array)


def _uuid(array: pa.Array) -> Pieces:
    return _with_nulls([Part(">i4", 16), Part("V16", values(array, "V16"))], array)


def _bytes(array: pa.Array) -> Pieces:
    data = array.cast(pa.large_binary())
    return [Part(">i4", np.asarray(pc.fill_null(pc.binary_length(data), -1))), data]


def _jsonb(array: pa.Array) -> Pieces:
    """The form's version, 1, and then the text."""
    data = array.cast(pa.large_binary())
    lengths = np.asarray(pc.fill_null(pc.binary_length(data), 0)) + 1
    return [*_with_nulls([Part(">i4", lengths), Part("u1", 1)], array), data]


def _counted(arrow: pa.DataType, form: str, epoch: int, first: int, last: int) -> Encode:
    """A date or moment as a count from 2000-01-01, `epoch` after 1970; PostgreSQL knows those from first to last."""
    own = form.replace(">", "<")
    length = np.dtype(form).itemsize

    def encode(array: pa.Array) -> Pieces:
        counts = array.cast(arrow)
        least, most = (value.as_py() for value in pc.min_max(counts).values())
        if least is not None and (least < first or most > last):
            raise OverflowError
        return _with_nulls([Part(">i4", length), Part(form, values(counts, own) - epoch)], array)

    return encode


def _wrapped(arrow: pa.DataType, form: str, epoch: int) -> Encode:
    """The same for counts of an endless type, which wrap back to what they were."""
    own = form.replace(">", "<")
    length = np.dtype(form).itemsize

    def encode(array: pa.Array) -> Pieces:
        counts = values(array.cast(arrow), own) - np.array([epoch], own)
        return _with_nulls([Part(">i4", length), Part(form, counts)], array)

    return encode


def _interval(array: pa.Array) -> Pieces:
    """Microseconds; no days, no months."""
    parts = [Part(">i4", 16), Part(">i8", values(array.cast(pa.int64()), "<i8")), Part(">i4", 0), Part(">i4", 0)]
    return _with_nulls(parts, array)


_BASE = 10_000
"""What a digit of `numeric` counts to."""

_BASE_DIGITS = 4
_NEGATIVE = 0x4000
_SINGLE = 18
"""So many decimal digits fit into one signed word of 64 bits, whatever they are."""


def _numeric(array: pa.Array) -> Pieces:
    """A decimal or a whole number, with as many digits as the largest of the array; the server drops zeros."""
    if not pa.types.is_decimal(array.type):
        return _whole_numeric(array)
    shift = -array.type.scale % _BASE_DIGITS
    array = _narrowed(array, _SINGLE - shift)
    precision, scale = array.type.precision, array.type.scale
    after = (scale + shift) // _BASE_DIGITS
    if precision + shift <= _SINGLE:
        words = values(array, f"V{array.type.byte_width}").view("<i8")[:: array.type.byte_width // 8]
        magnitude = np.abs(words).view("<u8")
        precision = min(precision, max(len(str(magnitude.max(initial=0))), scale))
        before = -(-(precision - scale) // _BASE_DIGITS)
        negative, digits = words < 0, _digits(magnitude * np.uint64(10**shift), before + after)
    else:
        before = -(-(precision - scale) // _BASE_DIGITS)
        negative, limbs = _limbs(array)
        digits = _wide_digits(_times(limbs, 10**shift), before + after)
    return _numeric_parts(array, negative, digits, before - 1, scale)


def _narrowed(array: pa.Array, digits: int) -> pa.Array:
    """The array with no more digits than these where all its values have no more."""
    if not array.type.scale <= digits < array.type.precision:
        return array
    try:
        return array.cast(pa.decimal128(digits, array.type.scale))
    except pa.ArrowInvalid:
        return array


def _whole_numeric(array: pa.Array) -> Pieces:
    signed = pa.types.is_signed_integer(array.type)
    words = values(array.cast(pa.int64() if signed else pa.uint64()), "<i8" if signed else "<u8")
    magnitude = np.abs(words).view("<u8")
    return _numeric_parts(array, words < 0, _digits(magnitude, 5), 4, 0)


def _numeric_parts(
    array: pa.Array, negative: NDArray[np.bool_], digits: Sequence[NDArray[Any]], weight: int, scale: int
) -> Pieces:
    sign = np.where(negative, _NEGATIVE, 0)
    head = [Part(">i2", len(digits)), Part(">i2", weight), Part(">u2", sign), Part(">u2", scale)]
    words = [*head, *(Part(">i2", digit) for digit in digits)]
    return _with_nulls([Part(">i4", 2 * len(words)), *words], array)


def _digits(magnitude: NDArray[np.uint64], count: int) -> list[NDArray[np.uint64]]:
    """Digits of base 10000, the highest first."""
    digits = []
    for _ in range(count):
        higher = magnitude // np.uint64(_BASE)
        digits.append(magnitude - higher * np.uint64(_BASE))
        magnitude = higher
    return digits[::-1]


def _limbs(array: pa.Array) -> tuple[NDArray[np.bool_], list[NDArray[np.uint64]]]:
    """The sign, and the magnitude in words of 32 bits, the lowest first."""
    width = array.type.byte_width
    raw = values(array, f"V{width}").view("<u4").reshape(len(array), width // 4)
    negative = raw[:, -1] >> 31 == 1
    carry = negative.astype(np.uint64)
    limbs = []
    for column in raw.T:
        limb = np.where(negative, ~column, column).astype(np.uint64) + carry
        limbs.append(limb & np.uint64(0xFFFF_FFFF))
        carry = limb >> np.uint64(32)
    return negative, limbs


def _times(limbs: Sequence[NDArray[np.uint64]], factor: int) -> list[NDArray[np.uint64]]:
    product = []
    carry = np.zeros_like(limbs[0])
    for limb in limbs:
        both = limb * np.uint64(factor) + carry
        product.append(both & np.uint64(0xFFFF_FFFF))
        carry = both >> np.uint64(32)
    return [*product, carry]


def _wide_digits(limbs: list[NDArray[np.uint64]], count: int) -> list[NDArray[np.uint64]]:
    """Long division, two digits at a time: the remainder and a limb together have less than 64 bits."""
    two = np.uint64(_BASE * _BASE)
    digits: list[NDArray[np.uint64]] = []
    while len(digits) < count:
        rest = np.zeros_like(limbs[0])
        for at in reversed(range(len(limbs))):
            both = rest << np.uint64(32) | limbs[at]
            limbs[at] = both // two
            rest = both - limbs[at] * two
        digits += _digits(rest, 2)[::-1]
    return digits[:count][::-1]


_DAY = 86_400_000_000
_FIRST_DAY, _LAST_DAY = -2_440_588, 2_145_042_905
_FIRST_MOMENT, _LAST_MOMENT = _FIRST_DAY * _DAY, 106_762_940 * _DAY - 1
"""4713-11-24 BC to 5874897-12-31, and to 294276-12-31, counted from 1970 (manual, "Date/Time Types")."""

_EPOCH = 10_957
"""2000-01-01, in days."""

_moment = _counted(pa.int64(), ">i8", _EPOCH * _DAY, _FIRST_MOMENT, _LAST_MOMENT)
_WHOLE: dict[str, Encode] = {
    "int2": _plain(pa.int16(), ">i2"),
    "int4": _plain(pa.int32(), ">i4"),
    "int8": _plain(pa.int64(), ">i8"),
}
_TEXTS: dict[str, Encode] = dict.fromkeys(("text", "varchar", "bpchar", "citext"), _bytes)
_WORDS: dict[str, Encode] = {**_TEXTS, "json": _bytes}

BINARY: dict[type, dict[str, Encode]] = {
    t.Boolean: {"bool": _boolean},
    t.Integer: {**_WHOLE, "numeric": _numeric},
    t.Year: {**_WHOLE, "numeric": _numeric},
    t.Decimal: {"numeric": _numeric},
    t.Float: {"float4": _plain(pa.float32(), ">f4"), "float8": _plain(pa.float64(), ">f8")},
    t.Text: _WORDS,
    t.Enum: {**_WORDS, "enum": _bytes},
    t.Set: _WORDS,
    t.Json: {**_WORDS, "jsonb": _jsonb},
    t.Inet: _TEXTS,
    t.Number: _TEXTS,
    t.Interval: _TEXTS,
    t.Bits: _TEXTS,
    t.Array: _TEXTS,
    t.Foreign: _TEXTS,
    t.Binary: {"bytea": _bytes},
    t.Geometry: {"bytea": _bytes},
    t.Date: {"date": _counted(pa.int32(), ">i4", _EPOCH, _FIRST_DAY, _LAST_DAY)},
    t.Time: {"time": _plain(pa.int64(), ">i8")},
    t.DateTime: {"timestamp": _moment},
    t.Instant: {"timestamptz": _moment},
    t.Duration: {"interval": _interval},
    t.Uuid: {"uuid": _uuid},
}
"""By neutral type, then by the target's type: how binary COPY takes the values. Not listed: it cannot."""

ENDLESS: dict[type, dict[str, Encode]] = {
    t.Date: {"date": _wrapped(pa.int32(), ">i4", _EPOCH)},
    t.Time: {"time": _plain(pa.int64(), ">i8")},
    t.DateTime: {"timestamp": _wrapped(pa.int64(), ">i8", _EPOCH * _DAY)},
    t.Instant: {"timestamptz": _wrapped(pa.int64(), ">i8", _EPOCH * _DAY)},
}
"""The same for types that are endless."""
