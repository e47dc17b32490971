"""A source table's columns as the target will declare them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from rowferry.connectors.postgres.ddl import sql_default
from rowferry.connectors.postgres.expressions import computed, default_expression
from rowferry.connectors.postgres.names import qualified, shortened
from rowferry.connectors.postgres.types_write import DIALECT, ENGINE, native_type, write_rule
from rowferry.model import types as t
from rowferry.model.findings import Finding, Severity
from rowferry.model.tables import Column, NativeType, Table
from rowferry.model.types import NeutralType


@dataclass(frozen=True, slots=True)
class Doubt:
    """A part of the structure that PostgreSQL must agree to: `query` is only explained, never run.

    `kind` and `name` say what is left out (a column's default, a check, an index) when it does not.
    """

    kind: str
    name: str
    query: str
    message: str
    severity: Severity = Severity.WARNING


@dataclass
class Notes:
    """What mapping one table found out, in the source's names.

    `carried`: columns and named parts (a column's name or none, a part's name or none) that the target takes over.
    """

    table: Table
    findings: list[Finding] = field(default_factory=list)
    doubts: list[Doubt] = field(default_factory=list)
    carried: set[tuple[str | None, str | None]] = field(default_factory=set)

    def say(self, severity: Severity, message: str, *, column: str | None = None, item: str | None = None) -> None:
        """Add a finding about the table; `message` goes on from its name."""
        self.findings.append(Finding(severity, str(self.table.name), f"{self.table.name}{message}", column, item))

    def named(self, kind: str, name: str, given: str) -> str:
        """The name that a part of the structure was given, which is said where it is another one."""
        if given != name:
            self.say(Severity.INFO, f": the {kind} {name} is called {given} on the target.", item=name)
        return given


def named_enum(neutral: NeutralType) -> t.Enum | None:
    """The enum type of its own that the neutral type is, or is a list of."""
    if isinstance(neutral, t.Enum):
        return neutral if neutral.name else None
    if isinstance(neutral, t.Array) and neutral.engine == ENGINE:
        return named_enum(neutral.element)
    return None


def enum_name(neutral: t.Enum) -> str:
    """What the type is called on the target."""
    return shortened(neutral.name or "")


def map_columns(
    notes: Notes, names: Mapping[str, str], dialect: str, schema: str, computes: bool
) -> tuple[Column, ...]:
    """All columns of the table; one that cannot be declared gets an error finding and stands as text.

    `computes`: the server has computed columns.
    """
    mapped = []
    for column in notes.table.columns:
        native = _declared(notes, column, dialect, schema)
        _note_name(notes, column, names[column.name])
        _note_domain(notes, column, native)
        _note_extra(notes, column)
        target = replace(column, name=names[column.name], native=native, default=None, generated=None)
        if column.generated is not None:
            target = _computed(notes, column, target, dialect, names) if computes else target
            if target.generated is None:
                notes.say(Severity.INFO, ordinary(column), column=column.name)
        elif not column.identity:
            target = _with_default(notes, column, target, dialect)
        mapped.append(target)
    if dialect != DIALECT:
        _note_collations(notes)
    _doubt_computed(notes, mapped)
    return tuple(mapped)


def probed_type(column: Column) -> str:
    """The type as it can be asked about before the stream's own enum types exist."""
    return "text" if named_enum(column.type) else column.native.declared


def row_of(columns: tuple[Column, ...]) -> str:
    """A row of NULLs with the table's columns, to explain expressions on."""
    parts = ", ".join(f'NULL::{probed_type(c)} AS "{c.name.replace(chr(34), chr(34) * 2)}"' for c in columns)
    return f"(SELECT {parts}) AS probed"


def _declared(notes: Notes, column: Column, dialect: str, schema: str) -> NativeType:
    if column.wanted is not None:
        return column.wanted
    enum = named_enum(column.type)
    if enum is not None:
        declared = qualified(schema, enum_name(enum))
        if isinstance(column.type, t.Array):
            return NativeType(name=f"{enum_name(enum)}[]", declared=f"{declared}[]", kind="array")
        return NativeType(name=enum_name(enum), declared=declared, kind="enum", members=enum.members)
    rule = write_rule(column.type, dialect)
    if rule is None:
        notes.say(
            Severity.ERROR,
            f", column {column.name}: the type {column.native.declared} cannot be carried to PostgreSQL exactly. "
            "Leave the column out by selectedColumns, or cast it to another type in a query.",
            column=column.name,
        )
        return native_type("text")
    if rule.changes:
        severity = Severity.INFO if isinstance(column.type, t.Set) else Severity.WARNING
        message = f", column {column.name}: the type {column.native.declared} {rule.changes}."
        notes.say(severity, message, column=column.name)
    return native_type(rule.declare(column.type))


def _note_name(notes: Notes, column: Column, name: str) -> None:
    if name != column.name:
        notes.say(
            Severity.INFO,
            f", column {column.name}: is called {name} on the target (at most 63 bytes, some reserved).",
            column=column.name,
        )


def _note_domain(notes: Notes, column: Column, native: NativeType) -> None:
    if column.native.kind == "domain":
        message = f", column {column.name}: {column.native.declared} is a domain and becomes {native.declared}; "
        notes.say(Severity.WARNING, f"{message}the domain's own checks are left out.", column=column.name)


_EXTRAS = {
    "on update": "is not set to the time of a change here, as it is there",
    "invisible": "is shown here, and hidden there",
}
"""What MySQL's columns do besides, and PostgreSQL's do not."""


def _note_extra(notes: Notes, column: Column) -> None:
    for word, what in _EXTRAS.items():
        if word in column.extra:
            notes.say(Severity.WARNING, f", column {column.name}: {what}.", column=column.name)


def _note_collations(notes: Notes) -> None:
    """Texts that MySQL takes for equal whatever their case or accents are different to PostgreSQL."""
    found: dict[str, list[str]] = {}
    for column in notes.table.columns:
        collation = column.native.collation or ""
        if collation.endswith(_FOLDING):
            found.setdefault(collation, []).append(column.name)
    for collation, names in found.items():
        notes.say(
            Severity.INFO,
            f": the text of {', '.join(names)} is compared by {collation} there, where case or accents make no "
            f"difference; here every "
            "character counts.",
        )


_FOLDING = ("_ci", "_as_cs", "_ai_cs")
"""How the names of collations end that take different texts for equal; a binary one ends otherwise."""


def ordinary(column: Column) -> str:
    """What is said of a computed column that the target does not compute."""
    return f", column {column.name}: is computed on the source; here it is an ordinary column with its values."


def _computed(notes: Notes, source: Column, target: Column, dialect: str, names: Mapping[str, str]) -> Column:
    expression = computed(notes.table, source, dialect, names)
    if expression is None:
        return target
    notes.say(Severity.INFO, f", column {source.name}: the target computes it: {expression}.", column=source.name)
    return replace(target, generated=expression)


def _doubt_computed(notes: Notes, columns: list[Column]) -> None:
    for source, column in zip(notes.table.columns, columns, strict=True):
        if column.generated is not None:
            query = f"SELECT ({column.generated})::{probed_type(column)} FROM {row_of(tuple(columns))}"
            notes.doubts.append(Doubt("computed", column.name, query, ordinary(source), Severity.INFO))


def _with_default(notes: Notes, source: Column, target: Column, dialect: str) -> Column:
    if source.default is None:
        return target
    message = f", column {source.name}: its default cannot be said in PostgreSQL and is left out."
    expression = default_expression(source, dialect)
    if expression is None:
        notes.say(Severity.WARNING, message, column=source.name)
        return target
    query = f"SELECT ({expression})::{probed_type(target)}"
    notes.doubts.append(Doubt("default", target.name, query, message))
    return replace(target, default=sql_default(expression))
