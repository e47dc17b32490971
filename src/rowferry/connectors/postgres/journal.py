"""What the target itself remembers of a stream: the schema `_rowferry`, in which a chunk commits with its rows.

`streams` has a row from the moment a stream's structure is prepared until the stream is forgotten, `tables`
one for each of its tables, `chunks` one for each committed chunk, `moments` one for each whose place in the source's
log is known, `follows` (`follows.py`) one for each stream that follows such a log. The rows refer to each other, so a
writer that was left over from a forgotten stream can commit nothing, and forgetting waits for a commit under way.

The schema comes with the first stream and goes with the last. Both happen under an advisory lock that is
held to the end of the transaction: a stream that came is seen before the schema would go.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg

from rowferry.connectors import base
from rowferry.errors import Conflict
from rowferry.model.chunks import Chunk, Committed

SCHEMA = "_rowferry"

_LOCK = 0x726F776665727279
"""The advisory lock on the schema's existence ("rowferry" in bytes)."""

_CREATE: Mapping[str, str] = {
    "streams": f"""CREATE TABLE {SCHEMA}.streams (
        stream_id text PRIMARY KEY, prepared_at timestamptz NOT NULL DEFAULT now(), finished_at timestamptz)""",
    "tables": f"""CREATE TABLE {SCHEMA}.tables (
        stream_id text NOT NULL REFERENCES {SCHEMA}.streams ON DELETE CASCADE, table_name text NOT NULL,
        fingerprint text NOT NULL, created boolean NOT NULL, chunks jsonb, suspended jsonb,
        PRIMARY KEY (stream_id, table_name))""",
    "chunks": f"""CREATE TABLE {SCHEMA}.chunks (
        stream_id text NOT NULL, table_name text NOT NULL, chunk integer NOT NULL, rows bigint NOT NULL,
        size bigint NOT NULL, committed_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (stream_id, table_name, chunk),
        FOREIGN KEY (stream_id, table_name) REFERENCES {SCHEMA}.tables ON DELETE CASCADE)""",
    "moments": f"""CREATE TABLE {SCHEMA}.moments (
        stream_id text NOT NULL REFERENCES {SCHEMA}.streams ON DELETE CASCADE, table_name text NOT NULL,
        chunk integer NOT NULL, at text NOT NULL, PRIMARY KEY (stream_id, table_name, chunk))""",
    "follows": f"""CREATE TABLE {SCHEMA}.follows (
        stream_id text PRIMARY KEY REFERENCES {SCHEMA}.streams ON DELETE CASCADE, position text,
        notes jsonb NOT NULL DEFAULT '{{}}', counts jsonb NOT NULL DEFAULT '{{}}', epoch bigint NOT NULL DEFAULT 0,
        pid integer, begun timestamptz,
        updated_at timestamptz NOT NULL DEFAULT now())""",
}
"""Each refers to those before it. A schema that an older version made lacks the last two; they are added beside what
others use meanwhile, which new columns of `chunks` would have to wait for."""

CLAIM = f"""
INSERT INTO {SCHEMA}.chunks (stream_id, table_name, chunk, rows, size) VALUES (%s, %s, %s, 0, 0)
ON CONFLICT DO NOTHING
"""
"""The first statement of a chunk's transaction. No row: the chunk is done already.

A second writer of the same chunk waits here, on the primary key, until the first one commits or rolls
back; so two can never both have written, however late one of them wakes up.
"""

MOMENT = f"INSERT INTO {SCHEMA}.moments (stream_id, table_name, chunk, at) VALUES (%s, %s, %s, %s)"
"""The place in the source's log that a chunk is read at, in the chunk's transaction."""

CLOSE = f"""
UPDATE {SCHEMA}.chunks SET rows = %s, size = %s
WHERE stream_id = %s AND table_name = %s AND chunk = %s
"""

