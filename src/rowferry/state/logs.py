"""The last log entries of each stream."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from sqlalchemy import Connection, delete, insert, select

from rowferry.state.database import Database
from rowferry.state.records import LogRecord
from rowferry.state.tables import LOGS

KEPT = 5000
"""How many entries of a stream are kept."""


class Entry(Protocol):
    """What is asked of a log entry."""

    @property
    def stream_id(self) -> str | None:
        """The stream that it belongs to."""

    def to_json(self) -> dict[str, Any]:
        """The entry as clients get it; its `level` is debug, info, warn or error."""


class LogRepository:
    """The streams' logs, each bounded; entries that belong to no stream are not kept."""

    def __init__(self, database: Database, kept: int = KEPT) -> None:
        self._database = database
        self._kept = kept

    def append(self, entries: Sequence[Entry]) -> None:
        """Store the entries in their order, and drop the oldest ones beyond the bound."""
        documents = [(entry.stream_id, entry.to_json()) for entry in entries if entry.stream_id]
        rows = [
            {"stream_id": stream_id, "level": document["level"], "document": document}
            for stream_id, document in documents
        ]
        if not rows:
            return
        with self._database.write() as connection:
            connection.execute(insert(LOGS), rows)
            for stream_id in {str(row["stream_id"]) for row in rows}:
                self._prune(connection, stream_id)

    def recent(self, stream_id: str, level: str | None = None, limit: int = 200) -> list[LogRecord]:
        """The stream's last `limit` entries of that level (None: of any), the oldest first."""
        query = select(LOGS).where(LOGS.c.stream_id == stream_id).order_by(LOGS.c.number.desc()).limit(limit)
        if level is not None:
            query = query.where(LOGS.c.level == level)
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        return [LogRecord(**row._mapping) for row in reversed(rows)]

    def _prune(self, connection: Connection, stream_id: str) -> None:
        mine = LOGS.c.stream_id == stream_id
        newest_first = select(LOGS.c.number).where(mine).order_by(LOGS.c.number.desc())
        surplus = connection.execute(newest_first.offset(self._kept).limit(1)).scalar_one_or_none()
        if surplus is not None:
            connection.execute(delete(LOGS).where(mine, LOGS.c.number <= surplus))
