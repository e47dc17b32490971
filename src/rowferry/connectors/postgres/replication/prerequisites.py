"""Everything that a server, a user or tables lack for being followed, in one answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from rowferry.config.stream import SourceOptions
from rowferry.connectors.postgres.catalog import Session
from rowferry.connectors.postgres.names import qualified, quoted
from rowferry.connectors.postgres.replication.publications import about_publication
from rowferry.connectors.postgres.replication.slots import PLUGIN, Names, find_slot, needs_identity, way_back
from rowferry.connectors.postgres.replication.tables import Stored, about_table, stored_tables
from rowferry.errors import Refused
from rowferry.model.findings import Finding, Severity
from rowferry.model.tables import Table, TableName

SERVER = """
SELECT pg_is_in_recovery(), current_setting('wal_level'), current_user::text, current_database()::text,
       current_setting('max_replication_slots')::int - (SELECT count(*) FROM pg_replication_slots),
       current_setting('max_replication_slots')::int,
       current_setting('max_wal_senders')::int - (SELECT count(*) FROM pg_stat_replication),
       current_setting('max_wal_senders')::int,
       (SELECT bool_or(r.rolsuper OR r.rolreplication OR r.rolname = 'rds_replication')
        FROM pg_roles r
        WHERE r.rolname = current_user OR r.rolname = 'rds_replication' AND pg_has_role(r.oid, 'MEMBER')),
       has_database_privilege(current_database(), 'CREATE')
"""


@dataclass(frozen=True, slots=True)
class Server:
    """What the server and the user have."""

    standby: bool
    wal_level: str
    user: str
    database: str
    free_slots: int
    slots: int
    free_senders: int
    senders: int
    may_replicate: bool
    may_create: bool


def missing(session: Session, tables: Sequence[Table], names: Names, options: SourceOptions) -> list[Finding]:
    """Errors, each with the statement or setting that mends it; warnings of what the log leaves out."""
    server = Server(*session.execute(SERVER).fetchall()[0])
    stored = stored_tables(session, [table.name for table in tables])
    found = list(_about_server(session, server, names, options))
    found += about_publication(session, tables, stored, names, options)
    if names.own_publication:
        found += _about_rights(session, server, tables, stored, names)
    for table in tables:
        found += about_table(table, stored.get(table.name, ()), session.info.server_version, needs_identity(options))
    return found


def check_tables(session: Session, tables: Sequence[Table], options: SourceOptions) -> None:
    """Refused where to publish one of the tables would be of no use, or let its updates fail at the source."""
    stored = stored_tables(session, [table.name for table in tables])
    for table in tables:
        found = about_table(table, stored.get(table.name, ()), session.info.server_version, needs_identity(options))
        for finding in found:
            if finding.severity is Severity.ERROR:
                raise Refused(finding.message)


def _about_server(session: Session, server: Server, names: Names, options: SourceOptions) -> Iterator[Finding]:
    if server.standby:
        yield _error("The server is a standby, which cannot keep what a stream needs: connect to its primary.")
    if server.wal_level != "logical":
        yield _error(
            f"The server's wal_level is {server.wal_level}, and its log does not tell rows: run "
            "ALTER SYSTEM SET wal_level = 'logical'; and restart the server."
        )
    if not server.may_replicate:
        yield _error(
            f"The user {server.user} may not read the log: run ALTER ROLE {quoted(server.user)} REPLICATION; "
            f"(on Amazon RDS: GRANT rds_replication TO {quoted(server.user)};)."
        )
    slot = find_slot(session, names.slot)
    # The load takes one for a moment; whether it is still to come cannot be seen once the stream's own is there.
    wanted = 1 + options.initial_load if slot is None and names.own_slot else 0
    if server.free_slots < wanted:
        more = server.slots + wanted - server.free_slots
        yield _error(
            f"The server has {server.free_slots} replication slots free, and the stream needs {wanted}: run "
            f"ALTER SYSTEM SET max_replication_slots = {more}; and restart the server, or drop slots that nobody uses."
        )
    if server.free_senders < 1 and (slot is None or slot.active is None):
        yield _error(
            f"The server has no WAL sender free: run ALTER SYSTEM SET max_wal_senders = {server.senders + 1}; and "
            "restart the server."
        )
    if slot is None:
        if not names.own_slot:
            yield _error(
                f"There is no replication slot {names.slot}: run "
                f"SELECT pg_create_logical_replication_slot('{names.slot}', '{PLUGIN}');"
            )
    elif slot.plugin != PLUGIN or slot.database != server.database:
        yield _error(
            f"The replication slot {names.slot} is not one of {PLUGIN} in the database {server.database}: name another "
            f"in options.replicationSlot, made by SELECT pg_create_logical_replication_slot('NAME', '{PLUGIN}');"
        )
    elif slot.lost:
        yield _error(
            f"The server threw away log that the replication slot {names.slot} was to keep: {way_back(names.slot)}."
        )


def _about_rights(
    session: Session,
    server: Server,
    tables: Sequence[Table],
    stored: Mapping[TableName, Sequence[Stored]],
    names: Names,
) -> Iterator[Finding]:
    """Making a publication takes the database's CREATE and all the tables."""
    if session.execute("SELECT FROM pg_publication WHERE pubname = %s", (names.publication,)).rowcount:
        return
    if not server.may_create:
        yield _error(
            f"The user {server.user} may not make a publication: run GRANT CREATE ON DATABASE "
            f"{quoted(server.database)} TO {quoted(server.user)};, or give options.publicationName."
        )
    foreign = [table for table in tables if not all(one.owned for one in stored.get(table.name, ())[:1])]
    listed = ", ".join(f"ONLY {qualified(table.name.schema, table.name.name)}" for table in tables)
    for table in foreign:
        owner = stored[table.name][0].owner
        yield Finding(
            Severity.ERROR,
            str(table.name),
            f"{table.name} belongs to {owner}, so {server.user} may not publish it: run GRANT {quoted(owner)} TO "
            f"{quoted(server.user)};, or let an owner run CREATE PUBLICATION rowferry FOR TABLE {listed}; and give "
            "that name in options.publicationName.",
        )


def _error(message: str) -> Finding:
    return Finding(Severity.ERROR, "", message)
