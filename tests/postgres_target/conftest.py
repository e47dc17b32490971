"""A fresh database for each test, and targets that write into it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg
import pytest

from rowferry.config.connection import Connection
from rowferry.config.stream import SchemaPolicy, TargetSpec, WriteMode
from rowferry.connectors.base import PlannedTable, TargetPlan, TargetRequest
from rowferry.connectors.postgres.target import PostgresTarget, open_target
from rowferry.model.chunks import Chunk, Committed
from rowferry.model.findings import Finding
from rowferry.model.tables import Table
from tests.servers import Postgres
from tests.tables import batch


@dataclass
class Place:
    """A database (which `fresh` says may not exist yet) and the targets that were opened on it."""

    server: Postgres
    database: str
    targets: list[PostgresTarget] = field(default_factory=list)

    def run(self, *statements: str) -> list[tuple[Any, ...]]:
        """Run statements as the server's superuser, in a session in UTC; the rows of the last."""
        return self.server.execute("SET timezone = 'UTC'", *statements, database=self.database)

    def connect(self) -> psycopg.Connection[tuple[Any, ...]]:
        """A session of one's own."""
        return self.server.connect(self.database)

    def request(
        self,
        stream: str = "stream_1",
        policy: str = "fail_if_exists",
        mode: str = "fail_if_not_empty",
        user: str | None = None,
        **db: Any,
    ) -> TargetRequest:
        """What a stream asks of a target; `db` goes into target.spec.db. `user`: another than the server's."""
        server = self.server
        flat = {"host": server.host, "port": server.port, "username": user or server.user, "password": server.password}
        return TargetRequest(
            connection=Connection.model_validate({"name": "there", "type": "postgresql", **flat, **db.pop("ssl", {})}),
            spec=TargetSpec.model_validate({"db": {"database": self.database, **db}}),
            stream_id=stream,
            schema_policy=SchemaPolicy(policy),
            write_mode=WriteMode(mode),
        )

    def target(self, stream: str = "stream_1", *which: str, **how: Any) -> PostgresTarget:
        """A target for a stream, asked for as by `request`."""
        opened = open_target(self.request(stream, *which, **how))
        self.targets.append(opened)
        return opened


@pytest.fixture
def place(postgres: Postgres, postgres_database: str) -> Iterator[Place]:
    """An empty database."""
    here = Place(postgres, postgres_database)
    yield here
    for target in here.targets:
        target.close()
    if here.database != postgres_database:
        name = here.database.replace('"', '""')
        postgres.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


def prepared(target: PostgresTarget, *tables: Table, dialect: str = "mysql") -> TargetPlan:
    """Plan and prepare."""
    plan = target.plan(tables, dialect, prepared=False)
    target.prepare(plan, {str(planned.target.name): "mark" for planned in plan.tables})
    return plan


def write(target: PostgresTarget, planned: PlannedTable, rows: Sequence[Sequence[Any]], number: int = 0) -> Committed:
    """One chunk of these rows."""
    return target.write(planned, Chunk(planned.source.name, number), iter([batch(planned.source.columns, rows)]))


def load(
    target: PostgresTarget, *tables: tuple[Table, Sequence[Sequence[Any]]], dialect: str = "mysql"
) -> list[Finding]:
    """The whole way, each table in one chunk; everything that was found."""
    plan = prepared(target, *(source for source, _ in tables), dialect=dialect)
    findings = list(plan.findings)
    for planned, (_, rows) in zip(plan.tables, tables, strict=True):
        target.begin(planned, [Chunk(planned.source.name, 0)])
        write(target, planned, rows)
        findings += target.finish_table(planned)
    return findings + target.finish(plan.tables)
