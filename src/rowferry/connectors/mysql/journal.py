"""What the target itself remembers of a stream: the database `_rowferry`, in which a chunk commits with its rows.

`streams` has a row from the moment a stream's structure is prepared until the stream is forgotten, `tables`
one for each of its tables, `chunks` one for each committed chunk, `moments` one for each whose place in the source's
log is known, `follows` one for a stream that follows such a log (`follows.py`). The rows refer to each other, so a
writer that was left over from a forgotten stream can commit nothing, and forgetting waits for a commit under way.

The database comes with the first stream and goes with the last, both under a lock of that name.

A statement that creates, drops or empties a table cannot be rolled back here. So a table that a stream creates
carries the stream's mark as its comment from the statement on that creates it: after a crash, an empty table with
the mark is known for the stream's own work. The rows of this journal are written last, in one transaction.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import pymysql

from rowferry.connectors import base
from rowferry.connectors.mysql.failures import error_code
from rowferry.connectors.mysql.names import literal
from rowferry.connectors.mysql.sessions import PATIENCE, Session
from rowferry.errors import Conflict, ConnectionLost
from rowferry.model.chunks import Chunk, Committed

DATABASE = "_rowferry"

_LOCK = "rowferry journal"
MISSING = frozenset({1049, 1146})
"""There is no journal."""
_ENGINE = "ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"

_CREATE = (
    f"CREATE DATABASE IF NOT EXISTS {DATABASE} CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
    f"""CREATE TABLE IF NOT EXISTS {DATABASE}.streams (
        stream_id varchar(100) NOT NULL PRIMARY KEY, prepared_at datetime NOT NULL, finished_at datetime) {_ENGINE}""",
    f"""CREATE TABLE IF NOT EXISTS {DATABASE}.tables (
        stream_id varchar(100) NOT NULL, table_name varchar(140) NOT NULL, fingerprint varchar(100) NOT NULL,
        created tinyint(1) NOT NULL, chunks longtext, PRIMARY KEY (stream_id, table_name),
        FOREIGN KEY (stream_id) REFERENCES {DATABASE}.streams (stream_id) ON DELETE CASCADE) {_ENGINE}""",
    f"""CREATE TABLE IF NOT EXISTS {DATABASE}.chunks (
        stream_id varchar(100) NOT NULL, table_name varchar(140) NOT NULL, chunk int NOT NULL,
        row_count bigint NOT NULL, byte_count bigint NOT NULL, committed_at datetime NOT NULL,
        PRIMARY KEY (stream_id, table_name, chunk),
        FOREIGN KEY (stream_id, table_name) REFERENCES {DATABASE}.tables (stream_id, table_name)
        ON DELETE CASCADE) {_ENGINE}""",
    f"""CREATE TABLE IF NOT EXISTS {DATABASE}.moments (
        stream_id varchar(100) NOT NULL, table_name varchar(140) NOT NULL, chunk int NOT NULL, at longtext NOT NULL,
        PRIMARY KEY (stream_id, table_name, chunk),
        FOREIGN KEY (stream_id) REFERENCES {DATABASE}.streams (stream_id) ON DELETE CASCADE) {_ENGINE}""",
    f"""CREATE TABLE IF NOT EXISTS {DATABASE}.follows (
        stream_id varchar(100) NOT NULL PRIMARY KEY, position longtext, notes longtext NOT NULL, counts longtext,
        altering longtext, epoch bigint NOT NULL, updated_at datetime NOT NULL,
        FOREIGN KEY (stream_id) REFERENCES {DATABASE}.streams (stream_id) ON DELETE CASCADE) {_ENGINE}""",
)
"""A journal that an older version made lacks the last two; they come beside what others use meanwhile, which a new
column of `chunks` would have to wait for."""

_TABLES = ("follows", "moments", "chunks", "tables", "streams")
"""Each before those that it refers to."""

Entry = tuple[str, str, int]
"""A chunk's name in the journal: the stream, the table, the number."""


@dataclass(frozen=True, slots=True)
class Record:
    """What `prepare` did to a table: whether it `created` it."""

    fingerprint: str
    created: bool


def mark(stream_id: str) -> str:
    """The comment of a table that the stream has created and not yet finished."""
    return f"rowferry {stream_id}"


