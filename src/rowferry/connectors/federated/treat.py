"""What is computed in place of values that DuckDB has and a target has not."""

from __future__ import annotations

from rowferry.connectors.federated.engine import quoted
from rowferry.model import types as t
from rowferry.model.policies import Holds, OddValue, TypePolicy
from rowferry.model.tables import Column
from rowferry.typemap.treatment import (
    Policies,
    Treated,
    Treatment,
    Want,
    is_narrower,
    nearest,
    outside,
    seconds,
    treated,
)

HOLDS = Holds(frozenset({OddValue.ZERO_DATE, OddValue.FAR_DATE, OddValue.LATE_TIME}))
"""What DuckDB's columns hold of the values that sources have."""

_FIRST, _LAST = "4713-01-01 (BC)", "294246-12-31"


def _day(want: Want, day: str, clock: str) -> str:
    kind = {t.Date: "DATE", t.DateTime: "TIMESTAMP"}.get(type(want.column.type), "TIMESTAMPTZ")
    if kind == "DATE":
        return f"DATE '{day}'"
    number, _, era = day.partition(" ")
    return f"{kind} '{f'{number} {era}'.strip()} {clock}'"


def _first(want: Want) -> str:
    return _day(want, want.holds.first_day or _FIRST, "00:00:00")


def _last(want: Want) -> str:
    return _day(want, want.holds.last_day or _LAST, seconds(want))


def _lacks(kind: OddValue, *types: type) -> Treatment:
    ways = {
        OddValue.NOT_FINITE: (lambda name, _: f"NOT isfinite({name})", {}),
        OddValue.NEGATIVE_ZERO: (
            lambda name, _: f"({name} = 0 AND signbit({name}))",
            {TypePolicy.CLAMP: lambda *_: "0"},
        ),
        OddValue.NUL: (
            lambda name, _: f"contains(CAST({name} AS VARCHAR), chr(0))",
            {TypePolicy.CLAMP: lambda name, _: f"replace(CAST({name} AS VARCHAR), chr(0), '')"},
        ),
    }
    odd, instead = ways[kind]
    return Treatment(kind, lambda want: kind in want.holds.lacks and isinstance(want.column.type, types), odd, instead)


def _is_narrower(want: Want) -> bool:
    """Of numbers that are numbers to DuckDB."""
    return want.column.extra != "VARCHAR" and is_narrower(want)


TREATMENTS = (
    Treatment(
        OddValue.FAR_DATE,
        lambda want: want.is_moment,
        lambda name, want: f"NOT (isfinite({name}) AND {name} BETWEEN {_first(want)} AND {_last(want)})",
        {
            TypePolicy.CLAMP: lambda name, want: (
                f"CASE WHEN {name} > {_last(want)} THEN {_last(want)} ELSE {_first(want)} END"
            ),
            TypePolicy.EPOCH: lambda _, want: _day(want, "1970-01-01", "00:00:00"),
        },
    ),
    Treatment(
        OddValue.LATE_TIME,
        lambda want: isinstance(want.column.type, t.Time),
        lambda name, _: f"{name} = TIME '24:00:00'",
        {TypePolicy.CLAMP: lambda _, want: f"TIME '{seconds(want)}'"},
    ),
    _lacks(OddValue.NOT_FINITE, t.Float),
    _lacks(OddValue.NEGATIVE_ZERO, t.Float),
    _lacks(OddValue.NUL, t.Text, t.Json),
    Treatment(OddValue.NUMBER, _is_narrower, outside, {TypePolicy.CLAMP: nearest}),
)
"""By kind: where, which values, and what stands in their place."""


class _Sql:
    """DuckDB's words."""

    treatments = TREATMENTS

    def name(self, column: Column) -> str:
        """See `Engine.name`."""
        return quoted(column.name)

    def as_text(self, column: Column) -> str:
        """See `Engine.as_text`."""
        return f"CAST({quoted(column.name)} AS VARCHAR)"

    def typed(self, expression: str, column: Column) -> str:
        """See `Engine.typed`."""
        return f"CAST({expression} AS {column.extra})"


def treat(want: Want, policies: Policies) -> Treated:
    """See `Source.treated`."""
    return treated(_Sql(), want, policies)
