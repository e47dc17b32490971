"""Browsing a PostgreSQL server: databases, schemas, tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg.sql import SQL, Identifier

from rowferry.config.connection import Connection
from rowferry.connectors.base import Namespace
from rowferry.connectors.postgres.catalog import OWN_SCHEMA, Session, describe, list_tables, list_views
from rowferry.connectors.postgres.connect import DatabaseMissing, connect, database_name, place, translate
from rowferry.errors import InvalidInput, NotFound, RowferryError
from rowferry.model.tables import Table

DATABASES = """
SELECT datname::text, datistemplate, datallowconn AND has_database_privilege(oid, 'CONNECT')
FROM pg_database ORDER BY datname::text COLLATE "C"
"""

SCHEMAS = """
SELECT nspname::text, nspname ~ '^pg_' OR nspname IN ('information_schema', %s)
FROM pg_namespace WHERE nspname !~ '^pg_(toast|temp)' ORDER BY nspname::text COLLATE "C"
"""

LONGEST_NAME = 63


class PostgresServer:
    """One server by one connection; a session for each database that was looked into."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._sessions: dict[str, Session] = {}

    def ping(self) -> None:
        """See `Server.ping`. Always by a new session: one from before would not notice a changed password."""
        stale = self._sessions.pop(database_name(self._connection, None), None)
        if stale is not None:
            stale.close()
        self._rows(None, "SELECT 1", (), "asking PostgreSQL for a sign of life")

    def databases(self) -> list[Namespace]:
        """See `Server.databases`. The schemas are those of databases that this user may enter."""
        rows = self._rows(None, DATABASES, (), "listing databases")
        return [
            Namespace(name, system=template, schemas=self._schemas(name) if open_to_us and not template else ())
            for name, template, open_to_us in rows
        ]

    def create_database(self, name: str) -> None:
        """See `Server.create_database`."""
        _check_name(name)
        self._run(None, SQL("CREATE DATABASE {}").format(Identifier(name)), f"creating database {name}")

    def create_schema(self, database: str, name: str) -> None:
        """See `Server.create_schema`."""
        _check_name(name)
        self._run(database, SQL("CREATE SCHEMA {}").format(Identifier(name)), f"creating schema {name} in {database}")

    def tables(self, database: str, schemas: Sequence[str], include_system: bool) -> list[str]:
        """See `Server.tables`."""
        return [str(name) for name in list_tables(self._session(database), schemas, include_system)]

    def views(self, database: str, schemas: Sequence[str], include_system: bool) -> list[str]:
        """See `Server.views`."""
        return [str(name) for name in list_views(self._session(database), schemas, include_system)]

    def describe(self, database: str, schemas: Sequence[str], include_system: bool) -> list[Table]:
        """See `Server.describe`."""
        return describe(self._session(database), schemas, include_system=include_system)

    def close(self) -> None:
        """See `Server.close`."""
        while self._sessions:
            self._sessions.popitem()[1].close()

    def _schemas(self, database: str) -> tuple[Namespace, ...]:
        """The schemas of one database; none where pg_hba.conf keeps us out of that one."""
        fresh = database not in self._sessions
        try:
            rows = self._rows(database, SCHEMAS, (OWN_SCHEMA,), f"listing the schemas of {database}")
        except RowferryError:
            return ()
        finally:
            if fresh and database != database_name(self._connection, None) and database in self._sessions:
                self._sessions.pop(database).close()
        return tuple(Namespace(name, system) for name, system in rows)

    def _rows(self, database: str | None, query: str, values: Sequence[Any], doing: str) -> list[tuple[Any, ...]]:
        try:
            return self._session(database).execute(query.encode(), values).fetchall()
        except psycopg.Error as error:
            raise translate(error, doing) from error

    def _run(self, database: str | None, statement: psycopg.sql.Composed, doing: str) -> None:
        try:
            self._session(database).execute(statement)
        except psycopg.Error as error:
            raise translate(error, doing) from error

    def _session(self, database: str | None) -> Session:
        """The session in that database; one that broke is replaced."""
        name = database_name(self._connection, database)
        session = self._sessions.get(name)
        if session is None or session.closed:
            try:
                session = self._sessions[name] = connect(self._connection, name)
            except DatabaseMissing as error:
                if name == database_name(self._connection, None):
                    raise
                raise NotFound(f"There is no database {name} at {place(self._connection)}.") from error
        return session


def open_server(connection: Connection) -> PostgresServer:
    """The server at the far end; it is reached when it is first asked."""
    return PostgresServer(connection)


def _check_name(name: str) -> None:
    size = len(name.encode())
    if not 0 < size <= LONGEST_NAME or "\x00" in name:
        raise InvalidInput(f"A name in PostgreSQL has 1 to {LONGEST_NAME} bytes, without NUL; this one has {size}.")
    if name.startswith("pg_"):
        raise InvalidInput("Names that begin with pg_ are PostgreSQL's own: choose another.")
