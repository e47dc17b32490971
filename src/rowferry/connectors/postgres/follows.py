"""How far a stream has followed its source's log, and who may go on: a row of `_rowferry.follows`.

Whoever opens an applier raises the row's epoch, and commits that; who moves the position names the epoch that he was
given, in the transaction of the changes themselves. So either the older writer's commit comes first, and the newer
one begins behind it, or it finds another epoch and comes to nothing, however late that writer wakes up.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import psycopg

from rowferry.connectors.changes import Standing
from rowferry.connectors.postgres import journal
from rowferry.connectors.postgres.connect import PATIENCE
from rowferry.connectors.postgres.journal import SCHEMA
from rowferry.errors import Conflict, ConnectionLost, FencedOff

Session = psycopg.Connection[tuple[Any, ...]]

BRIEFLY = 3
"""Seconds that a new writer waits for an older one to end its commit, before the server is asked to end it."""

_LOCK = f"SELECT pid, begun FROM {SCHEMA}.follows WHERE stream_id = %s FOR UPDATE"
_PEEK = f"SELECT pid, begun FROM {SCHEMA}.follows WHERE stream_id = %s"
_RAISE = f"""
UPDATE {SCHEMA}.follows SET epoch = epoch + 1, updated_at = now(), pid = pg_backend_pid(),
    begun = (SELECT backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid())
WHERE stream_id = %s RETURNING epoch
"""
_END = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE pid = %s AND backend_start = %s AND pid <> pg_backend_pid()
"""
_MOVE = f"""
UPDATE {SCHEMA}.follows SET position = %s, notes = coalesce(%s::jsonb, notes), counts = %s::jsonb, updated_at = now()
WHERE stream_id = %s AND epoch = %s
"""


@dataclass(frozen=True, slots=True)
class Turn:
    """A writer's turn at a stream: no other was opened since as long as the journal holds this `epoch`."""

    stream_id: str
    epoch: int


def take_over(session: Session, stream_id: str) -> Turn:
    """Begin a turn, for good, and end the session of the turn before, which could commit nothing any more.

    That session may hold locks without being able to do anything about it, such as after a network was cut.
    """
    _enter(session, stream_id)
    try:
        epoch, before = _raise(session, stream_id, BRIEFLY)
    except psycopg.errors.LockNotAvailable:
        _end(session, session.execute(_PEEK, (stream_id,)).fetchone())
        try:
            epoch, before = _raise(session, stream_id, PATIENCE)
        except psycopg.errors.LockNotAvailable as error:
            raise ConnectionLost(
                f"Another session has held the stream's entry in the target's journal for more than {PATIENCE} s."
            ) from error
    _end(session, before)
    return Turn(stream_id, epoch)


def standing(session: Session, stream_id: str) -> Standing:
    """What was committed last; FencedOff where the stream was forgotten."""
    row = session.execute(
        f"SELECT position, notes, counts FROM {SCHEMA}.follows WHERE stream_id = %s", (stream_id,)
    ).fetchone()
    if row is None:
        raise forgotten()
    return Standing(*row)


def move(session: Session, turn: Turn, reached: Standing, noted: bool = False) -> None:
    """Say in the open transaction what it comes to; FencedOff when the turn is over. `noted`: the notes are there."""
    notes = None if noted else json.dumps(dict(reached.notes))
    counts = json.dumps(dict(reached.counts))
    try:
        done = session.execute(_MOVE, (reached.position, notes, counts, turn.stream_id, turn.epoch))
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName) as error:
        raise forgotten() from error
    if done.rowcount != 1:
        raise overtaken()


def is_over(session: Session, turn: Turn) -> bool:
    """Whether another writer has begun a turn since."""
    row = session.execute(f"SELECT epoch FROM {SCHEMA}.follows WHERE stream_id = %s", (turn.stream_id,)).fetchone()
    return row is None or row[0] != turn.epoch


def overtaken() -> FencedOff:
    """What a writer learns when another one was opened."""
    return FencedOff("Another writer has taken this stream over on the target, so this one ends.")


def forgotten() -> FencedOff:
    """What a writer learns when the stream is no more."""
    return FencedOff("The target's journal no longer knows this stream, so nothing more is written for it.")


def _enter(session: Session, stream_id: str) -> None:
    """Make the stream's row unless it is there; an INSERT would wait for a commit under way even then."""
    with session.transaction():
        journal.complete(session)
        if session.execute(_PEEK, (stream_id,)).fetchone() is not None:
            return
        try:
            session.execute(
                f"INSERT INTO {SCHEMA}.follows (stream_id) VALUES (%s) ON CONFLICT DO NOTHING", (stream_id,)
            )
        except psycopg.errors.ForeignKeyViolation as error:
            raise Conflict(
                "The target's journal does not know this stream: its tables have to be prepared first."
            ) from error


def _raise(session: Session, stream_id: str, patience: int) -> tuple[int, tuple[Any, ...] | None]:
    with session.transaction():
        session.execute(f"SET LOCAL lock_timeout = '{patience}s'".encode())
        before = session.execute(_LOCK, (stream_id,)).fetchone()
        row = session.execute(_RAISE, (stream_id,)).fetchone()
        if row is None:
            raise forgotten()
        return row[0], before


def _end(session: Session, backend: tuple[Any, ...] | None) -> None:
    """Without the right to do so we wait for its locks, as for anybody's."""
    if backend is not None and backend[0] is not None:
        with suppress(psycopg.errors.InsufficientPrivilege):
            session.execute(_END, backend)
