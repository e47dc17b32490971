"""A followed table's columns as they became at the source, in the transaction of the changes before and after."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import psycopg

from rowferry.connectors.base import PlannedTable
from rowferry.connectors.postgres import ddl
from rowferry.connectors.postgres.columns import enum_name, named_enum
from rowferry.connectors.postgres.names import Names
from rowferry.errors import MissingTable, WriteFailed
from rowferry.model.changes import TableAltered
from rowferry.model.tables import Column, DefaultKind, TableName

Session = psycopg.Connection[tuple[Any, ...]]

_THERE = """
SELECT a.attname::text, format_type(a.atttypid, a.atttypmod), a.attnotnull
FROM pg_attribute a WHERE a.attrelid = to_regclass(%s) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum
"""

_ENUM = """
SELECT 1 FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace WHERE n.nspname = %s AND t.typname = %s
"""


@dataclass(frozen=True, slots=True)
class _There:
    declared: str
    needed: bool


def alter(
    session: Session, before: PlannedTable, after: PlannedTable, altered: TableAltered, beside: Callable[[], Session]
) -> None:
    """Make the target's columns those of `after`; what is so already is left alone.

    `beside` opens a session for what a transaction cannot use before it ends, which may be done twice without harm.
    """
    name = after.target.name
    old, new = _by_source(before), _by_source(after)
    for source in altered.dropped:
        if source in old and old[source][1].name in _columns(session, name):
            _run(session, ddl.drop_column(name, old[source][1].name))
    kept = {
        target.name: (old[was][1], target)
        for name_now, (_, target) in new.items()
        if (was := altered.renamed.get(name_now, name_now)) in old and name_now not in altered.added
    }
    _rename(session, name, {new_name: column.name for new_name, (column, _) in kept.items()})
    for column, target in kept.values():
        _change(session, name, column, target, beside)
    for source in altered.added:
        if source in new:
            _add(session, after, *new[source])


def _by_source(table: PlannedTable) -> dict[str, tuple[Column, Column]]:
    return {
        source.name: (source, target) for source, target in zip(table.source.columns, table.target.columns, strict=True)
    }


def _columns(session: Session, table: TableName) -> dict[str, _There]:
    found = {name: _There(*rest) for name, *rest in session.execute(_THERE, (ddl.place(table),))}
    if not found:
        raise MissingTable(f"There is no table {table} on the target any more: start a new stream.")
    return found


def _rename(session: Session, table: TableName, wanted: Mapping[str, str]) -> None:
    """Columns may take each other's names, so those that move step aside first."""
    there = _columns(session, table)
    moving = {new: old for new, old in wanted.items() if new != old and old in there}
    if not moving or set(moving).issubset(there.keys() - set(moving.values())):
        return
    names = Names(set(there) | set(moving))
    aside = {new: names.take(f"rowferry_{new}") for new in moving}
    for new, old in moving.items():
        _run(session, ddl.rename_column(table, old, aside[new]))
    for new, between in aside.items():
        _run(session, ddl.rename_column(table, between, new))


def _change(session: Session, table: TableName, was: Column, column: Column, beside: Callable[[], Session]) -> None:
    there = _columns(session, table).get(column.name)
    if there is None:
        raise WriteFailed(f"{table} has no column {column.name} on the target: add it there, and resume.")
    if column.native.kind == "enum" and column.native.declared == was.native.declared:
        _extend(column, beside)
    elif column.native.declared not in (was.native.declared, there.declared) and column.generated is None:
        _run(session, ddl.change_type(table, column))
    if was.nullable != column.nullable and there.needed == column.nullable:
        _run(session, ddl.change_null(table, column))


def _extend(column: Column, beside: Callable[[], Session]) -> None:
    """Members that an enum type lacks: added for good at once, since no transaction can use those that it adds."""
    before: str | None = None
    with beside() as session:
        for member in column.native.members:
            _run(session, ddl.add_member(column.native.declared, member, before))
            before = member


def _add(session: Session, table: PlannedTable, source: Column, target: Column) -> None:
    name = table.target.name
    if target.name in _columns(session, name):
        return
    if not _known(source, target) and _has_rows(session, name):
        raise WriteFailed(
            f"The source added the column {source.name} to {table.source.name} with values that its log does not tell "
            f"for the rows that were there: add {target.name} to {name} with these values, and resume."
        )
    enum = named_enum(source.type)
    if enum is not None and not session.execute(_ENUM, (name.schema, enum_name(enum))).fetchone():
        _run(session, ddl.create_enum(name.schema, enum_name(enum), enum.members))
    _run(session, ddl.add_column(name, target))


def _known(source: Column, target: Column) -> bool:
    """Whether the column's value in rows that were there before follows from how it is declared."""
    if target.generated is not None:
        return True
    if source.identity or source.generated is not None:
        return False
    if source.default is None:
        return source.nullable
    return source.default.kind is DefaultKind.LITERAL and target.default is not None


def _has_rows(session: Session, table: TableName) -> bool:
    return session.execute(f"SELECT 1 FROM {ddl.place(table)} LIMIT 1".encode()).fetchone() is not None


def _run(session: Session, statement: str) -> None:
    session.execute(statement.encode())
