"""The servers that keep the contract. A new one is one entry in `SERVERS`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rowferry.config.connection import Connection
from rowferry.connectors.base import Server
from rowferry.connectors.registry import connector
from tests.conformance.sources import connection_to
from tests.stores import BUCKET, ObjectStore


@dataclass(frozen=True)
class ServerPlace:
    """A far end with nothing of the test in it. `create_table` makes a table of one column `n` in a database."""

    connection: Connection
    create_table: Callable[[str, str], object]
    drop_database: Callable[[str], object] = lambda _: None

    def open(self) -> Server:
        """The server; whoever opens it closes it."""
        return connector(self.connection.engine).open_server(self.connection)

    @property
    def schemas(self) -> bool:
        """Whether its databases hold schemas."""
        return connector(self.connection.engine).capabilities.schemas


def _mariadb(request: pytest.FixtureRequest) -> ServerPlace:
    server = request.getfixturevalue("mariadb")
    return ServerPlace(
        connection_to(server, "mariadb"),
        lambda database, name: server.execute(f"CREATE TABLE {name} (n INT)", database=database),
        lambda database: server.execute(f"DROP DATABASE IF EXISTS {database}"),
    )


def _postgres(request: pytest.FixtureRequest) -> ServerPlace:
    server = request.getfixturevalue("postgres")
    return ServerPlace(
        connection_to(server, "postgresql"),
        lambda database, name: server.execute(f"CREATE TABLE {name} (n int)", database=database),
        lambda database: server.execute(f"DROP DATABASE IF EXISTS {database} WITH (FORCE)"),
    )


def _files(request: pytest.FixtureRequest) -> ServerPlace:
    base: Path = request.getfixturevalue("tmp_path")
    spec = {"files": {"basePath": str(base)}}

    def create_table(database: str, name: str) -> None:
        (base / database / name).mkdir()
        pq.write_table(pa.table({"n": [1]}), base / database / name / "part-00000.parquet")

    return ServerPlace(Connection.model_validate({"name": "there", "type": "files", "spec": spec}), create_table)


def _s3(request: pytest.FixtureRequest, whole: bool) -> ServerPlace:
    store: ObjectStore = request.getfixturevalue("store_of_objects")
    bucket, prefix = (None, "") if whole else (BUCKET, f"{store.new_folder()}/")

    def create_table(database: str, name: str) -> None:
        sink = pa.BufferOutputStream()
        pq.write_table(pa.table({"n": [1]}), sink)
        key = f"{name}/part-00000.parquet" if whole else f"{prefix}{database}/{name}/part-00000.parquet"
        store.open(bucket or database).put(key, sink.getvalue().to_pybytes())

    def drop(database: str) -> None:
        if whole:
            store.drop_bucket(database)

    return ServerPlace(Connection.model_validate(store.connection(bucket, prefix)), create_table, drop)


SERVERS: dict[str, Callable[[pytest.FixtureRequest], ServerPlace]] = {
    "mariadb": _mariadb,
    "postgres": _postgres,
    "files": _files,
    "s3 bucket": lambda request: _s3(request, whole=False),
    "s3 store": lambda request: _s3(request, whole=True),
}
