"""The slot and the publication at the source: made, looked after and removed."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256

import psycopg
from psycopg.sql import SQL, Composable, Identifier, Literal

from rowferry.config.stream import Operation, SourceOptions
from rowferry.connectors.postgres.catalog import Session
from rowferry.connectors.postgres.names import LIMIT, quoted
from rowferry.connectors.postgres.replication.positions import number
from rowferry.connectors.postgres.versions import Since, spelled
from rowferry.errors import Conflict, SourceChanged
from rowferry.model.changes import Position
from rowferry.model.tables import Table, TableName

PLUGIN = "pgoutput"

PATIENCE = 30.0
"""Seconds that a walsender of ours, which was told to end, may take."""

_PAUSE = 0.05
_PREFIX = "rowferry_"
_STRANGE = re.compile(r"[^a-z0-9_]")

SLOT = """
SELECT plugin::text, slot_type::text, database::text, active_pid, confirmed_flush_lsn::text, {slot_lost}
FROM pg_replication_slots WHERE slot_name = %s
"""

PUBLISHED = """
SELECT n.nspname::text, c.relname::text
FROM pg_publication p
JOIN pg_publication_rel r ON r.prpubid = p.oid
JOIN pg_class c ON c.oid = r.prrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE p.pubname = %s
"""


@dataclass(frozen=True, slots=True)
class Names:
    """What the slot and the publication are called, and which of them are the user's own."""

    slot: str
    publication: str
    own_slot: bool
    own_publication: bool


def names_for(stream_id: str, options: SourceOptions) -> Names:
    """Those that the user gave, or names after the stream."""
    made = _name(stream_id)
    return Names(
        options.replication_slot or made,
        options.publication_name or made,
        own_slot=not options.replication_slot,
        own_publication=not options.publication_name,
    )


def _name(stream_id: str) -> str:
    plain = _STRANGE.sub("_", stream_id.lower())
    if plain == stream_id and len(_PREFIX) + len(plain) <= LIMIT:
        return _PREFIX + plain
    mark = sha256(stream_id.encode()).hexdigest()[:12]
    return f"{_PREFIX}{plain[: LIMIT - len(_PREFIX) - len(mark) - 1]}_{mark}"


@dataclass(frozen=True, slots=True)
class Slot:
    """A slot as the server has it. `lost`: the server threw away log that it should have kept."""

    plugin: str
    kind: str
    database: str | None
    active: int | None
    confirmed: Position | None
    lost: bool


def find_slot(session: Session, name: str) -> Slot | None:
    """The slot of that name."""
    found = session.execute(spelled(SLOT, session.info.server_version), (name,)).fetchone()
    return None if found is None else Slot(*found)


def way_back(name: str) -> str:
    """What to do when a slot is of no more use, as the end of a sentence."""
    return (
        f"drop it if it is there (SELECT pg_drop_replication_slot('{name}');), give max_slot_wal_keep_size more room, "
        "and start a new stream, which loads the tables anew"
    )


def check_slot(session: Session, name: str, position: Position) -> None:
    """SourceChanged when the slot no longer has the log from there on."""
    slot = find_slot(session, name)
    if slot is None:
        raise SourceChanged(f"The replication slot {name} is no longer there: {way_back(name)}.")
    if slot.lost:
        raise SourceChanged(
            f"The server threw away log that the replication slot {name} was to keep: {way_back(name)}."
        )
    if slot.confirmed is not None and number(slot.confirmed) > number(position):
        raise SourceChanged(
            f"The replication slot {name} stands at {slot.confirmed}, behind the stream's position {position}, so "
            f"changes in between are gone: {way_back(name)}."
        )


def make_publication(session: Session, name: str, tables: Sequence[Table], options: SourceOptions) -> None:
    """A publication of just these tables; one of that name is brought to that.

    A plain table is published without those that inherit from it, which are tables of their own.
    """
    listed = SQL(", ").join(SQL("ONLY {}").format(Identifier(one.name.schema, one.name.name)) for one in tables)
    settings = SQL(", ").join(_settings(session.info.server_version, options))
    if not session.execute("SELECT FROM pg_publication WHERE pubname = %s", (name,)).rowcount:
        session.execute(SQL("CREATE PUBLICATION {} FOR TABLE {} WITH ({})").format(Identifier(name), listed, settings))
        return
    if {TableName(*row) for row in session.execute(PUBLISHED, (name,))} != {table.name for table in tables}:
        session.execute(SQL("ALTER PUBLICATION {} SET TABLE {}").format(Identifier(name), listed))
    session.execute(SQL("ALTER PUBLICATION {} SET ({})").format(Identifier(name), settings))


