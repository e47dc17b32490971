"""The targets that take changes, each with a place to follow tables in. A new one is an entry in `APPLIERS`."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from itertools import count
from typing import Any, Protocol

import pytest

from rowferry.config.stream import SchemaPolicy, TargetSpec, WriteMode
from rowferry.connectors.base import PlannedTable, Target, TargetRequest
from rowferry.connectors.changes import Applier
from rowferry.connectors.registry import connector
from rowferry.model.chunks import Chunk
from rowferry.model.tables import Table
from tests.conformance.sources import connection_to
from tests.conformance.targets import MARIADB, POSTGRES, Dialect
from tests.servers import MariaDb, Postgres
from tests.tables import batch

Row = tuple[Any, ...]
_numbers = count(1)


class ApplierPlace(Protocol):
    """Where tables are followed."""

    def target(self, stream: str = "stream_1") -> Target:
        """A target for that stream; the place closes it."""

    def open(self, tables: Sequence[PlannedTable], stream: str = "stream_1") -> Applier:
        """An applier for that stream; the place closes it."""

    def rows(self, table: PlannedTable) -> list[Row]:
        """What anybody sees in the table, sorted."""

    def close(self) -> None:
        """Close everything, and remove what it made."""


class SqlApplierPlace:
    """A schema or database of a server."""

    def __init__(self, server: MariaDb | Postgres, dialect: Dialect) -> None:
        self._server, self._dialect = server, dialect
        self._name = f"followed_{os.getpid()}_{next(_numbers)}"
        self._spec = {key: value.format(name=self._name) for key, value in dialect.spec.items()}
        self._connection = connection_to(server, dialect.connection)
        self._opened: list[Target | Applier] = []

    def target(self, stream: str = "stream_1") -> Target:
        opener = connector(self._connection.engine).open_target
        assert opener is not None
        target = opener(self._request(stream))
        self._opened.append(target)
        return target

    def open(self, tables: Sequence[PlannedTable], stream: str = "stream_1") -> Applier:
        opener = connector(self._connection.engine).open_applier
        assert opener is not None
        applier = opener(self._request(stream), tables)
        self._opened.append(applier)
        return applier

    def rows(self, table: PlannedTable) -> list[Row]:
        found = self._server.execute(f"SELECT * FROM {table.target.name}", database=self._dialect.database)
        return sorted(found, key=str)

    def close(self) -> None:
        for one in self._opened:
            one.close()
        drop = [statement.format(name=self._name) for statement in self._dialect.drop]
        self._server.execute(*drop, database=self._dialect.database)

    def _request(self, stream: str) -> TargetRequest:
        spec = TargetSpec.model_validate({"db": self._spec})
        policy, mode = SchemaPolicy.FAIL_IF_EXISTS, WriteMode.FAIL_IF_NOT_EMPTY
        return TargetRequest(self._connection, spec, stream, policy, mode)


def followed(place: ApplierPlace, *tables: Table, rows: Sequence[Row] = ()) -> tuple[PlannedTable, ...]:
    """The tables as they are before their source is followed: loaded (the first with `rows`), with their keys."""
    target = place.target()
    plan = target.plan(tables, "", prepared=False)
    target.prepare(plan, {str(planned.target.name): "mark" for planned in plan.tables})
    for planned in plan.tables:
        held = rows if planned is plan.tables[0] else ()
        target.begin(planned, [Chunk(planned.source.name, 0)])
        target.write(planned, Chunk(planned.source.name, 0), iter([batch(planned.source.columns, held)]))
        target.finish_table(planned)
    target.finish(plan.tables)
    return plan.tables


APPLIERS: dict[str, Callable[[pytest.FixtureRequest], ApplierPlace]] = {
    "postgres": lambda request: SqlApplierPlace(request.getfixturevalue("postgres"), POSTGRES),
    "mariadb": lambda request: SqlApplierPlace(request.getfixturevalue("mariadb"), MARIADB),
}
