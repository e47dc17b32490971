"""Texts as values, whole arrays at a time: the way back from `text`.

A type that was told from the files' own texts is `strict`: a text that such a type would spell in another way, such
as 007 for a whole number, does not fit it, so that nothing changes in silence.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from rowferry.model import types as t
from rowferry.typemap.arrow import arrow_type

STRING = pa.large_string()

DIGITS = 15
"""So many digits of a number survive a double, whichever they are."""

_0, _9, _PLUS, _MINUS, _POINT = b"09+-."
_DAY = 86_400_000_000
_EPOCH = "1970-01-01T"
_DURATION = r"^(?P<sign>-?)(?P<h>\d{2,4}):(?P<m>[0-5]\d):(?P<s>[0-5]\d)(?:\.(?P<f>\d{1,6}))?$"
_FAR = {
    "D": r"^[+-]?\d{4,}-\d{2}-\d{2}$",
    "us": r"^[+-]?\d{4,}-\d{2}-\d{2}[ T]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?$",
}
_ODD_ZERO = r"^-0(\d|(\.0*)?$)"
_LOWER, _E = 0x20, 0x65
_NO_DIGITS = re.compile(r"[^0-9]")

Parse = Callable[[pa.Array, Any, bool], pa.Array]


class Misfit(ValueError):
    """A text is no value of the type. It says nothing about the text."""


def parsed(texts: pa.Array, neutral: t.NeutralType, strict: bool = False) -> pa.Array:
    """The texts as values of `neutral`, in the Arrow type in which it crosses; NULL stays NULL. Misfit for a text
    that is none.
    """
    step = _STEPS.get(type(neutral))
    try:
        if step is None:
            return texts.cast(arrow_type(neutral))
        if len(texts) == texts.null_count:
            return pa.nulls(len(texts), arrow_type(neutral))
        return step(texts, neutral, strict)
    except (pa.ArrowException, ValueError, OverflowError) as error:
        raise Misfit(_NAMES.get(type(neutral), "value of its type")) from error


def _require(good: object) -> None:
    if good is not True:
        raise Misfit


def _boolean(texts: pa.Array, _: t.Boolean, strict: bool) -> pa.Array:
    if strict:
        words = pa.array(["true", "false", "TRUE", "FALSE", "True", "False"], texts.type)
        _require(pc.all(pc.is_in(pc.drop_null(texts), words)).as_py())
    return texts.cast(pa.bool_())


@dataclass(frozen=True)
class _Signs:
    """The bytes of texts that are not NULL, and where each of them begins and ends."""

    held: NDArray[np.uint8]
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]

    @property
    def lengths(self) -> NDArray[np.int64]:
        """How many bytes each has."""
        return self.ends - self.starts

    def at(self, place: int) -> NDArray[np.uint8]:
        """The byte at a place of each text, counted from its end where that is negative; 0 where there is none."""
        where = self.starts + place if place >= 0 else self.ends + place
        there = (where >= self.starts) & (where < self.ends)
        return np.where(there, self.held[np.where(there, where, 0)], 0)


def _signs_of(texts: pa.Array) -> _Signs:
    plain = texts.drop_null().cast(STRING)
    _, offsets, data = plain.buffers()
    ends = np.frombuffer(offsets, np.int64, len(plain) + 1, plain.offset * 8)
    held = np.frombuffer(data, np.uint8)[: ends[-1]] if data is not None and data.size else np.zeros(1, np.uint8)
    return _Signs(held, ends[:-1], ends[1:])


def _digit(signs: NDArray[np.uint8]) -> NDArray[np.bool_]:
    return (signs >= _0) & (signs <= _9)


def _integer(texts: pa.Array, neutral: t.NeutralType, strict: bool) -> pa.Array:
    signs = _signs_of(texts)
    first, second = signs.at(0), signs.at(1)
    zeros = (first == _0) & (signs.lengths > 1)
    odd = (zeros & ~_digit(second)) | ((first == _MINUS) & (second == _0))
    _require(not bool((odd | zeros if strict else odd).any()))
    return texts.cast(arrow_type(neutral))


def _decimal(texts: pa.Array, neutral: t.Decimal, strict: bool) -> pa.Array:
    if strict:
        _require_plain(texts)
    return texts.cast(arrow_type(neutral))


def _require_plain(texts: pa.Array) -> None:
    """Misfit for numbers with an exponent, leading zeros, a plus, a negative zero, or nothing around their point."""
    signs = _signs_of(texts)
    first, second = signs.at(0), signs.at(1)
    negative = first == _MINUS
    odd = (first == _PLUS) | (first == _POINT) | (negative & (second == _POINT)) | (signs.at(-1) == _POINT)
    _require(not bool((odd | ((first == _0) & _digit(second))).any()))
    _require(not bool(((signs.held[signs.starts[0] :] | _LOWER) == _E).any()))
    small = texts.drop_null().filter(pa.array(negative & (second == _0)))
    _require(not pc.any(pc.match_substring_regex(small, _ODD_ZERO)).as_py())


def _float(texts: pa.Array, neutral: t.Float, strict: bool) -> pa.Array:
    made = texts.cast(arrow_type(neutral))
    long = pc.fill_null(pc.greater(pc.binary_length(texts), DIGITS), False)
    if strict and pc.any(long).as_py():
        spelled, read = texts.filter(long), made.filter(long)
        other = spelled.filter(pc.not_equal(read.cast(STRING), spelled.cast(STRING)))
        _require(all(reversible(one) for one in other.to_pylist()))
    return made


def reversible(number: str) -> bool:
    """Whether a number's text can be told from the double that it becomes."""
    mantissa = re.split("[eE]", number)[0]
    digits = _NO_DIGITS.sub("", mantissa).strip("0")
    return len(digits) <= DIGITS or repr(float(number)) == number


