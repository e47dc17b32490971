"""Keys, indexes, checks and references as the target will have them, in its own names and words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from rowferry.connectors.postgres.columns import Doubt, Notes, row_of
from rowferry.connectors.postgres.expressions import translated
from rowferry.connectors.postgres.names import Names, literal, quoted, quoted_list
from rowferry.connectors.postgres.own import Own
from rowferry.connectors.postgres.types_write import DIALECT
from rowferry.connectors.postgres.versions import Since
from rowferry.model import types as t
from rowferry.model.findings import Severity
from rowferry.model.tables import Check, Column, ForeignKey, Index, IndexPart, NativeIndex, Table, TableName

ACTIONS = frozenset({"NO ACTION", "RESTRICT", "CASCADE", "SET NULL", "SET DEFAULT"})
_METHODS = {"": "btree", "btree": "btree", "hash": "btree", "rtree": "btree"}
"""MySQL's words for what is a B-tree here; its hash indexes live in memory tables."""


@dataclass(frozen=True)
class Translator:
    """What the parts of one table's structure are translated by.

    `upsert`: rows are told apart by a key before all else is there, so keys are plain ones.
    """

    notes: Notes
    columns: tuple[Column, ...]
    names: Mapping[str, str]
    dialect: str
    own: Own
    upsert: bool

    @property
    def same(self) -> bool:
        """Whether every column keeps its name."""
        return all(old == new for old, new in self.names.items())

    def expression(self, text: str) -> str | None:
        """An expression of the source over the table's columns, as PostgreSQL says it."""
        return translated(text, self.dialect, self.names)


def map_indexes(by: Translator, pool: Names) -> tuple[Index, ...]:
    """The indexes that PostgreSQL can have, under names that are free in the schema."""
    mapped = []
    for index in by.notes.table.indexes:
        keeps = by.own.index(by.notes, index.native, by.same) and not (by.upsert and index.unique)
        own = index.native if keeps else None
        found = index if own else _index(by, index)
        if found is not None:
            name = pool.take(index.name, f"{by.notes.table.name.name}_{index.name}")
            by.notes.named("index", index.name, name)
            mapped.append(replace(found, name=name, native=_carried(by, own, name)))
            if own:
                continue
            if found.predicate or len(found.columns) < len(found.parts):
                by.notes.doubts.append(_index_doubt(by, index, mapped[-1]))
    return tuple(mapped)


def map_key(by: Translator, name: str | None) -> NativeIndex | None:
    """The primary key under the name that it was given, in the source's words or else in plain ones.

    None leaves it all to the server.
    """
    native = by.notes.table.native_key
    if name is None or native is None:
        return None
    if not by.upsert and by.own.index(by.notes, native, by.same):
        return _carried(by, native, name)
    columns = quoted_list(by.names[column] for column in by.notes.table.primary_key)
    return NativeIndex(name, "CONSTRAINT", f"PRIMARY KEY ({columns})")


def map_exclusions(by: Translator, pool: Names) -> tuple[NativeIndex, ...]:
    """The constraints that only PostgreSQL knows; what is said of the others stays said."""
    mapped = []
    for native in by.notes.table.exclusions:
        if by.own.index(by.notes, native, by.same):
            name = pool.take(native.name, f"{by.notes.table.name.name}_{native.name}")
            by.notes.named("constraint", native.name, name)
            mapped.append(replace(native, name=name))
            by.notes.carried.add((None, native.name))
    return tuple(mapped)


def _carried(by: Translator, native: NativeIndex | None, name: str) -> NativeIndex | None:
    if native is None:
        return None
    by.notes.carried.add((None, native.name))
    return replace(native, name=name)


def map_checks(by: Translator, pool: Names) -> tuple[Check, ...]:
    """The source's checks as far as they can be said, and one for each enum that has no type of its own."""
    checks = []
    for check in by.notes.table.checks:
        if _is_json_check(by, check):
            continue
        expression = by.expression(check.expression)
        message = f": the check {check.name} cannot be said in PostgreSQL and is left out."
        if expression is None:
            by.notes.say(Severity.WARNING, message, item=check.name)
            continue
        name = by.notes.named("check", check.name, pool.take(check.name))
        query = f"SELECT 1 FROM {row_of(by.columns)} WHERE ({expression})"
        by.notes.doubts.append(Doubt("check", name, query, message))
        checks.append(_as_there(by, check, name, expression))
    table = by.notes.table.name.name
    enums = [column for column in by.columns if isinstance(column.type, t.Enum) and column.type.name is None]
    return (*checks, *(Check(pool.take(f"{table}_{column.name}_check"), enum_check(column)) for column in enums))


def _as_there(by: Translator, check: Check, name: str, expression: str) -> Check:
    if not by.own.version:
        return Check(name, expression)
    by.notes.carried.add((None, check.name))
    enforced = check.enforced or by.own.version < Since.CONSTRAINTS_OF_18
    return replace(check, name=name, expression=expression, enforced=enforced)


def enum_check(column: Column, *extra: str) -> str:
    """That a column holds one of its enum's members, or one of `extra`."""
    members = column.type.members if isinstance(column.type, t.Enum) else ()
    return f"{quoted(column.name)} IN ({', '.join(literal(member) for member in (*members, *extra))})"


