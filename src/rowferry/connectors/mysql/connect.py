"""Reaching a MySQL or MariaDB server: sessions with fixed settings, TLS, addresses for the drivers that read rows."""

from __future__ import annotations

import os
import re
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

import pymysql
from pymysql.connections import Connection as Session

from rowferry.config.connection import Connection, DatabaseSpec, SslMode
from rowferry.connectors.mysql.failures import connection_failed
from rowferry.errors import InvalidInput

CONNECT_TIMEOUT = 10
"""Seconds that a server may take to answer at all."""

STALL = 86400
"""Seconds for which the server waits for a reader that is held back."""

S = TypeVar("S", bound=Session)

_CA_BUNDLES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")


@dataclass(frozen=True, slots=True)
class Variant:
    """Which of the two servers this is, and how old. `name` is mysql or mariadb."""

    name: str
    version: tuple[int, ...]

    @classmethod
    def of(cls, version: str) -> Variant:
        """The variant that answers `SELECT VERSION()` like that."""
        numbers = re.match(r"(?:5\.5\.5-)?(\d+(?:\.\d+)*)", version)
        parts = tuple(int(part) for part in numbers[1].split(".")) if numbers else (0,)
        return cls("mariadb" if "mariadb" in version.lower() else "mysql", parts)

    @property
    def mariadb(self) -> bool:
        """Whether defaults, checks and JSON look as MariaDB shows them."""
        return self.name == "mariadb"

    @property
    def settings(self) -> dict[str, str]:
        """What each session of ours is set to, so that no default of the server changes a value or ends a read."""
        own = _MARIADB if self.mariadb else _MYSQL
        return _EVERYWHERE | {name: value for since, name, value in own if self.version >= since}


_EVERYWHERE = {
    "time_zone": "'+00:00'",
    "sql_mode": "''",
    "sql_select_limit": "DEFAULT",
    "net_write_timeout": str(STALL),
    "net_read_timeout": "600",
    "wait_timeout": str(STALL),
}
_MYSQL: list[tuple[tuple[int, ...], str, str]] = [
    ((5, 7, 8), "max_execution_time", "0"),
    ((8,), "information_schema_stats_expiry", "0"),
]
_MARIADB: list[tuple[tuple[int, ...], str, str]] = [
    ((10, 1), "max_statement_time", "0"),
    ((10, 3), "idle_transaction_timeout", "0"),
    ((10, 3), "idle_readonly_transaction_timeout", "0"),
    ((10, 3), "idle_write_transaction_timeout", "0"),
]


def settings_statement(variant: Variant) -> str:
    """The one SET that prepares a session."""
    return "SET " + ", ".join(f"{name}={value}" for name, value in variant.settings.items())


class Access:
    """How to reach the server of `connection`, for each driver. Several threads may use it.

    Certificates that the user wrote as text stand in memory files until `close`.
    """

    def __init__(self, connection: Connection) -> None:
        if connection.spec.database is None:
            raise InvalidInput(f"The connection {connection.name} needs spec.database to reach a MySQL server.")
        self._spec: DatabaseSpec = connection.spec.database
        self._port = connection.port or 3306
        self._wish = connection.ssl
        self._files: dict[str, int] = {}
        self._lock = threading.Lock()

    @property
    def database(self) -> str | None:
        """The database the connection names, if it names one."""
        return self._spec.database or None

    @property
    def place(self) -> str:
        """Host and port, for messages."""
        return f"{self._spec.host}:{self._port}"

    def connect(self, database: str | None = None) -> Session:
        """A new session, prepared; ConnectionFailed, with the reason, when there is none."""
        return self.connect_as(Session, database)

    def connect_as(self, kind: type[S], database: str | None = None, **more: Any) -> S:
        """The same of another class of the driver's connections, `more` being words for its constructor."""
        try:
            session = kind(
                **more,
                host=self._spec.host,
                port=self._port,
                user=self._spec.username,
                password=self._password.encode(),
                database=database,
                charset="utf8mb4",
                connect_timeout=CONNECT_TIMEOUT,
                autocommit=True,
                **self._pymysql_tls(),
            )
            with session.cursor() as cursor:
                cursor.execute(settings_statement(variant_of(session)))
        except (pymysql.Error, OSError, ValueError) as error:
            raise connection_failed(error, self.place, self._spec.username, database) from error
        return session

    @contextmanager
    def session(self, database: str | None = None) -> Iterator[Session]:
        """A session for as long as the block lasts."""
        session = self.connect(database)
        try:
            yield session
        finally:
            with suppress(pymysql.Error, OSError):
                session.close()

    def url(self) -> str | None:
        """The address for ConnectorX, or None when it cannot be told everything. It holds the password."""
        if self._wish is not None and (self._wish.client_cert or self._wish.client_key):
            return None
        user, password = quote(self._spec.username, safe=""), quote(self._password, safe="")
        host = f"[{self._spec.host}]" if ":" in self._spec.host else self._spec.host
        credentials = f"{user}:{password}" if password else user
        return f"mysql://{credentials}@{host}:{self._port}?{urlencode(self._url_parameters())}"

    def close(self) -> None:
        """Forget the certificates' files."""
        with self._lock:
            while self._files:
                os.close(self._files.popitem()[1])

    @property
    def _password(self) -> str:
        return self._spec.password.get_secret_value() if self._spec.password else ""

    def _url_parameters(self) -> dict[str, str]:
        authority = self._authority()
        mode = _MODES[self._wish.mode if self._wish else SslMode.DISABLE]
        return {"prefer_socket": "false", "ssl-mode": mode} | ({"ssl-ca": authority} if authority else {})

    def _pymysql_tls(self) -> dict[str, Any]:
        wish = self._wish
        if wish is None or wish.mode is SslMode.DISABLE:
            return {"ssl_disabled": True}
        context = ssl.create_default_context(cafile=self._authority())
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        context.check_hostname = wish.mode is SslMode.VERIFY_FULL
        if not _checked(wish.mode):
            context.verify_mode = ssl.CERT_NONE
        certificate = self._path(wish.client_cert)
        if certificate:
            key = wish.client_key.get_secret_value() if wish.client_key else None
            context.load_cert_chain(certificate, self._path(key))
        return {"ssl": context}

    def _authority(self) -> str | None:
        if self._wish is None or not _checked(self._wish.mode):
            return None
        known = (ssl.get_default_verify_paths().cafile, *_CA_BUNDLES)
        return self._path(self._wish.ca) or next((path for path in known if path and Path(path).exists()), None)

    def _path(self, pem: str | None) -> str | None:
        """The path of what may be PEM text or a path already."""
        if not pem or "-----BEGIN" not in pem:
            return pem or None
        with self._lock:
            if pem not in self._files:
                self._files[pem] = os.memfd_create("rowferry-pem")
                with open(self._files[pem], "wb", closefd=False) as file:
                    file.write(pem.encode())
            return f"/proc/{os.getpid()}/fd/{self._files[pem]}"


_MODES = {
    SslMode.DISABLE: "DISABLED",
    SslMode.REQUIRE: "REQUIRED",
    SslMode.VERIFY_CA: "VERIFY_CA",
    SslMode.VERIFY_FULL: "VERIFY_IDENTITY",
}
"""The modes as MySQL's own clients call them."""


def _checked(mode: SslMode) -> bool:
    return mode in (SslMode.VERIFY_CA, SslMode.VERIFY_FULL)


def variant_of(session: Session) -> Variant:
    """The variant of the server at the other end."""
    return Variant.of(str(session.get_server_info()))  # type: ignore[no-untyped-call]
