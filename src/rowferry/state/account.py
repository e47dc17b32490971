"""The installation's one account, and its settings."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError

from rowferry.state.database import Database
from rowferry.state.records import AccountRecord
from rowferry.state.tables import ACCOUNT, SETTINGS

_ONLY = 1


class AccountRepository:
    """The account: there is none, or one."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self) -> AccountRecord | None:
        """The account, or None on a new installation."""
        columns = [column for column in ACCOUNT.c if column.name != "id"]
        with self._database.read() as connection:
            row = connection.execute(select(*columns).where(ACCOUNT.c.id == _ONLY)).one_or_none()
        return None if row is None else AccountRecord(**row._mapping)

    def create(self, record: AccountRecord) -> bool:
        """Store the account unless there is one; whether it was stored. Of two at once, one wins."""
        try:
            with self._database.write() as connection:
                connection.execute(insert(ACCOUNT).values(id=_ONLY, **asdict(record)))
        except IntegrityError:
            return False
        return True

    def update(self, **fields: Any) -> bool:
        """Change fields of the account; whether there is one."""
        with self._database.write() as connection:
            return connection.execute(update(ACCOUNT).where(ACCOUNT.c.id == _ONLY).values(**fields)).rowcount == 1


class SettingRepository:
    """What is set while the server runs, by name; values are JSON."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, name: str, default: Any = None) -> Any:
        """The value, or `default`."""
        with self._database.read() as connection:
            value = connection.execute(select(SETTINGS.c.value).where(SETTINGS.c.name == name)).scalar_one_or_none()
        return default if value is None else value

    def set(self, name: str, value: Any) -> None:
        """Store the value."""
        with self._database.write() as connection:
            changed = connection.execute(update(SETTINGS).where(SETTINGS.c.name == name).values(value=value))
            if changed.rowcount == 0:
                connection.execute(insert(SETTINGS).values(name=name, value=value))

    def ensure(self, name: str, value: Any) -> Any:
        """The stored value; `value` is stored first when there is none. Of two at once, one wins for both."""
        found = self.get(name)
        if found is not None:
            return found
        try:
            with self._database.write() as connection:
                connection.execute(insert(SETTINGS).values(name=name, value=value))
        except IntegrityError:
            return self.get(name)
        return value
