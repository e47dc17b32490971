"""What is read in place of values that PostgreSQL has and a target, or the way there, has not."""

from __future__ import annotations

from dataclasses import replace

from rowferry.connectors.postgres.names import quoted
from rowferry.model import types as t
from rowferry.model.policies import OddValue, TypePolicy
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

_NOT_FINITE = "('NaN', 'Infinity', '-Infinity')"
_FIRST, _LAST = "4713-11-24 BC", "5874897-12-31"
_LAST_MOMENT = "294246-12-31"
"""Up to which years the driver gives moments rightly."""


def _sql_type(want: Want) -> str:
    return {t.Date: "date", t.DateTime: "timestamp"}.get(type(want.column.type), "timestamptz")


def _day(want: Want, day: str, clock: str) -> str:
    if isinstance(want.column.type, t.Date):
        return f"'{day}'::date"
    number, _, era = day.partition(" ")
    return f"'{f'{number} {clock} {era}'.strip()}'::{_sql_type(want)}"


def _first(want: Want) -> str:
    return _day(want, want.holds.first_day or _FIRST, "00:00:00")


def _last(want: Want) -> str:
    most = _LAST if isinstance(want.column.type, t.Date) else _LAST_MOMENT
    return _day(want, want.holds.last_day or most, seconds(want))


def _far(name: str, want: Want) -> str:
    return f"NOT (isfinite({name}) AND {name} BETWEEN {_first(want)} AND {_last(want)})"


def _nearest_day(name: str, want: Want) -> str:
    return f"CASE WHEN {name} > {_last(want)} THEN {_last(want)} ELSE {_first(want)} END"


def _may_be_infinite(want: Want) -> bool:
    if isinstance(want.column.type, t.Float | t.Number):
        return OddValue.NOT_FINITE in want.holds.lacks or want.neutral != want.column.type
    return isinstance(want.column.type, t.Decimal)


def _not_finite(name: str, _: Want) -> str:
    return f"{name}::text IN {_NOT_FINITE}"


TREATMENTS = (
    Treatment(
        OddValue.FAR_DATE,
        lambda want: want.is_moment,
        _far,
        {
            TypePolicy.CLAMP: _nearest_day,
            TypePolicy.EPOCH: lambda _, want: _day(want, "1970-01-01", "00:00:00"),
        },
    ),
    Treatment(
        OddValue.LATE_TIME,
        lambda want: isinstance(want.column.type, t.Time),
        lambda name, _: f"{name} = '24:00:00'",
        {TypePolicy.CLAMP: lambda _, want: f"'{seconds(want)}'::time"},
    ),
    Treatment(OddValue.NOT_FINITE, _may_be_infinite, _not_finite, {}),
    Treatment(
        OddValue.NEGATIVE_ZERO,
        lambda want: OddValue.NEGATIVE_ZERO in want.holds.lacks and isinstance(want.column.type, t.Float),
        lambda name, _: f"({name} = 0 AND {name}::text LIKE '-%')",
        {TypePolicy.CLAMP: lambda *_: "0"},
    ),
    Treatment(
        OddValue.NUMBER,
        is_narrower,
        lambda name, want: f"({name}::text NOT IN {_NOT_FINITE} AND {outside(f'{name}::numeric', want)})",
        {TypePolicy.CLAMP: lambda name, want: nearest(f"{name}::numeric", want)},
    ),
)
"""By kind: where, which values, and what stands in their place."""


class _Sql:
    """PostgreSQL's words; the relation is called `t` (`selection`)."""

    treatments = TREATMENTS

    def name(self, column: Column) -> str:
        """See `Engine.name`."""
        return f"t.{quoted(column.name)}"

    def as_text(self, column: Column) -> str:
        """See `Engine.as_text`; a fixed text keeps its blanks."""
        return f"{self.name(column)}::text"

    def typed(self, expression: str, column: Column) -> str:
        """See `Engine.typed`."""
        return f"({expression})::{column.native.declared}"


def treat(want: Want, policies: Policies) -> Treated:
    """See `Source.treated`. For another PostgreSQL a date or time crosses with all that only PostgreSQL has."""
    column = want.column
    if want.holds.own and isinstance(column.type, t.Endless) and want.neutral == column.type:
        return Treated(column, crosses=replace(column, type=replace(column.type, endless=True)))
    return treated(_Sql(), want, policies)
