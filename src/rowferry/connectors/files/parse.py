"""Texts as values, whole arrays at a time: the way back from `text`.

A type that was told from the files' own texts is `strict`: a text that such a type would spell in another way, such
as 007 for a whole number, does not fit it, so that nothing changes in silence.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rowferry.model import types as t
from rowferry.typemap.arrow import arrow_type

STRING = pa.large_string()

DIGITS = 15
"""So many digits of a number survive a double, whichever they are."""

_ASCII_0, _ASCII_MINUS = 48, 45
_DAY = 86_400_000_000
_EPOCH = "1970-01-01T"
_DURATION = r"^(?P<sign>-?)(?P<h>\d{2,4}):(?P<m>[0-5]\d):(?P<s>[0-5]\d)(?:\.(?P<f>\d{1,6}))?$"
_PLAIN_YEAR = r"^\d{4}-"
_SIGNS = re.compile(r"[^0-9]")

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


def _first_signs(texts: pa.Array) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The first and second byte of each text (0 where there is none), and the texts' lengths."""
    plain = pc.fill_null(texts, "").cast(STRING)
    _, offsets, data = plain.buffers()
    ends = np.frombuffer(offsets, np.int64, len(plain) + 1, plain.offset * 8)
    held = np.frombuffer(data, np.uint8) if data is not None and data.size else np.zeros(1, np.uint8)
    lengths = ends[1:] - ends[:-1]
    last = len(held) - 1
    first = np.where(lengths > 0, held[np.minimum(ends[:-1], last)], 0)
    second = np.where(lengths > 1, held[np.minimum(ends[:-1] + 1, last)], 0)
    return first, second, lengths


def _integer(texts: pa.Array, neutral: t.NeutralType, strict: bool) -> pa.Array:
    first, second, lengths = _first_signs(texts)
    zeros = (first == _ASCII_0) & (lengths > 1)
    odd = (zeros & ((second < _ASCII_0) | (second > _ASCII_0 + 9))) | ((first == _ASCII_MINUS) & (second == _ASCII_0))
    _require(not bool((odd | zeros if strict else odd).any()))
    return texts.cast(arrow_type(neutral))


def _decimal(texts: pa.Array, neutral: t.Decimal, strict: bool) -> pa.Array:
    if strict:
        first, second, _ = _first_signs(texts)
        digit = (second >= _ASCII_0) & (second <= _ASCII_0 + 9)
        _require(not bool(((first == _ASCII_0) & digit).any()))
        _require(not pc.any(pc.match_substring_regex(texts, r"[eE]|^-0\d|^-0(\.0*)?$|\.$|^-?\.|^\+")).as_py())
    return texts.cast(arrow_type(neutral))


def _float(texts: pa.Array, neutral: t.Float, strict: bool) -> pa.Array:
    made = texts.cast(arrow_type(neutral))
    if strict and (pc.max(pc.binary_length(texts)).as_py() or 0) > DIGITS:
        other = pc.fill_null(pc.not_equal(made.cast(STRING), texts.cast(STRING)), False)
        _require(all(reversible(one) for one in texts.filter(other).to_pylist()))
    return made


def reversible(number: str) -> bool:
    """Whether a number's text can be told from the double that it becomes."""
    mantissa = re.split("[eE]", number)[0]
    digits = _SIGNS.sub("", mantissa).strip("0")
    return len(digits) <= DIGITS or repr(float(number)) == number


def _far(texts: pa.Array, form: Literal["D", "us"]) -> pa.Array:
    """Days and moments whose years do not have four digits, which numpy reads."""
    values = [None if one is None else np.datetime64(one, form).astype("int64") for one in texts.to_pylist()]
    return pa.array(values, pa.int64())


def _plain(texts: pa.Array) -> bool:
    return pc.all(pc.match_substring_regex(texts, _PLAIN_YEAR)).as_py() is not False


def _date(texts: pa.Array, _: t.Date, __: bool) -> pa.Array:
    if _plain(texts) and not pc.any(pc.starts_with(texts, "0000")).as_py():
        return texts.cast(pa.date32())
    return _far(texts, "D").cast(pa.int32()).cast(pa.date32())


def _datetime(texts: pa.Array, _: t.NeutralType, __: bool) -> pa.Array:
    if _plain(texts) and not pc.any(pc.starts_with(texts, "0000")).as_py():
        return texts.cast(pa.timestamp("us"))
    return _far(texts, "us").cast(pa.timestamp("us"))


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
