"""Opening the state's database, and bringing it to the newest structure."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, OperationalError

from rowferry.errors import Conflict, ConnectionFailed, InvalidInput

BUSY_SECONDS = 15
"""How long a writer waits for another one."""

_BUSY_PAUSE = 0.02
_MIGRATION_LOCK = 0x524F57
_WRITES = "rowferry_writes"
_SQLITE = {"timeout": BUSY_SECONDS, "check_same_thread": False}


class Database:
    """A pool of connections. `read` and `write` are each one transaction; usable from any thread."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One consistent look at the state."""
        with _translated(), self._engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One change of the state: all of the block, or, when it raises, nothing of it."""
        with _translated(), self._engine.connect() as connection:
            connection.execution_options(**{_WRITES: True})
            with connection.begin():
                yield connection

    def migrate(self, revision: str = "head") -> None:
        """Create what is missing. Several servers may start at once: one works, the others wait.

        Conflict when a newer version has been here before.
        """
        config = Config()
        config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
        with self.write() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _MIGRATION_LOCK})
            config.attributes["connection"] = connection
            try:
                command.upgrade(config, revision)
            except CommandError as error:
                raise Conflict(
                    "The state was written by a newer version of Rowferry: install that version, or use another "
                    "data directory."
                ) from error

    def close(self) -> None:
        """Close the connections. May be called twice."""
        self._engine.dispose()


def open_database(url: str) -> Database:
    """A database by its URL: sqlite:///path or postgresql://… InvalidInput for another kind."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:
        raise InvalidInput("The state URL cannot be read: write postgresql://user:password@host/database.") from error
    family = parsed.drivername.partition("+")[0]
    if family == "sqlite":
        engine = create_engine(parsed, hide_parameters=True, connect_args=_SQLITE)
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return Database(engine)
    if family in ("postgresql", "postgres"):
        return Database(
            create_engine(parsed.set(drivername="postgresql+psycopg"), pool_pre_ping=True, hide_parameters=True)
        )
    raise InvalidInput("The state is kept in SQLite or PostgreSQL: begin the state URL with postgresql://.")


def _prepare_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # the driver must not begin by itself: `_begin_sqlite` does
    connection.create_function("lower", 1, _lower, deterministic=True)
    _write_ahead(connection)
    for pragma in ("synchronous=NORMAL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _write_ahead(connection: sqlite3.Connection) -> None:
    # Where servers start at once on a new file, SQLite refuses all but one of them at once: it calls no busy
    # handler for a change of the journal's mode (sqlite.org/c3ref/busy_handler.html).
    patience = monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or monotonic() > patience:
                raise
            sleep(_BUSY_PAUSE)


def _begin_sqlite(connection: Connection) -> None:
    # A transaction that reads first and writes then cannot wait for another writer, so a writer says so at once.
    writes = connection.get_execution_options().get(_WRITES)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _lower(value: str | None) -> str | None:
    return None if value is None else value.lower()


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except OperationalError as error:
        raise ConnectionFailed(
            "The state database does not answer: check that its server is running and its disk has room."
        ) from error