def claim(session: Session, entry: Entry) -> bool:
    """Take a chunk, as the first step of its transaction; False when it is done already, or the stream is gone.

    A second writer of the same chunk waits here, on the primary key, until the first one commits or rolls back; so
    two can never both have written. The table's row stays locked, so that the stream cannot be forgotten meanwhile.
    """
    stream, table, number = entry
    held = f"SELECT 1 FROM {DATABASE}.tables WHERE {_is(stream, table)} LOCK IN SHARE MODE"
    if not session.rows(held):
        return False
    changed = session.execute(
        f"INSERT INTO {DATABASE}.chunks (stream_id, table_name, chunk, row_count, byte_count, committed_at) "
        f"VALUES ({literal(stream)}, {literal(table)}, {number}, 0, 0, UTC_TIMESTAMP()) "
        "ON DUPLICATE KEY UPDATE chunk = chunk"
    )
    return changed == 1


def entry_of(session: Session, entry: Entry) -> Committed | None:
    """A chunk that is done."""
    stream, table, number = entry
    found = _committed(session, f"{_is(stream, table)} AND chunk = {number}")
    return found[0] if found else None


def close(session: Session, entry: Entry, done: Committed) -> None:
    """Complete a chunk's entry, as the last step of its transaction."""
    stream, table, number = entry
    session.execute(
        f"UPDATE {DATABASE}.chunks SET row_count = {done.rows}, byte_count = {done.size} "
        f"WHERE {_is(stream, table)} AND chunk = {number}"
    )
    if done.at is not None:
        session.execute(
            f"INSERT INTO {DATABASE}.moments (stream_id, table_name, chunk, at) "
            f"VALUES ({literal(stream)}, {literal(table)}, {number}, {literal(done.at)})"
        )


@contextmanager
def held(session: Session, name: str) -> Iterator[None]:
    """A lock of that name, for as long as the block lasts; ConnectionLost when another session keeps it."""
    words = literal(name[:64])
    if session.rows(f"SELECT GET_LOCK({words}, {PATIENCE})") != [(1,)]:
        raise ConnectionLost("Another session has been preparing or ending a stream on the target for too long.")
    try:
        yield
    finally:
        with suppress(pymysql.Error, OSError):
            session.rows(f"SELECT RELEASE_LOCK({words})")


def records(session: Session, stream_id: str) -> dict[str, Record] | None:
    """What was prepared for the stream, by table; None when nothing ever was."""
    rows = _ask(
        session,
        f"SELECT t.table_name, t.fingerprint, t.created FROM {DATABASE}.streams s "
        f"LEFT JOIN {DATABASE}.tables t ON t.stream_id = s.stream_id WHERE s.stream_id = {literal(stream_id)} "
        "ORDER BY t.table_name",
    )
    if not rows:
        return None
    return {name: Record(print_, bool(created)) for name, print_, created in rows if name is not None}


def add(session: Session, stream_id: str, prepared: Mapping[str, Record]) -> None:
    """Put the stream into the journal, whole, as the last step of its preparation."""
    with held(session, _LOCK):
        _create(session)
        session.execute("START TRANSACTION")
        session.execute(
            f"INSERT INTO {DATABASE}.streams (stream_id, prepared_at) VALUES ({literal(stream_id)}, UTC_TIMESTAMP())"
        )
        for name, record in prepared.items():
            session.execute(
                f"INSERT INTO {DATABASE}.tables (stream_id, table_name, fingerprint, created) VALUES "
                f"({literal(stream_id)}, {literal(name)}, {literal(record.fingerprint)}, {int(record.created)})"
            )
        session.execute("COMMIT")


def complete(session: Session) -> None:
    """Give the journal what it lacks, if an older version made it."""
    if not _is_complete(session):
        with held(session, _LOCK):
            _create(session)


def _create(session: Session) -> None:
    for statement in _CREATE:
        session.execute(statement)


def _is_complete(session: Session) -> bool:
    tables = f"SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = '{DATABASE}'"
    return {str(name) for (name,) in session.rows(tables)}.issuperset(_TABLES)


