"""How far a stream that follows a log has got: the table `_rowferry.follows`, whose row commits with the changes.

Of several writers only the last may go on. Each holds a lock of the server's that is named after the stream. Who comes
later ends the session that holds it and waits until the lock is free; by then the server has rolled back what the
other had under way, wherever its end of the connection is. Then it raises the `epoch`, for which every commit asks:
that holds also behind a proxy, or in a cluster, where such a lock is not seen by all.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import pymysql
from pymysql.connections import Connection

from rowferry.connectors.changes import Standing
from rowferry.connectors.mysql import journal
from rowferry.connectors.mysql.failures import error_code
from rowferry.connectors.mysql.journal import DATABASE
from rowferry.connectors.mysql.names import literal
from rowferry.connectors.mysql.sessions import PATIENCE, Session, rows
from rowferry.errors import Conflict, ConnectionLost

_LOCK_WAIT = 1205
_TABLE = f"{DATABASE}.follows"


def take(session: Session, stream_id: str) -> int:
    """Become the stream's one writer, for as long as the session lasts; the epoch of one's own."""
    if journal.records(session, stream_id) is None:
        raise Conflict("The target's journal does not know this stream: start a new stream.")
    journal.complete(session)
    end(session, stream_id)
    session.execute(
        f"INSERT IGNORE INTO {_TABLE} (stream_id, notes, epoch, updated_at) "
        f"SELECT stream_id, '{{}}', 0, UTC_TIMESTAMP() FROM {DATABASE}.streams WHERE stream_id = {literal(stream_id)}"
    )
    if not _raise(session, stream_id):
        raise Conflict("The stream was ended meanwhile: start a new one.")
    ((mine,),) = session.rows("SELECT LAST_INSERT_ID()")
    return int(mine)


def end(session: Session, stream_id: str) -> None:
    """See to it that there is no other writer, nor anything that it had under way; ConnectionLost while there is."""
    lock = _lock(stream_id)
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        ((holder,),) = session.rows(f"SELECT IS_USED_LOCK({lock})")
        if holder is not None:
            _end(session, stream_id, int(holder))
        if session.rows(f"SELECT GET_LOCK({lock}, 1)") == [(1,)]:  # another may have come before us: look again then
            return
    raise ConnectionLost(f"Another writer of this stream has not left the target within {PATIENCE} s.")


def _end(session: Session, stream_id: str, holder: int) -> None:
    """End the session of the writer before us, which shall find out why: so the epoch is raised before, if it can be.

    The row is locked where that writer is just committing.
    """
    session.execute("SET innodb_lock_wait_timeout = 1")
    try:
        _raise(session, stream_id)
    except pymysql.Error as error:
        if error_code(error) != _LOCK_WAIT:
            raise
    session.execute(f"SET innodb_lock_wait_timeout = {PATIENCE}")
    with suppress(pymysql.Error):  # it has left by itself, or is another user's, and then there is but waiting
        session.execute(f"KILL {holder}")


def _raise(session: Session, stream_id: str) -> bool:
    changed = session.execute(f"UPDATE {_TABLE} SET epoch = LAST_INSERT_ID(epoch + 1) WHERE {_is(stream_id)}")
    return changed == 1


def epoch(wire: Connection[Any], stream_id: str) -> int | None:
    """The epoch of the last writer; None of a stream that was ended."""
    try:
        found = rows(wire, f"SELECT epoch FROM {_TABLE} WHERE {_is(stream_id)}")
    except pymysql.Error as error:
        if error_code(error) in journal.MISSING:
            return None
        raise
    return int(found[0][0]) if found else None


def standing(session: Session, stream_id: str) -> Standing:
    """What was committed last."""
    found = session.rows(f"SELECT position, notes, counts FROM {_TABLE} WHERE {_is(stream_id)}")
    if not found:
        return Standing()
    ((position, notes, counts),) = found
    return Standing(position, json.loads(notes), json.loads(counts or "{}"))


def advance(session: Session, stream_id: str, mine: int | None, reached: Standing, noted: bool = False) -> bool:
    """Write it down, within the transaction; False when another writer has come, or the stream was ended.

    `noted`: the notes are there.
    """
    notes = "" if noted else f"notes = {literal(json.dumps(dict(reached.notes)))}, "
    position = "NULL" if reached.position is None else literal(reached.position)
    changed = session.execute(
        f"UPDATE {_TABLE} SET position = {position}, {notes}counts = {literal(json.dumps(dict(reached.counts)))}, "
        f"updated_at = UTC_TIMESTAMP() WHERE {_is(stream_id)} AND epoch = {mine}"
    )
    return changed == 1


def altering(session: Session, stream_id: str) -> list[dict[str, str]]:
    """Which tables are being altered, by this writer or by one before."""
    found = session.rows(f"SELECT altering FROM {_TABLE} WHERE {_is(stream_id)}")
    return json.loads(found[0][0]) if found and found[0][0] else []


def note_altering(session: Session, stream_id: str, mine: int | None, entries: Sequence[dict[str, str]]) -> bool:
    """Write that down; as `advance`."""
    words = literal(json.dumps(list(entries))) if entries else "NULL"
    return session.execute(f"UPDATE {_TABLE} SET altering = {words} WHERE {_is(stream_id)} AND epoch = {mine}") == 1


def _lock(stream_id: str) -> str:
    """The lock's name; the servers allow 64 characters."""
    return literal(f"rowferry follows {hashlib.sha256(stream_id.encode()).hexdigest()[:40]}")


def _is(stream_id: str) -> str:
    return f"stream_id = {literal(stream_id)}"
