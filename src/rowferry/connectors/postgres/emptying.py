"""Tables emptied as a TRUNCATE at the source emptied them: they, and no others."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

import psycopg

from rowferry.connectors.postgres import ddl
from rowferry.errors import MissingTable, WriteFailed
from rowferry.model.tables import TableName

Session = psycopg.Connection[tuple[Any, ...]]

_REFERENCES = """
SELECT c.confrelid::bigint, c.conrelid::bigint, c.confdeltype IN ('c', 'n', 'd')
FROM pg_constraint c WHERE c.contype = 'f' AND c.confrelid = ANY(%s::bigint[]::oid[]) AND c.conrelid <> c.confrelid
"""
"""Who refers to the tables, and whether a delete would do something to the rows there."""

_SEQUENCES = """
SELECT format('%%I.%%I', n.nspname, s.relname)
FROM pg_depend d JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S' JOIN pg_namespace n ON n.oid = s.relnamespace
WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
  AND d.refobjid = %s
"""


def empty(session: Session, tables: Sequence[TableName], restart: bool, acting: bool) -> None:
    """Empty the tables. `restart`: their numbers begin anew; `acting`: foreign keys act on what is deleted.

    PostgreSQL truncates no table that others refer to, even if none of their rows do; such a one is emptied by DELETE.
    """
    places = {_number(session, table): table for table in tables}
    references = session.execute(_REFERENCES, (list(places),)).fetchall()
    deleted = _referred(places, references)
    for referred, referring, acts in references:
        if acting and acts and referring not in places:
            raise WriteFailed(
                f"{places[referred]} cannot be emptied without its foreign keys changing rows of other tables: let the "
                "user set session_replication_role, or drop the references to it."
            )
    if deleted:
        _delete(session, [places[number] for number in deleted])
    for number in deleted if restart else ():
        for (sequence,) in session.execute(_SEQUENCES, (number,)).fetchall():
            session.execute(f"ALTER SEQUENCE {sequence} RESTART".encode())
    others = [table for number, table in places.items() if number not in deleted]
    if others:
        session.execute(f"{ddl.truncate(others)}{' RESTART IDENTITY' if restart else ''}".encode())


def _number(session: Session, table: TableName) -> int:
    row = session.execute("SELECT to_regclass(%s)::oid::bigint", (ddl.place(table),)).fetchone()
    if row is None or row[0] is None:
        raise MissingTable(f"There is no table {table} on the target any more: start a new stream.")
    return int(row[0])


def _referred(places: Collection[int], references: Iterable[tuple[int, int, bool]]) -> list[int]:
    """The tables that cannot be truncated, because others refer to them that are not."""
    pairs = [(referred, referring) for referred, referring, _ in references]
    deleted: list[int] = []
    while more := [r for r, by in pairs if r not in deleted and (by not in places or by in deleted)]:
        deleted.append(more[0])
    return deleted


def _delete(session: Session, tables: Sequence[TableName]) -> None:
    """All in one statement, so that references between them are no hindrance."""
    parts = ", ".join(f"d{place} AS (DELETE FROM {ddl.place(table)})" for place, table in enumerate(tables))
    session.execute(f"WITH {parts} SELECT".encode())
