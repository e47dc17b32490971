"""Indexes, checks and references as the target will have them, in its own names and words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from rowferry.connectors.mysql.expressions import beginning, translated
from rowferry.connectors.mysql.mapping import Doubt, Notes, Origin, row_of
from rowferry.connectors.mysql.names import Names
from rowferry.connectors.mysql.types_write import DIALECT
from rowferry.connectors.mysql.widths import prefixes
from rowferry.model import types as t
from rowferry.model.findings import Severity
from rowferry.model.tables import Check, ForeignKey, Index, IndexPart, Table, TableName

ACTIONS = frozenset({"NO ACTION", "RESTRICT", "CASCADE", "SET NULL"})

_METHODS = {"": "btree", "btree": "btree", "hash": "btree"}
"""What is a B-tree here, by the words of others."""

_OWN_METHODS = frozenset({"btree", "hash", "fulltext", "spatial"})
RESERVED = frozenset({"primary", "gen_clust_index"})
"""Names that no index can have."""


@dataclass(frozen=True)
class Translator:
    """What the parts of one table's structure are translated by."""

    notes: Notes
    target: Table
    names: Mapping[str, str]
    origin: Origin

    @property
    def same(self) -> bool:
        """Whether the source is of this engine."""
        return self.origin.dialect == DIALECT

    def expression(self, text: str) -> str | None:
        """An expression of the source over the table's columns, as this server says it."""
        texts = [column.name for column in self.notes.table.columns if isinstance(column.type, t.Text | t.Enum)]
        return translated(text, self.origin.dialect, self.names, texts)


def map_indexes(by: Translator) -> tuple[Index, ...]:
    """The indexes that the server can have, under names that are free in the table."""
    pool = Names(taken=set(RESERVED))
    mapped = []
    for index in by.notes.table.indexes:
        found = _index(by, index)
        if found is not None:
            name = by.notes.named("index", index.name, pool.take(index.name, f"{index.name}_"))
            mapped.append(replace(found, name=name))
    return tuple(mapped)


def map_checks(by: Translator, pool: Names) -> tuple[Check, ...]:
    """The source's checks as far as they can be said."""
    checks: list[Check] = []
    if not _has_checks(by) and by.notes.table.checks:
        by.notes.say(Severity.WARNING, ": its checks are left out, since this server has none.")
        return ()
    for check in by.notes.table.checks:
        if _is_json_check(by, check):
            continue
        expression = by.expression(check.expression)
        message = f": the check {check.name} cannot be said here and is left out."
        if expression is None:
            by.notes.say(Severity.WARNING, message, item=check.name)
            continue
        name = by.notes.named("check", check.name, pool.take(check.name, f"{by.target.name.name}_{check.name}"))
        query = f"SELECT 1 FROM {row_of(by.target.columns)} WHERE ({expression})"
        by.notes.doubts.append(Doubt("check", name, query, message))
        checks.append(Check(name, expression))
    return tuple(checks)


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
            why = f"{key.referenced} or its columns are not on the target"
        elif not ACTIONS.issuperset({key.on_update.upper(), key.on_delete.upper()}):
            why = "there is no SET DEFAULT here"
        else:
            name = pool.take(key.name, f"{by.target.name.name}_{key.name}")
            mapped.append(
                ForeignKey(
                    name=by.notes.named("foreign key", key.name, name),
                    columns=tuple(by.names[name] for name in key.columns),
                    referenced=referenced[0],
                    referenced_columns=tuple(referenced[1][name] for name in key.referenced_columns),
                    on_update=key.on_update.upper(),
                    on_delete=key.on_delete.upper(),
                )
            )
            continue
        message = f": the foreign key {key.name} is left out: {why}."
        by.notes.say(Severity.WARNING, message, item=key.name)
    return tuple(mapped)


