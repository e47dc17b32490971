"""A database whose log is followed, and what comes out of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pytest
from psycopg.sql import SQL, Identifier

from rowferry.config.stream import SourceOptions
from rowferry.connectors.base import ChunkSize, SourceRequest, TableRequest
from rowferry.connectors.changes import BatchSize, ChangeBatch, ChangesRequest, RowChanges
from rowferry.connectors.postgres.replication.slots import drop_slot
from rowferry.connectors.postgres.replication.source import PostgresChanges, open_changes
from rowferry.connectors.postgres.source import PostgresSource, open_source
from rowferry.errors import RowferryError
from rowferry.model.changes import Op, Position
from rowferry.model.tables import Table, TableName
from rowferry.typemap.arrow import arrow_schema
from tests.postgres_source.conftest import connection_to
from tests.servers import Postgres

WHOLE = ChunkSize(10**9, 10**12)
SIZE = BatchSize()

Change = tuple[str, str, dict[str, Any] | None, dict[str, Any] | None]
"""Table, operation, before, after."""


@dataclass
class Log:
    """A database, its source and its log."""

    server: Postgres
    database: str
    opened: list[PostgresSource | PostgresChanges] = field(default_factory=list)

    def run(self, *statements: str) -> list[tuple[Any, ...]]:
        """Run statements, each of which commits, in a session in UTC; the rows of the last."""
        return self.server.execute("SET timezone = 'UTC'", *statements, database=self.database)

    def source(self) -> PostgresSource:
        source = open_source(SourceRequest(connection_to(self.server), self.database))
        self.opened.append(source)
        return source

    def changes(self, stream: str = "s1", **options: Any) -> PostgresChanges:
        made = open_changes(
            ChangesRequest(connection_to(self.server), self.database, None, stream, SourceOptions(**options))
        )
        self.opened.append(made)
        return made

    def tables(self, *names: str) -> list[Table]:
        return self.source().tables([TableRequest(name) for name in names])

    def read(self, table: Table) -> pa.Table:
        """The table's rows by way of its chunks."""
        source = self.source()
        batches = [batch for chunk in source.chunks(table, WHOLE) for batch in source.read(table, chunk)]
        return pa.Table.from_batches(batches, arrow_schema(table.columns))


@dataclass
class Follower:
    """Follows some tables from a position on, and keeps what it saw."""

    log: Log
    changes: PostgresChanges
    tables: list[Table]
    position: Position
    known: Mapping[TableName, Position] = field(default_factory=dict)
    size: BatchSize = SIZE
    batches: list[ChangeBatch] = field(default_factory=list)

    def until(self, done: Callable[[], object], seconds: float = 30) -> list[ChangeBatch]:
        """Follow until `done()`; what came meanwhile."""
        stream = self.changes.follow(self.position, self.tables, self.known, self.size)
        deadline = time.monotonic() + seconds
        came: list[ChangeBatch] = []
        try:
            for batch in stream:
                came.append(batch)
                self.batches.append(batch)
                if batch.undone:
                    _forget(came)
                    _forget(self.batches)
                if batch.position is not None:
                    self.position = batch.position
                if done():
                    return came
                assert time.monotonic() < deadline, "what was waited for did not come"
        except RowferryError:
            _forget(self.batches)
            raise
        finally:
            stream.close()
        raise AssertionError("following ended by itself")

    def to_the_end(self) -> list[ChangeBatch]:
        """Follow up to what has happened by now; what is given ahead of a commit may come behind it."""
        mark = self.changes.position()
        return self.until(lambda: self.batches[-1].position is not None and self.changes.reached(self.position, mark))

    def rows(self) -> list[Change]:
        """What happened to rows, up to now, in its order."""
        return changed(self.to_the_end())


def _forget(batches: list[ChangeBatch]) -> None:
    """What came since the last position counts no more."""
    while batches and batches[-1].position is None:
        batches.pop()


def changed(batches: Sequence[ChangeBatch]) -> list[Change]:
    """The changes of rows one by one; columns that are not known are left out."""
    found: list[Change] = []
    for batch in batches:
        numbered: list[tuple[int, Change]] = []
        for one in batch.rows:
            one.after.validate(full=True)
            assert one.after.schema == pa.schema([f.with_nullable(True) for f in arrow_schema(one.table.columns)])
            assert len(one.after) == len(one.ops) == len(one.ordinals)
            befores = one.before.to_pylist() if one.before is not None else [None] * len(one.ops)
            images = one.image.to_pylist() if one.image is not None else [-1] * len(one.ops)
            rows = zip(
                one.ordinals.to_pylist(), one.ops.to_pylist(), befores, one.after.to_pylist(), images, strict=True
            )
            numbered += [
                (ordinal, (one.table.name.name, Op(op).name.lower(), *_shown(one, op, before, after, image)))
                for ordinal, op, before, after, image in rows
            ]
        ordinals = [ordinal for ordinal, _ in sorted(numbered, key=lambda pair: pair[0])]
        assert len(set(ordinals)) == len(ordinals)
        found += [change for _, change in sorted(numbered, key=lambda pair: pair[0])]
    return found


def _shown(
    one: RowChanges, op: int, before: dict[str, Any] | None, after: dict[str, Any], image: int
) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    if op == Op.DELETE:
        assert set(after.values()) <= {None}
        return before, None
    if op == Op.INSERT:
        assert before is None or set(before.values()) <= {None}
        return None, after
    if image >= 0:
        assert {name for name, value in after.items() if value is not None} <= one.images[image]
        after = {name: value for name, value in after.items() if name in one.images[image]}
    return before, after


def following(log: Log, *names: str, stream: str = "s1", **options: Any) -> Follower:
    """A follower of these tables from now on."""
    changes = log.changes(stream, **options)
    tables = log.tables(*names)
    return Follower(log, changes, tables, changes.prepare(tables))


@pytest.fixture
def log(postgres: Postgres, postgres_database: str) -> Iterator[Log]:
    """An empty database; slots and publications are gone afterwards."""
    made = Log(postgres, postgres_database)
    yield made
    clean(made)


def clean(log: Log) -> None:
    """Close what was opened, and remove what it left at the server."""
    for one in log.opened:
        one.close()
    slots = "SELECT slot_name::text FROM pg_replication_slots WHERE database = current_database() AND NOT temporary"
    with log.server.connect(log.database) as session:
        for (name,) in session.execute(slots).fetchall():
            drop_slot(session, name)
        for (name,) in session.execute("SELECT pubname FROM pg_publication").fetchall():
            session.execute(SQL("DROP PUBLICATION {}").format(Identifier(name)))


@pytest.fixture
def log18(postgres18: Postgres) -> Iterator[Log]:
    """The same of PostgreSQL 18."""
    made = Log(postgres18, postgres18.new_database())
    yield made
    clean(made)
