"""Odd values on their way out: which a column may hold that a target has not, and what is read in their place.

An engine has one table of treatments, read from the top. The SQL is read instead of the column, wherever rows are
read or compared, so that both see the same value.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from rowferry.model import types as t
from rowferry.model.policies import Holds, Instead, OddValue, TypePolicy
from rowferry.model.tables import Column
from rowferry.model.types import NeutralType

Policies = Mapping[OddValue, TypePolicy]
"""What becomes of values that a target has not; error for what is not named."""


@dataclass(frozen=True, slots=True)
class Treated:
    """A column of a source as it is read: its type and `read_as` say how, `applied` which kinds have their policy.

    `crosses`: how it is read for a target of the same engine, which takes it in that form (None: as `column`).
    """

    column: Column
    applied: tuple[OddValue, ...] = ()
    crosses: Column | None = None


@dataclass(frozen=True, slots=True)
class Want:
    """A column that has to become `neutral`, on a target that holds no more than `holds`."""

    column: Column
    neutral: NeutralType
    holds: Holds

    @property
    def is_moment(self) -> bool:
        """Whether it is a date, with or without a time."""
        return isinstance(self.column.type, t.Date | t.DateTime | t.Instant)


Sql = Callable[[str, Want], str]


@dataclass(frozen=True, slots=True)
class Treatment:
    """One kind of odd values: `odd` is true in SQL for such a value, `ways` says what stands in its place.

    NULL and text need no word of the engine's about it.
    """

    kind: OddValue
    when: Callable[[Want], bool]
    odd: Sql
    ways: Mapping[TypePolicy, Sql]


class Engine(Protocol):
    """What an engine says about its own SQL."""

    @property
    def treatments(self) -> Sequence[Treatment]:
        """One for each kind that its columns may hold."""

    def name(self, column: Column) -> str:
        """The column."""

    def as_text(self, column: Column) -> str:
        """The column as the engine spells it."""

    def typed(self, expression: str, column: Column) -> str:
        """The expression, of the column's own type."""


def treated(engine: Engine, want: Want, policies: Policies) -> Treated:
    """The column with what `policies` say about the kinds of values that it may hold and the target has not."""
    column = want.column
    read = crossing_type(column.type, want.neutral)
    if read != column.type:
        return Treated(replace(column, type=read, read_as=engine.as_text(column)))
    found = [
        (one, policies[one.kind])
        for one in engine.treatments
        if policies.get(one.kind, TypePolicy.ERROR) is not TypePolicy.ERROR and one.when(want)
    ]
    as_text = tuple(one.kind for one, policy in found if policy is TypePolicy.TEXT)
    if as_text and want.neutral == column.type:
        return Treated(replace(column, type=t.Text(), read_as=engine.as_text(column)), as_text)
    found = [(one, policy) for one, policy in found if policy is not TypePolicy.TEXT]
    if not found:
        return Treated(column)
    name = engine.name(column)
    expression = name
    for one, policy in found:
        instead = "NULL" if policy is TypePolicy.NULL else one.ways[policy](name, want)
        expression = f"CASE WHEN {one.odd(name, want)} THEN {instead} ELSE {expression} END"
    nullable = column.nullable or any(policy is TypePolicy.NULL for _, policy in found)
    read_as = engine.typed(expression, column)
    applied = tuple(Instead(one.kind, policy, want.neutral) for one, policy in found)
    changed = replace(column, nullable=nullable, read_as=read_as, instead=applied)
    return Treated(changed, tuple(one.kind for one, _ in found))


_BYTES = (t.Binary, t.Geometry)


def crossing_type(source: NeutralType, wanted: NeutralType) -> NeutralType:
    """As what a column of type `source` is read when it has to become `wanted`: text is made by the source's server."""
    return t.Text() if isinstance(wanted, t.Text) and not isinstance(source, (t.Text, *_BYTES)) else source


@dataclass(frozen=True, slots=True)
class Range:
    """The exact numbers that a type holds: from `least` to `most`, with `scale` digits after the point."""

    least: str
    most: str
    scale: int

    def holds(self, other: Range) -> bool:
        """Whether each number of `other` is one of this."""
        from decimal import Decimal  # noqa: PLC0415 - plans without a policy about numbers need none

        lower, higher = Decimal(self.least) <= Decimal(other.least), Decimal(self.most) >= Decimal(other.most)
        return lower and higher and self.scale >= other.scale


def range_of(neutral: NeutralType) -> Range | None:
    """The numbers of an exact type of bounded length; None for any other."""
    if isinstance(neutral, t.Boolean):
        return Range("0", "1", 0)
    if isinstance(neutral, t.Year):
        return Range("0", "2155", 0)
    if isinstance(neutral, t.Integer):
        half = 2 ** (neutral.bits - 1)
        return Range(str(-half), str(half - 1), 0) if neutral.signed else Range("0", str(2 * half - 1), 0)
    if isinstance(neutral, t.Decimal):
        digits, scale = "9" * (neutral.precision - neutral.scale), neutral.scale
        most = f"{digits or '0'}{'.' + '9' * scale if scale else ''}"
        return Range(f"-{most}", most, scale)
    return None


_NUMBERS = (t.Boolean, t.Year, t.Integer, t.Decimal, t.Number)


def is_narrower(want: Want) -> bool:
    """Whether the column is a number, and may hold some that what it has to become does not."""
    wanted = range_of(want.neutral)
    if wanted is None or not isinstance(want.column.type, _NUMBERS):
        return too_long(want)
    there = range_of(want.column.type)
    return there is None or not wanted.holds(there)


def too_long(want: Want) -> bool:
    """Whether the column is a number that may have more digits than the target's longest."""
    if want.holds.digits is None or not isinstance(want.column.type, t.Decimal | t.Number):
        return False
    there, most = range_of(want.column.type), range_of(t.Decimal(*want.holds.digits))
    return there is None or most is None or not most.holds(there)


def outside(name: str, want: Want) -> str:
    """In SQL: whether a number is none of the wanted range."""
    wanted = _wanted(want)
    return f"({name} < {wanted.least} OR {name} > {wanted.most} OR {name} <> ROUND({name}, {wanted.scale}))"


def nearest(name: str, want: Want) -> str:
    """In SQL: the nearest number of the wanted range."""
    wanted = _wanted(want)
    return (
        f"CASE WHEN {name} < {wanted.least} THEN {wanted.least} WHEN {name} > {wanted.most} THEN {wanted.most} "
        f"ELSE ROUND({name}, {wanted.scale}) END"
    )


def _wanted(want: Want) -> Range:
    wanted = range_of(want.neutral)
    if wanted is None:
        raise ValueError(f"{want.neutral} has no range")
    return wanted


def seconds(want: Want) -> str:
    """23:59:59 with as many digits as the column keeps."""
    precision = getattr(want.column.type, "precision", 0)
    return f"23:59:59{'.' + '9' * precision if precision else ''}"
