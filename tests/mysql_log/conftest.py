"""A server that writes a log, and what follows it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pytest

from rowferry.config.stream import SourceOptions
from rowferry.connectors.base import SourceRequest, TableRequest
from rowferry.connectors.changes import BatchSize, ChangeBatch, ChangesRequest
from rowferry.connectors.mysql.binlog.changes import BinlogChanges
from rowferry.connectors.mysql.source import MySqlSource
from rowferry.model.changes import Op, TableAltered, Truncated
from rowferry.model.chunks import Chunk
from rowferry.model.tables import Table, TableName
from rowferry.typemap.arrow import arrow_schema
from tests.mysql.conftest import connection
from tests.servers import MariaDb, mariadb_server

LOGGING = ("--log-bin=bin", "--server-id=7", "--binlog-format=ROW", "--plugin-maturity=alpha")
Change = tuple[str, dict[str, Any] | None, dict[str, Any] | None]
"""Operation, identity before, row after (what is not known of it left out)."""


@dataclass
class Log:
    """A database of its own on a server that writes a log."""

    server: MariaDb
    database: str
    source: MySqlSource
    changes: BinlogChanges
    opened: list[BinlogChanges] = field(default_factory=list)

    def run(self, *statements: str) -> list[tuple[Any, ...]]:
        """Run the statements with the session in UTC and every value allowed; the rows of the last one."""
        return self.server.execute("SET time_zone='+00:00', sql_mode=''", *statements, database=self.database)

    def table(self, name: str, **how: Any) -> Table:
        """The table as the source describes it."""
        return self.source.tables([TableRequest(name, **how)])[0]

    def read(self, table: Table) -> pa.Table:
        """All rows, as a convert reads them."""
        batches = list(self.source.read(table, Chunk(table.name, 0)))
        return pa.Table.from_batches(batches, arrow_schema(table.columns))

    def another(self, **changes: Any) -> BinlogChanges:
        """One more follower, for another user for example."""
        request = ChangesRequest(connection(self.server, **changes), self.database, None, "stream", SourceOptions())
        self.opened.append(BinlogChanges(request))
        return self.opened[-1]

    def batches(
        self,
        position: str,
        *tables: Table,
        known: Mapping[TableName, str] | None = None,
        size: BatchSize | None = None,
    ) -> list[ChangeBatch]:
        """What happened since then and until now."""
        end, found = self.changes.position(), []
        with contextlib.closing(self.changes.follow(position, tables, known or {}, size or BatchSize())) as following:
            for batch in following:
                found.append(batch)
                if batch.position is not None and self.changes.reached(batch.position, end):
                    return found
        raise AssertionError("the log has ended")

    def happened(self, position: str, *tables: Table, **how: Any) -> list[Change]:
        """The changes of rows since then, in their order."""
        return told(self.batches(position, *tables, **how))

    def while_(self, do: Callable[[], object], *tables: Table, **how: Any) -> list[Change]:
        """The changes of rows that come of doing this."""
        position = self.changes.position()
        do()
        return self.happened(position, *tables, **how)


def told(batches: Sequence[ChangeBatch]) -> list[Change]:
    """The changes of rows in their order; ordinals and columns that are not known are checked on the way."""
    found: list[Change] = []
    for batch in batches:
        numbered: list[tuple[int, Change]] = []
        for rows in batch.rows:
            assert rows.after.schema.types == arrow_schema(rows.table.columns).types
            assert rows.ordinals.type == pa.int64()
            assert rows.ops.type == pa.uint8()
            ordinals = rows.ordinals.to_pylist()
            assert ordinals == sorted(set(ordinals))
            images = rows.image.to_pylist() if rows.image is not None else [-1] * len(rows.ops)
            befores = rows.before.to_pylist() if rows.before is not None else [None] * len(rows.ops)
            for ordinal, op, image, before, after in zip(
                ordinals, rows.ops.to_pylist(), images, befores, rows.after.to_pylist(), strict=True
            ):
                known = set(after) if image < 0 else rows.images[image]
                assert all(after[name] is None for name in set(after) - known)
                row = {name: value for name, value in after.items() if name in known}
                numbered.append((ordinal, _change(op, before, row)))
        found += [change for _, change in sorted(numbered, key=lambda one: one[0])]
    return found


def _change(op: int, before: dict[str, Any] | None, after: dict[str, Any]) -> Change:
    if op == Op.INSERT:
        assert before is None or set(before.values()) <= {None}
        return "insert", None, after
    if op == Op.DELETE:
        assert set(after.values()) <= {None}
        return "delete", before, None
    return "update", before, after


def events(batches: Sequence[ChangeBatch]) -> list[Truncated | TableAltered]:
    """What else happened."""
    return [batch.event for batch in batches if batch.event is not None]


@contextlib.contextmanager
def logged(server: MariaDb) -> Iterator[Log]:
    """A database on the server, and followers of it."""
    database = server.new_database()
    source = MySqlSource(SourceRequest(connection(server), database))
    request = ChangesRequest(connection(server), database, None, "stream", SourceOptions())
    changes = BinlogChanges(request)
    log = Log(server, database, source, changes)
    with contextlib.closing(source), contextlib.closing(changes):
        yield log
    for one in log.opened:
        one.close()
    server.execute(f"DROP DATABASE IF EXISTS {database}")


@pytest.fixture(scope="session")
def logging() -> Iterator[MariaDb]:
    """A MariaDB that writes a log, its session time zone not UTC."""
    with mariadb_server(*LOGGING) as server:
        yield server


@pytest.fixture
def log(logging: MariaDb) -> Iterator[Log]:
    with logged(logging) as one:
        yield one
