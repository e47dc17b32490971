"""A column as information_schema shows it, or as a query's result announces it, in the model's words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Protocol

from pymysql.constants import FIELD_TYPE as F
from pymysql.constants import FLAG

from rowferry.connectors.mysql.types import neutral_type
from rowferry.model import types as t
from rowferry.model.tables import Column, Default, DefaultKind, NativeType

Row = Mapping[str, Any]
"""One row of information_schema; keys in upper case."""

_CHARACTERS = frozenset({"char", "varchar", "binary", "varbinary"})
_MEMBER = re.compile(r"'((?:[^'\\]|''|\\.)*)'", re.DOTALL)
_ESCAPED = re.compile(r"''|\\(.)", re.DOTALL)
_ESCAPES = {"0": "\0", "n": "\n", "r": "\r", "t": "\t", "b": "\b", "Z": "\x1a"}
_NOW = re.compile(r"(?:current_timestamp|now|localtime|localtimestamp)\s*(?:\(\d?\))?\Z", re.IGNORECASE)
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?\Z", re.IGNORECASE)
_BITS = re.compile(r"b'([01]*)'\Z")
_ROW_ENDS = frozenset({"ROW START", "ROW END"})


def unquoted(literal: str) -> str:
    """The text of a quoted SQL string's inside."""
    return _ESCAPED.sub(lambda found: "'" if found[1] is None else _ESCAPES.get(found[1], found[1]), literal)


def members(declared: str) -> tuple[str, ...]:
    """The members of "enum('a','b''c')"."""
    return tuple(unquoted(member) for member in _MEMBER.findall(declared))


def native_type(row: Row, json: bool = False) -> NativeType:
    """The type of a row of COLUMNS. `json`: MariaDB holds JSON there, as text that a check guards."""
    name, declared = str(row["DATA_TYPE"]).lower(), str(row["COLUMN_TYPE"])
    enumerated = name in ("enum", "set")
    precision, scale = _digits(row, name)
    return NativeType(
        name="json" if json else _FULL_NAMES.get(name, name),
        declared=declared if enumerated else declared.lower(),
        length=_length(row, name),
        precision=precision,
        scale=scale,
        unsigned=not enumerated and "unsigned" in declared.lower(),
        members=members(declared) if enumerated else (),
        charset=row["CHARACTER_SET_NAME"],
        srid=row.get("SRS_ID"),
        collation=row["COLLATION_NAME"],
    )


_FULL_NAMES = {"integer": "int", "numeric": "decimal", "real": "double"}


def _length(row: Row, name: str) -> int | None:
    if name == "bit":
        return int(row["NUMERIC_PRECISION"])
    return int(row["CHARACTER_MAXIMUM_LENGTH"]) if name in _CHARACTERS else None


def _digits(row: Row, name: str) -> tuple[int | None, int | None]:
    if name == "bit":
        return None, None
    if row["DATETIME_PRECISION"] is not None:
        return None, int(row["DATETIME_PRECISION"])
    precision, scale = row["NUMERIC_PRECISION"], row["NUMERIC_SCALE"]
    return None if precision is None else int(precision), None if scale is None else int(scale)


def column(row: Row, mariadb: bool, json: bool = False) -> Column:
    """The column of a row of COLUMNS."""
    native = native_type(row, json)
    extra = str(row["EXTRA"] or "").lower()
    generated = row.get("GENERATION_EXPRESSION") or None
    if generated in _ROW_ENDS:
        generated = None
    neutral = neutral_type(native)
    computed = generated is not None
    return Column(
        name=row["COLUMN_NAME"],
        type=neutral,
        native=native,
        nullable=row["IS_NULLABLE"] == "YES",
        default=None if computed else default(row["COLUMN_DEFAULT"], extra, neutral, mariadb),
        identity="auto_increment" in extra,
        generated=generated if generated is None or mariadb else _plain_expression(generated),
        comment=row["COLUMN_COMMENT"] or "",
        extra=extra,
    )


def _plain_expression(expression: str) -> str:
    """MySQL's catalogue shows expressions with their quotes escaped once more."""
    return expression.replace("\\'", "'")


def default(raw: str | None, extra: str, neutral: t.NeutralType, mariadb: bool) -> Default | None:
    """A column's default. MariaDB writes it as SQL; MySQL writes a literal bare and marks an expression in EXTRA."""
    if raw is None:
        return None
    if mariadb:
        return _default_in_sql(raw, neutral)
    temporal = isinstance(neutral, t.DateTime | t.Instant)
    if _NOW.match(raw) and (temporal or "default_generated" in extra):
        return Default(DefaultKind.NOW)
    if "default_generated" in extra:
        return Default(DefaultKind.EXPRESSION, _plain_expression(raw))
    if isinstance(neutral, t.Binary) and raw.startswith("0x"):
        return Default(DefaultKind.EXPRESSION, raw)
    return Default(DefaultKind.LITERAL, _bits(raw, neutral))


