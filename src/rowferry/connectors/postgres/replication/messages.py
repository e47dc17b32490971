"""What pgoutput says beside rows: transactions, relations, truncations (the chapter "Logical Replication Message
Formats" of PostgreSQL's manual, version 1 of the protocol, and version 2 for transactions that are under way)."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from rowferry.errors import ReadFailed

_EPOCH = 946_684_800
"""Unix seconds of the year 2000, from where PostgreSQL counts microseconds."""

BEGIN, COMMIT, RELATION, TRUNCATE = b"BCRT"
STREAM_START, STREAM_STOP, STREAM_COMMIT, STREAM_ABORT = b"SEcA"
IGNORED = frozenset(b"YOM")
"""Types of users, origins and messages of applications: nothing of a row depends on them."""

_BEGIN = struct.Struct(">xQqI")
_COMMIT = struct.Struct(">xBQQq")
_TRUNCATE = struct.Struct(">xIB")
_STREAM_START = struct.Struct(">xIB")
_STREAM_COMMIT = struct.Struct(">xIBQQq")
_STREAM_ABORT = struct.Struct(">xII")
_OID = struct.Struct(">I")
_COLUMN = struct.Struct(">Ii")
_KEEPALIVE = struct.Struct(">xQqB")
_STATUS = struct.Struct(">cQQQqB")

_RESTART = 2


@dataclass(frozen=True, slots=True)
class Begin:
    """A transaction begins to be told: `final`, where its commit record begins; `at`, Unix seconds of the commit."""

    final: int
    at: float


@dataclass(frozen=True, slots=True)
class Ended:
    """The transaction `number`, which was told while it was under way, has committed; `end`: where the log goes on."""

    number: int
    begin: Begin
    end: int


@dataclass(frozen=True, slots=True)
class RelationColumn:
    """A column that the log tells of. `identity`: it is part of what is told of a row as it was."""

    name: str
    type: int
    modifier: int
    identity: bool


@dataclass(frozen=True, slots=True)
class Relation:
    """A table as it is for the rows that follow. `identity`: its REPLICA IDENTITY, as pg_class has it."""

    oid: int
    schema: str
    name: str
    identity: str
    columns: tuple[RelationColumn, ...]


@dataclass(frozen=True, slots=True)
class Truncate:
    """Relations that were emptied by one statement."""

    relations: tuple[int, ...]
    restart: bool


@dataclass(frozen=True, slots=True)
class Keepalive:
    """The server is there: `end`, up to where it has read the log. `asks`: for an answer, at once."""

    end: int
    asks: bool


def begin(said: bytes) -> Begin:
    """B."""
    final, at, _ = _unpacked(_BEGIN, said)
    return Begin(final, _EPOCH + at / 1_000_000)


def commit(said: bytes) -> int:
    """C: where the log goes on behind the transaction."""
    _, _, end, _ = _unpacked(_COMMIT, said)
    return int(end)


def stream_start(said: bytes) -> int:
    """S: the number of the transaction of which a piece follows."""
    number, _ = _unpacked(_STREAM_START, said)
    return number


def stream_commit(said: bytes) -> Ended:
    """c."""
    number, _, final, end, at = _unpacked(_STREAM_COMMIT, said)
    return Ended(number, Begin(final, _EPOCH + at / 1_000_000), end)


def stream_abort(said: bytes) -> tuple[int, int]:
    """A: the transaction, and which part of it was rolled back, which may be itself."""
    number, part = _unpacked(_STREAM_ABORT, said)
    return number, part


def truncate(said: bytes) -> Truncate:
    """T."""
    count, options = _unpacked(_TRUNCATE, said)
    at = _TRUNCATE.size
    if len(said) != at + 4 * count:
        raise _broken()
    oids = struct.unpack_from(f">{count}I", said, at)
    return Truncate(tuple(oids), bool(options & _RESTART))


def relation(said: bytes) -> Relation:
    """R."""
    try:
        (oid,) = _OID.unpack_from(said, 1)
        schema, at = _word(said, 5)
        name, at = _word(said, at)
        identity = chr(said[at])
        (count,) = struct.unpack_from(">H", said, at + 1)
        at += 3
        columns = []
        for _ in range(count):
            flags = said[at]
            column, at = _word(said, at + 1)
            kind, modifier = _COLUMN.unpack_from(said, at)
            at += _COLUMN.size
            columns.append(RelationColumn(column, kind, modifier, bool(flags & 1)))
    except (struct.error, IndexError, ValueError):
        raise _broken() from None
    return Relation(oid, schema or "pg_catalog", name, identity, tuple(columns))


def keepalive(said: bytes) -> Keepalive:
    """k, which the server says by itself, not the plugin."""
    end, _, asks = _unpacked(_KEEPALIVE, said)
    return Keepalive(end, bool(asks))


def status(received: int, confirmed: int, now: float, asks: bool) -> bytes:
    """What is answered: up to where the log has come here, and up to where it may be forgotten."""
    microseconds = int((now - _EPOCH) * 1_000_000)
    return _STATUS.pack(b"r", received, confirmed, confirmed, microseconds, asks)


def _word(said: bytes, at: int) -> tuple[str, int]:
    end = said.index(0, at)
    return said[at:end].decode(), end + 1


def _unpacked(form: struct.Struct, said: bytes) -> tuple[int, ...]:
    try:
        return form.unpack_from(said)
    except struct.error:
        raise _broken() from None


def _broken() -> ReadFailed:
    return ReadFailed("A message in PostgreSQL's log is not what its manual says: it cannot be followed any further.")