def unique_key(table: Table) -> tuple[str, ...]:
    """The columns by which rows of a planned table are told apart: its primary key, or a unique index."""
    if table.primary_key:
        return table.primary_key
    needed = {column.name for column in table.columns if not column.nullable}
    indexes = [i for i in table.indexes if i.unique and all(part.column and not part.prefix for part in i.parts)]
    return next((i.columns for i in indexes if needed.issuperset(i.columns)), ())


def _resting(key: ForeignKey, there: Mapping[str, TableName]) -> tuple[TableName, Mapping[str, str]] | None:
    name = there.get(key.referenced.name)
    return None if name is None else (name, {column: column for column in key.referenced_columns})


def _has_checks(by: Translator) -> bool:
    variant = by.origin.variant
    return variant.version >= ((10, 2) if variant.mariadb else (8, 0, 16))


def _is_json_check(by: Translator, check: Check) -> bool:
    """MariaDB's JSON is text with json_valid(column); the type json says the same."""
    bare = "".join(check.expression.split()).replace("`", "").strip("()").lower()
    return any(
        isinstance(column.type, t.Json)
        and bare in (f"json_valid({column.name}".lower(), f"json_valid({column.name})".lower())
        for column in by.notes.table.columns
    )


def _index(by: Translator, index: Index) -> Index | None:
    """The index in this server's words but under its old name, or None with a finding."""
    method = index.method.lower()
    if by.same:
        if method not in _OWN_METHODS:
            return _left_out(by, index, f"there is no {method} index like it here")
    elif method not in _METHODS:
        return _left_out(by, index, f"there is no {method} index like it here")
    else:
        if method == "hash":
            message = f": the index {index.name} is a B-tree here, and a hash there."
            by.notes.say(Severity.INFO, message, item=index.name)
        method = _METHODS[method]
    if index.predicate:
        return _left_out(by, index, "an index over a part of the rows cannot be said here")
    parts = [_part(by, part) for part in index.parts]
    if any(part is None for part in parts):
        return _left_out(by, index, "one of its expressions cannot be said here")
    found = replace(index, parts=tuple(part for part in parts if part), method=method, predicate=None)
    return found if by.same else _within_limits(by, found)


def _left_out(by: Translator, index: Index, why: str) -> Index | None:
    by.notes.say(Severity.WARNING, f": the index {index.name} is left out, because {why}.", item=index.name)
    return None


def _part(by: Translator, part: IndexPart) -> IndexPart | None:
    if part.column is not None:
        return replace(part, column=by.names[part.column])
    begin = beginning(part.expression or "", by.origin.dialect)
    if begin is not None and isinstance(by.notes.table.column(begin[0]).type, t.Text):
        return IndexPart(by.names[begin[0]], prefix=begin[1], descending=part.descending)
    variant = by.origin.variant
    if variant.mariadb or variant.version < (8, 0, 13):
        return None
    expression = by.expression(part.expression or "")
    return None if expression is None else IndexPart(None, expression, descending=part.descending)


_NO_INDEX = frozenset({"geometry", "point", "linestring", "polygon", "multipoint", "multilinestring", "multipolygon"})


def _shorter(own: int | None, most: int | None) -> int | None:
    """The prefix that an index has, or the most it can have (None: all)."""
    return min((size for size in (own, most) if size is not None), default=None)


def _within_limits(by: Translator, index: Index) -> Index | None:
    """An index of another engine's columns: long texts are kept by their beginnings, but not if it is unique."""
    if any(by.target.column(name).native.name in _NO_INDEX for name in index.columns):
        return _left_out(by, index, "shapes have no such index here")
    if index.unique:
        return index
    sizes = prefixes(by.target, index.columns)
    parts = tuple(replace(part, prefix=_shorter(part.prefix, sizes.get(part.column or ""))) for part in index.parts)
    if parts != index.parts:
        by.notes.say(
            Severity.INFO,
            f": the index {index.name} holds only the beginning of its long texts, which is all it can hold here.",
            item=index.name,
        )
    return replace(index, parts=parts)