def _default_in_sql(raw: str, neutral: t.NeutralType) -> Default | None:
    if raw.upper() == "NULL":
        return None
    if _NOW.match(raw):
        return Default(DefaultKind.NOW)
    if isinstance(neutral, t.Binary):
        return _bytes_default(raw)
    if _MEMBER.fullmatch(raw):
        return Default(DefaultKind.LITERAL, unquoted(raw[1:-1]))
    if _NUMBER.match(raw) or _BITS.match(raw):
        return Default(DefaultKind.LITERAL, _bits(raw, neutral))
    return Default(DefaultKind.EXPRESSION, raw)


def _bytes_default(raw: str) -> Default | None:
    """MariaDB shows bytes that are no text as question marks; what they were cannot be known (`remarks` says so)."""
    if not _MEMBER.fullmatch(raw):
        return Default(DefaultKind.EXPRESSION, raw)
    text = unquoted(raw[1:-1])
    return None if "?" in text else Default(DefaultKind.LITERAL, f"0x{text.encode().hex()}")


def _bits(raw: str, neutral: t.NeutralType) -> str:
    found = _BITS.match(raw)
    if found is None:
        return raw
    return found[1].zfill(neutral.length or 1) if isinstance(neutral, t.Bits) else str(int(found[1] or "0", 2))


_BINARY_CHARSET = 63
_WIDEST = 4
"""Bytes that a character of utf8mb4, the charset of our sessions, may take."""

_FIELD_NAMES = {
    F.TINY: "tinyint",
    F.SHORT: "smallint",
    F.INT24: "mediumint",
    F.LONG: "int",
    F.LONGLONG: "bigint",
    F.FLOAT: "float",
    F.DOUBLE: "double",
    F.DECIMAL: "decimal",
    F.NEWDECIMAL: "decimal",
    F.BIT: "bit",
    F.YEAR: "year",
    F.DATE: "date",
    F.NEWDATE: "date",
    F.TIME: "time",
    F.DATETIME: "datetime",
    F.TIMESTAMP: "timestamp",
    F.JSON: "json",
    F.GEOMETRY: "geometry",
    F.STRING: "char",
    F.VAR_STRING: "varchar",
    F.VARCHAR: "varchar",
    F.ENUM: "varchar",
    F.SET: "varchar",
    F.TINY_BLOB: "text",
    F.BLOB: "text",
    F.MEDIUM_BLOB: "text",
    F.LONG_BLOB: "text",
    F.NULL: "varchar",
}
_AS_BYTES = {"char": "binary", "varchar": "varbinary", "text": "blob"}
_TIMES = frozenset({"time", "datetime", "timestamp"})


class ResultField(Protocol):
    """What the server's packet says of a column of a result. `length` counts bytes, `scale` is 31 for a float."""

    name: str
    type_code: int
    charsetnr: int
    length: int
    scale: int
    flags: int


def column_of_result(field: ResultField) -> Column:
    """The column that a query's result announces. An enum, a set, a UUID are text there, as the server sends them."""
    native = _native_of_result(field)
    nullable = not field.flags & FLAG.NOT_NULL
    return Column(name=field.name, type=neutral_type(native), native=native, nullable=nullable)


def _native_of_result(field: ResultField) -> NativeType:
    name = _FIELD_NAMES.get(field.type_code, f"type {field.type_code}")
    if name == "char" and field.flags & (FLAG.ENUM | FLAG.SET | FLAG.BINARY):
        name = "varchar"
    binary = field.charsetnr == _BINARY_CHARSET
    if binary and field.type_code != F.NULL:
        name = _AS_BYTES.get(name, name)
    unsigned = bool(field.flags & FLAG.UNSIGNED)
    length, precision, scale = _sizes_of_result(field, name, unsigned)
    characters = name in ("char", "varchar", "text")
    declared = name if length is None else f"{name}({length})"
    return NativeType(
        name=name,
        declared=f"decimal({precision},{scale})" if name == "decimal" else declared,
        length=length,
        precision=precision,
        scale=scale,
        unsigned=unsigned,
        charset="utf8mb4" if characters else None,
    )


def _sizes_of_result(field: ResultField, name: str, unsigned: bool) -> tuple[int | None, int | None, int | None]:
    if name in ("char", "varchar"):
        return field.length // _WIDEST, None, None
    if name in ("binary", "varbinary", "bit"):
        return field.length, None, None
    if name == "decimal":
        return None, max(1, min(65, field.length - (field.scale > 0) - (not unsigned))), field.scale
    return None, None, min(field.scale, 6) if name in _TIMES else None
