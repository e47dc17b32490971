"""What a config asks for besides: other types, and other values for those that a target has not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from rowferry.config.stream import StreamConfig
from rowferry.connectors.base import PlannedTable, Source, Target
from rowferry.errors import InvalidInput
from rowferry.model import types as t
from rowferry.model.findings import Finding, Severity
from rowferry.model.policies import ODDITIES, Holds, OddValue, TypePolicy
from rowferry.model.tables import Column, Table
from rowferry.typemap.treatment import Policies, Treated, Want, too_long


@dataclass(frozen=True, slots=True)
class Shaped:
    """A table three times: as it is `planned`, as the source is asked for it, and as it is `compared` later."""

    planned: Table
    read: Table
    compared: Table
    findings: tuple[Finding, ...] = ()

    def of(self, planned: PlannedTable) -> PlannedTable:
        """The planned table with what it is read and compared as."""
        columns = tuple(
            one if read.type == other.type else replace(one, type=read.type)
            for one, read, other in zip(self.planned.columns, self.read.columns, self.compared.columns, strict=True)
        )
        source = replace(self.planned, columns=columns)
        read, compared = (None if other == source else other for other in (self.read, self.compared))
        return replace(planned, source=source, read=read, compared=compared)


@dataclass(frozen=True)
class Wishes:
    """What the config says about types, and what the target says to that."""

    policies: Policies
    overrides: Mapping[str, str]
    declared: Mapping[str, Column]

    @classmethod
    def of(cls, config: StreamConfig, target: Target) -> Wishes:
        """InvalidInput for a type that the target has not."""
        asked = config.type_overrides
        return cls(config.type_policies, asked, target.declared(set(asked.values())) if asked else {})

    def check_used(self, tables: Sequence[Table]) -> None:
        """InvalidInput for an override of a column that no table of the stream has."""
        known = {name for table in tables for column in table.columns for name in _names(table, column)}
        strange = sorted(set(self.overrides) - known)
        if strange:
            raise InvalidInput(
                f"typeOverrides names {', '.join(strange)}, and the stream's tables have no such column: "
                'write "table.column".'
            )

    def wanted(self, table: Table, column: Column) -> tuple[str, Column] | None:
        """The type that is asked for: as it was written, and as the target understands it."""
        written = next((self.overrides[name] for name in _names(table, column) if name in self.overrides), None)
        return None if written is None else (written, self.declared[written])


def _names(table: Table, column: Column) -> tuple[str, str]:
    return f"{table.name}.{column.name}", f"{table.name.name}.{column.name}"


def shape(table: Table, source: Source, holds: Holds, wishes: Wishes, policies: Policies) -> Shaped:
    """The table as the wishes want it; `policies` are the table's own."""
    both = {**wishes.policies, **policies}
    findings: list[Finding] = []
    planned, read, compared = [], [], []
    for column in table.columns:
        asked = wishes.wanted(table, column)
        neutral = column.type if asked is None else asked[1].type
        if asked is None and _bounded(column, holds, both):
            neutral = t.Decimal(*holds.digits) if holds.digits else column.type
        treated = source.treated(Want(column, neutral, holds), both)
        if asked is not None:
            _check_way(table, column, asked[0], treated.column.type, neutral)
        findings += _findings(table, column, asked, treated, both)
        compared.append(treated.column)
        read.append(treated.crosses or treated.column)
        text = isinstance(treated.column.type, t.Text) and treated.column.type != column.type
        planned.append(
            replace(
                treated.column,
                type=treated.column.type if text and asked is None else neutral,
                wanted=None if asked is None else asked[1].native,
                read_as=None,
                instead=(),
            )
        )
    tables = [replace(table, columns=tuple(columns)) for columns in (planned, read, compared)]
    return Shaped(tables[0], tables[1], tables[2], tuple(findings))


def _bounded(column: Column, holds: Holds, policies: Policies) -> bool:
    """Whether a number that is too long for the target shall be cut to its longest decimal."""
    wish = policies.get(OddValue.NUMBER, TypePolicy.ERROR)
    return wish in (TypePolicy.NULL, TypePolicy.CLAMP) and too_long(Want(column, column.type, holds))


def _check_way(table: Table, column: Column, written: str, read: t.NeutralType, neutral: t.NeutralType) -> None:
    from rowferry.typemap.recast import possible  # noqa: PLC0415 - most plans have no override and need no Arrow

    if not possible(read, neutral):
        raise InvalidInput(
            f"typeOverrides asks for {written} as the type of {table.name}.{column.name}, and there is no exact way "
            f"to it from {column.native.declared}: choose another type, or cast it in a query."
        )


def _findings(
    table: Table, column: Column, asked: tuple[str, Column] | None, treated: Treated, policies: Policies
) -> list[Finding]:
    place = f"{table.name}, column {column.name}"
    found = []
    if asked is not None:
        message = f"{place}: {column.native.declared} becomes {asked[0]}, as typeOverrides asks."
        found.append(Finding(Severity.WARNING, str(table.name), message, column.name))
    for kind in treated.applied:
        policy = policies[kind]
        if policy is TypePolicy.NULL and column.name in table.primary_key:
            message = f"{place}: is part of the primary key, so typePolicies.{kind.value} cannot be null for it."
            found.append(Finding(Severity.ERROR, str(table.name), message, column.name))
            continue
        oddity = ODDITIES[kind]
        message = f"{place}: {oddity.value} {oddity.ways[policy]}, as typePolicies.{kind.value} asks."
        found.append(Finding(Severity.WARNING, str(table.name), message, column.name))
    return found
