"""Defaults, checks and computed columns: from the source's SQL to this server's, and whether the server agrees."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import pymysql
from pymysql.connections import Connection as Session

from rowferry.connectors.mysql.names import literal
from rowferry.connectors.mysql.refusals import standing
from rowferry.connectors.mysql.types_write import DIALECT
from rowferry.model import types as t
from rowferry.model.tables import Column, DefaultKind

_NUMBER = re.compile(r"[-+]?\d+(\.\d+)?([eE][-+]?\d+)?")
_NUMBERS = (t.Integer, t.Decimal, t.Number, t.Float, t.Year)
_LOGICAL = {"true": "1", "false": "0", "t": "1", "f": "0"}
_WIDE = frozenset({"tinytext", "text", "mediumtext", "longtext", "json", "tinyblob", "blob", "mediumblob", "longblob"})
_NO_LITERAL = _WIDE | {"geometry", "point", "linestring", "polygon", "uuid", "inet4", "inet6"}
"""Types whose default must stand in parentheses."""


def translated(expression: str, dialect: str, columns: Mapping[str, str]) -> str | None:
    """The expression as MySQL writes it, its columns renamed; None when it cannot be read or said.

    What a source of the same engine wrote is kept to the letter when none of its columns has another name here.
    """
    import sqlglot  # noqa: PLC0415 - most plans have no expression, and sqlglot is large
    from sqlglot import exp  # noqa: PLC0415 - most plans have no expression, and sqlglot is large
    from sqlglot.errors import ErrorLevel, SqlglotError  # noqa: PLC0415 - most plans have no expression, and sqlglot is large

    try:
        tree = sqlglot.parse_one(expression, read=dialect, into=exp.Condition, error_level=ErrorLevel.RAISE)
        if dialect == DIALECT and all(old == new for old, new in columns.items()):
            return expression
        for column in list(tree.find_all(exp.Column)):
            if column.name not in columns:
                return None
            column.replace(exp.column(exp.to_identifier(columns[column.name], quoted=True)))
        return str(tree.sql(dialect=DIALECT, unsupported_level=ErrorLevel.RAISE))
    except (SqlglotError, ValueError, RecursionError):
        return None


def default_expression(column: Column, target: Column, dialect: str) -> str | None:
    """The column's default as this server writes it; None when there is no way to say it."""
    default = column.default
    if default is None:
        return None
    if default.kind is DefaultKind.NOW:
        return _now(target)
    if default.kind is DefaultKind.EXPRESSION:
        said = default.value if dialect == DIALECT else translated(default.value, dialect, {})
        return None if said is None else f"({said})"
    said = _literal(column, default.value)
    return f"({said})" if target.native.name in _NO_LITERAL else said


def _now(target: Column) -> str | None:
    if target.native.name not in ("datetime", "timestamp"):
        return {"date": "(CURRENT_DATE)", "time": "(CURRENT_TIME)"}.get(target.native.name, "(CURRENT_TIMESTAMP)")
    digits = re.search(r"\((\d)\)", target.native.declared)
    return f"CURRENT_TIMESTAMP({digits[1]})" if digits else "CURRENT_TIMESTAMP"


def _literal(column: Column, value: str) -> str:
    if isinstance(column.type, _NUMBERS) and _NUMBER.fullmatch(value):
        return value
    if isinstance(column.type, t.Boolean) and value.lower() in _LOGICAL:
        return _LOGICAL[value.lower()]
    if isinstance(column.type, t.Bits):
        inner = re.fullmatch(r"(?:[bB]')?([01]*)'?", value)
        if inner and not column.type.varying:
            return f"b'{inner[1]}'"
    if isinstance(column.type, t.Binary):
        written = re.fullmatch(r"(?:0x|\\x)((?:[0-9a-fA-F]{2})*)", value)
        return f"x'{written[1] if written else value.encode().hex()}'"
    return literal(value)


def refused(session: Session, queries: Sequence[str]) -> set[int]:
    """The places of those queries that the server would not run; they are prepared, never run."""
    found = set()
    for place, query in enumerate(queries):
        try:
            session.query(f"PREPARE rowferry FROM {literal(query)}")
            session.query("DEALLOCATE PREPARE rowferry")
        except pymysql.Error as error:
            if standing(error):
                raise
            found.add(place)
    return found
