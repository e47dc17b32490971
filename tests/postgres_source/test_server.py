"""Browsing a server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rowferry.connectors.postgres.server import PostgresServer, open_server
from rowferry.connectors.registry import connector
from rowferry.errors import Conflict, ConnectionLost, Forbidden, InvalidInput, NotFound
from tests.postgres_source.conftest import Place, connection_to


@pytest.fixture
def server(place: Place) -> Iterator[PostgresServer]:
    """The server, by way of the registry."""
    opened = connector("postgresql").open_server(connection_to(place.server))
    assert isinstance(opened, PostgresServer)
    yield opened
    opened.close()
    opened.close()


def test_databases_and_schemas(place: Place, server: PostgresServer) -> None:
    place.run('CREATE SCHEMA "S x"', "CREATE SCHEMA _rowferry")
    server.ping()
    found = {database.name: database for database in server.databases()}
    assert found["template0"].system
    assert found["template1"].system
    assert not found["postgres"].system
    assert [(schema.name, schema.system) for schema in found[place.database].schemas] == [
        ("S x", False),
        ("_rowferry", True),
        ("information_schema", True),
        ("pg_catalog", True),
        ("public", False),
    ]


def test_creating(place: Place, server: PostgresServer) -> None:
    name = f'{place.database} "x"'
    server.create_database(name)
    with pytest.raises(Conflict, match="exists"):
        server.create_database(name)
    server.create_schema(name, 'My "schema"')
    with pytest.raises(Conflict, match="exists"):
        server.create_schema(name, 'My "schema"')
    made = next(database for database in server.databases() if database.name == name)
    assert 'My "schema"' in [schema.name for schema in made.schemas]


@pytest.mark.parametrize("name", ["", "x" * 64, "pg_mine", "nul\x00"])
def test_names_that_cannot_be(place: Place, server: PostgresServer, name: str) -> None:
    with pytest.raises(InvalidInput):
        server.create_schema(place.database, name)


def test_tables_and_views(place: Place, server: PostgresServer) -> None:
    place.run(
        "CREATE SCHEMA s", "CREATE TABLE s.t (a int PRIMARY KEY)", "CREATE TABLE b ()", "CREATE VIEW v AS SELECT 1 AS a"
    )
    database = place.database
    assert server.tables(database, [], False) == ["public.b", "s.t"]
    assert server.tables(database, ["s"], False) == ["s.t"]
    assert server.tables(database, ["pg_catalog"], False) == []
    assert "pg_catalog.pg_class" in server.tables(database, ["pg_catalog"], True)
    assert server.views(database, [], False) == ["public.v"]
    assert "pg_catalog.pg_tables" in server.views(database, [], True)
    described = server.describe(database, ["s"], False)
    assert [(str(table.name), table.primary_key) for table in described] == [("s.t", ("a",))]
    system = server.describe(database, ["pg_catalog"], True)
    assert "pg_catalog.pg_class" in [str(table.name) for table in system]


def test_a_database_that_is_not_there(server: PostgresServer) -> None:
    with pytest.raises(NotFound, match="no database nowhere"):
        server.tables("nowhere", [], False)


def test_a_session_that_broke_is_replaced(place: Place, server: PostgresServer) -> None:
    server.ping()
    server.tables(place.database, [], False)
    place.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'rowferry'")
    server.ping()
    with pytest.raises(ConnectionLost):
        server.tables(place.database, [], False)
    assert server.tables(place.database, [], False) == []


def test_a_user_who_may_not(place: Place) -> None:
    role = place.database
    place.run(f"CREATE ROLE {role} LOGIN PASSWORD 'little'")
    limited = open_server(connection_to(place.server, username=role, password="little"))
    try:
        with pytest.raises(Forbidden, match="may not"):
            limited.create_database("mine")
    finally:
        limited.close()
        place.run(f"DROP ROLE {role}")
