"""Reaching a PostgreSQL server: sessions with fixed settings, TLS, and its errors in our words."""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Callable
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any

import psycopg
from psycopg.conninfo import make_conninfo
from psycopg.sql import SQL, Literal

from rowferry.config.connection import Connection, DatabaseSpec, SslMode
from rowferry.errors import (
    Conflict,
    ConnectionFailed,
    ConnectionLost,
    Forbidden,
    InvalidInput,
    MissingTable,
    ReadFailed,
    RowferryError,
    SourceChanged,
    TargetFull,
    WriteFailed,
)

SETTINGS = {
    "TimeZone": "UTC",
    "DateStyle": "ISO",
    "IntervalStyle": "postgres",
    "extra_float_digits": "3",
    "bytea_output": "hex",
    "lc_monetary": "C",
    "xmloption": "content",
    "standard_conforming_strings": "on",
    "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
}
"""What every session of ours is set to, so that no default of server, database or role changes a value's text."""

READING = {"row_security": "off", "default_transaction_read_only": "on"}
"""A policy that would hide rows is an error; nothing is written, whatever a query may call."""

PATIENCE = 60
"""Seconds that a statement of a target waits for locks of others, such as a writer that has lost its way."""

PATIENT = f"SET lock_timeout = '{PATIENCE}s'"

CONNECT_TIMEOUT = 10
"""Seconds that a server may take to answer at all."""

_REPLICATION = {"replication": "database", "tcp_user_timeout": 30_000}
"""A walsender, which also answers SQL; a peer that takes nothing for so many milliseconds is gone."""

_CA_BUNDLES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")


class DatabaseMissing(ConnectionFailed):
    """The server is there, the database is not."""


def connect(
    connection: Connection, database: str | None = None, *, autocommit: bool = True, replication: bool = False
) -> psycopg.Connection[tuple[Any, ...]]:
    """A new session in `database` (None: the connection's own); ConnectionFailed, with the reason, when there is none.

    With `replication` it is one that the log can be followed in. PEM text stands in memory files only as long as it
    takes to connect.
    """
    with ExitStack() as files:

        def lend(text: str) -> str:
            descriptor = _memory_file(text)
            files.callback(os.close, descriptor)
            return _path(descriptor)

        parameters = _parameters(connection, database, lend)
        if replication:
            parameters |= _REPLICATION
        try:
            return psycopg.connect(make_conninfo("", **parameters), autocommit=autocommit)
        except psycopg.Error as error:
            name = database_name(connection, database)
            raise translate(error, f"connecting to the database {name} at {place(connection)}") from error


def conninfo(connection: Connection, database: str | None) -> str:
    """What libpq needs for the same session, as one string; for drivers that connect by themselves.

    It holds the password: never show it. PEM text stands in memory files until this process ends.
    """
    return make_conninfo("", **_parameters(connection, database, _lasting_file))


def reading(schema: str | None) -> SQL:
    """The statement that makes a session one for reading; names without a schema are looked up in `schema` first."""
    wanted = dict(READING)
    if schema:
        quoted = schema.replace('"', '""')
        wanted["search_path"] = f'"{quoted}", public'
    calls = [
        SQL("set_config({}, {}, false)").format(Literal(name), Literal(value)).as_string()
        for name, value in wanted.items()
    ]
    return SQL(f"SELECT {', '.join(calls)}")


def database_name(connection: Connection, database: str | None) -> str:
    """The database that is meant: the one named, else the connection's own, else "postgres"."""
    return database or _spec(connection).database or "postgres"


def _spec(connection: Connection) -> DatabaseSpec:
    if connection.spec.database is None:
        raise InvalidInput(f"The connection {connection.name} needs spec.database to reach a PostgreSQL server.")
    return connection.spec.database


def place(connection: Connection) -> str:
    """Where the server is, for a person."""
    return f"{_spec(connection).host}:{connection.port}"


def _parameters(connection: Connection, database: str | None, lend: Callable[[str], str]) -> dict[str, Any]:
    spec = _spec(connection)
    parameters: dict[str, Any] = {
        "host": spec.host,
        "port": connection.port,
        "dbname": database_name(connection, database),
        "user": spec.username or None,
        "password": spec.password.get_secret_value() if spec.password else None,
        "application_name": "rowferry",
        "client_encoding": "UTF8",
        "connect_timeout": CONNECT_TIMEOUT,
        "keepalives_idle": 30,
        "keepalives_interval": 10,
        "keepalives_count": 3,
        "options": " ".join(f"-c {name}={value}" for name, value in SETTINGS.items()),
        **_tls(connection, lend),
    }
    return {name: value for name, value in parameters.items() if value is not None}


