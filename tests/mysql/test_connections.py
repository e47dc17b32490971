"""Reaching the server, being turned away, losing it, and giving everything back."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from rowferry.config.stream import SourceOptions
from rowferry.connectors.base import SourceRequest, TableRequest
from rowferry.connectors.changes import BatchSize, ChangesRequest
from rowferry.connectors.mysql.binlog.changes import BinlogChanges
from rowferry.connectors.mysql.connect import Access
from rowferry.connectors.mysql.server import MySqlServer
from rowferry.connectors.mysql.sessions import Session
from rowferry.connectors.mysql.source import MySqlSource
from rowferry.errors import (
    Cancelled,
    Conflict,
    ConnectionFailed,
    ConnectionLost,
    InvalidInput,
    NotFound,
    ReadFailed,
    RowferryError,
    SourceChanged,
)
from rowferry.model.chunks import Chunk
from rowferry.model.tables import Table
from tests.mysql.conftest import Place, by_each_driver, connection
from tests.servers import MariaDb, free_port, mariadb_server, wait_until


@pytest.fixture
def server(mariadb: MariaDb) -> Iterator[MySqlServer]:
    with contextlib.closing(MySqlServer(connection(mariadb))) as opened:
        yield opened


def test_databases_and_what_is_in_them(place: Place, server: MySqlServer) -> None:
    place.run("CREATE TABLE b (n INT)", "CREATE TABLE a (n INT)", "CREATE VIEW v AS SELECT 1", "CREATE SEQUENCE s")
    namespaces = {one.name: one.system for one in server.databases()}
    assert namespaces[place.database] is False
    assert namespaces["information_schema"] is namespaces["mysql"] is True
    assert server.tables(place.database, [], include_system=False) == ["a", "b"]
    assert server.views(place.database, [], include_system=False) == ["v"]
    assert [table.name.name for table in server.describe(place.database, [], include_system=False)] == ["a", "b"]
    assert server.tables("mysql", [], include_system=False) == []
    assert "db" in server.tables("mysql", [], include_system=True)
    with pytest.raises(NotFound, match="no database nope"):
        server.tables("nope", [], include_system=False)


def test_creating(server: MySqlServer, mariadb: MariaDb) -> None:
    name = f"{mariadb.new_database()} `x"
    server.create_database(name)
    with pytest.raises(Conflict, match="already there"):
        server.create_database(name)
    with pytest.raises(InvalidInput, match="at most 64"):
        server.create_database("x" * 65)
    with pytest.raises(InvalidInput, match="no schemas"):
        server.create_schema(name, "s")


def test_a_session_that_was_ended_is_opened_again(server: MySqlServer, mariadb: MariaDb) -> None:
    server.databases()
    assert server._held is not None
    mariadb.execute(f"KILL {server._held.thread_id()}")  # type: ignore[no-untyped-call]
    assert server.databases()
    server.close()
    server.close()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"password": "wrong-secret"}, "does not accept the user rowferry"),
        ({"username": "nobody"}, "does not accept the user nobody"),
        ({"host": "no-such-host.invalid"}, "host of .* is not known"),
        ({"port": free_port()}, "Nothing listens at"),
        ({"database": "nope"}, "no database nope"),
        ({"ssl": {"mode": "require"}}, "secure connection"),
    ],
)
def test_why_a_connection_fails(mariadb: MariaDb, changes: dict[str, Any], reason: str) -> None:
    with contextlib.closing(MySqlServer(connection(mariadb, **changes))) as opened:
        with pytest.raises(ConnectionFailed, match=reason) as caught:
            opened.ping()
        assert "wrong-secret" not in caught.value.message
        assert caught.value.__cause__ is not None


def test_names_and_passwords_of_every_kind(place: Place) -> None:
    user, password = "u@:/é x", "p@:/?#%& +é'\"\\"
    escaped = password.replace("\\", "\\\\").replace("'", "\\'")
    place.run(
        f"CREATE USER `{user}`@'%' IDENTIFIED BY '{escaped}'", f"GRANT SELECT ON {place.database}.* TO `{user}`@'%'"
    )
    place.run("CREATE TABLE t (id INT PRIMARY KEY)", "INSERT INTO t VALUES (1)")
    request = SourceRequest(connection(place.server, username=user, password=password), place.database)
    with contextlib.closing(MySqlSource(request)) as source:
        other = replace(place, source=source)
        assert [found.num_rows for found in other.each(other.table("t"))] == [1, 1]
    place.run(f"DROP USER `{user}`@'%'")


def _filled(place: Place, rows: int = 200_000) -> Table:
    place.run(
        "CREATE TABLE t (id INT PRIMARY KEY, v CHAR(200))",
        f"INSERT INTO t SELECT seq, REPEAT('x', 200) FROM seq_1_to_{rows}",
    )
    return place.table("t")


def _reads(place: Place) -> int:
    mark = f"rowferry {'_' * 32} "
    query = f"SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE INFO LIKE '%{mark}%' AND ID <> CONNECTION_ID()"
    (count,) = place.run(query)[0]
    return int(count)


@pytest.fixture(params=[0, 1], ids=["quick", "waiting"])
def filled(request: pytest.FixtureRequest, place: Place) -> Table:
    tables: list[Table] = by_each_driver(_filled(place))
    return tables[int(request.param)]


def test_closing_early_ends_the_query(place: Place, filled: Table) -> None:
    rows = place.source.read(filled, Chunk(filled.name, 0))
    next(rows)
    rows.close()
    wait_until(lambda: _reads(place) == 0, 10, "the query to end")
    assert not place.source._running.ends


def test_closing_the_source_ends_its_reads(place: Place, filled: Table) -> None:
    rows = place.source.read(filled, Chunk(filled.name, 0))
    next(rows)
    closing = Thread(target=place.source.close)
    closing.start()
    with pytest.raises(Cancelled):
        deque(rows, maxlen=0)
    closing.join()
    place.source.close()
    assert _reads(place) == 0
    with pytest.raises(Cancelled):
        list(place.source.read(filled, Chunk(filled.name, 0)))


def test_a_killed_connection_is_lost(place: Place, filled: Table) -> None:
    slow = replace(filled, key=(), query="SELECT id, v, SLEEP(0.01) AS s FROM t")
    slow = replace(slow, columns=place.table("q", query=slow.query).columns)
    rows = place.source.read(slow, Chunk(slow.name, 0))

    def kill() -> None:
        wait_until(lambda: _reads(place) > 0, 10, "the query to run")
        for (number,) in place.run(
            "SELECT ID FROM information_schema.PROCESSLIST WHERE INFO LIKE '%SLEEP(0.01)%' AND ID <> CONNECTION_ID()"
        ):
            with contextlib.suppress(Exception):
                place.run(f"KILL {number}")

    killing = Thread(target=kill)
    killing.start()
    with pytest.raises(ConnectionLost, match="broke while"):
        list(rows)
    killing.join()


def test_a_slow_consumer_does_not_fill_memory(place: Place) -> None:
    _filled(place)
    # Several times what the buffers of the network between the two take by themselves.
    columns = ", ".join(f"v AS v{number}" for number in range(5))
    table = place.table("q", query=f"SELECT {columns} FROM `t`")
    rows = place.source.read(table, Chunk(table.name, 0))
    next(rows)
    wait_until(lambda: _waits(place), 10, "the server to wait for its reader")
    assert _reads(place) == 1
    assert sum(batch.num_rows for batch in rows) > 150_000


def _waits(place: Place) -> bool:
    states = place.run(
        "SELECT STATE FROM information_schema.PROCESSLIST WHERE INFO LIKE '%FROM%`t`%' AND ID <> CONNECTION_ID()"
    )
    return any("Writing to net" in (state or "") for (state,) in states)


def test_a_user_without_grants(place: Place) -> None:
    table = _filled(place, 10)
    place.run("CREATE USER poor@'%' IDENTIFIED BY 'poor'", f"GRANT SELECT (id) ON {place.database}.t TO poor@'%'")
    request = SourceRequest(connection(place.server, username="poor", password="poor"), place.database)
    with contextlib.closing(MySqlSource(request)) as source:
        for one in by_each_driver(table):
            with pytest.raises((ReadFailed, SourceChanged)) as caught:
                list(source.read(one, Chunk(one.name, 0)))
            assert isinstance(caught.value, RowferryError)
    place.run("DROP USER poor@'%'")


def test_a_source_without_a_database(mariadb: MariaDb) -> None:
    opened = contextlib.closing(MySqlSource(SourceRequest(connection(mariadb))))
    with opened as source, pytest.raises(InvalidInput, match="No database is named"):
        source.tables([])
    with pytest.raises(InvalidInput, match="no schemas"):
        MySqlSource(SourceRequest(connection(mariadb), "d", "s"))


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[MariaDb, Path]]:
    """A MariaDB with a certificate for 127.0.0.1, that lets nobody in without TLS."""
    folder = tmp_path_factory.mktemp("tls")
    folder.chmod(0o755)
    _write_certificates(folder)
    options = [
        f"--ssl-{name}={folder}/{file}"
        for name, file in (("ca", "ca.pem"), ("cert", "server.pem"), ("key", "server.key"))
    ]
    with mariadb_server(*options, "--log-bin=log", "--server-id=7", "--binlog-format=ROW") as server:
        server.execute(
            "ALTER USER rowferry@'%' REQUIRE NONE", "CREATE DATABASE d", "CREATE TABLE d.t (id INT PRIMARY KEY)"
        )
        server.execute(
            "INSERT INTO d.t VALUES (1)",
            "CREATE USER safe@'%' IDENTIFIED BY 'safe' REQUIRE SSL",
            "GRANT ALL ON *.* TO safe@'%'",
        )
        server.execute("CREATE USER known@'%' IDENTIFIED BY 'known' REQUIRE X509", "GRANT ALL ON *.* TO known@'%'")
        yield server, folder


def _write_certificates(folder: Path) -> None:
    authority = ec.generate_private_key(ec.SECP256R1())
    root = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Test authority")])
    _issue(folder / "ca.pem", root, root, authority, authority, [x509.BasicConstraints(ca=True, path_length=None)])
    for name in ("server", "client"):
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        names = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
        _issue(folder / f"{name}.pem", subject, root, key, authority, [names])
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        (folder / f"{name}.key").write_bytes(pem)


def _issue(path: Path, subject: x509.Name, issuer: x509.Name, key: Any, signer: Any, extensions: list[Any]) -> None:
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number()).not_valid_before(now - timedelta(days=1))
    builder = builder.not_valid_after(now + timedelta(days=10))
    for extension in extensions:
        builder = builder.add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
    path.write_bytes(builder.sign(signer, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))


@pytest.mark.parametrize("mode", ["require", "verify-ca", "verify-full"])
@pytest.mark.parametrize("written", ["path", "text"])
@pytest.mark.parametrize("user", ["safe", "known"])
def test_reading_over_tls(secured: tuple[MariaDb, Path], mode: str, written: str, user: str) -> None:
    server, folder = secured
    wish = {"mode": mode, "ca": "ca.pem"} | (
        {"client_cert": "client.pem", "client_key": "client.key"} if user == "known" else {}
    )
    for name in ("ca", "client_cert", "client_key"):
        if name in wish:
            file = folder / wish[name]
            wish[name] = str(file) if written == "path" else file.read_text()
    request = SourceRequest(connection(server, username=user, password=user, ssl=wish), "d")
    with contextlib.closing(MySqlSource(request)) as source:
        place = Place(server, "d", source)
        assert [found.to_pylist() for found in place.each(place.table("t"))] == [[{"id": 1}]] * 2


def test_writing_over_tls(secured: tuple[MariaDb, Path]) -> None:
    """The bit that asks for bulk execution is sent before the connection is encrypted, and again after that."""
    server, _ = secured
    access = Access(connection(server, username="safe", password="safe", ssl={"mode": "require"}))
    with contextlib.closing(Session(access)) as session:
        assert session.bulk
        session.execute("CREATE OR REPLACE TABLE d.w (a INT)")
        row = b"\0" + (7).to_bytes(4, "little")
        assert session.fill("INSERT INTO d.w VALUES (?)", bytes((3, 0)), [row * 3, row]) == 4
        assert session.rows("SELECT SUM(a) FROM d.w") == [(28,)]


def test_the_log_over_tls(secured: tuple[MariaDb, Path]) -> None:
    """What is decrypted already does not wait for more to come."""
    server, _ = secured
    server.execute("CREATE OR REPLACE TABLE d.logged (id INT PRIMARY KEY, word VARCHAR(2000))")
    safe = connection(server, username="safe", password="safe", ssl={"mode": "require"})
    with contextlib.closing(MySqlSource(SourceRequest(safe, "d"))) as source:
        tables = source.tables([TableRequest("logged")])
    request = ChangesRequest(safe, "d", None, "s", SourceOptions())
    with contextlib.closing(BinlogChanges(request)) as changes:
        position = changes.position()
        server.execute("INSERT INTO logged SELECT seq, REPEAT('x', seq % 2000) FROM seq_1_to_5000", database="d")
        end, rows = changes.position(), 0
        for batch in changes.follow(position, tables, {}, BatchSize()):
            rows += batch.changes
            if batch.position is not None and changes.reached(batch.position, end):
                break
    assert rows == 5000


def test_a_certificate_that_is_not_trusted(secured: tuple[MariaDb, Path], tmp_path: Path) -> None:
    server, _ = secured
    _write_certificates(tmp_path)
    wish = {"mode": "verify-ca", "ca": str(tmp_path / "ca.pem")}
    stranger = contextlib.closing(MySqlServer(connection(server, username="safe", password="safe", ssl=wish)))
    with stranger as opened, pytest.raises(ConnectionFailed, match="not trusted"):
        opened.ping()
    wish["ca"] = "/nowhere.pem"
    missing = contextlib.closing(MySqlServer(connection(server, username="safe", password="safe", ssl=wish)))
    with missing as opened, pytest.raises(ConnectionFailed, match="cannot be read"):
        opened.ping()
