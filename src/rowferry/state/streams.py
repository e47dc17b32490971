"""Streams and their moves from state to state."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import Row, delete, insert, select, update

from rowferry.model.streams import Mode, Stage, StreamState
from rowferry.state.database import Database
from rowferry.state.records import StreamRecord
from rowferry.state.tables import FINDINGS, LOGS, STREAMS, VERIFICATIONS

_BELONGINGS = (FINDINGS, LOGS, VERIFICATIONS)


class StreamRepository:
    """The streams, running and past."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, record: StreamRecord) -> None:
        """Store a new stream."""
        with self._database.write() as connection:
            connection.execute(insert(STREAMS).values(**asdict(record)))

    def get(self, stream_id: str) -> StreamRecord | None:
        """The stream, or None."""
        with self._database.read() as connection:
            row = connection.execute(select(STREAMS).where(STREAMS.c.id == stream_id)).one_or_none()
        return None if row is None else _record(row)

    def list(self, config_id: str | None = None, statuses: Collection[StreamState] | None = None) -> list[StreamRecord]:
        """The streams of a config (None: of all) in one of these states (None: in any), the newest first."""
        query = select(STREAMS).order_by(STREAMS.c.created.desc(), STREAMS.c.id.desc())
        if config_id is not None:
            query = query.where(STREAMS.c.config_id == config_id)
        if statuses is not None:
            query = query.where(STREAMS.c.status.in_([status.value for status in statuses]))
        with self._database.read() as connection:
            return [_record(row) for row in connection.execute(query)]

    def update(self, stream_id: str, **fields: Any) -> bool:
        """Change fields, whatever the state; whether the stream is there."""
        with self._database.write() as connection:
            changed = connection.execute(update(STREAMS).where(STREAMS.c.id == stream_id).values(**fields))
        return changed.rowcount == 1

    def move(self, stream_id: str, expected: Collection[StreamState], to: StreamState, **fields: Any) -> bool:
        """Set the state to `to`, and the fields, if it is one of `expected`; whether it was. Atomic."""
        statement = (
            update(STREAMS)
            .where(STREAMS.c.id == stream_id, STREAMS.c.status.in_([state.value for state in expected]))
            .values(status=to.value, **fields)
        )
        with self._database.write() as connection:
            return connection.execute(statement).rowcount == 1

    def delete(self, stream_id: str) -> bool:
        """Remove the stream with its findings, its log and its verifications; whether it was there."""
        with self._database.write() as connection:
            for table in _BELONGINGS:
                connection.execute(delete(table).where(table.c.stream_id == stream_id))
            return connection.execute(delete(STREAMS).where(STREAMS.c.id == stream_id)).rowcount == 1

    def discard(self, stream_ids: Collection[str], statuses: Collection[StreamState]) -> Sequence[str]:
        """Remove those of the streams that are in one of the states, with all that is theirs; which they were."""
        chosen = (STREAMS.c.id.in_(stream_ids), STREAMS.c.status.in_([status.value for status in statuses]))
        with self._database.write() as connection:
            found = connection.execute(select(STREAMS.c.id).where(*chosen)).scalars().all()
            for table in _BELONGINGS:
                connection.execute(delete(table).where(table.c.stream_id.in_(found)))
            connection.execute(delete(STREAMS).where(STREAMS.c.id.in_(found)))
        return found


def _record(row: Row[Any]) -> StreamRecord:
    fields = dict(row._mapping)
    fields["mode"] = Mode(fields["mode"])
    fields["status"] = StreamState(fields["status"])
    fields["stage"] = Stage(fields["stage"])
    return StreamRecord(**fields)