def _tls(connection: Connection, lend: Callable[[str], str]) -> dict[str, str | None]:
    wish = connection.ssl
    if wish is None:
        return {}
    key = wish.client_key.get_secret_value() if wish.client_key else None
    checked = wish.mode in (SslMode.VERIFY_CA, SslMode.VERIFY_FULL)
    return {
        "sslmode": wish.mode.value,
        "sslrootcert": _file(wish.ca, lend) or (_system_authorities() if checked else None),
        "sslcert": _file(wish.client_cert, lend),
        "sslkey": _file(key, lend),
    }


def _file(pem: str | None, lend: Callable[[str], str]) -> str | None:
    """The path of what may be PEM text or a path already."""
    if not pem:
        return None
    return lend(pem) if "-----BEGIN" in pem else pem


def _system_authorities() -> str:
    known = (ssl.get_default_verify_paths().cafile, *_CA_BUNDLES)
    return next((path for path in known if path and Path(path).exists()), "system")


def _memory_file(text: str) -> int:
    """An open file in memory, for our eyes only; the kernel removes it with the process, however that ends."""
    descriptor = os.memfd_create("rowferry-pem")
    os.fchmod(descriptor, 0o600)
    with open(descriptor, "wb", closefd=False) as file:
        file.write(text.encode())
    return descriptor


@cache
def _lasting_file(text: str) -> str:
    return _path(_memory_file(text))


def _path(descriptor: int) -> str:
    return f"/proc/{os.getpid()}/fd/{descriptor}"


_Kind = type[RowferryError] | None

_BY_STATE: dict[str, tuple[_Kind, str]] = {
    "08": (ConnectionLost, "the connection to PostgreSQL broke"),
    "0A000": (None, "this PostgreSQL server does not support what was asked for"),
    "22": (None, "PostgreSQL cannot take or give one of the values"),
    "23": (None, "a value breaks a constraint"),
    "28": (ConnectionFailed, "PostgreSQL does not let this user in: check user, password and pg_hba.conf"),
    "28P01": (ConnectionFailed, "the password or the user name is wrong: check both"),
    "3D000": (DatabaseMissing, "there is no such database: check its name"),
    "3F000": (MissingTable, "there is no such schema"),
    "40": (ConnectionLost, "another session's work stood in the way, and PostgreSQL gave up ours"),
    "42501": (Forbidden, "the user may not do this: grant it the privileges it needs"),
    "42P01": (MissingTable, "there is no such table"),
    "42P04": (Conflict, "a database of that name exists already"),
    "42P06": (Conflict, "a schema of that name exists already"),
    "42P07": (Conflict, "a table or index of that name exists already"),
    "42710": (Conflict, "something of that name exists already"),
    "42": (None, "PostgreSQL does not accept the statement"),
    "53": (None, "the PostgreSQL server is short of resources"),
    "53100": (TargetFull, "the PostgreSQL server's disk is full"),
    "53200": (None, "the PostgreSQL server is out of memory"),
    "53300": (ConnectionFailed, "the PostgreSQL server has no connection left for us"),
    "55006": (Conflict, "somebody else is using it"),
    "55P03": (None, "another session holds a lock on it"),
    "57014": (None, "somebody cancelled the statement on the server"),
    "57P": (ConnectionLost, "the PostgreSQL server ended the connection"),
    "57P03": (ConnectionFailed, "the PostgreSQL server is starting or stopping; try again in a moment"),
    "57P05": (ConnectionLost, "the PostgreSQL server ended the idle connection"),
    "58": (None, "the PostgreSQL server has trouble with its files"),
    "XX001": (None, "PostgreSQL found a damaged page in its files"),
    "XX002": (None, "PostgreSQL found a damaged index"),
}
"""What an SQLSTATE means: the longest one that the state begins with. None: the kind the caller asks for."""

