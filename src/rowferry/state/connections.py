"""Saved connections."""

from __future__ import annotations

from dataclasses import asdict

from sqlalchemy import delete, func, insert, or_, select, update

from rowferry.state.database import Database
from rowferry.state.records import ConnectionRecord
from rowferry.state.tables import CONNECTIONS


class ConnectionRepository:
    """The connections."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, record: ConnectionRecord) -> None:
        """Store a new connection."""
        with self._database.write() as connection:
            connection.execute(insert(CONNECTIONS).values(**asdict(record)))

    def get(self, connection_id: str) -> ConnectionRecord | None:
        """The connection, or None."""
        query = select(CONNECTIONS).where(CONNECTIONS.c.id == connection_id)
        with self._database.read() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else ConnectionRecord(**row._mapping)

    def list(self, search: str = "") -> list[ConnectionRecord]:
        """The connections whose name or type holds `search` in any case, the oldest first."""
        query = select(CONNECTIONS).order_by(CONNECTIONS.c.created, CONNECTIONS.c.id)
        if search:
            query = query.where(
                or_(
                    func.lower(CONNECTIONS.c.name).contains(search.lower(), autoescape=True),
                    CONNECTIONS.c.type.contains(search.lower(), autoescape=True),
                )
            )
        with self._database.read() as connection:
            return [ConnectionRecord(**row._mapping) for row in connection.execute(query)]

    def count(self) -> int:
        """How many there are."""
        with self._database.read() as connection:
            return connection.execute(select(func.count()).select_from(CONNECTIONS)).scalar_one()

    def replace(self, record: ConnectionRecord) -> bool:
        """Put the record in the place of the one with its identifier; whether there was one."""
        statement = update(CONNECTIONS).where(CONNECTIONS.c.id == record.id).values(**asdict(record))
        with self._database.write() as connection:
            return connection.execute(statement).rowcount == 1

    def delete(self, connection_id: str) -> bool:
        """Remove the connection; whether it was there."""
        with self._database.write() as connection:
            return connection.execute(delete(CONNECTIONS).where(CONNECTIONS.c.id == connection_id)).rowcount == 1
