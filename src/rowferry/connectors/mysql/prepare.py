"""The structure stage: the database, the tables, and last of all the journal, which says that all of it is there.

Nothing of this can be rolled back, so each step may be done again: a table that an earlier, broken-off attempt
created is known by its mark (`journal.mark`), holds no rows, and is made anew.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from rowferry.config.stream import SchemaPolicy, WriteMode
from rowferry.connectors.base import PlannedTable, TargetRequest
from rowferry.connectors.mysql import ddl, journal
from rowferry.connectors.mysql.facts import Facts, not_empty, read_facts
from rowferry.connectors.mysql.failures import error_code
from rowferry.connectors.mysql.journal import Record
from rowferry.connectors.mysql.refusals import DriverErrors, while_preparing
from rowferry.connectors.mysql.sessions import Session
from rowferry.errors import TargetExists
from rowferry.model.tables import Index, Table

_NO_DEFAULT = frozenset({1067, 1101, 1674, 1901, 3770, 3774})


def own_leavings(session: Session, facts: Facts, database: str, stream_id: str) -> list[str]:
    """The tables that an attempt of this stream to prepare itself left behind: marked, and empty."""
    marked = [name for name, one in facts.relations.items() if one.comment == journal.mark(stream_id)]
    full = set(not_empty(session.wire, database, marked))
    return [name for name in marked if name not in full]


def prepare(
    session: Session,
    request: TargetRequest,
    database: str,
    tables: Sequence[PlannedTable],
    fingerprints: Mapping[str, str],
) -> None:
    """Do what the policies say. A stream that is in the journal was prepared, and is left alone."""
    try:
        with journal.held(session, f"rowferry {request.stream_id}"):
            if journal.records(session, request.stream_id) is not None:
                return
            session.execute(ddl.create_database(database))
            _arrange(session, request, database, tables)
            names = [(str(table.target.name), not table.existing) for table in tables]
            journal.add(
                session,
                request.stream_id,
                {name: Record(fingerprints.get(name, ""), created) for name, created in names},
            )
    except DriverErrors as error:
        session.roll_back()
        raise while_preparing(error, "preparing the target's tables") from error


def _arrange(session: Session, request: TargetRequest, database: str, tables: Sequence[PlannedTable]) -> None:
    """Drop, create and empty."""
    facts = read_facts(session.wire, database, [table.target.name.name for table in tables])
    leavings = set(own_leavings(session, facts, database, request.stream_id))
    new = [table.target for table in tables if not table.existing]
    dropping = request.schema_policy is SchemaPolicy.DROP_AND_RECREATE
    dropped = [one.name for one in new if one.name.name in facts.relations and (dropping or one.name.name in leavings)]
    session.execute("SET foreign_key_checks = 0")  # the plan has refused to leave references of others behind
    if dropped:
        session.execute(ddl.drop_tables(dropped))
    for table in new:
        _create(session, table, request)
    if request.write_mode is WriteMode.TRUNCATE_AND_LOAD and not request.skip_data:
        for kept in tables:
            if kept.existing:
                session.execute(ddl.truncate(kept.target.name))
    session.execute("SET foreign_key_checks = 1")


def _create(session: Session, table: Table, request: TargetRequest) -> None:
    """Make the table; defaults that the server does not take there are tried one by one when it is finished."""
    mark = journal.mark(request.stream_id)
    early = early_indexes(table, request.write_mode is WriteMode.UPSERT and not request.followed)
    try:
        session.execute(ddl.create_table(table, mark, early))
    except DriverErrors as error:
        if error_code(error) == 1050:
            raise TargetExists(f"Somebody has created {table.name} meanwhile.") from error
        if error_code(error) not in _NO_DEFAULT:
            raise
        session.execute(ddl.create_table(without_defaults(table), mark, early))


def early_indexes(table: Table, upsert: bool) -> list[Index]:
    """The indexes that have to be there before the rows: for the server's numbering, and for upsert's key."""
    numbered = next((column.name for column in table.columns if column.identity), None)
    found = []
    if numbered is not None and table.primary_key[:1] != (numbered,):
        # A table without its secondary indexes, as it is while changes catch up, has them already on the target.
        found += [i for i in table.indexes if i.columns[:1] == (numbered,) and i.method == "btree"][:1]
    if upsert and table.key and table.key != table.primary_key:
        found += [next(i for i in table.indexes if i.unique and i.columns == table.key)]
    return list(dict.fromkeys(found))


def without_defaults(table: Table) -> Table:
    """The table, no column with a default."""
    return replace(table, columns=tuple(replace(column, default=None) for column in table.columns))
