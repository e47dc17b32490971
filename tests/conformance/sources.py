"""The sources that keep the contract, each with a place to read from. A new one is one entry in `SOURCES`."""

from __future__ import annotations

import gzip
import os
import shutil
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID

import obstore
import pytest

from rowferry.config.connection import Connection
from rowferry.config.stream import SchemaPolicy, TargetSpec, WriteMode
from rowferry.connectors.base import Source, SourceRequest, TableRequest, TargetPlan, TargetRequest
from rowferry.connectors.registry import connector
from rowferry.model import types as t
from rowferry.model.chunks import Chunk
from rowferry.model.tables import Column, NativeType, Table, TableName
from tests.pipeline.memory import DATABASE, QUERY, Held, MemorySource
from tests.servers import MariaDb, Postgres
from tests.stores import BUCKET, ObjectStore
from tests.tables import batch

Row = tuple[Any, ...]
_numbers = count(1)


class SourcePlace(Protocol):
    """A database that a test fills and a source reads.

    Columns are declared by name and kind: `number` (64 bits), `word` (up to 20 characters) or `uuid`. They
    are nullable unless they are part of the key. `snapshots`: its sources can be read as of one moment. `answers`: they
    answer queries. `still`: a table that gets rows has changed and is not read any more.
    """

    snapshots: bool
    answers: bool
    still: bool

    def open(self) -> Source:
        """One more source of this database; the place closes it."""

    def create(self, name: str, columns: Mapping[str, str], key: Sequence[str] = (), rows: Sequence[Row] = ()) -> None:
        """Make a table."""

    def insert(self, name: str, rows: Sequence[Row]) -> None:
        """Put more rows into it."""

    def drop(self, name: str, column: str | None = None) -> None:
        """Take the table away, or one of its columns."""

    def retype(self, name: str, column: str) -> None:
        """Give a column of words room for more of them."""

    def endless(self) -> TableRequest:
        """What no test reads to its end."""

    def reads(self) -> int:
        """How many reads are under way, as the other side sees it."""

    def close(self) -> None:
        """Close the sources, and remove what was made."""


KINDS: dict[str, tuple[t.NeutralType, str]] = {
    "number": (t.Integer(64), "BIGINT"),
    "word": (t.Text(20), "VARCHAR(20)"),
    "uuid": (t.Uuid(), "UUID"),
}


class MemoryPlace:
    """Tables in memory."""

    snapshots = True
    answers = True
    still = False

    def __init__(self) -> None:
        self._held: dict[str, Held] = {}
        self._opened: list[MemorySource] = []

    def open(self) -> Source:
        self._opened.append(MemorySource(self._held))
        return self._opened[-1]

    def create(self, name: str, columns: Mapping[str, str], key: Sequence[str] = (), rows: Sequence[Row] = ()) -> None:
        made = [
            Column(column, KINDS[kind][0], NativeType(kind, kind), nullable=column not in key)
            for column, kind in columns.items()
        ]
        table = Table(TableName(DATABASE, name), tuple(made), tuple(key), tuple(key))
        self._held[name] = Held(table, [])
        self.insert(name, rows)

    def insert(self, name: str, rows: Sequence[Row]) -> None:
        held = self._held[name]
        self._held[name] = Held(held.table, [*held.rows, *map(as_read, rows)])

    def drop(self, name: str, column: str | None = None) -> None:
        if column is None:
            del self._held[name]
            return
        table = self._held[name].table
        self._held[name] = Held(replace(table, columns=tuple(one for one in table.columns if one.name != column)), [])

    def retype(self, name: str, column: str) -> None:
        table = self._held[name].table
        wider = replace(table.column(column), type=t.Text(30), native=NativeType("word", "wide"))
        self._held[name] = Held(
            replace(table, columns=tuple(wider if one.name == column else one for one in table.columns)), []
        )

    def endless(self) -> TableRequest:
        self.create("many", {"n": "number"})
        self._held["many"] = Held(self._held["many"].table, [(number,) for number in range(100)], endless=True)
        return TableRequest("endless", query=f"{QUERY}many")

    def reads(self) -> int:
        return sum(one.reads for one in self._opened)

    def close(self) -> None:
        for one in self._opened:
            one.close()


@dataclass(frozen=True)
class Dialect:
    """What a server is asked in words of its own. `{name}` is the schema, or the database, of one place."""

    connection: str
    snapshots: bool
    database: str
    schema: str | None
    make: str
    retype: str
    reads: str
    drop: str


