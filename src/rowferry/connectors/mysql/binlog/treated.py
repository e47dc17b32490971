"""What is read in place of a column's values: as the server reads it by SQL, so the log's values become.

The kinds and ways are those of `mysql/treat.py`, which says the same in SQL.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rowferry.connectors.mysql.binlog import moments, quantities
from rowferry.connectors.mysql.binlog.cells import Cells
from rowferry.connectors.mysql.binlog.spellings import Spell, speller
from rowferry.connectors.mysql.binlog.values import DECODERS, Decode
from rowferry.connectors.mysql.sql import quoted
from rowferry.model import types as t
from rowferry.model.policies import Instead, OddValue, TypePolicy
from rowferry.model.tables import Column

EXPRESSION = (
    " is read through an expression, which cannot be done with changes: take its typePolicies and target type out, or "
    "leave it out by selectedColumns."
)
"""What is said of a column whose values in the log cannot be made what the server would give; goes on from its name."""


def is_followed(column: Column) -> bool:
    """Whether what is read in the column's place can be made of its values in the log."""
    if column.read_as is None:
        return True
    if column.instead:
        return all(one.kind in _KINDS and one.policy in _KINDS[one.kind].ways for one in column.instead)
    return _spelled(column) is not None


def decoder(column: Column) -> Decode:
    """What decodes the column as it is read; KeyError for a type that never crosses."""
    spell = None if column.read_as is None or column.instead else _spelled(column)
    if spell is not None:
        return spell
    decode = DECODERS[type(column.type)]
    return partial(_replaced, decode) if column.instead else decode


def _spelled(column: Column) -> Spell | None:
    """What spells the column, where it is read as its own text."""
    as_text = isinstance(column.type, t.Text | t.Foreign) and column.read_as == f"CAST({quoted(column.name)} AS CHAR)"
    return speller(column.native) if as_text else None


def _replaced(decode: Decode, cells: Cells) -> pa.Array:
    """The values, with others in the place of odd ones. What is odd is told by what lies in the log, kind by kind."""
    there = np.ones(len(cells), np.bool_) if cells.null is None else ~cells.null
    readable = cells
    if any(one.kind is OddValue.ZERO_DATE for one in cells.column.instead):
        odd = moments.odd(cells) & there
        readable = replace(cells, null=~there | odd) if odd.any() else cells
    values = decode(readable)
    found = values
    for one in cells.column.instead:
        kind = _KINDS[one.kind]
        odd = kind.odd(cells, values, one) & there
        if odd.any():
            mask = pa.array(odd)
            found = pc.replace_with_mask(found, mask, kind.ways[one.policy](values.filter(mask), one))
    return found


Odd = Callable[[Cells, pa.Array, Instead], Any]
Way = Callable[[pa.Array, Instead], pa.Array | pa.Scalar]


@dataclass(frozen=True, slots=True)
class _Kind:
    """Which values are of that kind, and what stands in the place of those by policy."""

    odd: Odd
    ways: Mapping[TypePolicy, Way]


def _null(values: pa.Array, _: Instead) -> pa.Scalar:
    return pa.scalar(None, values.type)


def _epoch(values: pa.Array, _: Instead) -> pa.Scalar:
    counted = pa.int32() if pa.types.is_date32(values.type) else pa.int64()
    return pa.scalar(0, counted).cast(values.type)


def _negative_zeros(_: Cells, values: pa.Array, __: Instead) -> Any:
    numbers = np.asarray(pc.fill_null(values, 1.0))
    return np.signbit(numbers) & (numbers == 0)


def _with_nul(_: Cells, values: pa.Array, __: Instead) -> Any:
    return np.asarray(pc.fill_null(pc.match_substring(values, "\0"), False), np.bool_)


_KINDS: Mapping[OddValue, _Kind] = {
    OddValue.ZERO_DATE: _Kind(
        lambda cells, _, __: moments.odd(cells), {TypePolicy.NULL: _null, TypePolicy.EPOCH: _epoch}
    ),
    OddValue.NEGATIVE_ZERO: _Kind(
        _negative_zeros, {TypePolicy.NULL: _null, TypePolicy.CLAMP: lambda values, _: pa.scalar(0.0, values.type)}
    ),
    OddValue.NUMBER: _Kind(
        lambda _, values, one: quantities.outside(values, one.neutral),
        {TypePolicy.NULL: _null, TypePolicy.CLAMP: lambda values, one: quantities.nearest(values, one.neutral)},
    ),
    OddValue.NUL: _Kind(
        _with_nul,
        {TypePolicy.NULL: _null, TypePolicy.CLAMP: lambda values, _: pc.replace_substring(values, "\0", "")},
    ),
    OddValue.EMPTY_ENUM: _Kind(
        lambda cells, _, __: cells.octets.little(cells.at, cells.log.first) == 0, {TypePolicy.NULL: _null}
    ),
}
"""By kind; text makes the column text as a whole, and is no way here."""