_BY_TEXT: tuple[tuple[str, type[RowferryError], str], ...] = (
    ("password authentication failed", ConnectionFailed, "the password or the user name is wrong: check both"),
    ("no password supplied", ConnectionFailed, "the server asks for a password, and the connection has none"),
    (r'database ".*" does not exist', DatabaseMissing, "there is no such database: check its name"),
    (r'role ".*" does not exist', ConnectionFailed, "there is no such user"),
    ("no pg_hba.conf entry", ConnectionFailed, "the server's pg_hba.conf does not let us in (perhaps it asks for TLS)"),
    (
        "translate host name|resolve host|Name or service not known",
        ConnectionFailed,
        "the host is not known: check it",
    ),
    (
        "unsupported startup parameter",
        ConnectionFailed,
        "a pooler stands before the server and does not pass our settings on: connect to PostgreSQL itself",
    ),
    ("timeout|timed out", ConnectionFailed, "nothing answered in time: check host, port and firewalls"),
    ("does not support SSL", ConnectionFailed, "the server has no TLS: set ssl.mode to disable, or turn it on there"),
    ("does not match host name", ConnectionFailed, "the server's certificate is for another host name"),
    (
        "certificate verify failed|signature failure",
        ConnectionFailed,
        "the authority in ssl.ca did not sign the server's certificate",
    ),
    ("certificate file|private key file", ConnectionFailed, "a certificate or key in ssl cannot be read"),
    ("SSL SYSCALL|SSL connection has been closed", ConnectionLost, "the connection to PostgreSQL broke"),
    (r"(?-i:\bSSL\b)", ConnectionFailed, "the TLS handshake failed: check the connection's ssl"),
    ("too many connections|connection slots", ConnectionFailed, "the server has no connection left for us"),
    (
        "is (starting up|shutting down|in recovery mode)|not( yet)? accepting connections",
        ConnectionFailed,
        "the server is starting or stopping; try again in a moment",
    ),
    ("Connection refused", ConnectionFailed, "nothing listens there: check host, port and that the server is running"),
    ("No route to host|unreachable", ConnectionFailed, "the network does not lead there"),
    ("closed the connection|connection is (lost|closed|bad)", ConnectionLost, "the connection to PostgreSQL broke"),
    ("no connection to the server|terminating connection", ConnectionLost, "the connection to PostgreSQL broke"),
    ("could not (receive|send) data|Connection reset", ConnectionLost, "the connection to PostgreSQL broke"),
    ("conflict with recovery", ConnectionLost, "the standby server had to stop the statement to go on replaying"),
    ("lost synchronization|Broken pipe", ConnectionLost, "the connection to PostgreSQL broke"),
)
"""The same for errors that have no SQLSTATE: libpq's own, and all that end an attempt to connect.

A host may have several addresses and fail at each in another way (localhost: refused at ::1, then no TLS at
127.0.0.1). So what a server said stands before what says that no server was reached.
"""

_GONE = frozenset({"42P01", "42703", "3F000"})
"""States that say that a table, a column or a schema is no longer there."""

_SPEAKING_CLASSES = frozenset({"0A", "25", "42", "53", "54", "55", "57", "58"})
"""Classes of SQLSTATE whose primary message names things, never values of a row."""


def sqlstate(error: BaseException) -> str | None:
    """PostgreSQL's code for what went wrong, by whichever driver it came; None where there is none."""
    state = getattr(error, "sqlstate", None)
    return state if isinstance(state, str) and len(state) == 5 and state != "\x00" * 5 else None


def translate(error: Exception, doing: str, otherwise: type[RowferryError] = RowferryError) -> RowferryError:
    """A driver's error as ours; `doing` completes "… while", `otherwise` is the kind when no other fits.

    Only names reach the message: PostgreSQL's detail, context and the texts about values stay out of it.
    """
    if isinstance(error, RowferryError):
        return error
    state = sqlstate(error)
    kind, meaning = _by_state(state) if state else _by_text(str(error))
    said = _said(error, state)
    kind = kind or otherwise
    if issubclass(kind, WriteFailed) and otherwise is ReadFailed:
        kind = ReadFailed
    return kind(sentence(meaning, f"{doing}{f' ({said})' if said else ''}"))


def sentence(meaning: str, doing: str) -> str:
    """What happened, while what was done, and behind a colon what to change."""
    happened, colon, advice = meaning.partition(": ")
    return f"{happened[0].upper()}{happened[1:]}, while {doing}{colon}{advice}."


def read_error(error: Exception, doing: str) -> RowferryError:
    """The same for reading: SourceChanged where a table or column is gone, else ReadFailed when no other fits."""
    found = translate(error, doing, ReadFailed)
    return SourceChanged(found.message) if sqlstate(error) in _GONE else found


def _by_state(state: str) -> tuple[_Kind, str]:
    for length in (5, 3, 2):
        if state[:length] in _BY_STATE:
            return _BY_STATE[state[:length]]
    return None, f"PostgreSQL reported error {state}"


def _by_text(text: str) -> tuple[_Kind, str]:
    for pattern, kind, meaning in _BY_TEXT:
        if re.search(pattern, text, re.IGNORECASE):
            return kind, meaning
    return None, "PostgreSQL or its driver reported an error"


def _said(error: Exception, state: str | None) -> str:
    """The server's own sentence, where it can hold no value."""
    if state is None or state[:2] not in _SPEAKING_CLASSES:
        return ""
    if isinstance(error, psycopg.Error):
        return (error.diag.message_primary or "").rstrip(".")
    found = re.search(r"(?:ERROR|FATAL|PANIC):\s+(.*)", str(error))
    return found.group(1).strip().rstrip(".") if found else ""
