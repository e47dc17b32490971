"""The servers' error numbers in our words."""

from __future__ import annotations

import re
import socket
import ssl

import pymysql

from rowferry.errors import (
    Conflict,
    ConnectionFailed,
    ConnectionLost,
    InvalidInput,
    ReadFailed,
    RowferryError,
    SourceChanged,
)

_REFUSALS = {
    1040: "The server at {place} has no connection left: raise its max_connections, or try again later.",
    1044: "The user {user} may not use the database {database} at {place}: grant access, or choose another database.",
    1045: "The server at {place} does not accept the user {user} with this password: check both.",
    1049: "There is no database {database} at {place}: check its name, or create it.",
    1129: "The server at {place} blocks this machine after too many failed attempts: run FLUSH HOSTS there.",
    1130: "The server at {place} allows no connection from this machine: create the user for this host.",
    1203: "The user {user} has too many connections at {place}: raise max_user_connections, or try again later.",
    1226: "The user {user} has used up a limit of the account at {place}: raise it, or try again later.",
    1251: "The server at {place} asks for a way to log in that is not known here: change the user's plugin.",
    1698: "The server at {place} does not let {user} in by password: set one, or choose another user.",
    1820: "The password of {user} at {place} has expired: set a new one.",
    1862: "The password of {user} at {place} has expired: set a new one.",
    2026: "No secure connection to {place} could be made: check ssl.mode and the certificates.",
    3118: "The account {user} at {place} is locked: unlock it.",
    3159: "The server at {place} wants a secure connection: set ssl.mode to require or stronger.",
    4151: "The account {user} at {place} is locked or unusable: unlock it.",
}
_UNKNOWN_HOST = "The host of {place} is not known: check the name."
_REFUSED = "Nothing listens at {place}: check host and port, and that the server is running."
_SILENT = "The server at {place} does not answer within ten seconds: check host, port and firewall."
_CERTIFICATE = "The certificate of {place} is not trusted by ssl.ca, or is for another host."
_FILES = "The certificates for {place} cannot be read: check ssl.ca, ssl.client_cert and ssl.client_key."
_OTHER = "The server at {place} could not be reached: check host, port and that it is a MySQL or MariaDB server."

LOST = frozenset({1053, 1077, 1078, 1079, 1152, 1153, 1158, 1159, 1160, 1161, 1317, 1927, 2006, 2013, 2055, 4031})
"""The connection or its statement was ended from outside."""

GONE = frozenset({1017, 1051, 1054, 1109, 1146, 1412, 1932})
"""A table or column is not there, or no longer what it was."""

DENIED = frozenset({1044, 1045, 1142, 1143, 1227, 1356, 1370})
"""The user may not do that."""

_CODE = re.compile(r"ERROR (\d{4})")
_LOST_WORDS = re.compile(
    r"server disconnected|timed out waiting for connection|broken pipe|connection reset|lost connection"
    r"|server has gone away|connection was killed|failed to fetch result row|unexpected eof",
    re.IGNORECASE,
)


def connection_failed(error: Exception, place: str, user: str, database: str | None) -> ConnectionFailed:
    """Why no session came about, in one sentence."""
    sentence = _reason(error)
    return ConnectionFailed(sentence.format(place=place, user=user or "(none)", database=database or "(none)"))


def _reason(error: Exception) -> str:
    code = error_code(error)
    if code in _REFUSALS and not isinstance(_cause(error), ssl.SSLCertVerificationError):
        return _REFUSALS[code]
    cause = _cause(error)
    for kind, sentence in _CAUSES:
        if isinstance(cause, kind):
            return sentence
    return _OTHER


_CAUSES: list[tuple[type[BaseException], str]] = [
    (socket.gaierror, _UNKNOWN_HOST),
    (ConnectionRefusedError, _REFUSED),
    (TimeoutError, _SILENT),
    (ssl.SSLCertVerificationError, _CERTIFICATE),
    (FileNotFoundError, _FILES),
    (PermissionError, _FILES),
    (ssl.SSLError, _REFUSALS[2026]),
    (ValueError, _FILES),
]
"""What went wrong below the protocol; read from the top."""


def _cause(error: Exception) -> BaseException:
    original = getattr(error, "original_exception", None)
    return original if isinstance(original, BaseException) else error.__cause__ or error.__context__ or error


def error_code(error: BaseException) -> int:
    """The server's number of the error, from PyMySQL's arguments or from another driver's text; 0 when unknown."""
    if isinstance(error, pymysql.Error) and error.args and isinstance(error.args[0], int):
        return error.args[0]
    found = _CODE.search(str(error))
    return int(found[1]) if found else 0


def lost(error: BaseException) -> bool:
    """Whether the connection broke, rather than the statement being wrong."""
    return error_code(error) in LOST or _LOST_WORDS.search(str(error)) is not None


def failed(error: BaseException, what: str) -> RowferryError:
    """The error of a statement in our words; `what` names the table or query it was about."""
    code = error_code(error)
    if lost(error) or isinstance(error, OSError):
        return ConnectionLost(f"The connection to the source broke while {what} was read.")
    if code in GONE:
        return SourceChanged(f"{what} is no longer there, or has lost a column: start a new stream, which plans anew.")
    if code in DENIED:
        return ReadFailed(f"The source's user may not read {what}: grant SELECT on it.")
    if code in (1969, 3024):
        return ReadFailed(f"The source's time limit for a statement ended the read of {what}: raise it for this user.")
    return ReadFailed(f"{what} could not be read: the server answered with error {code or 'unknown'}.")


def query_refused(error: pymysql.Error, name: str) -> RowferryError:
    """Why a query cannot be used as a table."""
    code = error_code(error)
    if lost(error):
        return ConnectionLost(f"The connection to the source broke while the query {name} was checked.")
    if code == 1060:
        return InvalidInput(f"The query {name} has two columns of the same name: give each its own by AS.")
    if code in DENIED:
        return InvalidInput(f"The source's user may not read what the query {name} reads: grant SELECT on it.")
    hint = {1064: "its SQL is not valid for this server", 1054: "it names a column that is not there"}
    reason = hint.get(code, "it names a table that is not there" if code in GONE else f"the server says error {code}")
    return InvalidInput(f"The query {name} cannot be read: {reason}.")


def not_created(error: pymysql.Error, name: str) -> RowferryError:
    """Why a database could not be created."""
    code = error_code(error)
    if code == 1007:
        return Conflict(f"The database {name} is already there.")
    if code in (1044, 1227):
        return ConnectionFailed(f"The user may not create the database {name}: grant CREATE, or ask who may.")
    if code in (1059, 1102):
        return InvalidInput(f"{name} is no name for a database: use at most 64 characters, and no blank at the end.")
    return failed(error, f"the database {name}")
