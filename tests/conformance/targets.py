"""The targets that keep the contract, each with a place to write to. A new one is one entry in `TARGETS`."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, Protocol

import pyarrow.csv as pcsv
import pyarrow.parquet as pq
import pytest

from rowferry.config.connection import Connection
from rowferry.config.stream import SchemaPolicy, TargetSpec, WriteMode
from rowferry.connectors.base import PlannedTable, Target, TargetRequest
from rowferry.connectors.registry import connector
from rowferry.model import types as t
from rowferry.model.tables import Column
from tests.conformance.sources import connection_to
from tests.pipeline.memory import MemoryTarget, Store
from tests.servers import MariaDb, Postgres
from tests.stores import BUCKET, ObjectStore
from tests.tables import column

Row = tuple[int, str]
_numbers = count(1)


class TargetPlace(Protocol):
    """Where targets write. It does not exist before one of them prepares.

    `further`: columns that a test's tables have beside `id` and `name`.
    """

    further: tuple[Column, ...]

    def open(self, stream: str = "stream_1", policy: str = "fail_if_exists", mode: str = "fail_if_not_empty") -> Target:
        """A target for that stream; the place closes it."""

    def rows(self, table: PlannedTable) -> list[Row]:
        """`id` and `name` of what anybody sees in the table, sorted."""

    def seen(self) -> object:
        """Everything that is there; equal when nothing was written meanwhile."""

    def traces(self) -> list[str]:
        """What is there beside the tables themselves."""

    def waiting(self) -> bool:
        """Whether a writer waits for another one."""

    def close(self) -> None:
        """Close the targets, and remove what they made."""


class MemoryPlace:
    """A store in memory."""

    further: tuple[Column, ...] = ()

    def __init__(self) -> None:
        self._store = Store()

    def open(self, stream: str = "stream_1", policy: str = "fail_if_exists", mode: str = "fail_if_not_empty") -> Target:
        return MemoryTarget(self._store, stream=stream, policy=SchemaPolicy(policy), mode=WriteMode(mode))

    def rows(self, table: PlannedTable) -> list[Row]:
        return sorted((row[0], row[1]) for row in self._store.rows[str(table.target.name)])

    def seen(self) -> object:
        return copy.deepcopy((self._store.rows, self._store.journals))

    def traces(self) -> list[str]:
        return list(self._store.journals)

    def waiting(self) -> bool:
        return False

    def close(self) -> None:
        """Nothing is held."""


class Opened:
    """The targets that a place has opened by the registry."""

    def __init__(self, connection: Connection, spec: Mapping[str, Any]) -> None:
        self._connection, self._spec = connection, TargetSpec.model_validate(spec)
        self._targets: list[Target] = []

    def open(self, stream: str, policy: str, mode: str) -> Target:
        """One more."""
        opener = connector(self._connection.engine).open_target
        assert opener is not None
        request = TargetRequest(self._connection, self._spec, stream, SchemaPolicy(policy), WriteMode(mode))
        self._targets.append(opener(request))
        return self._targets[-1]

    def close(self) -> None:
        """Close them all."""
        for one in self._targets:
            one.close()


class FilesPlace:
    """A folder."""

    further: tuple[Column, ...] = ()

    def __init__(self, base: Path, file_format: str) -> None:
        self._base, self._format = base, file_format
        spec = {"files": {"basePath": str(base)}}
        connection = Connection.model_validate({"name": "there", "type": "files", "spec": spec})
        self._opened = Opened(connection, {"files": {"fileFormat": file_format}})

    def open(self, stream: str = "stream_1", policy: str = "fail_if_exists", mode: str = "fail_if_not_empty") -> Target:
        return self._opened.open(stream, policy, mode)

    def rows(self, table: PlannedTable) -> list[Row]:
        parts = (self._base / str(table.target.name)).glob("part-*")
        return sorted((row["id"], row["name"]) for part in parts for row in READ[self._format](part))

    def seen(self) -> object:
        paths = sorted(self._base.rglob("*"))
        return self._base.exists(), {path: path.is_file() and path.read_bytes() for path in paths}

    def traces(self) -> list[str]:
        return [str(path) for path in self._base.glob(".*")]

    def waiting(self) -> bool:
        return False

    def close(self) -> None:
        self._opened.close()


class BucketPlace:
    """A part of a bucket."""

    further: tuple[Column, ...] = ()

    def __init__(self, store: ObjectStore, file_format: str, folder: Path) -> None:
        self._store, self._format, self._folder = store, file_format, folder
        self._prefix = store.new_folder()
        upload = {"bucket": BUCKET, "prefix": self._prefix}
        self._opened = Opened(
            Connection.model_validate(store.connection()), {"s3": {"fileFormat": file_format, "upload": upload}}
        )

    def open(self, stream: str = "stream_1", policy: str = "fail_if_exists", mode: str = "fail_if_not_empty") -> Target:
        return self._opened.open(stream, policy, mode)

    def rows(self, table: PlannedTable) -> list[Row]:
        rows = []
        for key in self._store.objects(BUCKET, f"{self._prefix}/{table.target.name}"):
            if "/part-" not in key:
                continue
            path = self._folder / "part"
            path.write_bytes(self._store.get(BUCKET, key))
            rows += [(row["id"], row["name"]) for row in READ[self._format](path)]
        return sorted(rows)

    def seen(self) -> object:
        return {key: self._store.get(BUCKET, key) for key in self._store.objects(BUCKET, self._prefix)}

    def traces(self) -> list[str]:
        return [key for key in self._store.objects(BUCKET, self._prefix) if "/." in key]

    def waiting(self) -> bool:
        return False

    def close(self) -> None:
        self._opened.close()


READ: Mapping[str, Callable[[Path], list[dict[str, Any]]]] = {
    "parquet": lambda path: list(pq.read_table(path).to_pylist()),
    "csv": lambda path: list(pcsv.read_csv(path).to_pylist()),
    "jsonl": lambda path: [json.loads(line) for line in path.read_text().splitlines()],
}


@dataclass(frozen=True)
class Dialect:
    """What a server is asked in words of its own. `{name}` is the schema, or the database, of one place.

    `spec` names it in target.spec.db, `database` is one to ask from. `tables` lists the name of everything in
    the place and in journals, with NULL for a schema that is empty; `traces` lists what journals are made of.
    """

    connection: str
    spec: Mapping[str, str]
    database: str
    tables: str
    traces: str
    waiting: str
    drop: tuple[str, ...]


POSTGRES = Dialect(
    connection="postgresql",
    spec={"database": "postgres", "schema": "{name}"},
    database="postgres",
    tables="SELECT nspname || '.' || relname FROM pg_namespace n "
    "LEFT JOIN pg_class c ON c.relnamespace = n.oid AND relkind = 'r' WHERE nspname IN ('{name}', '_rowferry') "
    "ORDER BY 1",
    traces="SELECT nspname FROM pg_namespace WHERE nspname = '_rowferry'",
    waiting="SELECT 1 FROM pg_stat_activity WHERE application_name = 'rowferry' AND wait_event_type = 'Lock'",
    drop=("DROP SCHEMA IF EXISTS {name} CASCADE", "DROP SCHEMA IF EXISTS _rowferry CASCADE"),
)


MARIADB = Dialect(
    connection="mariadb",
    spec={"database": "{name}"},
    database="information_schema",
    tables="SELECT CONCAT(SCHEMA_NAME, '.', TABLE_NAME) FROM information_schema.SCHEMATA s "
    "LEFT JOIN information_schema.TABLES t ON t.TABLE_SCHEMA = s.SCHEMA_NAME "
    "WHERE SCHEMA_NAME IN ('{name}', '_rowferry') ORDER BY 1",
    traces="SELECT SCHEMA_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = '_rowferry'",
    waiting="SELECT 1 FROM information_schema.INNODB_TRX WHERE trx_state = 'LOCK WAIT' "
    "UNION SELECT 1 FROM information_schema.PROCESSLIST WHERE STATE = 'Waiting for table metadata lock'",
    drop=("DROP DATABASE IF EXISTS {name}", "DROP DATABASE IF EXISTS _rowferry", "SET GLOBAL local_infile = 1"),
)


class SqlPlace:
    """A schema or database of a server."""

    def __init__(self, server: MariaDb | Postgres, dialect: Dialect, further: tuple[Column, ...] = ()) -> None:
        self.further = further
        self._server, self._dialect = server, dialect
        self._name = f"place_{os.getpid()}_{next(_numbers)}"
        spec = {key: value.format(name=self._name) for key, value in dialect.spec.items()}
        self._opened = Opened(connection_to(server, dialect.connection), {"db": spec})

    def open(self, stream: str = "stream_1", policy: str = "fail_if_exists", mode: str = "fail_if_not_empty") -> Target:
        return self._opened.open(stream, policy, mode)

    def rows(self, table: PlannedTable) -> list[Row]:
        return self._run(f"SELECT id, name FROM {table.target.name} ORDER BY id, name")

    def seen(self) -> object:
        tables = [name for (name,) in self._run(self._dialect.tables)]
        return [(name, self._run(f"SELECT * FROM {name}") if name else None) for name in tables]

    def traces(self) -> list[str]:
        return [str(name) for (name,) in self._run(self._dialect.traces)]

    def waiting(self) -> bool:
        return bool(self._run(self._dialect.waiting))

    def close(self) -> None:
        self._opened.close()
        self._run(*self._dialect.drop)

    def _run(self, *statements: str) -> list[Any]:
        named = [statement.format(name=self._name) for statement in statements]
        return self._server.execute(*named, database=self._dialect.database)


def without_local_infile(request: pytest.FixtureRequest) -> MariaDb:
    """The server, which takes no LOAD DATA LOCAL until the place is closed."""
    server: MariaDb = request.getfixturevalue("mariadb")
    server.execute("SET GLOBAL local_infile = 0")
    return server


def _bucket(request: pytest.FixtureRequest, file_format: str) -> BucketPlace:
    return BucketPlace(request.getfixturevalue("store_of_objects"), file_format, request.getfixturevalue("tmp_path"))


TARGETS: dict[str, Callable[[pytest.FixtureRequest], TargetPlace]] = {
    "memory": lambda _: MemoryPlace(),
    "postgres": lambda request: SqlPlace(request.getfixturevalue("postgres"), POSTGRES),
    "mariadb": lambda request: SqlPlace(request.getfixturevalue("mariadb"), MARIADB),
    "parquet": lambda request: FilesPlace(request.getfixturevalue("tmp_path") / "base", "parquet"),
    "csv": lambda request: FilesPlace(request.getfixturevalue("tmp_path") / "base", "csv"),
    "jsonl": lambda request: FilesPlace(request.getfixturevalue("tmp_path") / "base", "jsonl"),
    "parquet in s3": lambda request: _bucket(request, "parquet"),
    "csv in s3": lambda request: _bucket(request, "csv"),
}

OTHER_WAYS: dict[str, Callable[[pytest.FixtureRequest], TargetPlace]] = {
    # With a column that binary COPY cannot take, all of them go as text.
    "postgres as text": lambda request: SqlPlace(
        request.getfixturevalue("postgres"), POSTGRES, (column("way", t.Inet()),)
    ),
    "mariadb by insert": lambda request: SqlPlace(without_local_infile(request), MARIADB),
}
"""Targets that differ from one of those only in how rows are written."""
