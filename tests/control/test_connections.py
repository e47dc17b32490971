from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rowferry.config.connection import Connection
from rowferry.config.secrets import REDACTED, reveal
from rowferry.control.connections import Connections
from rowferry.errors import ConnectionFailed, NotFound, SecretUnreadable
from rowferry.state.box import Box
from rowferry.state.store import Store
from tests.servers import MariaDb, free_port


@pytest.fixture
def connections(store: Store, box: Box) -> Connections:
    return Connections(store, box)


def connection(**fields: Any) -> Connection:
    return Connection.model_validate({"name": "a", "type": "mysql", "host": "h", **fields})


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(name=texts.filter(str.strip), user=texts, password=texts, key=texts)
def test_what_is_saved_comes_back_whole(
    connections: Connections, name: str, user: str, password: str, key: str
) -> None:
    written = connection(name=name, username=user, password=password, ssl={"client_key": key, "ca": "PEM"})
    record = connections.create(written)
    assert connections.resolve(record.id) == written
    if len(password) > 8 and password not in f"{name}{user}{key}":
        assert password not in str(record)


def test_a_secret_left_out_stays_and_one_given_replaces(connections: Connections) -> None:
    first = connections.create(connection(password="one", ssl={"client_key": "key"}))
    connections.update(first.id, connection(name="b", ssl={}))
    assert reveal(connections.resolve(first.id)) == reveal(
        connection(name="b", password="one", ssl={"client_key": "key"})
    )
    connections.update(first.id, connection(password="two", ssl={}))
    assert reveal(connections.resolve(first.id)) == reveal(connection(password="two", ssl={"client_key": "key"}))
    connections.update(first.id, connection(password=REDACTED))
    assert reveal(connections.resolve(first.id)) == reveal(connection(password="two"))
    connections.update(first.id, connection(password=""))
    assert reveal(connections.resolve(first.id)) == reveal(connection(password=""))


def test_secrets_do_not_follow_into_another_kind(connections: Connections) -> None:
    first = connections.create(connection(password="one"))
    files = Connection.model_validate({"name": "a", "type": "files", "spec": {"files": {"basePath": "/x"}}})
    connections.update(first.id, files)
    assert connections.resolve(first.id) == files
    connections.update(first.id, connection())
    assert connections.resolve(first.id) == connection()


def test_with_another_key_a_new_password_is_the_way_out(connections: Connections, store: Store) -> None:
    first = connections.create(connection(password="one"))
    other = Connections(store, Box(b"x" * 32))
    with pytest.raises(SecretUnreadable):
        other.resolve(first.id)
    with pytest.raises(SecretUnreadable):
        other.update(first.id, connection())
    assert other.get(first.id).name == "a"
    other.update(first.id, connection(password="two"))
    assert other.resolve(first.id) == connection(password="two")


def test_unknown_identifiers(connections: Connections) -> None:
    for call in (connections.get, connections.resolve, connections.delete, connections.clone, connections.ping):
        with pytest.raises(NotFound, match="no connection with this id"):
            call("conn_nothing")


def test_testing_uses_saved_secrets(connections: Connections, mariadb: MariaDb) -> None:
    place = {"host": mariadb.host, "port": mariadb.port, "username": mariadb.user}
    saved = connections.create(connection(**place, password=mariadb.password))
    connections.ping(saved.id)
    connections.test(connection(**place), saved.id)
    for wrong in (connection(**place, password="geheim"), connection(**{**place, "port": free_port()})):
        with pytest.raises(ConnectionFailed) as failed:
            connections.test(wrong, saved.id)
        assert "geheim" not in failed.value.message