def map_foreign_keys(
    by: Translator,
    pool: Names,
    targets: Mapping[TableName, tuple[TableName, Mapping[str, str]]],
    there: Mapping[str, TableName],
) -> tuple[ForeignKey, ...]:
    """The references whose table is on its way (`targets`) or on the target already (`there`, by name)."""
    mapped = []
    for key in by.notes.table.foreign_keys:
        referenced = targets.get(key.referenced) or _resting(key, there)
        if referenced is None or not set(key.referenced_columns) <= set(referenced[1]):
            by.notes.say(
                Severity.WARNING,
                f": the foreign key {key.name} is left out: {key.referenced} or its columns are not on the target.",
                item=key.name,
            )
            continue
        mapped.append(
            replace(
                _beside_actions(by, key),
                name=by.notes.named("foreign key", key.name, pool.take(key.name)),
                columns=tuple(by.names[name] for name in key.columns),
                referenced=referenced[0],
                referenced_columns=tuple(referenced[1][name] for name in key.referenced_columns),
                on_update=_action(key.on_update),
                on_delete=_action(key.on_delete),
            )
        )
    return tuple(mapped)


def _beside_actions(by: Translator, key: ForeignKey) -> ForeignKey:
    """The key with as much of the source's words as the server knows."""
    version = by.own.version
    if not version:
        return ForeignKey(key.name, key.columns, key.referenced, key.referenced_columns)
    by.notes.carried.add((None, key.name))
    return replace(
        key,
        set_columns=tuple(by.names[name] for name in key.set_columns) if version >= Since.SET_COLUMNS else (),
        period=key.period and version >= Since.CONSTRAINTS_OF_18,
        enforced=key.enforced or version < Since.CONSTRAINTS_OF_18,
    )


def unique_key(table: Table) -> tuple[str, ...]:
    """The columns by which rows of a planned table are told apart: its primary key, or a unique index."""
    if table.primary_key:
        return table.primary_key
    needed = {column.name for column in table.columns if not column.nullable}
    indexes = [i for i in table.indexes if i.unique and not i.predicate and len(i.columns) == len(i.parts)]
    return next((i.columns for i in indexes if needed.issuperset(i.columns)), ())


def _resting(key: ForeignKey, there: Mapping[str, TableName]) -> tuple[TableName, Mapping[str, str]] | None:
    name = there.get(key.referenced.name)
    return None if name is None else (name, {column: column for column in key.referenced_columns})


def _action(word: str) -> str:
    return word.upper() if word.upper() in ACTIONS else "NO ACTION"


def _is_json_check(by: Translator, check: Check) -> bool:
    """MariaDB's JSON is text with json_valid(column); the type json says the same."""
    bare = "".join(check.expression.split()).replace("`", "").strip("()").lower()
    return any(
        isinstance(column.type, t.Json)
        and bare in (f"json_valid({column.name}".lower(), f"json_valid({column.name})".lower())
        for column in by.notes.table.columns
    )


def _index(by: Translator, index: Index) -> Index | None:
    """The index in PostgreSQL's words but under its old name, or None with a finding."""
    method = index.method.lower()
    if by.dialect != DIALECT:
        if method not in _METHODS:
            return _left_out(by, index, f"PostgreSQL has no {method} index like it")
        method = _METHODS[method]
    parts = [_part(by, index, part) for part in index.parts]
    if any(part is None for part in parts):
        return _left_out(by, index, "one of its expressions cannot be said in PostgreSQL")
    predicate = by.expression(index.predicate) if index.predicate else None
    if index.predicate and predicate is None:
        return _left_out(by, index, "its condition cannot be said in PostgreSQL")
    return replace(index, parts=tuple(part for part in parts if part), method=method, predicate=predicate)


def _left_out(by: Translator, index: Index, why: str) -> Index | None:
    by.notes.say(Severity.WARNING, f": the index {index.name} is left out, because {why}.", item=index.name)
    return None


def _part(by: Translator, index: Index, part: IndexPart) -> IndexPart | None:
    if part.column is None:
        expression = by.expression(part.expression or "")
        return None if expression is None else IndexPart(None, expression, descending=part.descending)
    column = next(c for c in by.columns if c.name == by.names[part.column])
    if part.prefix is None or _whole(column, part.prefix):
        return IndexPart(column.name, descending=part.descending)
    if not isinstance(column.type, t.Text | t.Binary):
        return None
    by.notes.say(
        Severity.INFO,
        f": the index {index.name} keeps {part.prefix} of {part.column} as on the source; "
        "PostgreSQL uses it only for conditions on that same beginning.",
        item=index.name,
    )
    begin = "left" if isinstance(column.type, t.Text) else "substr"
    size = f"{part.prefix}" if begin == "left" else f"1, {part.prefix}"
    return IndexPart(None, f"{begin}({quoted(column.name)}, {size})", descending=part.descending)


def _whole(column: Column, prefix: int) -> bool:
    length = column.type.length if isinstance(column.type, t.Text | t.Binary) else None
    return length is not None and prefix >= length


def _index_doubt(by: Translator, index: Index, mapped: Index) -> Doubt:
    expressions = ", ".join(part.expression for part in mapped.parts if part.expression) or "1"
    query = f"SELECT {expressions} FROM {row_of(by.columns)}"
    query += f" WHERE ({mapped.predicate})" if mapped.predicate else ""
    message = f": the index {index.name} is left out, because PostgreSQL does not take its expression."
    return Doubt("index", mapped.name, query, message)