MARIADB = Dialect(
    connection="mariadb",
    snapshots=True,
    database="{name}",
    schema=None,
    make="CREATE DATABASE {name} CHARACTER SET utf8mb4",
    retype="ALTER TABLE {table} MODIFY {column} VARCHAR(30)",
    reads="SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE INFO LIKE '%rowferry %' AND ID <> CONNECTION_ID()",
    drop="DROP DATABASE {name}",
)
POSTGRES = Dialect(
    connection="postgresql",
    snapshots=True,
    database="postgres",
    schema="{name}",
    make="CREATE SCHEMA {name}",
    retype="ALTER TABLE {table} ALTER {column} TYPE varchar(30)",
    reads="SELECT count(*) FROM pg_stat_activity WHERE application_name = 'rowferry' AND state = 'active'",
    drop="DROP SCHEMA {name} CASCADE",
)


class FilesPlace:
    """A folder in which each table is a folder of Parquet files, as a stream writes them."""

    snapshots = True
    answers = False
    still = True

    def __init__(self, base: Path) -> None:
        self._base = base
        self._held: dict[str, tuple[Table, list[Row]]] = {}
        self._opened: list[Source] = []

    @cached_property
    def connection(self) -> Connection:
        """The folder as a user writes it."""
        return Connection.model_validate(
            {"name": "there", "type": "files", "spec": {"files": {"basePath": str(self._base)}}}
        )

    def open(self) -> Source:
        opener = connector(self.connection.engine).open_source
        assert opener is not None
        self._opened.append(opener(SourceRequest(self.connection)))
        return self._opened[-1]

    def create(self, name: str, columns: Mapping[str, str], key: Sequence[str] = (), rows: Sequence[Row] = ()) -> None:
        made = [
            Column(column, KINDS[kind][0], NativeType(kind, kind), nullable=column not in key)
            for column, kind in columns.items()
        ]
        self._write(Table(TableName("", name), tuple(made), tuple(key), tuple(key)), [*map(as_read, rows)])

    def insert(self, name: str, rows: Sequence[Row]) -> None:
        table, held = self._held[name]
        self._write(table, [*held, *map(as_read, rows)])

    def drop(self, name: str, column: str | None = None) -> None:
        table, _ = self._held[name]
        if column is None:
            self._remove(name)
        else:
            self._write(replace(table, columns=tuple(one for one in table.columns if one.name != column)), [])

    def retype(self, name: str, column: str) -> None:
        table, _ = self._held[name]
        wider = replace(table.column(column), type=t.Text(30))
        self._write(replace(table, columns=tuple(wider if one.name == column else one for one in table.columns)), [])

    def endless(self) -> TableRequest:
        """A little that is unpacked to very much."""
        packed = gzip.compress(b"1\n" * (1 << 22), compresslevel=9)
        self._put("endless/part-00000.csv.gz", gzip.compress(b"n\n") + packed * 1000)
        return TableRequest("endless")

    def reads(self) -> int:
        opened = (Path(os.path.realpath(one)) for one in Path("/proc/self/fd").iterdir())
        return sum(self._base in one.parents for one in opened)

    def close(self) -> None:
        for one in self._opened:
            one.close()

    def _write(self, table: Table, rows: list[Row]) -> None:
        self._held[table.name.name] = (table, rows)
        self._remove(table.name.name)
        spec = {"files": {"fileFormat": "parquet", "format": {"parquet": {"maxRowGroupSize": 3}}}}
        opener = connector(self.connection.engine).open_target
        assert opener is not None
        policies = SchemaPolicy.FAIL_IF_EXISTS, WriteMode.FAIL_IF_NOT_EMPTY
        with closing(
            opener(TargetRequest(self.connection, TargetSpec.model_validate(spec), "make", *policies))
        ) as target:
            [planned] = target.plan([table], "", prepared=False).tables
            target.prepare(TargetPlan((planned,)), {str(planned.target.name): ""})
            target.begin(planned, [Chunk(table.name, 0)])
            target.write(planned, Chunk(table.name, 0), iter([batch(table.columns, rows)] if rows else []))
            target.finish_table(planned)
            target.forget()

    def _remove(self, name: str) -> None:
        shutil.rmtree(self._base / name, ignore_errors=True)

    def _put(self, path: str, content: bytes) -> None:
        (self._base / path).parent.mkdir()
        (self._base / path).write_bytes(content)


