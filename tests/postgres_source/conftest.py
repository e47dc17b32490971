"""A fresh database for each test, and the source's view of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pytest

from rowferry.config.connection import Connection
from rowferry.connectors.base import ChunkSize, SourceRequest, TableRequest
from rowferry.connectors.postgres.source import PostgresSource, open_source
from rowferry.model.tables import Selection, Table
from rowferry.typemap.arrow import arrow_schema
from tests.servers import Postgres

WHOLE = ChunkSize(10**9, 10**12)


def connection_to(server: Postgres, **changes: Any) -> Connection:
    """The server as a user writes it."""
    flat = {"host": server.host, "port": server.port, "username": server.user, "password": server.password}
    return Connection.model_validate({"name": "here", "type": "postgresql", **flat, **changes})


@dataclass
class Place:
    """A database and its source."""

    server: Postgres
    database: str
    sources: list[PostgresSource] = field(default_factory=list)

    def run(self, *statements: str) -> list[tuple[Any, ...]]:
        """Run statements as the server's superuser, in a session in UTC; the rows of the last."""
        return self.server.execute("SET timezone = 'UTC'", *statements, database=self.database)

    def source(self, schema: str | None = None) -> PostgresSource:
        """A source of this database."""
        opened = open_source(SourceRequest(connection_to(self.server), self.database, schema))
        self.sources.append(opened)
        return opened

    def table(self, name: str, selection: Selection | None = None, query: str | None = None) -> Table:
        """One table as the source describes it."""
        return self.source().tables([TableRequest(name, selection or Selection(), query)])[0]

    def rows(self, table: Table, size: ChunkSize = WHOLE) -> pa.Table:
        """The table's rows by way of its chunks."""
        source = self.source()
        batches = [batch for chunk in source.chunks(table, size) for batch in source.read(table, chunk)]
        result = pa.Table.from_batches(batches, arrow_schema(table.columns))
        result.validate(full=True)
        return result


@pytest.fixture
def place(postgres: Postgres, postgres_database: str) -> Iterator[Place]:
    """An empty database."""
    made = Place(postgres, postgres_database)
    yield made
    for source in made.sources:
        source.close()
