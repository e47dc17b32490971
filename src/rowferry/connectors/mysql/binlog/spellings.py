"""Values as text, as the servers' own CAST(… AS CHAR) has them, for columns that are read so."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any
from uuid import UUID

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rowferry.connectors.mysql.binlog import jsonb, moments, numbers, texts
from rowferry.connectors.mysql.binlog.cells import Cells
from rowferry.connectors.mysql.types import neutral_type
from rowferry.model import types as t
from rowferry.model.tables import NativeType

Spell = Callable[[Cells], pa.Array]

_ZEROFILL = re.compile(r"\w+\((?P<width>\d+)\) unsigned zerofill")
_FOUR_DIGITS = frozenset({"year", "year(4)"})
_DIGITS_OF_FLOAT = 6
"""A FLOAT is shown with so many, whatever more it has."""


def speller(native: NativeType) -> Spell | None:
    """What spells the values of a column of that type; None where the server's own spelling is not known to be met."""
    neutral = neutral_type(native)
    spell = _SPELLERS.get(type(neutral))
    plain = _PLAIN.get(type(neutral))
    if spell is None or (plain is not None and not plain(native)):
        return None
    return lambda cells: spell(replace(cells, column=replace(cells.column, type=neutral, read_as=None)))


def _integers(cells: Cells) -> pa.Array:
    found = numbers.integers(cells).cast(pa.string())
    filled = _ZEROFILL.fullmatch(cells.column.native.declared)
    return found if filled is None else pc.utf8_lpad(found, int(filled["width"]), "0")


def _years(cells: Cells) -> pa.Array:
    return pc.utf8_lpad(numbers.years(cells).cast(pa.string()), 4, "0")


def _floats(cells: Cells) -> pa.Array:
    """In the fewest digits that tell it; Python's own are the same, but for a FLOAT's, which are cut."""
    values = numbers.floats(cells)
    if pa.types.is_float32(values.type):
        return pa.array([None if one is None else _float(_cut(one)) for one in values.to_pylist()], pa.string())
    return pa.array([None if one is None else _float(one) for one in values.to_pylist()], pa.string())


def _cut(value: float) -> float:
    return float(f"{value:.{_DIGITS_OF_FLOAT}g}")


def _float(value: float) -> str:
    return jsonb.number(value).removesuffix(".0")


def _durations(cells: Cells) -> pa.Array:
    """Hours in two digits, or three."""
    count: Any = np.asarray(pc.fill_null(moments.durations(cells).cast(pa.int64()), 0))
    seconds, micros = np.divmod(np.abs(count), 1_000_000)
    fields = [(seconds // 3600, 3, "-"), (seconds // 60 % 60, 2, ":"), (seconds % 60, 2, ":")]
    digits = cells.column.native.scale or 0
    if digits:
        fields.append((micros // 10 ** (6 - digits), digits, "."))
    letters = moments.letters(fields, len(cells))
    letters[count >= 0, 0] = ord("+")
    signed = pc.replace_substring_regex(cells.digits(letters), r"^\+", "")
    return pc.replace_substring_regex(signed, r"^(-?)0(\d\d:)", r"\1\2")


def _uuids(cells: Cells) -> pa.Array:
    found = texts.uuids(cells).to_pylist()
    return pa.array([None if one is None else str(UUID(bytes=one)) for one in found], pa.string())


_SPELLERS: Mapping[type, Spell] = {
    t.Integer: _integers,
    t.Year: _years,
    t.Float: _floats,
    t.Decimal: numbers.spelled_decimals,
    t.Enum: texts.enums,
    t.Set: texts.sets,
    t.Inet: texts.addresses,
    t.Json: texts.documents,
    t.Uuid: _uuids,
    t.Date: moments.spelled,
    t.DateTime: moments.spelled,
    t.Instant: moments.spelled,
    t.Duration: _durations,
}
"""One row for each neutral type of these servers that is read as text."""

_PLAIN: Mapping[type, Callable[[NativeType], bool]] = {
    t.Integer: lambda native: "zerofill" not in native.declared or _ZEROFILL.fullmatch(native.declared) is not None,
    t.Year: lambda native: native.declared in _FOUR_DIGITS,
    t.Float: lambda native: "(" not in native.declared and "zerofill" not in native.declared,
    t.Decimal: lambda native: "zerofill" not in native.declared,
}
"""Which declarations change nothing about how a type is spelled."""
