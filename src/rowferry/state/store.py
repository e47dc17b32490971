"""The state as a whole: one small repository for each kind of thing."""

from __future__ import annotations

from typing import Self

from sqlalchemy import text

from rowferry.config.settings import Settings
from rowferry.state.account import AccountRepository, SettingRepository
from rowferry.state.configs import ConfigRepository
from rowferry.state.connections import ConnectionRepository
from rowferry.state.database import Database, open_database
from rowferry.state.findings import FindingRepository
from rowferry.state.idempotency import IdempotencyRepository
from rowferry.state.logs import LogRepository
from rowferry.state.streams import StreamRepository
from rowferry.state.verifications import VerificationRepository

STATE_FILE = "state.db"


class Store:
    """Everything that is remembered. Every call is one transaction and may come from any thread.

    ConnectionFailed from any call when the database does not answer.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self.connections = ConnectionRepository(database)
        self.configs = ConfigRepository(database)
        self.streams = StreamRepository(database)
        self.verifications = VerificationRepository(database)
        self.findings = FindingRepository(database)
        self.logs = LogRepository(database)
        self.account = AccountRepository(database)
        self.settings = SettingRepository(database)
        self.idempotency = IdempotencyRepository(database)

    @classmethod
    def open(cls, settings: Settings) -> Self:
        """The state that the settings name, brought to the newest structure; the data directory is created."""
        settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        if settings.state_url is not None:
            return cls.at(settings.state_url.get_secret_value())
        return cls.at(f"sqlite:///{settings.data_dir.resolve() / STATE_FILE}")

    @classmethod
    def at(cls, url: str) -> Self:
        """The state at a URL (see `open_database`), brought to the newest structure."""
        database = open_database(url)
        try:
            database.migrate()
        except BaseException:
            database.close()
            raise
        return cls(database)

    def ping(self) -> None:
        """Return when the database answers."""
        with self._database.read() as connection:
            connection.execute(text("SELECT 1"))

    def close(self) -> None:
        """Close the connections. May be called twice."""
        self._database.close()
