"""A MariaDB, a PostgreSQL and a folder, and the source of queries over all three."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rowferry.config.connection import Connection
from rowferry.connectors.base import ChunkSize, Source, SourceRequest, TableRequest
from rowferry.connectors.members import Member
from rowferry.connectors.registry import connector, federation
from rowferry.model.tables import Table
from rowferry.typemap.arrow import arrow_schema
from rowferry.typemap.treatment import Policies
from tests.conformance.sources import connection_to
from tests.servers import MariaDb, Postgres

Row = tuple[Any, ...]
WHOLE = ChunkSize(10**6, 1 << 40)


def member(alias: str, connection: Connection, database: str | None = None) -> Member:
    """A connection under an alias."""
    opener = connector(connection.engine).open_source
    assert opener is not None
    return Member(alias, SourceRequest(connection, database), opener)


def folder(alias: str, base: Path) -> Member:
    """A folder under an alias."""
    spec = {"files": {"basePath": str(base)}}
    return member(alias, Connection.model_validate({"name": alias, "type": "files", "spec": spec}))


@dataclass
class World:
    """db1, pg1 and f1. In texts of queries {my} stands for the database of db1."""

    mariadb: MariaDb
    postgres: Postgres
    my: str
    pg: str
    base: Path
    opened: list[Source] = field(default_factory=list)

    @property
    def members(self) -> list[Member]:
        """The three."""
        return [
            member("db1", connection_to(self.mariadb, "mariadb"), self.my),
            member("pg1", connection_to(self.postgres, "postgresql"), self.pg),
            folder("f1", self.base),
        ]

    def open(self, policies: Policies | None = None, members: Sequence[Member] = ()) -> Source:
        """One more source over them, closed at the test's end."""
        self.opened.append(federation().open(members or self.members, policies or {}))
        return self.opened[-1]

    def table(self, query: str, source: Source | None = None) -> Table:
        """What the query is as a table."""
        [table] = (source or self.open()).tables([TableRequest("q", query=query.replace("{my}", self.my))])
        return table

    def rows(self, query: str, source: Source | None = None) -> list[Row]:
        """The query's rows, each batch in the form that is promised."""
        source = source or self.open()
        table = self.table(query, source)
        [chunk] = source.chunks(table, WHOLE)
        rows: list[Row] = []
        for batch in source.read(table, chunk):
            assert batch.num_rows
            assert batch.schema.equals(arrow_schema(table.columns))
            batch.validate(full=True)
            rows += zip(*(values.to_pylist() for values in batch.columns), strict=True)
        return rows

    def in_mariadb(self, *statements: str) -> None:
        """Run them in db1's database."""
        self.mariadb.execute(*statements, database=self.my)

    def in_postgres(self, *statements: str) -> None:
        """Run them in pg1's database."""
        self.postgres.execute(*statements, database=self.pg)


@pytest.fixture(scope="module")
def place(mariadb: MariaDb, postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> World:
    """Films, their sales, and where they stand; each in a place of its own."""
    base = tmp_path_factory.mktemp("base")
    made = World(mariadb, postgres, mariadb.new_database(), postgres.new_database(), base)
    made.in_mariadb(
        "CREATE TABLE film (id INT PRIMARY KEY, title VARCHAR(40) NOT NULL)",
        "INSERT INTO film VALUES (1, 'ACE'), (2, 'BEE'), (3, 'CAT')",
    )
    made.in_postgres(
        "CREATE TABLE sales (id int PRIMARY KEY, film int, amount numeric(8,2))",
        "INSERT INTO sales VALUES (1, 1, 1.50), (2, 1, NULL), (3, 3, -0.01)",
    )
    pq.write_table(pa.table({"film": [1, 2], "shelf": ["left", "right"]}), base / "shelves.parquet")
    (base / "codes.csv").write_text("film,code\n1,007\n3,x\n")
    (base / "more.jsonl").write_text('{"film": 1, "big": 12345678901234567890}\n')
    return made


@pytest.fixture
def world(place: World) -> Iterator[World]:
    """The same for one test, which leaves no source open."""
    yield place
    while place.opened:
        place.opened.pop().close()
