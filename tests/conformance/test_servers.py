"""What `base.Server` and `base.Connector` promise, kept by every connector."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing

import pytest

from rowferry.connectors.base import Server
from rowferry.connectors.registry import CONNECTORS, connector
from rowferry.errors import Conflict, InvalidInput
from tests.conformance.servers import SERVERS, ServerPlace


@pytest.fixture(params=SERVERS)
def place(request: pytest.FixtureRequest) -> ServerPlace:
    return SERVERS[request.param](request)


@pytest.fixture
def server(place: ServerPlace) -> Iterator[Server]:
    with closing(place.open()) as opened:
        yield opened


@pytest.fixture
def database(place: ServerPlace, server: Server) -> Iterator[str]:
    """A database that the server has made."""
    name = f"made{os.getpid()}"
    server.create_database(name)
    yield name
    place.drop_database(name)


@pytest.mark.parametrize("name", CONNECTORS)
def test_a_connector_opens_the_roles_that_it_says_it_plays(name: str) -> None:
    found = connector(name)
    assert found.name == name
    assert found.capabilities.source is (found.open_source is not None)
    assert found.capabilities.target is (found.open_target is not None)


def test_a_server_that_is_there_answers(server: Server) -> None:
    server.ping()
    server.ping()
    server.close()
    server.close()


def test_a_database_is_made_once(server: Server, database: str) -> None:
    [made] = [each for each in server.databases() if each.name == database]
    assert not made.system
    with pytest.raises(Conflict, match=database):
        server.create_database(database)
    assert server.tables(database, [], include_system=False) == []
    assert server.views(database, [], include_system=False) == []
    assert server.describe(database, [], include_system=False) == []


def test_a_schema_is_made_where_there_are_schemas(place: ServerPlace, server: Server, database: str) -> None:
    if not place.schemas:
        with pytest.raises(InvalidInput, match="no schemas"):
            server.create_schema(database, "inner")
        return
    server.create_schema(database, "inner")
    [made] = [each for each in server.databases() if each.name == database]
    assert "inner" in [schema.name for schema in made.schemas]
    with pytest.raises(Conflict, match="inner"):
        server.create_schema(database, "inner")


def test_tables_are_listed_by_name_and_described(place: ServerPlace, server: Server, database: str) -> None:
    for name in ("b", "a"):
        place.create_table(database, name)
    listed = server.tables(database, [], include_system=False)
    assert listed == (["public.a", "public.b"] if place.schemas else ["a", "b"])
    described = server.describe(database, [], include_system=False)
    assert [table.name.name for table in described] == ["a", "b"]
    assert all([*table.column_names()] == ["n"] for table in described)
