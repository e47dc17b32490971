"""A database of its own for each test, and sources on it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa
import pytest

from rowferry.config.connection import Connection
from rowferry.connectors.base import ChunkSize, SourceRequest, TableRequest
from rowferry.connectors.mysql.source import MySqlSource
from rowferry.model.tables import Table
from rowferry.typemap.arrow import arrow_schema
from tests.servers import MariaDb

LARGE = ChunkSize(500_000, 64 << 20)


def connection(server: MariaDb, **changes: Any) -> Connection:
    """A connection to the server as a user would write it."""
    flat = {"host": server.host, "port": server.port, "username": server.user, "password": server.password}
    return Connection.model_validate({"name": "source", "type": "mariadb", **flat, **changes})


def by_each_driver(table: Table) -> list[Table]:
    """The table so that each driver would read it: as a large one by its key, and without one."""
    return [replace(table, estimated_rows=1_000_000, estimated_bytes=100_000_000), replace(table, key=())]


@dataclass
class Place:
    """A database, and a source that reads it."""

    server: MariaDb
    database: str
    source: MySqlSource
    opened: list[MySqlSource] = field(default_factory=list)

    def source_of(self, **changes: Any) -> MySqlSource:
        """One more source of the database, for another user for example."""
        return MySqlSource(SourceRequest(connection(self.server, **changes), self.database))

    def run(self, *statements: str) -> list[tuple[Any, ...]]:
        """Run the statements with the session in UTC and every value allowed; the rows of the last one."""
        return self.server.execute("SET time_zone='+00:00', sql_mode=''", *statements, database=self.database)

    def table(self, name: str, **how: Any) -> Table:
        """The table as the source describes it."""
        return self.source.tables([TableRequest(name, **how)])[0]

    def read(self, table: Table, size: ChunkSize = LARGE) -> pa.Table:
        """All rows of all chunks."""
        schema = arrow_schema(table.columns)
        batches = [batch for chunk in self.source.chunks(table, size) for batch in self.source.read(table, chunk)]
        assert all(batch.schema.equals(schema) for batch in batches)
        return pa.Table.from_batches(batches, schema)

    def each(self, table: Table) -> Iterator[pa.Table]:
        """All rows, by each of the drivers."""
        for one in by_each_driver(table):
            yield self.read(one)


@pytest.fixture
def place(mariadb: MariaDb) -> Iterator[Place]:
    database = mariadb.new_database()
    source = MySqlSource(SourceRequest(connection(mariadb), database))
    with contextlib.closing(source):
        yield Place(mariadb, database, source)
    mariadb.execute(f"DROP DATABASE {database}")