Session = psycopg.Connection[tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Record:
    """What `prepare` did to a table: whether it `created` it, and the foreign keys it took off meanwhile."""

    fingerprint: str
    created: bool
    suspended: Mapping[str, str]


def hold(session: Session, stream_id: str) -> None:
    """Let no other session prepare this stream until the transaction ends."""
    session.execute("SELECT pg_advisory_xact_lock(%s::int, hashtext(%s))", (_LOCK >> 33, stream_id))


def records(session: Session, stream_id: str) -> dict[str, Record] | None:
    """What was prepared for the stream, by table; None when nothing ever was.

    The last stream's end may drop the schema while we ask. The question has a savepoint of its own, so that
    a transaction it is part of goes on.
    """
    if not _exists(session):
        return None
    try:
        with session.transaction():
            rows = session.execute(
                f"SELECT t.table_name, t.fingerprint, t.created, t.suspended FROM {SCHEMA}.streams s "
                f"LEFT JOIN {SCHEMA}.tables t USING (stream_id) WHERE stream_id = %s ORDER BY table_name",
                (stream_id,),
            ).fetchall()
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
        return None
    if not rows:
        return None
    return {name: Record(mark, created, suspended or {}) for name, mark, created, suspended in rows if name is not None}


def complete(session: Session) -> None:
    """Make what the schema lacks, inside the caller's transaction, which should be near its end."""
    session.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
    there = _there(session)
    if "chunks" not in there:
        session.execute(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
    for name, statement in _CREATE.items():
        if name not in there:
            session.execute(statement.encode())


def add(session: Session, stream_id: str, prepared: Mapping[str, Record]) -> None:
    """Put the stream into the journal, inside the caller's transaction and as its last step."""
    complete(session)
    session.execute(f"INSERT INTO {SCHEMA}.streams (stream_id) VALUES (%s)", (stream_id,))
    with session.cursor() as cursor:
        cursor.executemany(
            f"INSERT INTO {SCHEMA}.tables (stream_id, table_name, fingerprint, created, suspended) "
            "VALUES (%s, %s, %s, %s, %s)",
            [
                (stream_id, name, r.fingerprint, r.created, json.dumps(dict(r.suspended)))
                for name, r in prepared.items()
            ],
        )


def read(session: Session, stream_id: str) -> base.Journal | None:
    """The stream's journal in the pipeline's words."""
    prepared = records(session, stream_id)
    if prepared is None:
        return None
    begun = session.execute(
        f"SELECT table_name, chunks FROM {SCHEMA}.tables WHERE stream_id = %s AND chunks IS NOT NULL", (stream_id,)
    )
    chunks = {name: [Chunk.read(entry) for entry in entries] for name, entries in begun}
    return base.Journal(
        fingerprints={name: record.fingerprint for name, record in prepared.items()},
        chunks=chunks,
        committed=_committed(session, stream_id),
    )


def entry(session: Session, stream_id: str, table: str, chunk: int) -> Committed:
    """What the journal says of a chunk that is done."""
    return next(one for one in _committed(session, stream_id) if (one.table, one.number) == (table, chunk))


def _committed(session: Session, stream_id: str) -> list[Committed]:
    moments, at = ("", "NULL")
    if "moments" in _there(session):
        moments, at = (f"LEFT JOIN {SCHEMA}.moments USING (stream_id, table_name, chunk)", "at")
    rows = session.execute(
        f"SELECT table_name, chunk, rows, size, {at} FROM {SCHEMA}.chunks {moments} WHERE stream_id = %s "
        "ORDER BY table_name, chunk",
        (stream_id,),
    )
    return [Committed(*row) for row in rows]


def begin(session: Session, stream_id: str, table: str, chunks: Sequence[Chunk]) -> None:
    """Write down a table's chunks for good; Conflict when others are written there already."""
    entries = json.dumps([chunk.document() for chunk in chunks])
    done = session.execute(
        f"UPDATE {SCHEMA}.tables SET chunks = %(chunks)s::jsonb "
        "WHERE stream_id = %(stream)s AND table_name = %(table)s AND (chunks IS NULL OR chunks = %(chunks)s::jsonb)",
        {"chunks": entries, "stream": stream_id, "table": table},
    )
    if done.rowcount != 1:
        raise Conflict(f"The target's journal does not expect these chunks of {table}; start a new stream.")


def uncopy(session: Session, stream_id: str, tables: Sequence[str]) -> None:
    """Take the tables' chunks out of the journal, within the transaction. Waits for writers of chunks, and they for it:
    what they find afterwards is as if they were the first."""
    session.execute(
        f"SELECT 1 FROM {SCHEMA}.tables WHERE stream_id = %s AND table_name = ANY(%s) FOR UPDATE",
        (stream_id, list(tables)),
    )
    for name in ("moments", "chunks"):
        session.execute(
            f"DELETE FROM {SCHEMA}.{name} WHERE stream_id = %s AND table_name = ANY(%s)".encode(),
            (stream_id, list(tables)),
        )


def resumed(session: Session, stream_id: str, table: str) -> None:
    """Note that the foreign keys that were taken off a table are back."""
    session.execute(
        f"UPDATE {SCHEMA}.tables SET suspended = '{{}}' WHERE stream_id = %s AND table_name = %s", (stream_id, table)
    )


def finished(session: Session, stream_id: str) -> None:
    """Note the end, in a commit that waits for the disk: all chunk commits before it are then safe as well."""
    session.execute(f"UPDATE {SCHEMA}.streams SET finished_at = now() WHERE stream_id = %s", (stream_id,))


def forget(session: Session, stream_id: str) -> None:
    """Remove the stream's rows, and the schema when it was the last; what else lies in the schema stays."""
    if not _exists(session):
        return
    with session.transaction():
        session.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        if not _exists(session):
            return
        session.execute(f"DELETE FROM {SCHEMA}.streams WHERE stream_id = %s", (stream_id,))
        if session.execute(f"SELECT 1 FROM {SCHEMA}.streams LIMIT 1").fetchone() is None:
            _drop(session)


def _drop(session: Session) -> None:
    """Whoever looks into the journal just now keeps it alive; the next stream finds it empty and uses it.

    So there is no waiting for locks here: a stream that is being prepared may wait for ours.
    """
    try:
        with session.transaction():
            there = _there(session)
            ours = ", ".join(f"{SCHEMA}.{name}" for name in reversed(list(_CREATE)) if name in there)
            session.execute(f"LOCK TABLE {ours} IN ACCESS EXCLUSIVE MODE NOWAIT".encode())
            session.execute(f"DROP TABLE {ours}".encode())
            session.execute(f"DROP SCHEMA {SCHEMA}")
    except (
        psycopg.errors.LockNotAvailable,
        psycopg.errors.DependentObjectsStillExist,
        psycopg.errors.InsufficientPrivilege,
    ):
        return


def _exists(session: Session) -> bool:
    return "chunks" in _there(session)


def _there(session: Session) -> set[str]:
    """What of ours is there.

    Asked of the catalogue's tables: to_regclass may answer out of what the session knew before it got the lock.
    """
    found = session.execute(
        "SELECT c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE n.nspname = %s AND c.relname = ANY(%s)",
        (SCHEMA, list(_CREATE)),
    )
    return {str(name) for (name,) in found}