class BucketPlace(FilesPlace):
    """The same below a prefix of a bucket."""

    def __init__(self, store: ObjectStore) -> None:
        super().__init__(Path(store.new_folder()))
        self._store = store

    @cached_property
    def connection(self) -> Connection:
        return Connection.model_validate(self._store.connection(BUCKET, str(self._base)))

    def reads(self) -> int:
        """A reader has threads of its own as long as it is open, numbered from 0."""
        return sum(thread.name == "object_0" for thread in threading.enumerate())

    def _remove(self, name: str) -> None:
        obstore.delete(self._store.open(BUCKET), list(self._store.objects(BUCKET, f"{self._base}/{name}/")))

    def _put(self, path: str, content: bytes) -> None:
        self._store.open(BUCKET).put(f"{self._base}/{path}", content)


class SqlPlace:
    """A fresh schema or database of a server."""

    answers = True
    still = False

    def __init__(self, server: MariaDb | Postgres, dialect: Dialect) -> None:
        self._server, self._dialect = server, dialect
        self.snapshots = dialect.snapshots
        self._name = f"place_{os.getpid()}_{next(_numbers)}"
        self._opened: list[Source] = []
        self._run(dialect.make)

    def open(self) -> Source:
        connection = connection_to(self._server, self._dialect.connection)
        opener = connector(connection.engine).open_source
        assert opener is not None
        database, schema = self._dialect.database.format(name=self._name), self._dialect.schema
        request = SourceRequest(connection, database, schema and schema.format(name=self._name))
        self._opened.append(opener(request))
        return self._opened[-1]

    def create(self, name: str, columns: Mapping[str, str], key: Sequence[str] = (), rows: Sequence[Row] = ()) -> None:
        parts = [f"{column} {KINDS[kind][1]}" for column, kind in columns.items()]
        if key:
            parts.append(f"PRIMARY KEY ({', '.join(key)})")
        self._run(f"CREATE TABLE {{name}}.{name} ({', '.join(parts)})")
        self.insert(name, rows)

    def insert(self, name: str, rows: Sequence[Row]) -> None:
        if not rows:
            return
        values = [tuple(str(value) if isinstance(value, UUID) else value for value in row) for row in rows]
        statement = f"INSERT INTO {self._name}.{name} VALUES ({', '.join(['%s'] * len(rows[0]))})"
        with self._server.connect() as session, session.cursor() as cursor:
            cursor.executemany(statement, values)

    def drop(self, name: str, column: str | None = None) -> None:
        table = f"{self._name}.{name}"
        self._run(f"DROP TABLE {table}" if column is None else f"ALTER TABLE {table} DROP COLUMN {column}")

    def retype(self, name: str, column: str) -> None:
        self._run(self._dialect.retype.format(table=f"{self._name}.{name}", column=column))

    def endless(self) -> TableRequest:
        self.create("many", {"n": "number"}, rows=[(number,) for number in range(300)])
        return TableRequest("endless", query="SELECT a.n FROM many a, many b, many c, many d")

    def reads(self) -> int:
        [(count,)] = self._run(self._dialect.reads)
        return int(str(count))

    def close(self) -> None:
        for one in self._opened:
            one.close()
        self._run(self._dialect.drop)

    def _run(self, statement: str) -> list[tuple[object, ...]]:
        return self._server.execute(statement.format(name=self._name))


def connection_to(server: MariaDb | Postgres, kind: str) -> Connection:
    """The server as a user writes it."""
    flat = {"host": server.host, "port": server.port, "username": server.user, "password": server.password}
    return Connection.model_validate({"name": "there", "type": kind, **flat})


def as_read(row: Row) -> Row:
    """A row as it crosses."""
    return tuple(value.bytes if isinstance(value, UUID) else value for value in row)


SOURCES: dict[str, Callable[[pytest.FixtureRequest], SourcePlace]] = {
    "memory": lambda _: MemoryPlace(),
    "files": lambda request: FilesPlace(request.getfixturevalue("tmp_path")),
    "s3": lambda request: BucketPlace(request.getfixturevalue("store_of_objects")),
    "mariadb": lambda request: SqlPlace(request.getfixturevalue("mariadb"), MARIADB),
    "postgres": lambda request: SqlPlace(request.getfixturevalue("postgres"), POSTGRES),
}
