"""Getting in, or being told why not."""

from __future__ import annotations

import datetime
import os
import pwd
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from adbc_driver_postgresql import dbapi
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from rowferry.connectors.postgres.connect import SETTINGS, connect, conninfo, translate
from rowferry.errors import ConnectionFailed, ConnectionLost, ReadFailed, TargetFull, WriteFailed
from tests.postgres_log.conftest import Log, clean, following
from tests.postgres_source.conftest import connection_to
from tests.servers import Postgres, free_port, postgres_server


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"password": "wrong"}, "password or the user name is wrong"),
        ({"username": "nobody_here"}, "password or the user name is wrong"),
        ({"host": "no-such-host.invalid"}, "host is not known"),
        ({"port": "free"}, "nothing listens"),
        ({"database": "nowhere"}, "no such database"),
        ({"ssl": {"mode": "require"}}, "no TLS"),
    ],
)
def test_why_there_is_no_connection(postgres: Postgres, changes: dict[str, Any], said: str) -> None:
    if changes.get("port"):
        changes = {"port": free_port()}
    with pytest.raises(ConnectionFailed, match=f"(?i){said}") as caught:
        connect(connection_to(postgres, **changes))
    assert "wrong" not in caught.value.message or "is wrong" in caught.value.message


def test_every_session_has_our_settings(postgres: Postgres) -> None:
    query = "SELECT {}".format(", ".join(f"current_setting('{name}')" for name in (*SETTINGS, "application_name")))
    with connect(connection_to(postgres)) as session:
        (ours,) = session.execute(query.encode()).fetchall()
    with dbapi.connect(conninfo(connection_to(postgres), None), autocommit=True) as driver, driver.cursor() as cursor:
        cursor.execute(query)
        assert cursor.fetchone() == ours
    found = dict(zip((*SETTINGS, "application_name"), ours, strict=True))
    assert (found["TimeZone"], found["extra_float_digits"], found["application_name"]) == ("UTC", "3", "rowferry")


@pytest.mark.parametrize("name", ["it's", 'a "b" c', "back\\slash", "sp ace=x"])
def test_every_part_of_conninfo_is_escaped(postgres: Postgres, name: str) -> None:
    with connect(connection_to(postgres)) as session:
        role = psycopg.sql.Identifier(name)
        session.execute(psycopg.sql.SQL("CREATE ROLE {} LOGIN SUPERUSER PASSWORD {}").format(role, name))
        try:
            mine = connection_to(postgres, username=name, password=name)
            with dbapi.connect(conninfo(mine, None), autocommit=True) as driver, driver.cursor() as cursor:
                cursor.execute("SELECT current_user::text")
                assert cursor.fetchone() == (name,)
        finally:
            session.execute(psycopg.sql.SQL("DROP ROLE {}").format(role))


class Failed(Exception):
    """An error as the Arrow driver raises it."""

    def __init__(self, text: str, sqlstate: str | None = None) -> None:
        super().__init__(text)
        self.sqlstate = sqlstate


@pytest.mark.parametrize(
    ("state", "otherwise", "kind"),
    [
        ("57P01", ReadFailed, ConnectionLost),
        ("08006", WriteFailed, ConnectionLost),
        ("53100", WriteFailed, TargetFull),
        ("53100", ReadFailed, ReadFailed),
        ("53200", WriteFailed, WriteFailed),
        ("22003", WriteFailed, WriteFailed),
        ("40001", ReadFailed, ConnectionLost),
        ("P0001", ReadFailed, ReadFailed),
    ],
)
def test_kinds_of_errors(state: str, otherwise: type[ReadFailed], kind: type[Exception]) -> None:
    error = translate(Failed("ERROR:  a message\nDETAIL: Key (a)=(secret)", state), "working", otherwise)
    assert type(error) is kind
    assert "secret" not in error.message
    assert error.message.endswith(".")


@pytest.mark.parametrize(
    "text",
    [
        "consuming input failed: server closed the connection unexpectedly",
        "FATAL:  terminating connection due to administrator command",
        "SSL connection has been closed unexpectedly",
        "the connection is closed",
    ],
)
def test_lost_connections_without_a_state(text: str) -> None:
    assert isinstance(translate(Failed(text), "working", ReadFailed), ConnectionLost)


@pytest.mark.parametrize(
    ("said", "meaning"),
    [
        ("SSL error: certificate verify failed", "did not sign"),
        ("server does not support SSL, but SSL was required", "has no TLS"),
        ("FATAL:  sorry, too many connections already", "no connection left"),
        ("FATAL:  the database system is starting up", "try again in a moment"),
        ("FATAL:  the database system is in recovery mode", "try again in a moment"),
        ("FATAL:  the database system is not yet accepting connections", "try again in a moment"),
    ],
)
@pytest.mark.parametrize("elsewhere", ["Connection refused", "Network is unreachable"])
def test_the_address_that_answered_counts(said: str, meaning: str, elsewhere: str) -> None:
    text = f'hostaddr "::1" failed: {elsewhere}\n- hostaddr "127.0.0.1" failed: {said}'
    assert meaning in translate(Failed(text), "connecting").message


def test_a_unique_violation_shows_no_value(postgres: Postgres) -> None:
    with connect(connection_to(postgres)) as session:
        session.execute("CREATE TEMP TABLE once (v text PRIMARY KEY)")
        session.execute("INSERT INTO once VALUES ('secret')")
        with pytest.raises(psycopg.Error) as caught:
            session.execute("INSERT INTO once VALUES ('secret')")
    assert "secret" not in translate(caught.value, "writing", WriteFailed).message


