"""From a source's columns to the target's: names, types, defaults, and what has to be said about them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from rowferry.connectors.mysql.connect import Variant
from rowferry.connectors.mysql.expressions import computed, default_expression
from rowferry.connectors.mysql.sql import quoted
from rowferry.connectors.mysql.types import neutral_type
from rowferry.connectors.mysql.types_write import (
    DIALECT,
    WITH_CHARSET,
    exact_collation,
    is_masked,
    native_type,
    own_type,
    write_rule,
)
from rowferry.model import types as t
from rowferry.model.findings import Finding, Severity
from rowferry.model.tables import Column, Default, DefaultKind, NativeType, Table

LONGEST_COMMENT = 1024
"""Characters of a column's comment."""


@dataclass(frozen=True)
class Origin:
    """Where the tables come from, and for whom they are: what decides how a column is declared."""

    dialect: str
    variant: Variant
    collations: frozenset[str] = frozenset()

    def own(self, table: Table) -> bool:
        """Whether the columns' native types are this engine's own; a query's are only what its result announces."""
        return self.dialect == DIALECT and table.query is None


@dataclass(frozen=True, slots=True)
class Doubt:
    """A part of the structure that the server must agree to: `query` is only prepared, never run.

    `kind` and `name` say what is left out (a column's default or computation, a check) when it does not.
    """

    kind: str
    name: str
    query: str
    message: str
    severity: Severity = Severity.WARNING


@dataclass
class Notes:
    """What mapping one table found out, in the source's names."""

    table: Table
    findings: list[Finding] = field(default_factory=list)
    doubts: list[Doubt] = field(default_factory=list)

    def say(self, severity: Severity, message: str, *, column: str | None = None, item: str | None = None) -> None:
        """Add a finding about the table; `message` goes on from its name."""
        self.findings.append(Finding(severity, str(self.table.name), f"{self.table.name}{message}", column, item))

    def named(self, kind: str, name: str, given: str) -> str:
        """The name that a part of the structure was given, which is said where it is another one."""
        if given != name:
            self.say(Severity.INFO, f": the {kind} {name} is called {given} on the target.", item=name)
        return given


def map_columns(notes: Notes, names: Mapping[str, str], origin: Origin) -> tuple[Column, ...]:
    """All columns of the table; one that cannot be declared gets an error finding and stands as text."""
    mapped = []
    for column in notes.table.columns:
        native = _declared(notes, column, origin)
        _note(notes, column, names[column.name], native)
        comment = fitting(notes, column.comment, LONGEST_COMMENT, column.name)
        target = replace(column, name=names[column.name], native=native, default=None, generated=None, comment=comment)
        target = replace(target, extra="")
        if origin.own(notes.table):
            target = replace(target, extra=_kept_extra(column))
        if column.generated is not None:
            target = _computed(notes, column, target, names, origin)
        elif not column.identity:
            target = _with_default(notes, column, target, origin)
        mapped.append(target)
    _doubt_computed(notes, mapped)
    return tuple(mapped)


def fitting(notes: Notes, comment: str, longest: int, column: str | None = None) -> str:
    """The comment, or as much of it as the server keeps."""
    if len(comment) <= longest:
        return comment
    place = f", column {column}" if column else ""
    notes.say(Severity.INFO, f"{place}: only the first {longest} characters of its comment are kept.", column=column)
    return comment[:longest]


def row_of(columns: tuple[Column, ...] | list[Column]) -> str:
    """A row of NULLs with the columns' names, to prepare expressions on."""
    parts = ", ".join(f"NULL AS {quoted(column.name)}" for column in columns)
    return f"(SELECT {parts}) AS `probed`"


def _declared(notes: Notes, column: Column, origin: Origin) -> NativeType:
    if column.wanted is not None:
        return column.wanted
    if origin.own(notes.table) and neutral_type(column.native) == column.type:
        own = own_type(column, origin.variant)
        if own is not None:
            return _collated(notes, column, own, origin)
    rule = write_rule(column.type, origin.variant)
    if rule is None:
        notes.say(Severity.ERROR, f", column {column.name}: {_refusal(column)}", column=column.name)
        return native_type("longtext", origin.variant)
    native = native_type(rule.declare(column.type), origin.variant)
    changes = _MASKED if is_masked(column) and neutral_type(column.native) == column.type else rule.changes
    if changes:
        message = f", column {column.name}: the type {column.native.declared} {changes}."
        notes.say(Severity.WARNING, message, column=column.name)
    return native


