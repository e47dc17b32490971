"""What comes after the rows: keys, indexes, checks, numbering, comments, references.

Each step looks first whether it was done, so that a finish that was interrupted goes on where it stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import psycopg

from rowferry.connectors.base import PlannedTable
from rowferry.connectors.postgres import ddl
from rowferry.connectors.postgres.facts import Session
from rowferry.connectors.postgres.failures import reason, while_writing
from rowferry.connectors.postgres.names import literal, quoted, shortened
from rowferry.connectors.postgres.secondary import enum_check
from rowferry.connectors.postgres.versions import Since
from rowferry.model import types as t
from rowferry.model.findings import Finding, Severity
from rowferry.model.tables import Check, Column, Table, TableName

BUILD_SETTINGS = (
    "SET LOCAL maintenance_work_mem = '256MB'",
    "SET LOCAL max_parallel_maintenance_workers = 2",
)
"""For building indexes: enough memory to sort, and help; the second is unknown before PostgreSQL 11."""

FEW = 10_000
"""Rows of a table whose finishing costs more in ways to the server than in work."""

_THERE = """
SELECT coalesce(array_agg(conname::text) FILTER (WHERE contype <> 'p'), '{}'), coalesce(bool_or(contype = 'p'), false),
       array(SELECT c.relname::text FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
             WHERE i.indrelid = to_regclass(%(table)s))
FROM pg_constraint WHERE conrelid = to_regclass(%(table)s)
"""

_SUPPORTED = {"int2", "int4", "int8"}


def finish_table(session: Session, table: PlannedTable) -> list[Finding]:
    """Everything but foreign keys. Of a table that was there before, only the numbering goes on."""
    try:
        if table.existing:
            for column in table.target.columns:
                _move_sequence(session, table.target, column)
            return []
        return _finish_new(session, table)
    except psycopg.Error as error:
        raise while_writing(error, f"finishing {table.target.name}", table.target.column_names()) from error


def add_foreign_keys(session: Session, table: PlannedTable) -> list[Finding]:
    """The table's references; one that its rows or the other table do not allow is left out, with a finding."""
    constraints, _, _ = _present(session, table.target.name)
    findings = []
    for key in table.target.foreign_keys:
        if key.name not in constraints:
            refused = _try(session, [ddl.add_foreign_key(table.target.name, key)])
            if refused:
                findings.append(_left_out(table, f"the foreign key {key.name}", key.name, refused))
    return findings


def restore_foreign_keys(
    session: Session, name: TableName, suspended: Mapping[str, str], valid: bool = True
) -> list[Finding]:
    """Put back what `prepare` took off a table; not `valid`: without looking at the rows that are there."""
    constraints, _, _ = _present(session, name)
    findings = []
    for key, definition in suspended.items():
        if key in constraints:
            continue
        unchecked = definition if definition.endswith("NOT VALID") else f"{definition} NOT VALID"
        refused = _try(session, [ddl.restore_constraint(name, key, definition if valid else unchecked)])
        if refused and valid:
            restored = not _try(session, [ddl.restore_constraint(name, key, unchecked)])
            state = "is back, but not for the rows that are there" if restored else "could not be put back"
            message = f"{name}: the foreign key {key} {state}, because {refused}."
            findings.append(Finding(Severity.WARNING, str(name), message, item=key))
    return findings


def _finish_new(session: Session, table: PlannedTable) -> list[Finding]:
    if table.source.estimated_rows < FEW and _finished_at_once(session, table.target):
        return []
    target, findings = table.target, []
    constraints, keyed, indexes = _present(session, target.name)
    if target.primary_key and not keyed:
        _build(session, [ddl.add_primary_key(target)])
    for index in target.indexes:
        if index.name not in indexes:
            refused = _try(session, [ddl.create_index(target.name, index)])
            if refused:
                findings.append(_left_out(table, f"the index {index.name}", index.name, refused))
    for check in target.checks:
        if check.name not in constraints:
            findings += _add_check(session, table, check)
    for column in target.columns:
        findings += _number(session, table, column)
    _build(session, ddl.comments(target))
    return findings


def _finished_at_once(session: Session, table: Table) -> bool:
    """Whether everything could be done in one go, which spares a small table many ways to the server."""
    numbered = [column for column in table.columns if column.identity]
    if any(column.native.name not in _SUPPORTED for column in numbered):
        return False
    statements = [ddl.add_primary_key(table)] if table.primary_key else []
    statements += [ddl.create_index(table.name, index) for index in table.indexes]
    statements += [ddl.add_check(table.name, check) for check in table.checks]
    for column in numbered:
        statements += [ddl.forbid_null(table.name, column.name)] if column.nullable else []
        statements.append(ddl.add_identity(table.name, column.name))
        statements.append(ddl.move_new_identity(table.name, column.name, table.next_identity or 1))
    statements += ddl.comments(table)
    return not statements or _try(session, ["; ".join(["SET LOCAL synchronous_commit = off", *statements])]) is None


