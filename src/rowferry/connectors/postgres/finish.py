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
from rowferry.connectors.postgres.names import shortened
from rowferry.connectors.postgres.secondary import enum_check
from rowferry.connectors.postgres.versions import Since
from rowferry.model import types as t
from rowferry.model.findings import Finding, Severity
from rowferry.model.tables import Check, Column, Index, Numbering, Table, TableName

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
            comment = ddl.comment_constraint(table.target.name, key.name, key.comment)
            refused = _add_constraint(session, ddl.add_foreign_key(table.target.name, key), key.validated, comment)
            if refused:
                findings.append(_left_out(table, f"the foreign key {key.name}", key.name, refused))
    return findings


def make_unlogged(session: Session, table: PlannedTable) -> list[Finding]:
    """A table that was unlogged on the source is so from now on: until all was written a crash must not empty it."""
    if table.existing or not table.target.unlogged or _try(session, [ddl.make_unlogged(table.target.name)]) is None:
        return []
    name = str(table.source.name)
    return [one.about(name) for one in table.source.remarks if one.since == 0 and not (one.column or one.item)]


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
        findings += _add_key(session, table)
    for index in target.indexes:
        if index.name not in indexes:
            findings += _add_index(session, table, index)
    for native in target.exclusions:
        if native.name not in indexes:
            refused = _try(session, ddl.in_own_words(target.name, native))
            findings += [_left_out(table, f"the constraint {native.name}", native.name, refused)] if refused else []
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
    statements = _key_statements(table) if table.primary_key else []
    for index in table.indexes:
        statements += _index_statements(table.name, index)
    for native in table.exclusions:
        statements += ddl.in_own_words(table.name, native)
    for check in table.checks:
        statements.append(ddl.add_check(table.name, check))
        statements += ddl.comment_constraint(table.name, check.name, check.comment)
    for column in numbered:
        statements += [ddl.forbid_null(table.name, column.name)] if column.nullable else []
        statements.append(ddl.add_identity(table.name, column.name, column.numbering or Numbering()))
        statements.append(ddl.move_sequence(table.name, column.name, _following(table, column)))
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


def _key_statements(table: Table) -> list[str]:
    native = table.native_key
    return ddl.in_own_words(table.name, native) if native else [ddl.add_primary_key(table)]


def _index_statements(table: TableName, index: Index) -> list[str]:
    return ddl.in_own_words(table, index.native) if index.native else [ddl.create_index(table, index)]


def _add_key(session: Session, table: PlannedTable) -> list[Finding]:
    refused = _try(session, _key_statements(table.target)) if table.target.native_key else None
    if table.target.native_key and refused is None:
        return []
    _build(session, [ddl.add_primary_key(table.target)])
    native = table.source.native_key
    return _less(table, "the primary key", native.name, refused) if native and refused else []


def _add_index(session: Session, table: PlannedTable, index: Index) -> list[Finding]:
    """In its own words, or in plain ones where the server refuses those."""
    refused = _try(session, _index_statements(table.target.name, index))
    if refused is None:
        return []
    if index.native and _try(session, [ddl.create_index(table.target.name, index)]) is None:
        return _less(table, f"the index {index.name}", index.name, refused)
    return [_left_out(table, f"the index {index.name}", index.name, refused)]


def _less(table: PlannedTable, what: str, item: str, why: str) -> list[Finding]:
    """What it costs that the target took only the plain form of a part."""
    name = str(table.source.name)
    remarks = [one for one in table.source.remarks if one.item == item and one.since is not None]
    plain = f"{name}: {what} has only its plain form here, because {why}."
    return [Finding(Severity.WARNING, name, plain, item=item), *(remark.about(name) for remark in remarks)]


def _add_constraint(session: Session, statement: str, validated: bool, comment: list[str]) -> str | None:
    """Why it was refused; one that the source's rows need not obey is taken as it is where they do not."""
    refused = _try(session, [statement, *comment])
    if refused is None or validated:
        return refused
    return refused if _try(session, [f"{statement} NOT VALID", *comment]) else None


def _add_check(session: Session, table: PlannedTable, check: Check) -> list[Finding]:
    """An enum's check lets MySQL's error value '' in when a row holds it: the value stays, and somebody is told."""
    comment = ddl.comment_constraint(table.target.name, check.name, check.comment)
    refused = _add_constraint(session, ddl.add_check(table.target.name, check), check.validated, comment)
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
        refused = _NUMBERING.get(column.native.name, _refuse_numbering)(session, name, column)
        if refused:
            findings.append(_plainly_numbered(table, column, refused))
    if _sequence(session, name, column.name) is None:
        message = f"the numbering of {column.name}"
        findings.append(_left_out(table, message, column.name, f"a {column.native.declared} cannot be numbered"))
    elif column.native.name not in _SUPPORTED:
        text = f"{table.source.name}, column {column.name}: is numbered by a sequence, up to 9223372036854775807."
        findings.append(Finding(Severity.INFO, str(table.source.name), text, column.name))
    _move_sequence(session, table.target, column)
    return findings


def _plainly_numbered(table: PlannedTable, column: Column, why: str) -> Finding:
    name = str(table.source.name)
    text = f"{name}, column {column.name}: is numbered from 1 by 1 here, and otherwise there, because {why}."
    return Finding(Severity.WARNING, name, text, column.name)


def _identity(session: Session, name: TableName, column: Column) -> str | None:
    """Why it could not be numbered in the source's way, and so was in the plain one."""
    if column.nullable:
        _build(session, [ddl.forbid_null(name, column.name)])
    numbering = column.numbering or Numbering()
    refused = _try(session, [ddl.add_identity(name, column.name, numbering)]) if column.numbering else None
    if refused or column.numbering is None:
        _build(session, [ddl.add_identity(name, column.name, Numbering(always=numbering.always))])
    return refused


def _own_sequence(session: Session, name: TableName, column: Column) -> str | None:
    _build(session, ddl.own_sequence(name, column.name, shortened(f"{name.name}_{column.name}_seq")))
    return None


def _refuse_numbering(session: Session, name: TableName, column: Column) -> str | None:
    """A float, say; MySQL numbers even those."""
    return None


_NUMBERING: dict[str, Callable[[Session, TableName, Column], str | None]] = {
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
    session.execute(ddl.move_sequence(table.name, column.name, _following(table, column), sequence).encode())


def _following(table: Table, column: Column) -> int:
    """The number that the source would give next, as far as it is known."""
    if column.numbering is not None and column.numbering.following is not None:
        return column.numbering.following
    known = table.next_identity if column.identity else None
    return 1 if known is None else known
