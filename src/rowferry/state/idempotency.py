"""First answers, kept for a day so that a request that is sent again does not act again."""

from __future__ import annotations

from dataclasses import asdict

from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from rowferry.state.database import Database
from rowferry.state.records import AnswerRecord
from rowferry.state.tables import IDEMPOTENCY

KEPT_SECONDS = 24 * 3600


class IdempotencyRepository:
    """Answers by their request's key."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def claim(self, record: AnswerRecord) -> AnswerRecord | None:
        """Take the key for a request that begins now: None, or the record of the request that took it before."""
        with self._database.write() as connection:
            connection.execute(delete(IDEMPOTENCY).where(IDEMPOTENCY.c.created < record.created - KEPT_SECONDS))
        try:
            with self._database.write() as connection:
                connection.execute(insert(IDEMPOTENCY).values(**asdict(record)))
        except IntegrityError:
            return self.get(record.key)
        return None

    def get(self, key: str) -> AnswerRecord | None:
        """The record under that key, or None."""
        with self._database.read() as connection:
            row = connection.execute(select(IDEMPOTENCY).where(IDEMPOTENCY.c.key == key)).one_or_none()
        return None if row is None else AnswerRecord(**row._mapping)

    def answer(self, key: str, status: int, content_type: str, body: str) -> None:
        """Keep the answer to the request that claimed the key."""
        statement = update(IDEMPOTENCY).where(IDEMPOTENCY.c.key == key)
        with self._database.write() as connection:
            connection.execute(statement.values(status=status, content_type=content_type, body=body))

    def release(self, key: str) -> None:
        """Give the key back: the request failed, and may be tried again."""
        with self._database.write() as connection:
            connection.execute(delete(IDEMPOTENCY).where(IDEMPOTENCY.c.key == key, IDEMPOTENCY.c.status.is_(None)))

    def release_unanswered(self) -> None:
        """Give back the keys of requests that a stopped server left without an answer."""
        with self._database.write() as connection:
            connection.execute(delete(IDEMPOTENCY).where(IDEMPOTENCY.c.status.is_(None)))
