"""A fresh database for each test, and targets that write into it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pymysql
import pytest

from rowferry.config.connection import Connection
from rowferry.config.stream import SchemaPolicy, TargetSpec, WriteMode
from rowferry.connectors.base import PlannedTable, TargetPlan, TargetRequest
from rowferry.connectors.mysql.apply import MySqlApplier, open_applier
from rowferry.connectors.mysql.sessions import Session
from rowferry.connectors.mysql.target import MySqlTarget, open_target
from rowferry.model.chunks import Chunk, Committed
from rowferry.model.findings import Finding
from rowferry.model.tables import Table
from tests.servers import MariaDb
from tests.tables import batch


@dataclass
class Place:
    """A database (which may not exist yet) and the targets that were opened on it."""

    server: MariaDb
    database: str
    targets: list[MySqlTarget] = field(default_factory=list)
    appliers: list[MySqlApplier] = field(default_factory=list)
    way: str = ""

    def run(self, *statements: str) -> list[tuple[Any, ...]]:
        """Run statements in a strict session in UTC; the rows of the last."""
        strict = "SET time_zone = '+00:00', sql_mode = 'STRICT_ALL_TABLES'"
        return self.server.execute(strict, *statements, database=self.database)

    def target(
        self,
        stream: str = "stream_1",
        policy: str = "fail_if_exists",
        mode: str = "fail_if_not_empty",
        *,
        followed: bool = False,
        **db: Any,
    ) -> MySqlTarget:
        """A target for a stream; `db` goes into target.spec.db."""
        opened = open_target(replace(self._request(stream, policy, mode, **db), followed=followed))
        if self.way:
            opened._pool._open = lambda: _session(opened, self.way)
        self.targets.append(opened)
        return opened

    def applier(self, stream: str = "stream_1") -> MySqlApplier:
        """A writer of changes, for a stream that was prepared."""
        opened = open_applier(self._request(stream, "fail_if_exists", "fail_if_not_empty"), ())
        if self.way:
            opened._session.bulk = self.way == "bulk"
            opened._session.local_infile = self.way != "insert"
        self.appliers.append(opened)
        return opened

    def _request(self, stream: str, policy: str, mode: str, **db: Any) -> TargetRequest:
        server = self.server
        flat = {"host": server.host, "port": server.port, "username": server.user, "password": server.password}
        return TargetRequest(
            connection=Connection.model_validate({"name": "there", "type": "mariadb", **flat}),
            spec=TargetSpec.model_validate({"db": {"database": self.database, **db}}),
            stream_id=stream,
            schema_policy=SchemaPolicy(policy),
            write_mode=WriteMode(mode),
        )

    def connect(self) -> pymysql.connections.Connection[Any]:
        """A session of one's own."""
        return self.server.connect(self.database)


def _session(target: MySqlTarget, way: str) -> Session:
    """A session as on a server that knows no bulk execution ("load"), and allows no LOAD DATA LOCAL ("insert")."""
    session = Session(target._access)
    assert session.bulk
    session.bulk = way == "bulk"
    session.local_infile = way != "insert"
    return session


@pytest.fixture
def place(mariadb: MariaDb) -> Iterator[Place]:
    """A database of the test's own; no journal is left behind."""
    here = Place(mariadb, mariadb.new_database())
    yield here
    for applier in here.appliers:
        applier.close()
    for target in here.targets:
        target.close()
    name = here.database.replace("`", "``")
    mariadb.execute(f"DROP DATABASE IF EXISTS `{name}`", "DROP DATABASE IF EXISTS _rowferry")


@pytest.fixture(params=["bulk", "load", "insert"])
def each_way(place: Place, request: pytest.FixtureRequest) -> Place:
    """The same, with targets that write by bulk execution, by LOAD DATA LOCAL, and by INSERT."""
    place.way = request.param
    return place


def prepared(target: MySqlTarget, *tables: Table, dialect: str = "postgres") -> TargetPlan:
    """Plan and prepare."""
    plan = target.plan(tables, dialect, prepared=False)
    target.prepare(plan, {str(planned.target.name): "mark" for planned in plan.tables})
    return plan


def write(target: MySqlTarget, planned: PlannedTable, rows: Sequence[Sequence[Any]], number: int = 0) -> Committed:
    """One chunk of these rows."""
    return target.write(planned, Chunk(planned.source.name, number), iter([batch(planned.source.columns, rows)]))


def load(
    target: MySqlTarget, *tables: tuple[Table, Sequence[Sequence[Any]]], dialect: str = "postgres"
) -> list[Finding]:
    """The whole way, each table in one chunk; everything that was found."""
    plan = prepared(target, *(source for source, _ in tables), dialect=dialect)
    findings = list(plan.findings)
    for planned, (_, rows) in zip(plan.tables, tables, strict=True):
        target.begin(planned, [Chunk(planned.source.name, 0)])
        write(target, planned, rows)
        findings += target.finish_table(planned)
    return findings + target.finish(plan.tables)
