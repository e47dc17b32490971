"""Tables and their structure, in words every engine shares."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from rowferry.model.findings import Remark
from rowferry.model.policies import Instead
from rowferry.model.types import NeutralType


@dataclass(frozen=True, slots=True, order=True)
class TableName:
    """A table's place: `schema` is PostgreSQL's schema, MySQL's database, or "" for a folder of files."""

    schema: str
    name: str

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}" if self.schema else self.name


@dataclass(frozen=True, slots=True)
class NativeType:
    """A column's type as its own engine's catalogue describes it.

    `name` is the bare name in lower case ("varchar"), `declared` the whole declaration ("varchar(20)").
    `length`, `precision` and `scale` count characters, digits and digits after the point (or of a second).
    `kind` tells PostgreSQL's classes of types apart: base, enum, domain, composite, range, array.
    """

    name: str
    declared: str
    length: int | None = None
    precision: int | None = None
    scale: int | None = None
    unsigned: bool = False
    members: tuple[str, ...] = ()
    charset: str | None = None
    srid: int | None = None
    kind: str = "base"
    element: NativeType | None = None
    collation: str | None = None


class DefaultKind(StrEnum):
    """What a column's default is: a plain value, the current time, or an expression in the source's SQL."""

    LITERAL = "literal"
    NOW = "now"
    EXPRESSION = "expression"


@dataclass(frozen=True, slots=True)
class Default:
    """A column's default. `value` is the literal's text, or the expression's SQL in the source's dialect."""

    kind: DefaultKind
    value: str = ""


@dataclass(frozen=True, slots=True)
class Numbering:
    """How a server numbers a column; what is None is as the server would choose it.

    `always`: a number that somebody gives is refused. `following` is the number that comes next.
    """

    always: bool = False
    increment: int = 1
    start: int | None = None
    lowest: int | None = None
    highest: int | None = None
    cache: int = 1
    cycle: bool = False
    following: int | None = None


@dataclass(frozen=True, slots=True)
class Column:
    """One column. `identity`: the server numbers it. `generated`: the SQL it is computed from.

    `extra` is what the catalogue of the column's own engine says besides (MySQL: "invisible", "stored generated" …).
    `read_as` is the SQL that is read in the column's place, where a policy puts other values for some (None: itself).
    `instead` says the same for whoever reads the values elsewhere; where one is of two kinds, the later of them counts.
    `wanted` is the type that the target has been asked to give the column (None: the one that fits best).
    `numbering` is more about an identity, from an engine that has more to say. `number` is what the column's own engine
    calls it for good, whatever its name (PostgreSQL).
    """

    name: str
    type: NeutralType
    native: NativeType
    nullable: bool = True
    default: Default | None = None
    identity: bool = False
    generated: str | None = None
    comment: str = ""
    extra: str = ""
    read_as: str | None = None
    instead: tuple[Instead, ...] = ()
    wanted: NativeType | None = None
    numbering: Numbering | None = None
    number: int | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class NativeIndex:
    """An index, or a constraint that rests on one, in the words of its own engine, for a target of that engine.

    `kind` is INDEX, UNIQUE INDEX or CONSTRAINT; `definition` is what the engine says behind the name. `options` are
    storage parameters (name=value) that it does not say there. `comment` is the constraint's, `index_comment` the
    index's.
    """

    name: str
    kind: str
    definition: str
    options: tuple[str, ...] = ()
    comment: str = ""
    index_comment: str = ""


@dataclass(frozen=True, slots=True)
class IndexPart:
    """One part of an index: a column (of which `prefix` characters, None: all) or an expression."""

    column: str | None
    expression: str | None = None
    prefix: int | None = None
    descending: bool = False


@dataclass(frozen=True, slots=True)
class Index:
    """A secondary index. `method` is the engine's word: btree, hash, fulltext, spatial, gin …

    `native` says all of it, for a target of the same engine; the rest is what every engine understands.
    """

    name: str
    parts: tuple[IndexPart, ...]
    unique: bool = False
    method: str = "btree"
    predicate: str | None = None
    native: NativeIndex | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """The plain columns of the index; an expression has none."""
        return tuple(part.column for part in self.parts if part.column is not None)


_ACTIONS = frozenset({"CASCADE", "SET NULL", "SET DEFAULT"})


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """A reference to another table. Actions are SQL's: NO ACTION, RESTRICT, CASCADE, SET NULL, SET DEFAULT.

    `timing` is SQL's, too: DEFERRABLE, DEFERRABLE INITIALLY DEFERRED. `set_columns` are those that `on_delete` sets
    (none: all). `period`: the last columns are ranges that must lie in the other table's. Not `validated`: rows that
    were there before may break it.
    """

    name: str
    columns: tuple[str, ...]
    referenced: TableName
    referenced_columns: tuple[str, ...]
    on_update: str = "NO ACTION"
    on_delete: str = "NO ACTION"
    match_full: bool = False
    timing: str = ""
    set_columns: tuple[str, ...] = ()
    period: bool = False
    enforced: bool = True
    validated: bool = True
    comment: str = ""

    @property
    def actions(self) -> tuple[str, ...]:
        """What it does to rows when those that they refer to change, in SQL."""
        chosen = (("DELETE", self.on_delete), ("UPDATE", self.on_update))
        return tuple(f"ON {word} {action}" for word, action in chosen if action in _ACTIONS)


