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


SERVERS: dict[str, Callable[[pytest.FixtureRequest], ServerPlace]] = {
    "mariadb": _mariadb,
    "postgres": _postgres,
    "files": _files,
}