_MASKED = "becomes text: the source shows some characters of its members as ?, so that they cannot be declared again"


def _refusal(column: Column) -> str:
    declared = column.native.declared
    ways = "Leave the column out by selectedColumns, or cast it to another type in a query."
    if isinstance(column.type, t.Number):
        return (
            f"{declared} without digits may hold any number, which no type here does; say decimal(p,s) in "
            f"typeOverrides, or set typePolicies.number to text. {ways}"
        )
    if isinstance(column.type, t.Decimal):
        return (
            f"the type {declared} has more digits than a decimal can hold here; say a shorter one in typeOverrides, or "
            f"set typePolicies.number to text. {ways}"
        )
    return f"the type {declared} cannot be carried to MySQL or MariaDB exactly. {ways}"


def _collated(notes: Notes, column: Column, native: NativeType, origin: Origin) -> NativeType:
    """With its character set and collation, as far as this server has them."""
    if native.name not in WITH_CHARSET or native.charset is None:
        return native
    if native.collation is None or native.collation in origin.collations:
        return native
    instead = exact_collation(origin.variant)
    notes.say(
        Severity.WARNING,
        f", column {column.name}: the target has no collation {native.collation}; {instead} stands in its place, "
        "which compares every character.",
        column=column.name,
    )
    return replace(native, charset="utf8mb4", collation=instead)


def _note(notes: Notes, column: Column, name: str, native: NativeType) -> None:
    if name != column.name:
        notes.say(
            Severity.INFO,
            f", column {column.name}: is called {name} on the target (at most 64 characters, case does not count).",
            column=column.name,
        )
    if column.native.kind == "enum":
        message = f", column {column.name}: the type {column.native.declared} becomes an enum of this column alone."
        notes.say(Severity.INFO, message, column=column.name)
    if column.native.kind == "domain":
        message = f", column {column.name}: {column.native.declared} is a domain and becomes {native.declared}; "
        notes.say(Severity.WARNING, f"{message}the domain's own checks are left out.", column=column.name)


_EXTRAS = ("invisible",)


def _kept_extra(column: Column) -> str:
    """What else the source's declaration said that can be said here."""
    kept = [word for word in _EXTRAS if word in column.extra.split()]
    update = column.extra.partition("on update ")[2].split()
    return " ".join([*kept, *([f"on update {update[0].replace('()', '')}"] if update else [])])


def _computed(notes: Notes, source: Column, target: Column, names: Mapping[str, str], origin: Origin) -> Column:
    """A column that the source computes is computed here too, where the engine is the same."""
    if origin.own(notes.table) and all(old == new for old, new in names.items()):
        stored = "stored" in source.extra or "persistent" in source.extra
        extra = f"{'stored' if stored else 'virtual'} {target.extra}".strip()
        return replace(target, generated=source.generated, extra=extra)
    expression = computed(notes.table, source, origin.dialect, names)
    if expression is None:
        _say_ordinary(notes, source)
        return target
    notes.say(Severity.INFO, f", column {source.name}: the target computes it: {expression}.", column=source.name)
    return replace(target, generated=expression, extra="stored")


def _say_ordinary(notes: Notes, source: Column) -> None:
    notes.say(
        Severity.INFO,
        f", column {source.name}: is computed on the source; here it is an ordinary column with its values.",
        column=source.name,
    )


def _doubt_computed(notes: Notes, columns: list[Column]) -> None:
    for column in columns:
        if column.generated is not None:
            message = f", column {column.name}: is computed on the source; here it is an ordinary column."
            query = f"SELECT ({column.generated}) FROM {row_of(columns)}"
            notes.doubts.append(Doubt("computed", column.name, query, message, Severity.INFO))


def _with_default(notes: Notes, source: Column, target: Column, origin: Origin) -> Column:
    if source.default is None:
        return target
    message = f", column {source.name}: its default cannot be said here and is left out."
    expression = default_expression(source, target, origin.dialect)
    if expression is None or (expression.startswith("(") and not _has_expressions(origin.variant)):
        notes.say(Severity.WARNING, message, column=source.name)
        return target
    if source.default.kind is DefaultKind.EXPRESSION:
        notes.doubts.append(Doubt("default", target.name, f"SELECT {expression}", message))
    return replace(target, default=Default(DefaultKind.EXPRESSION, expression))


def _has_expressions(variant: Variant) -> bool:
    return variant.version >= ((10, 2) if variant.mariadb else (8, 0, 13))
