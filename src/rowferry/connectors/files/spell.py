"""Texts of a file, as `text` tells of them, in the forms in which they are compared: whole arrays at a time."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from ipaddress import ip_interface

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rowferry.connectors.files.text import hex_digits
from rowferry.model import types as t
from rowferry.model.digests import Compared, Form, Spelling

STRING = pa.large_string()
"""The Arrow type of every text here."""

_EMPTY = pa.scalar("", STRING)
_MILLISECONDS = len("2024-02-29 23:59:59.123")
_BEFORE_YEAR_1 = r"^(-\d+|0000)-"

Value = Callable[[pa.Array], pa.Array]


def _as_is(array: pa.Array) -> pa.Array:
    return array


def _joined(*parts: pa.Array | str) -> pa.Array:
    whole = [pa.scalar(part, STRING) if isinstance(part, str) else part for part in parts]
    return pc.binary_join_element_wise(*whole, _EMPTY)


def _truth(array: pa.Array) -> pa.Array:
    return pc.if_else(pc.equal(array, "true"), pa.scalar("1", STRING), pa.scalar("0", STRING))


def _without_zeros(array: pa.Array) -> pa.Array:
    point = pc.match_substring(array, ".")
    return pc.if_else(point, pc.utf8_rtrim(pc.utf8_rtrim(array, "0"), "."), array)


def _double(array: pa.Array) -> pa.Array:
    """The bits of a double, the highest byte first."""
    numbers = array.cast(pa.float64())
    bits = np.asarray(pc.fill_null(numbers, 0.0)).astype(">f8").tobytes()
    whole = pa.Array.from_buffers(pa.binary(8), len(array), [None, pa.py_buffer(bits)])
    return _with_nulls(_joined("\\x", hex_digits(whole)), array)


def _single(array: pa.Array) -> pa.Array:
    return _double(array.cast(pa.float32()).cast(pa.float64()))


def _with_nulls(made: pa.Array, array: pa.Array) -> pa.Array:
    return pc.if_else(pc.is_valid(array), made, pa.scalar(None, STRING)) if array.null_count else made


def _address(array: pa.Array) -> pa.Array:
    """Family, bits of the mask, whether it is a network, length, address, in hex; as a database sends it."""
    return pa.array([None if word is None else _address_bytes(word) for word in array.to_pylist()], STRING)


def _address_bytes(word: str) -> str:
    found = ip_interface(word)
    family = 2 if found.version == 4 else 3
    head = bytes((family, found.network.prefixlen, 0, len(found.packed)))
    return "\\x" + (head + found.packed).hex()


def _moment(array: pa.Array) -> pa.Array:
    return pc.replace_substring(array, "T", " ", max_replacements=1)


_VALUES: dict[type, Value] = {
    t.Boolean: _truth,
    t.Inet: _address,
    t.DateTime: _moment,
    t.Instant: lambda array: _moment(pc.utf8_rtrim(array, "Z")),
}
"""What is done to a file's text first, by neutral type."""


def _number(array: pa.Array, spelling: Spelling, _: t.NeutralType) -> pa.Array:
    return _without_zeros(array) if spelling.trimmed else array


def _float(array: pa.Array, _: Spelling, neutral: t.NeutralType) -> pa.Array:
    return _single(array) if neutral == t.Float(32) else _double(array)


def _text(array: pa.Array, spelling: Spelling, _: t.NeutralType) -> pa.Array:
    if spelling.stripped:
        array = pc.utf8_rtrim(array, " ")
    if spelling.hashed:
        return md5(array)
    framed = _joined(pc.binary_length(array.cast(pa.large_binary())).cast(STRING), ":", array)
    return pc.fill_null(framed, pa.scalar(":", STRING))


def _bytes(array: pa.Array, spelling: Spelling, _: t.NeutralType) -> pa.Array:
    if not spelling.hashed:
        return array
    values = (None if word is None else bytes.fromhex(word[2:]) for word in array.to_pylist())
    return pa.array([None if value is None else _digest(value) for value in values], STRING)


def _time(array: pa.Array, spelling: Spelling, neutral: t.NeutralType) -> pa.Array:
    if spelling.digits < 6:
        array = pc.utf8_slice_codeunits(array, 0, _MILLISECONDS)
    zone = "+00" if spelling.form is Form.INSTANT else ""
    clocks = array if isinstance(neutral, t.Date | t.Interval) else _without_zeros(array)
    if isinstance(neutral, t.Date | t.DateTime | t.Instant):
        return _with_eras(clocks, zone)
    return clocks


def _with_eras(array: pa.Array, zone: str) -> pa.Array:
    """Years before 1 with BC behind them, as PostgreSQL counts them: there is no year 0."""
    early = pc.match_substring_regex(array, _BEFORE_YEAR_1)
    made = _joined(array, zone) if zone else array
    if not pc.any(early).as_py():
        return made
    return pa.array([_era(one, zone) for one in array.to_pylist()], STRING)


def _era(moment: str | None, zone: str) -> str | None:
    if moment is None:
        return None
    year, rest = moment[:1] + moment[1:].partition("-")[0], moment[1:].partition("-")[2]
    if int(year) > 0:
        return moment + zone
    return f"{1 - int(year):04}-{rest}{zone} BC"


_DRESSES: dict[Form, Callable[[pa.Array, Spelling, t.NeutralType], pa.Array]] = {
    Form.WHOLE: _number,
    Form.DECIMAL: _number,
    Form.FLOAT: _float,
    Form.TEXT: _text,
    Form.BYTES: _bytes,
    Form.DATE: _time,
    Form.MOMENT: _time,
    Form.INSTANT: _time,
    Form.CLOCK: _time,
}


def spelled(array: pa.Array, one: Compared) -> pa.Array:
    """The texts of one column in their form; nothing is NULL any more."""
    value = _VALUES.get(type(one.column.type), _as_is)(array)
    made = _DRESSES[one.spelling.form](value, one.spelling, one.column.type)
    return pc.fill_null(made.cast(STRING), _EMPTY)


def rows(columns: Sequence[pa.Array]) -> pa.Array:
    """The spelling of each row, out of that of its columns."""
    return pc.binary_join_element_wise(*columns, pa.scalar(",", STRING))


def md5(array: pa.Array) -> pa.Array:
    """The MD5 of each text; NULL of NULL."""
    values = array.cast(pa.large_binary()).to_pylist()
    return pa.array([None if value is None else _digest(value) for value in values], STRING)


def _digest(value: bytes) -> str:
    return hashlib.md5(value, usedforsecurity=False).hexdigest()
