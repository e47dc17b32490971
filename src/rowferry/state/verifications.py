"""Verifications of streams."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from sqlalchemy import Row, insert, select, update

from rowferry.model.streams import VerificationState
from rowferry.state.database import Database
from rowferry.state.records import VerificationRecord
from rowferry.state.tables import VERIFICATIONS


class VerificationRepository:
    """The verifications; they go with their streams."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, record: VerificationRecord) -> None:
        """Store a new verification."""
        with self._database.write() as connection:
            connection.execute(insert(VERIFICATIONS).values(**asdict(record)))

    def get(self, verification_id: str) -> VerificationRecord | None:
        """The verification, or None."""
        query = select(VERIFICATIONS).where(VERIFICATIONS.c.id == verification_id)
        with self._database.read() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else _record(row)

    def list(self, stream_id: str | None = None, status: VerificationState | None = None) -> list[VerificationRecord]:
        """The verifications of a stream (None: of all) that stand so (None: in any way), the newest first."""
        query = select(VERIFICATIONS).order_by(VERIFICATIONS.c.created.desc(), VERIFICATIONS.c.id.desc())
        if stream_id is not None:
            query = query.where(VERIFICATIONS.c.stream_id == stream_id)
        if status is not None:
            query = query.where(VERIFICATIONS.c.status == status.value)
        with self._database.read() as connection:
            return [_record(row) for row in connection.execute(query)]

    def end(self, verification_id: str, status: VerificationState, **fields: Any) -> bool:
        """Record how a running verification ended; whether it ran."""
        running = (VERIFICATIONS.c.id == verification_id, VERIFICATIONS.c.status == VerificationState.RUNNING.value)
        statement = update(VERIFICATIONS).where(*running).values(status=status.value, **fields)
        with self._database.write() as connection:
            return connection.execute(statement).rowcount == 1


def _record(row: Row[Any]) -> VerificationRecord:
    fields = dict(row._mapping)
    fields["status"] = VerificationState(fields["status"])
    return VerificationRecord(**fields)
