"""What comes after the rows: checks, indexes, defaults, numbering, comments, references.

Each step looks first whether it was done, so that a finish that was interrupted goes on where it stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import pymysql

from rowferry.connectors.base import PlannedTable
from rowferry.connectors.mysql import ddl
from rowferry.connectors.mysql.catalog import described
from rowferry.connectors.mysql.names import folded, literal
from rowferry.connectors.mysql.refusals import DriverErrors, reason, standing, while_writing
from rowferry.connectors.mysql.sessions import Session
from rowferry.errors import MissingTable
from rowferry.model.findings import Finding, Severity
from rowferry.model.tables import Check, Column, ForeignKey, Index, Table, TableName

FEW = 10_000
"""Rows of a table whose finishing costs more in ways to the server than in work."""

Part = TypeVar("Part", Index, Check, Column)


def finish_table(session: Session, table: PlannedTable, early: Sequence[Index] = ()) -> list[Finding]:
    """Everything but foreign keys. Of a table that was there before, only the numbering goes on.

    `early` are the indexes that a new table was made with.
    """
    try:
        if table.existing:
            _number(session, table)
            return []
        if table.source.estimated_rows < FEW and _finished_at_once(session, table.target, early):
            return []
        return _finish_new(session, table)
    except DriverErrors as error:
        raise while_writing(error, f"finishing {table.target.name}", table.target.column_names()) from error


def add_foreign_keys(session: Session, table: PlannedTable) -> list[Finding]:
    """The table's references; one that its rows or the other table do not allow is left out, with a finding.

    The rows are looked at by a query, and the key is then added without the server looking at them again, for which
    it would write the whole table anew.
    """
    if not table.target.foreign_keys:
        return []
    there = {folded(key.name) for key in _table(session, table.target.name).foreign_keys}
    findings = []
    session.execute("SET foreign_key_checks = 0")
    for key in table.target.foreign_keys:
        if table.existing:
            findings += _orphans(session, table, key)
        elif folded(key.name) not in there:
            refused = _add_foreign_key(session, table, key)
            if refused:
                findings.append(_left_out(table, f"the foreign key {key.name}", key.name, refused))
    session.execute("SET foreign_key_checks = 1")
    return findings


def _add_foreign_key(session: Session, table: PlannedTable, key: ForeignKey) -> str | None:
    """Why it was refused. Without an index there, a look at the rows would take for ever, and the server refuses."""
    there = _table(session, key.referenced)
    size = len(key.referenced_columns)
    leading = {there.primary_key[:size], *(index.columns[:size] for index in there.indexes)}
    if tuple(key.referenced_columns) not in leading:
        return "the columns lack an index there"
    try:
        if session.rows(ddl.find_orphan(table.target.name, key)):
            return "rows refer to rows that are not there"
    except pymysql.Error as error:
        return _refusal(error)
    return _try(session, ddl.add_foreign_key(table.target.name, key))


def _orphans(session: Session, table: PlannedTable, key: ForeignKey) -> list[Finding]:
    """A table that was there was filled without a look at its references; here it is made up for."""
    if not session.rows(ddl.find_orphan(table.target.name, key)):
        return []
    name = str(table.source.name)
    message = (
        f"{name}: rows break the foreign key {key.name} of {table.target.name}: they refer to rows that are not there."
    )
    return [Finding(Severity.WARNING, name, message, item=key.name)]


def _finished_at_once(session: Session, table: Table, early: Sequence[Index]) -> bool:
    """Whether one statement could do it all, which spares a small table a look at the catalogue and passes over it.

    It is refused, and nothing done, where something is there already or cannot be had.
    """
    made = {index.name for index in early}
    missing = [index for index in table.indexes if index.name not in made]
    defaults = {column.name for column in table.columns if column.default and column.default.value.upper() != "NULL"}
    if defaults and defaults - _filled(session, table.name):
        return False  # one of them was refused when the table was made: each by itself then
    numbered = any(column.identity for column in table.columns)
    following = (table.next_identity or 1) if numbered else 1
    return _try(session, ddl.finish_all(table, missing, following)) is None


def _filled(session: Session, name: TableName) -> set[str]:
    """The columns that have a default, other than NULL, which MariaDB shows as that word."""
    places = f"TABLE_SCHEMA = {literal(name.schema)} AND TABLE_NAME = {literal(name.name)}"
    found = session.rows(
        f"SELECT COLUMN_NAME FROM information_schema.COLUMNS WHERE {places} AND COLUMN_DEFAULT <> 'NULL'"
    )
    return {str(column) for (column,) in found}


def _finish_new(session: Session, table: PlannedTable) -> list[Finding]:
    target = table.target
    there = _table(session, target.name)
    findings = _add(session, table, "check", _missing(target.checks, there.checks), ddl.add_checks)
    findings += _add(session, table, "index", _missing(target.indexes, there.indexes), ddl.add_indexes)
    filled = {column.name for column in there.columns if column.default is not None}
    bare = [column for column in target.columns if column.default is not None and column.name not in filled]
    # A default of NULL looks like none; to set it once more does no harm.
    findings += _add(session, table, "default of column", bare, ddl.set_defaults)
    _number(session, table)
    if there.comment != target.comment:
        session.execute(ddl.set_comment(target.name, target.comment))
    return findings


def _table(session: Session, name: TableName) -> Table:
    found = described(session.wire, name.schema, [name.name])
    if not found:
        raise MissingTable(f"The table {name} is no longer on the target.")
    return found[0]


def _missing(wanted: Sequence[Part], there: Sequence[Part]) -> list[Part]:
    names = {folded(part.name) for part in there}
    return [part for part in wanted if folded(part.name) not in names]


def _add(
    session: Session,
    table: PlannedTable,
    kind: str,
    parts: Sequence[Part],
    statement: Callable[[TableName, Sequence[Part]], str],
) -> list[Finding]:
    """All of them in one pass over the table; one by one where that is refused, to find out which one it was."""
    if not parts or _try(session, statement(table.target.name, parts)) is None:
        return []
    findings = []
    for part in parts:
        refused = _try(session, statement(table.target.name, [part]))
        if refused:
            findings.append(_left_out(table, f"the {kind} {part.name}", part.name, refused))
    return findings


def _try(session: Session, statement: str) -> str | None:
    """Run it; why it was refused, if it was for what it says or for the rows that are there."""
    try:
        session.execute(statement)
    except pymysql.Error as error:
        return _refusal(error)
    return None


def _refusal(error: pymysql.Error) -> str:
    if standing(error):
        raise error
    return reason(error)


def _left_out(table: PlannedTable, what: str, item: str, why: str) -> Finding:
    name = str(table.source.name)
    return Finding(Severity.WARNING, name, f"{name}: {what} is left out, because {why}.", item=item)


def _number(session: Session, table: PlannedTable) -> None:
    """Numbers go on where the source stood; the server itself never gives out one that a row has."""
    numbered = any(column.identity for column in table.target.columns)
    if numbered and (table.target.next_identity or 0) > 1:
        session.execute(ddl.set_next(table.target.name, table.target.next_identity or 1))