def _far(texts: pa.Array, form: Literal["D", "us"]) -> pa.Array:
    """Days and moments whose years do not have four digits, which numpy reads."""
    _require(pc.all(pc.match_substring_regex(texts, _FAR[form])).as_py())
    values = [None if one is None else np.datetime64(one, form).astype("int64") for one in texts.to_pylist()]
    return pa.array(values, pa.int64())


def _counted(texts: pa.Array, arrow: pa.DataType) -> pa.Array | None:
    """What Arrow reads; None where it cannot, or would not read a year well."""
    if pc.any(pc.starts_with(texts, "0000")).as_py():
        return None
    try:
        return texts.cast(arrow)
    except pa.ArrowException:
        return None


def _date(texts: pa.Array, _: t.Date, __: bool) -> pa.Array:
    made = _counted(texts, pa.date32())
    return _far(texts, "D").cast(pa.int32()).cast(pa.date32()) if made is None else made


def _datetime(texts: pa.Array, _: t.NeutralType, __: bool) -> pa.Array:
    made = _counted(texts, pa.timestamp("us"))
    return _far(texts, "us").cast(pa.timestamp("us")) if made is None else made


def _instant(texts: pa.Array, neutral: t.Instant, strict: bool) -> pa.Array:
    if pc.all(pc.ends_with(texts, "Z")).as_py() is not False:
        made = _datetime(pc.utf8_slice_codeunits(texts, 0, -1), neutral, strict)
        return made.view(pa.timestamp("us", "UTC"))
    return texts.cast(pa.timestamp("us", "UTC"))


def _time(texts: pa.Array, _: t.Time, __: bool) -> pa.Array:
    whole = pc.binary_join_element_wise(pa.scalar(_EPOCH, texts.type), texts, pa.scalar("", texts.type))
    counts = whole.cast(pa.timestamp("us")).cast(pa.int64())
    _require(pc.max(counts).as_py() < _DAY)
    return counts.cast(pa.time64("us"))


def _duration(texts: pa.Array, _: t.Duration, __: bool) -> pa.Array:
    found = pc.extract_regex(texts, _DURATION)
    _require(found.null_count == texts.null_count)
    parts = [pc.struct_field(found, name) for name in "hms"]
    hours, minutes, seconds = (part.cast(pa.int64()) for part in parts)
    micros = pc.utf8_rpad(pc.struct_field(found, "f"), 6, "0").cast(pa.int64())
    total = pc.add(pc.add(pc.multiply(hours, 3600), pc.multiply(minutes, 60)), seconds)
    total = pc.add(pc.multiply(total, 1_000_000), micros)
    return pc.if_else(pc.equal(pc.struct_field(found, "sign"), "-"), pc.negate(total), total).cast(pa.duration("us"))


def unhex(texts: pa.Array, prefix: int) -> pa.Array:
    """The bytes that pairs of hex digits stand for, `prefix` signs before them left out."""
    digits = pc.fill_null(pc.utf8_slice_codeunits(texts, prefix, None), "").cast(STRING)
    _, offsets, data = digits.buffers()
    ends = np.frombuffer(offsets, np.int64, len(digits) + 1, digits.offset * 8)
    _require(not bool((ends % 2).any()) and not bool(ends[0] % 2))
    held = bytes(memoryview(data)[ends[0] : ends[-1]]) if data is not None else b""
    _require(not re.search(rb"[^0-9a-fA-F]", held))
    halves = ((ends - ends[0]) // 2).astype(np.int64)
    made = pa.Array.from_buffers(
        pa.large_binary(),
        len(digits),
        [None, pa.py_buffer(halves.tobytes()), pa.py_buffer(bytes.fromhex(held.decode()))],
    )
    return pc.if_else(pc.is_valid(texts), made, pa.scalar(None, pa.large_binary())) if texts.null_count else made


def _bytes(texts: pa.Array, _: t.NeutralType, __: bool) -> pa.Array:
    _require(pc.all(pc.starts_with(texts, "\\x")).as_py())
    return unhex(texts, 2).cast(pa.binary())


def _uuid(texts: pa.Array, _: t.Uuid, __: bool) -> pa.Array:
    pattern = r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"
    _require(pc.all(pc.match_substring_regex(texts, pattern)).as_py())
    return unhex(pc.replace_substring(texts, "-", ""), 0).cast(pa.binary()).cast(pa.binary(16))


_STEPS: Mapping[type, Parse] = {
    t.Boolean: _boolean,
    t.Integer: _integer,
    t.Year: _integer,
    t.Decimal: _decimal,
    t.Float: _float,
    t.Date: _date,
    t.Time: _time,
    t.DateTime: _datetime,
    t.Instant: _instant,
    t.Duration: _duration,
    t.Binary: _bytes,
    t.Geometry: _bytes,
    t.Uuid: _uuid,
}

EMPTY_IS_NULL = frozenset(_STEPS)
"""The kinds of which no value is the empty text."""

_NAMES: Mapping[type, str] = {
    t.Boolean: "boolean (true or false)",
    t.Integer: "whole number of that size",
    t.Year: "year",
    t.Decimal: "decimal number with so many digits",
    t.Float: "floating point number that a double keeps",
    t.Date: "date (2024-02-29)",
    t.Time: "time (23:59:59)",
    t.DateTime: "date with a time (2024-02-29T23:59:59)",
    t.Instant: "date with a time and a zone (2024-02-29T23:59:59Z)",
    t.Duration: "duration (23:59:59)",
    t.Binary: "bytes in hex (\\x00ff)",
    t.Geometry: "bytes in hex (\\x00ff)",
    t.Uuid: "UUID",
}
