"""What is read in place of values that MySQL and MariaDB have and a target has not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from rowferry.connectors.mysql.sql import odd_date, quoted
from rowferry.connectors.mysql.types import ENGINE
from rowferry.model import types as t
from rowferry.model.policies import OddValue, TypePolicy
from rowferry.model.tables import Column
from rowferry.typemap.treatment import Policies, Treated, Treatment, Want, is_narrower, nearest, outside, treated

_TEXTS = (t.Text, t.Json, t.Enum, t.Set)


def _lacks(kind: OddValue, *types: type) -> Callable[[Want], bool]:
    return lambda want: kind in want.holds.lacks and isinstance(want.column.type, types)


def _epoch(_: str, want: Want) -> str:
    plain = isinstance(want.column.type, t.Date)
    return "DATE '1970-01-01'" if plain else "CAST('1970-01-01 00:00:00' AS DATETIME)"


def _bytes(name: str) -> str:
    """The text in UTF-8, as bytes: in some collations a NUL equals nothing at all."""
    return f"CAST({name} AS BINARY)"


TREATMENTS = (
    Treatment(
        OddValue.ZERO_DATE, lambda want: want.is_moment, lambda name, _: odd_date(name), {TypePolicy.EPOCH: _epoch}
    ),
    Treatment(
        OddValue.NEGATIVE_ZERO,
        _lacks(OddValue.NEGATIVE_ZERO, t.Float),
        lambda name, _: f"({name} = 0 AND LEFT(CAST({name} AS CHAR), 1) = '-')",
        {TypePolicy.CLAMP: lambda *_: "0e0"},
    ),
    Treatment(OddValue.NUMBER, is_narrower, outside, {TypePolicy.CLAMP: nearest}),
    Treatment(
        OddValue.NUL,
        _lacks(OddValue.NUL, *_TEXTS),
        lambda name, _: f"LOCATE(x'00', {_bytes(name)}) > 0",
        {TypePolicy.CLAMP: lambda name, _: f"CONVERT(REPLACE({_bytes(name)}, x'00', x'') USING utf8mb4)"},
    ),
    Treatment(
        OddValue.EMPTY_ENUM,
        _lacks(OddValue.EMPTY_ENUM, t.Enum),
        lambda _, want: f"{quoted(want.column.name)} + 0 = 0",
        {},
    ),
)
"""By kind: where, which values, and what stands in their place."""


class _Sql:
    """The words of these servers."""

    treatments = TREATMENTS

    def name(self, column: Column) -> str:
        """See `Engine.name`; texts all in one charset and collation, so that a CASE may give one or the other."""
        name = quoted(column.name)
        return f"CONVERT({name} USING utf8mb4)" if isinstance(column.type, _TEXTS) else name

    def as_text(self, column: Column) -> str:
        """See `Engine.as_text`."""
        return f"CAST({quoted(column.name)} AS CHAR)"

    def typed(self, expression: str, column: Column) -> str:
        """See `Engine.typed`: a CASE has the type of what it may give."""
        return f"({expression})"


def treat(want: Want, policies: Policies) -> Treated:
    """See `Source.treated`. For a target of the same engine a date crosses as its text: it may be a zero date."""
    if want.holds.own and want.is_moment and want.neutral == want.column.type:
        text = f"CAST({quoted(want.column.name)} AS CHAR)"
        crosses = replace(want.column, type=t.Foreign(ENGINE, want.column.native.declared), read_as=text)
        return Treated(want.column, crosses=crosses)
    return treated(_Sql(), want, policies)


def reference(column: Column) -> str:
    """What is read: the column, or what stands in its place."""
    return column.read_as or quoted(column.name)
