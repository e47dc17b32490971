"""The structure stage: the database, then everything else in one transaction together with the journal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import psycopg

from rowferry.config.stream import SchemaPolicy, WriteMode
from rowferry.connectors.base import PlannedTable, TargetRequest
from rowferry.connectors.postgres import ddl, journal
from rowferry.connectors.postgres.columns import enum_name, named_enum
from rowferry.connectors.postgres.facts import Session, open_database, read_facts
from rowferry.connectors.postgres.failures import while_preparing
from rowferry.connectors.postgres.journal import Record
from rowferry.model.tables import Table


def ensure_database(request: TargetRequest, database: str) -> None:
    """Create the database when it is missing; that somebody else does so at the same time is no error."""
    session, there = open_database(request.connection, database)
    with session:
        if there:
            return
        try:
            session.execute(ddl.create_database(database).encode())
        except (psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
            return
        except psycopg.Error as error:
            raise while_preparing(error, f"creating the database {database}") from error


def prepare(
    session: Session,
    request: TargetRequest,
    schema: str,
    tables: Sequence[PlannedTable],
    fingerprints: Mapping[str, str],
) -> None:
    """Do what the policies say, all or nothing. A stream that is in the journal was prepared, and is left alone."""
    try:
        with session.transaction():
            journal.hold(session, request.stream_id)
            if journal.records(session, request.stream_id) is not None:
                return
            suspended = _arrange(session, request, schema, tables)
            journal.add(
                session,
                request.stream_id,
                {
                    str(table.target.name): Record(
                        fingerprints.get(str(table.target.name), ""),
                        not table.existing,
                        suspended.get(table.target.name.name, {}),
                    )
                    for table in tables
                },
            )
    except psycopg.Error as error:
        raise while_preparing(error, "preparing the target's tables") from error


def _arrange(
    session: Session, request: TargetRequest, schema: str, tables: Sequence[PlannedTable]
) -> Mapping[str, Mapping[str, str]]:
    """Drop, create and empty; returns the foreign keys that were taken off, by table."""
    facts = read_facts(session, schema, [table.target.name.name for table in tables])
    if not facts.schema:
        session.execute(ddl.create_schema(schema).encode())
    kept = [table.target.name for table in tables if table.existing]
    new = [table for table in tables if not table.existing]
    dropped = [table.target.name for table in new if table.target.name.name in facts.relations]
    if dropped and request.schema_policy is SchemaPolicy.DROP_AND_RECREATE:
        session.execute(ddl.drop_tables(dropped).encode())
    _create_enums(session, schema, new, facts.enums)
    for table in new:
        session.execute(ddl.create_table(table.target).encode())
        if request.upserts(table) and table.target.key:
            session.execute(_key_statement(table.target).encode())
    if request.skip_data:
        return {}
    names = {name.name for name in kept}
    suspended = {name: keys for name, keys in facts.foreign_keys.items() if name in names}
    for name in kept:
        for key in suspended.get(name.name, ()):
            session.execute(ddl.drop_constraint(name, key).encode())
    if kept and request.write_mode is WriteMode.TRUNCATE_AND_LOAD:
        session.execute(ddl.truncate(kept).encode())
    return suspended


def _create_enums(
    session: Session, schema: str, tables: Sequence[PlannedTable], there: Mapping[str, tuple[str, ...]]
) -> None:
    wanted = {}
    for table in tables:
        for column in table.source.columns:
            enum = named_enum(column.type)
            if enum is not None and enum_name(enum) not in there:
                wanted[enum_name(enum)] = enum.members
    for name, members in wanted.items():
        session.execute(ddl.create_enum(schema, name, members).encode())


def _key_statement(table: Table) -> str:
    """The key by which upsert finds rows; it has to be there before the first of them."""
    if table.primary_key == table.key:
        return ddl.add_primary_key(table)
    index = next(i for i in table.indexes if i.unique and i.columns == table.key and not i.predicate)
    return ddl.create_index(table.name, index)
