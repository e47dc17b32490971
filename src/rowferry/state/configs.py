"""Saved stream configs."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from sqlalchemy import ColumnElement, Row, delete, func, insert, select, update

from rowferry.model.streams import Mode
from rowferry.state.database import Database
from rowferry.state.records import ConfigRecord
from rowferry.state.tables import CONFIGS


class ConfigRepository:
    """The stream configs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, record: ConfigRecord) -> None:
        """Store a new config."""
        with self._database.write() as connection:
            connection.execute(insert(CONFIGS).values(**asdict(record)))

    def get(self, config_id: str) -> ConfigRecord | None:
        """The config, or None."""
        with self._database.read() as connection:
            row = connection.execute(select(CONFIGS).where(CONFIGS.c.id == config_id)).one_or_none()
        return None if row is None else _record(row)

    def list(self, search: str = "", limit: int | None = None, offset: int = 0) -> list[ConfigRecord]:
        """The configs whose name holds `search` in any case, the oldest first, from `offset` on."""
        query = select(CONFIGS).where(*_named(search)).order_by(CONFIGS.c.created, CONFIGS.c.id)
        query = query.limit(limit if limit is not None or not offset else 2**31 - 1).offset(offset)
        with self._database.read() as connection:
            return [_record(row) for row in connection.execute(query)]

    def count(self, search: str = "") -> int:
        """How many of them there are."""
        query = select(func.count()).select_from(CONFIGS).where(*_named(search))
        with self._database.read() as connection:
            return connection.execute(query).scalar_one()

    def replace(self, record: ConfigRecord) -> bool:
        """Put the record in the place of the one with its identifier; whether there was one."""
        statement = update(CONFIGS).where(CONFIGS.c.id == record.id).values(**asdict(record))
        with self._database.write() as connection:
            return connection.execute(statement).rowcount == 1

    def delete(self, config_id: str) -> bool:
        """Remove the config; whether it was there."""
        with self._database.write() as connection:
            return connection.execute(delete(CONFIGS).where(CONFIGS.c.id == config_id)).rowcount == 1


def _named(search: str) -> list[ColumnElement[bool]]:
    return [func.lower(CONFIGS.c.name).contains(search.lower(), autoescape=True)] if search else []


def _record(row: Row[Any]) -> ConfigRecord:
    fields = dict(row._mapping)
    fields["mode"] = Mode(fields["mode"])
    return ConfigRecord(**fields)