@dataclass
class Authority:
    """A certificate authority, and what it signed."""

    ca: str
    server_cert: str
    server_key: str
    client_cert: str
    client_key: str


def _pem(key: ec.EllipticCurvePrivateKey) -> str:
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()


def _signed(
    name: str, key: ec.EllipticCurvePrivateKey, by: str, signer: ec.EllipticCurvePrivateKey, ca: bool = False
) -> str:
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
    builder = builder.issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, by)]))
    builder = builder.public_key(key.public_key()).serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(now - datetime.timedelta(1)).not_valid_after(now + datetime.timedelta(1))
    builder = builder.add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    return builder.sign(signer, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def authority(host: str) -> Authority:
    """A new authority with a certificate for a server and one for a client."""
    root, server, client = (ec.generate_private_key(ec.SECP256R1()) for _ in range(3))
    return Authority(
        _signed("root", root, "root", root, ca=True),
        _signed(host, server, "root", root),
        _pem(server),
        _signed("client", client, "root", root),
        _pem(client),
    )


@pytest.fixture(scope="module")
def secured() -> Iterator[tuple[Postgres, Authority]]:
    """A server with TLS, its certificate for localhost."""
    made = authority("localhost")
    parts = {"ca": made.ca, "cert": made.server_cert, "key": made.server_key}
    # Not pytest's own folders: when root runs the tests, nobody else can look into those.
    with tempfile.TemporaryDirectory(prefix="rowferry-test-") as place:
        folder = Path(place)
        for name, text in parts.items():
            (folder / name).write_text(text)
            (folder / name).chmod(0o600)
        if os.getuid() == 0:
            for path in (folder, *folder.iterdir()):
                os.chown(path, pwd.getpwnam("postgres").pw_uid, -1)
        options = (
            "wal_level=logical",
            "ssl=on",
            f"ssl_cert_file={folder}/cert",
            f"ssl_key_file={folder}/key",
            f"ssl_ca_file={folder}/ca",
        )
        with postgres_server(*options) as server:
            yield server, made


TLS = "SELECT ssl, coalesce(client_dn, '') FROM pg_stat_ssl WHERE pid = pg_backend_pid()"


def _tls(server: Postgres, host: str, **ssl: str) -> tuple[Any, ...]:
    with connect(connection_to(server, host=host, ssl=ssl)) as session:
        return session.execute(TLS).fetchall()[0]


def test_tls_modes(secured: tuple[Postgres, Authority], tmp_path: Path) -> None:
    server, made = secured
    stranger = authority("localhost")
    file = tmp_path / "ca.pem"
    file.write_text(made.ca)
    assert _tls(server, "127.0.0.1", mode="disable") == (False, "")
    assert _tls(server, "127.0.0.1", mode="require") == (True, "")
    assert _tls(server, "127.0.0.1", mode="verify-ca", ca=made.ca) == (True, "")
    assert _tls(server, "localhost", mode="verify-full", ca=made.ca) == (True, "")
    assert _tls(server, "localhost", mode="verify-full", ca=str(file)) == (True, "")
    with pytest.raises(ConnectionFailed, match="another host name"):
        _tls(server, "127.0.0.1", mode="verify-full", ca=made.ca)
    for ssl in ({"ca": stranger.ca}, {}):
        with pytest.raises(ConnectionFailed, match="did not sign"):
            _tls(server, "localhost", mode="verify-ca", **ssl)
    with pytest.raises(ConnectionFailed, match="cannot be read"):
        _tls(server, "localhost", mode="verify-ca", ca=str(tmp_path / "none.pem"))


def test_client_certificates_as_text(secured: tuple[Postgres, Authority]) -> None:
    server, made = secured
    ssl = {"mode": "verify-ca", "ca": made.ca, "client_cert": made.client_cert, "client_key": made.client_key}
    descriptors = len(list(Path("/proc/self/fd").iterdir()))
    assert _tls(server, "localhost", **ssl) == (True, "/CN=client")
    assert len(list(Path("/proc/self/fd").iterdir())) <= descriptors
    mine = connection_to(server, host="localhost", ssl=ssl)
    for _ in range(2):
        with dbapi.connect(conninfo(mine, None), autocommit=True) as driver, driver.cursor() as cursor:
            cursor.execute(TLS)
            assert cursor.fetchone() == (True, "/CN=client")


def test_the_log_is_followed_through_tls(secured: tuple[Postgres, Authority]) -> None:
    """Rows longer than a record of TLS, and many at once: nothing that was received already is waited for."""
    server, _ = secured
    log = Log(server, server.new_database())
    log.run("CREATE TABLE t (n int PRIMARY KEY, v text)")
    follower = following(log, "t")
    log.run("INSERT INTO t SELECT n, repeat('x', n * 37) FROM generate_series(1, 2000) n")
    assert [len(after["v"]) for _, _, _, after in follower.rows() if after] == [n * 37 for n in range(1, 2001)]
    stream = follower.changes.follow(follower.position, follower.tables, {}, follower.size)
    next(stream)
    assert log.run("SELECT DISTINCT ssl FROM pg_stat_ssl JOIN pg_stat_replication USING (pid)") == [(True,)]
    stream.close()
    clean(log)