def check_publication(session: Session, name: str) -> None:
    """SourceChanged when it is gone; since version 18 a walsender only leaves out what nobody publishes."""
    if not session.execute("SELECT FROM pg_publication WHERE pubname = %s", (name,)).rowcount:
        raise SourceChanged(
            f"The publication {name} is no longer there, so changes may have been left out: start a new stream, which "
            "loads the tables anew."
        )


def needs_identity(options: SourceOptions) -> bool:
    """Whether the log must tell rows as they were."""
    return bool({Operation.UPDATE, Operation.DELETE}.intersection(options.operations))


def published(options: SourceOptions) -> str:
    """The operations of a publication for these options."""
    return ", ".join([*(one.value for one in Operation if one in options.operations), "truncate"])


def _settings(version: int, options: SourceOptions) -> list[Composable]:
    settings: list[Composable] = [SQL("publish = {}").format(Literal(published(options)))]
    if version >= Since.ROOT_PUBLICATIONS:
        settings.append(SQL("publish_via_partition_root = true"))
    if version >= Since.CONSTRAINTS_OF_18:
        settings.append(SQL("publish_generated_columns = stored"))
    return settings


def make_slot(session: Session, name: str, own: bool) -> Position:
    """Where the slot begins; a new one at the end of the log, once the transactions under way have ended."""
    slot = find_slot(session, name)
    if slot is None and not own:
        raise Conflict(
            f"There is no replication slot {name}: run SELECT pg_create_logical_replication_slot('{name}', '{PLUGIN}');"
        )
    if slot is None:
        row = session.execute(
            "SELECT lsn::text FROM pg_create_logical_replication_slot(%s, %s)", (name, PLUGIN)
        ).fetchone()
        return str(row[0]) if row else ""
    if slot.plugin != PLUGIN or slot.kind != "logical" or slot.database != session.info.dbname:
        raise Conflict(
            f"The replication slot {name} is not one of {PLUGIN} in the database {session.info.dbname}: choose another "
            "in options.replicationSlot."
        )
    if slot.lost or slot.confirmed is None:
        raise SourceChanged(
            f"The server threw away log that the replication slot {name} was to keep: {way_back(name)}."
        )
    return slot.confirmed


def drop_slot(session: Session, name: str) -> None:
    """Remove it, also while a walsender of ours has it."""
    while find_slot(session, name) is not None:
        free_slot(session, name)
        # Another walsender may have taken it just now, or somebody else removed it.
        with suppress(psycopg.errors.ObjectInUse, psycopg.errors.UndefinedObject):
            session.execute("SELECT pg_drop_replication_slot(%s)", (name,))


def free_slot(session: Session, name: str) -> None:
    """End a walsender that has the slot, such as that of a worker which died; Conflict when it does not end."""
    deadline = time.monotonic() + PATIENCE
    while (slot := find_slot(session, name)) is not None and slot.active is not None:
        if time.monotonic() > deadline:
            raise Conflict(
                f"The replication slot {name} is in use by the server's process {slot.active}: end that one."
            )
        session.execute("SELECT pg_terminate_backend(%s)", (slot.active,))
        time.sleep(_PAUSE)


def drop_publication(session: Session, name: str) -> None:
    """Remove it, if it is there."""
    session.execute(SQL("DROP PUBLICATION IF EXISTS {}").format(Identifier(name)))


def start_statement(names: Names, position: Position, *, under_way: bool) -> str:
    """What makes a walsender begin; with `under_way` it tells of large transactions before they have ended."""
    publication = quoted(names.publication).replace("'", "''")
    protocol = "proto_version '2', streaming 'on'" if under_way else "proto_version '1'"
    return (
        f"START_REPLICATION SLOT {quoted(names.slot)} LOGICAL {position} "
        f"({protocol}, publication_names '{publication}')"
    )