@dataclass(frozen=True, slots=True)
class Check:
    """A check constraint, its expression in the source's SQL.

    `inherited`: tables that inherit have it, too. Not `validated`: rows that were there before may break it.
    """

    name: str
    expression: str
    inherited: bool = True
    enforced: bool = True
    validated: bool = True
    comment: str = ""


Named = Index | ForeignKey | Check
"""Parts of a structure that have a name."""


class FilterOperator(StrEnum):
    """How a filter compares a column with its value; IN and BETWEEN take a comma list."""

    EQ = "="
    NE = "!="
    LT = "<"
    LE = "<="
    GT = ">"
    GE = ">="
    IN = "IN"
    NOT_IN = "NOT IN"
    CONTAINS = "CONTAINS"
    NOT_CONTAINS = "NOT_CONTAINS"
    STARTS_WITH = "STARTS_WITH"
    ENDS_WITH = "ENDS_WITH"
    LIKE = "LIKE"
    NOT_LIKE = "NOT LIKE"
    BETWEEN = "BETWEEN"
    IS_NULL = "IS NULL"
    IS_NOT_NULL = "IS NOT NULL"


@dataclass(frozen=True, slots=True)
class Filter:
    """One condition on a row; several are joined by AND."""

    column: str
    operator: FilterOperator
    value: str | None = None


@dataclass(frozen=True, slots=True)
class Sort:
    """One ordering of a selection."""

    column: str
    descending: bool = False


@dataclass(frozen=True, slots=True)
class Selection:
    """Which part of a table is read. No columns: all of them. `limit` is a number of rows (None: all)."""

    columns: tuple[str, ...] = ()
    filters: tuple[Filter, ...] = ()
    sorts: tuple[Sort, ...] = ()
    limit: int | None = None

    @property
    def ordered(self) -> bool:
        """Whether the selection must be read as one result, in its order or up to its limit."""
        return bool(self.sorts) or self.limit is not None


@dataclass(frozen=True, slots=True)
class Table:
    """A table, or the result of `query` under the name of a table.

    `key` names the columns (not null, unique together) by which the table may be split, empty where there
    are none. `estimated_rows` and `estimated_bytes` are the server's guess. `next_identity` is the number
    the identity column will hand out next. `native_key` and `exclusions`: the primary key, and constraints that only
    its own engine knows, in that engine's words. `unlogged`: the table does not survive a crash of its server.
    `remarks`: what else there is to the table; of a planned table, what of that the target does not take over.
    `dialect`: the SQL of its expressions, where tables of several engines are planned together (None: that of all).
    """

    name: TableName
    columns: tuple[Column, ...]
    primary_key: tuple[str, ...] = ()
    key: tuple[str, ...] = ()
    indexes: tuple[Index, ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()
    checks: tuple[Check, ...] = ()
    comment: str = ""
    query: str | None = None
    selection: Selection = field(default_factory=Selection)
    estimated_rows: int = 0
    estimated_bytes: int = 0
    next_identity: int | None = None
    native_key: NativeIndex | None = None
    exclusions: tuple[NativeIndex, ...] = ()
    unlogged: bool = False
    remarks: tuple[Remark, ...] = ()
    dialect: str | None = None

    def column(self, name: str) -> Column:
        """The column of that name; KeyError where there is none."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)

    def column_names(self) -> Iterator[str]:
        """The names, in order."""
        return (column.name for column in self.columns)

    def with_selection(self, selection: Selection) -> Table:
        """The table as `selection` shows it: only its columns, and the structure that needs no others."""
        if not selection.columns:
            return replace(self, selection=selection)
        kept = set(selection.columns)
        whole = replace(self, indexes=tuple(replace(index, native=None) for index in self.indexes))
        narrowed = replace(
            self,
            selection=selection,
            columns=tuple(self.column(name) for name in selection.columns),
            primary_key=self.primary_key if kept.issuperset(self.primary_key) else (),
            indexes=tuple(i for i in whole.indexes if len(i.columns) == len(i.parts) and kept.issuperset(i.columns)),
            foreign_keys=tuple(f for f in self.foreign_keys if kept.issuperset(f.columns)),
            checks=(),
            native_key=None,
            exclusions=(),
        )
        return replace(narrowed, remarks=(*self.remarks, *_lost(whole, narrowed)))


def _lost(whole: Table, narrowed: Table) -> list[Remark]:
    """The parts of a structure that need columns which were not selected."""
    parts: list[tuple[str, str | None]] = []
    if whole.primary_key and not narrowed.primary_key:
        parts.append(("the primary key", None))
    kinds: tuple[tuple[str, Sequence[Named], Sequence[Named]], ...] = (
        ("the index", whole.indexes, narrowed.indexes),
        ("the foreign key", whole.foreign_keys, narrowed.foreign_keys),
        ("the check", whole.checks, narrowed.checks),
    )
    parts += [(f"{kind} {part.name}", part.name) for kind, all_, kept in kinds for part in all_ if part not in kept]
    return [Remark(f": {what} is left out, because only some columns are selected.", item=item) for what, item in parts]