def _present(session: Session, name: TableName) -> tuple[set[str], bool, set[str]]:
    """The table's constraints but the primary key, whether it has one, and its indexes."""
    [(constraints, keyed, indexes)] = session.execute(_THERE, {"table": ddl.place(name)}).fetchall()
    return set(constraints), keyed, set(indexes)


def _build(session: Session, statements: Iterable[str]) -> None:
    with session.transaction():
        for setting in BUILD_SETTINGS[: 2 if session.info.server_version >= Since.PARALLEL_BUILDS else 1]:
            session.execute(setting.encode())
        for statement in statements:
            session.execute(statement.encode())


_STANDING = ("08", "53", "57", "58", "40", "55", "XX")
"""Classes of SQLSTATE that say nothing about the structure itself: the stream stops and can go on later."""


def _try(session: Session, statements: list[str]) -> str | None:
    """Run them together; why they were refused, if it was for what they say or for the rows that are there."""
    try:
        _build(session, statements)
    except psycopg.Error as error:
        if error.sqlstate is None or error.sqlstate.startswith(_STANDING):
            raise
        return reason(error)
    return None


def _left_out(table: PlannedTable, what: str, item: str, why: str) -> Finding:
    name = str(table.source.name)
    return Finding(Severity.WARNING, name, f"{name}: {what} is left out, because {why}.", item=item)


def _add_check(session: Session, table: PlannedTable, check: Check) -> list[Finding]:
    """An enum's check lets MySQL's error value '' in when a row holds it: the value stays, and somebody is told."""
    refused = _try(session, [ddl.add_check(table.target.name, check)])
    if refused is None:
        return []
    enum = next((c for c in table.target.columns if _is_check_of(c, check)), None)
    if enum is not None:
        wider = Check(check.name, enum_check(enum, ""))
        if _try(session, [ddl.add_check(table.target.name, wider)]) is None:
            name = str(table.source.name)
            message = (
                f"{name}, column {enum.name}: rows hold the empty text that MySQL stores for a value outside the enum; "
                f"they came as they are, and the check {check.name} allows it."
            )
            return [Finding(Severity.WARNING, name, message, enum.name, check.name)]
    return [_left_out(table, f"the check {check.name}", check.name, refused)]


def _is_check_of(column: Column, check: Check) -> bool:
    return isinstance(column.type, t.Enum) and column.type.name is None and enum_check(column) == check.expression


def _number(session: Session, table: PlannedTable, column: Column) -> list[Finding]:
    """Let the target number the column from where the source stood."""
    if not column.identity:
        return []
    name, findings = table.target.name, []
    if _sequence(session, name, column.name) is None:
        _NUMBERING.get(column.native.name, _refuse_numbering)(session, name, column)
    if _sequence(session, name, column.name) is None:
        message = f"the numbering of {column.name}"
        findings.append(_left_out(table, message, column.name, f"a {column.native.declared} cannot be numbered"))
    elif column.native.name not in _SUPPORTED:
        text = f"{table.source.name}, column {column.name}: is numbered by a sequence, up to 9223372036854775807."
        findings.append(Finding(Severity.INFO, str(table.source.name), text, column.name))
    _move_sequence(session, table.target, column)
    return findings


def _identity(session: Session, name: TableName, column: Column) -> None:
    _build(
        session,
        [ddl.forbid_null(name, column.name)] if column.nullable else [],
    )
    _build(session, [ddl.add_identity(name, column.name)])


def _own_sequence(session: Session, name: TableName, column: Column) -> None:
    _build(session, ddl.own_sequence(name, column.name, shortened(f"{name.name}_{column.name}_seq")))


def _refuse_numbering(session: Session, name: TableName, column: Column) -> None:
    """A float, say; MySQL numbers even those."""


_NUMBERING: dict[str, Callable[[Session, TableName, Column], None]] = {
    **dict.fromkeys(_SUPPORTED, _identity),
    "numeric": _own_sequence,
}


def _sequence(session: Session, name: TableName, column: str) -> str | None:
    found: tuple[Any, ...] | None = session.execute(
        "SELECT pg_get_serial_sequence(%s, %s)", (ddl.place(name), column)
    ).fetchone()
    return found[0] if found else None


def _move_sequence(session: Session, table: Table, column: Column) -> None:
    """Set what is given out next: above every row, and not below where source or target stood."""
    if column.native.name not in _NUMBERING or (not column.identity and column.default is not None):
        return
    sequence = _sequence(session, table.name, column.name)
    if sequence is None:
        return
    source = table.next_identity if column.identity and table.next_identity is not None else 1
    statement = f"""
    WITH s AS (SELECT seqmax, seqmin FROM pg_sequence WHERE seqrelid = {literal(sequence)}::regclass),
    n AS (SELECT greatest(
        {int(source)}::numeric, (SELECT max({quoted(column.name)})::numeric + 1 FROM {ddl.place(table.name)}),
        (SELECT last_value::numeric + CASE WHEN is_called THEN 1 ELSE 0 END FROM {sequence})) AS next)
    SELECT setval({literal(sequence)}::regclass, greatest(least(next, seqmax), seqmin)::bigint, next > seqmax) FROM n, s
    """
    session.execute(statement.encode())
