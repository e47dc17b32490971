"""A source table's columns as the target will declare them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from rowferry.connectors.postgres.ddl import sql_default
from rowferry.connectors.postgres.expressions import default_expression
from rowferry.connectors.postgres.names import qualified, shortened
from rowferry.connectors.postgres.types_write import ENGINE, native_type, write_rule
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


@dataclass
class Notes:
    """What mapping one table found out, in the source's names."""

    table: Table
    findings: list[Finding] = field(default_factory=list)
    doubts: list[Doubt] = field(default_factory=list)

    def say(self, severity: Severity, message: str, *, column: str | None = None, item: str | None = None) -> None:
        """Add a finding about the table; `message` goes on from its name."""
        self.findings.append(Finding(severity, str(self.table.name), f"{self.table.name}{message}", column, item))


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


def map_columns(notes: Notes, names: Mapping[str, str], dialect: str, schema: str) -> tuple[Column, ...]:
    """All columns of the table; one that cannot be declared gets an error finding and stands as text."""
    mapped = []
    for column in notes.table.columns:
        native = _declared(notes, column, dialect, schema)
        _note_name(notes, column, names[column.name])
        _note_domain(notes, column, native)
        target = replace(column, name=names[column.name], native=native, default=None, generated=None)
        if column.generated is not None:
            notes.say(
                Severity.INFO,
                f", column {column.name}: is computed on the source; here it is an ordinary column with its values.",
                column=column.name,
            )
        elif not column.identity:
            target = _with_default(notes, column, target, dialect)
        mapped.append(target)
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
