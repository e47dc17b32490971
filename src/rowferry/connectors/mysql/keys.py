"""Values of keys: how each kind is read from the server, kept in a chunk and written into SQL again."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from rowferry.connectors.mysql.sql import quoted
from rowferry.model.chunks import Chunk, Key, KeyValue
from rowferry.model.tables import NativeType

_WORD = re.compile(r"[0-9A-Za-z_]+\Z")
_PLAIN = re.compile(r"[0-9A-Fa-f:. +-]*\Z")
_HEX = re.compile(r"[0-9A-Fa-f]*\Z")
_DIGITS = re.compile(r"-?[0-9]+(\.[0-9]+)?\Z")


@dataclass(frozen=True, slots=True)
class KeyColumn:
    """A column of a key, as the server orders it now."""

    name: str
    native: NativeType
    collation: str | None = None

    @property
    def numbered(self) -> bool:
        """Whether its values are whole numbers, so that ranges can be computed."""
        return self.native.name in _WHOLE

    @property
    def selected(self) -> str:
        """The expression whose value goes into a chunk."""
        return _KINDS[self.native.name].select(quoted(self.name))

    def literal(self, key: KeyValue) -> str:
        """A chunk's value in SQL, in the charset and collation of the column, so that its index serves."""
        return _KINDS[self.native.name].write(self, key)


@dataclass(frozen=True, slots=True)
class _Kind:
    select: Callable[[str], str]
    write: Callable[[KeyColumn, KeyValue], str]


def _checked(pattern: re.Pattern[str], key: KeyValue) -> str:
    written = str(key)
    if not pattern.match(written):
        raise ValueError("a chunk's key is not of its column's type")
    return written


def _write_text(column: KeyColumn, key: KeyValue) -> str:
    charset = _checked(_WORD, column.native.charset or "utf8mb4")
    collation = _checked(_WORD, column.collation or f"{charset}_bin")
    return f"_{charset} x'{_checked(_HEX, key)}' COLLATE {collation}"


_WHOLE = frozenset({"tinyint", "smallint", "mediumint", "int", "bigint", "year"})
_INTEGER = _Kind(lambda name: name, lambda _, key: str(int(key)))
_BIT = _Kind(lambda name: f"{name} + 0", lambda _, key: str(int(key)))
_DECIMAL = _Kind(lambda name: f"CAST({name} AS CHAR)", lambda _, key: _checked(_DIGITS, key))
_PLAIN_TEXT = _Kind(lambda name: f"CAST({name} AS CHAR)", lambda _, key: f"'{_checked(_PLAIN, key)}'")
_TEXT = _Kind(lambda name: f"HEX({name})", _write_text)
_BINARY = _Kind(lambda name: f"HEX({name})", lambda _, key: f"x'{_checked(_HEX, key)}'")

_KINDS: Mapping[str, _Kind] = {
    **dict.fromkeys(_WHOLE, _INTEGER),
    "bit": _BIT,
    "decimal": _DECIMAL,
    **dict.fromkeys(("date", "time", "datetime", "timestamp", "uuid", "inet4", "inet6"), _PLAIN_TEXT),
    **dict.fromkeys(("char", "varchar", "tinytext", "text", "mediumtext", "longtext"), _TEXT),
    **dict.fromkeys(("binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob"), _BINARY),
}
"""The types by which a table can be split. An enum is none: ordered by its number, it is compared as text."""


def splits(columns: Sequence[KeyColumn]) -> bool:
    """Whether a table can be split by these columns."""
    return bool(columns) and all(column.native.name in _KINDS for column in columns)


def bounds(columns: Sequence[KeyColumn], chunk: Chunk) -> list[str]:
    """The conditions that hold for exactly the rows of `chunk`."""
    conditions = []
    if chunk.low is not None:
        conditions.append(_beyond(columns, chunk.low, ">", ">"))
    if chunk.high is not None:
        conditions.append(_beyond(columns, chunk.high, "<", "<="))
    return conditions


def _beyond(columns: Sequence[KeyColumn], key: Key, strict: str, last: str) -> str:
    """Row comparison spelled out, since the servers do not use an index for `(a, b) > (1, 2)`."""
    first, literal = quoted(columns[0].name), columns[0].literal(key[0])
    if len(columns) == 1:
        return f"{first} {last} {literal}"
    rest = _beyond(columns[1:], key[1:], strict, last)
    return f"{first} {strict}= {literal} AND ({first} {strict} {literal} OR ({rest}))"
