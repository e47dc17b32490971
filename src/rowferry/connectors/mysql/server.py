"""Browsing a MySQL or MariaDB server."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

import pymysql
from pymysql.connections import Connection as Session

from rowferry.config.connection import Connection
from rowferry.connectors.base import Namespace
from rowferry.connectors.mysql import catalog
from rowferry.connectors.mysql.connect import Access
from rowferry.connectors.mysql.failures import failed, not_created
from rowferry.connectors.mysql.sql import SYSTEM_DATABASES, quoted
from rowferry.errors import InvalidInput, NotFound
from rowferry.model.tables import Table


class MySqlServer:
    """One session, opened when it is first needed."""

    def __init__(self, connection: Connection) -> None:
        self._access = Access(connection)
        self._held: Session | None = None

    def ping(self) -> None:
        """Log in anew, to the connection's own database where it names one."""
        with self._access.session(self._access.database) as session:
            session.ping(reconnect=False)

    def databases(self) -> list[Namespace]:
        """The databases that the user may see."""
        return [Namespace(name, name.lower() in SYSTEM_DATABASES) for name in self._database_names()]

    def create_database(self, name: str) -> None:
        """Create a database with the server's default character set."""
        try:
            with self._session().cursor() as cursor:
                cursor.execute(f"CREATE DATABASE {quoted(name)}")
        except pymysql.Error as error:
            raise not_created(error, name) from error

    def create_schema(self, database: str, name: str) -> None:
        """There are no schemas inside a database here."""
        raise InvalidInput(f"A MySQL server has no schemas inside a database: create the database {name} instead.")

    def tables(self, database: str, schemas: Sequence[str], include_system: bool) -> list[str]:
        """The base tables of the database; a system database shows its own only when asked for."""
        return catalog.table_names(self._session(), database) if self._shows(database, include_system) else []

    def views(self, database: str, schemas: Sequence[str], include_system: bool) -> list[str]:
        """The views of the database, likewise."""
        return catalog.view_names(self._session(), database) if self._shows(database, include_system) else []

    def describe(self, database: str, schemas: Sequence[str], include_system: bool) -> list[Table]:
        """The base tables of the database, likewise."""
        return catalog.describe(self._session(), database) if self._shows(database, include_system) else []

    def close(self) -> None:
        """Log out."""
        held, self._held = self._held, None
        if held is not None:
            with suppress(pymysql.Error, OSError):
                held.close()
        self._access.close()

    def _session(self) -> Session:
        if self._held is None or not self._held.open:
            self._held = self._access.connect()
        try:
            self._held.ping(reconnect=False)
        except (pymysql.Error, OSError):
            self._held = self._access.connect()
        return self._held

    def _database_names(self) -> list[str]:
        try:
            with self._session().cursor() as cursor:
                cursor.execute("SELECT SCHEMA_NAME FROM information_schema.SCHEMATA ORDER BY SCHEMA_NAME")
                return [str(row[0]) for row in cursor.fetchall()]
        except pymysql.Error as error:
            raise failed(error, "the list of databases") from error

    def _shows(self, database: str, include_system: bool) -> bool:
        if database not in self._database_names():
            raise NotFound(f"There is no database {database} at {self._access.place}.")
        return include_system or database.lower() not in SYSTEM_DATABASES