def read(session: Session, stream_id: str) -> base.Journal | None:
    """The stream's journal in the pipeline's words."""
    prepared = records(session, stream_id)
    if prepared is None:
        return None
    stream = literal(stream_id)
    begun = _ask(
        session,
        f"SELECT table_name, chunks FROM {DATABASE}.tables WHERE stream_id = {stream} AND chunks IS NOT NULL",
    )
    return base.Journal(
        fingerprints={name: record.fingerprint for name, record in prepared.items()},
        chunks={name: [Chunk.read(entry) for entry in json.loads(entries)] for name, entries in begun},
        committed=_committed(session, f"stream_id = {stream}"),
    )


def _committed(session: Session, condition: str) -> list[Committed]:
    chunks = f"SELECT table_name, chunk, row_count, byte_count FROM {DATABASE}.chunks WHERE {condition}"
    moments = f"SELECT table_name, chunk, at FROM {DATABASE}.moments WHERE {condition}"
    at = {(name, int(number)): str(place) for name, number, place in _ask(session, moments)}
    return [
        Committed(name, int(number), int(count), int(size), at.get((name, int(number))))
        for name, number, count, size in _ask(session, f"{chunks} ORDER BY table_name, chunk")
    ]


def begin(session: Session, stream_id: str, table: str, chunks: Sequence[Chunk]) -> None:
    """Write down a table's chunks for good; Conflict when others are written there already."""
    entries = json.dumps([chunk.document() for chunk in chunks])
    where = f"{_is(stream_id, table)}"
    session.execute(f"UPDATE {DATABASE}.tables SET chunks = {literal(entries)} WHERE {where} AND chunks IS NULL")
    found = session.rows(f"SELECT chunks FROM {DATABASE}.tables WHERE {where}")
    if found != [(entries,)]:
        raise Conflict(f"The target's journal does not expect these chunks of {table}; start a new stream.")


def uncopy(session: Session, stream_id: str, tables: Sequence[str]) -> None:
    """Take the tables' chunks out of the journal, within the transaction. Waits for writers of chunks, and they for it:
    what they find afterwards is as if they were the first."""
    for table in tables:
        session.rows(f"SELECT 1 FROM {DATABASE}.tables WHERE {_is(stream_id, table)} FOR UPDATE")
        for name in ("moments", "chunks"):
            session.execute(f"DELETE FROM {DATABASE}.{name} WHERE {_is(stream_id, table)}")


def finished(session: Session, stream_id: str) -> None:
    """Note the end."""
    session.execute(
        f"UPDATE {DATABASE}.streams SET finished_at = UTC_TIMESTAMP() WHERE stream_id = {literal(stream_id)}"
    )


def forget(session: Session, stream_id: str) -> None:
    """Remove the stream's rows, and the database when it was the last; what else lies in the database stays."""
    try:
        with held(session, _LOCK):
            session.execute(f"DELETE FROM {DATABASE}.streams WHERE stream_id = {literal(stream_id)}")
            if not session.rows(f"SELECT 1 FROM {DATABASE}.streams LIMIT 1"):
                _drop(session)
    except pymysql.Error as error:
        if error_code(error) not in MISSING:
            raise


_IN_USE = frozenset({1044, 1142, 1205, 1213})


def _drop(session: Session) -> None:
    """Whoever looks into the journal just now keeps it alive; the next stream finds it empty and uses it."""
    session.execute("SET lock_wait_timeout = 1")
    try:
        for table in _TABLES:
            session.execute(f"DROP TABLE IF EXISTS {DATABASE}.{table}")
        strangers = f"SELECT 1 FROM information_schema.TABLES WHERE TABLE_SCHEMA = '{DATABASE}' LIMIT 1"
        if not session.rows(strangers):
            session.execute(f"DROP DATABASE IF EXISTS {DATABASE}")
    except pymysql.Error as error:
        if error_code(error) not in _IN_USE:
            raise
    finally:
        session.execute(f"SET lock_wait_timeout = {PATIENCE}")


def _ask(session: Session, query: str) -> list[Any]:
    """The rows, none where there is no journal."""
    try:
        return session.rows(query)
    except pymysql.Error as error:
        if error_code(error) in MISSING:
            return []
        raise


def _is(stream: str, table: str) -> str:
    return f"stream_id = {literal(stream)} AND table_name = {literal(table)}"
