"""Defaults, checks and computed columns: from the source's SQL to this server's, and whether the server agrees."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import pymysql
from pymysql.connections import Connection as Session

from rowferry.connectors.mysql.names import literal
from rowferry.connectors.mysql.refusals import standing
from rowferry.connectors.mysql.types_write import DIALECT
from rowferry.model import types as t
from rowferry.model.tables import Column, DefaultKind, Table
from rowferry.typemap.computed import parsed

_NUMBER = re.compile(r"[-+]?\d+(\.\d+)?([eE][-+]?\d+)?")
_NUMBERS = (t.Integer, t.Decimal, t.Number, t.Float, t.Year)
_LOGICAL = {"true": "1", "false": "0", "t": "1", "f": "0"}
_SEQUENCE = re.compile(r"\b(?:nextval|lastval|setval)\s*\(", re.IGNORECASE)
_WIDE = frozenset({"tinytext", "text", "mediumtext", "longtext", "json", "tinyblob", "blob", "mediumblob", "longblob"})
_NO_LITERAL = _WIDE | {"geometry", "point", "linestring", "polygon", "uuid", "inet4", "inet6"}
"""Types whose default must stand in parentheses."""


def translated(expression: str, dialect: str, columns: Mapping[str, str], texts: Collection[str] = ()) -> str | None:
    """The expression as MySQL writes it, its columns renamed; None when it cannot be read or said.

    What a source of the same engine wrote is kept to the letter when none of its columns has another name here.
    `texts` are the columns that hold texts.
    """
    import sqlglot  # noqa: PLC0415 - most plans have no expression, and sqlglot is large
    from sqlglot import exp  # noqa: PLC0415 - most plans have no expression, and sqlglot is large
    from sqlglot.errors import ErrorLevel, SqlglotError  # noqa: PLC0415 - most plans have no expression, and sqlglot is large

    if "\x00" in expression:
        return None
    try:
        tree = sqlglot.parse_one(expression, read=dialect, into=exp.Condition, error_level=ErrorLevel.RAISE)
        if dialect == DIALECT and all(old == new for old, new in columns.items()):
            return expression
        if dialect != DIALECT and tree.find(exp.Div, exp.RegexpLike, exp.RegexpILike):
            return None  # engines divide by kinds of their own, and have patterns of their own
        tree = tree.transform(_plain_text, texts).transform(_listed)
        for column in list(tree.find_all(exp.Column)):
            if column.name not in columns:
                return None
            column.replace(exp.column(exp.to_identifier(columns[column.name], quoted=True)))
        return str(tree.sql(dialect=DIALECT, unsupported_level=ErrorLevel.RAISE))
    except (SqlglotError, ValueError, RecursionError):
        return None


def _plain_text(node: Any, texts: Collection[str]) -> Any:
    """PostgreSQL writes a cast wherever a text meets a text; here it would bring another collation along."""
    from sqlglot import exp  # noqa: PLC0415 - most plans have no expression, and sqlglot is large

    if isinstance(node, exp.Cast) and node.to.sql().upper() in _UNBOUND:
        inner = node.this.unnest()
        column = isinstance(inner, exp.Column) and inner.name in texts
        if column or (isinstance(inner, exp.Literal) and inner.is_string):
            return inner
    return node


_UNBOUND = frozenset({"TEXT", "VARCHAR", "BPCHAR"})


def _listed(node: Any) -> Any:
    """PostgreSQL writes IN as = ANY (ARRAY[…]), which nobody else has."""
    from sqlglot import exp  # noqa: PLC0415 - most plans have no expression, and sqlglot is large

    if isinstance(node, exp.EQ) and isinstance(node.expression, exp.Any):
        inner = node.expression.this.unnest()
        while isinstance(inner, exp.Cast):
            inner = inner.this.unnest()
        if isinstance(inner, exp.Array) and inner.expressions:
            return exp.In(this=node.this, expressions=list(inner.expressions))
    return node


def beginning(expression: str, dialect: str) -> tuple[str, int] | None:
    """The column and the number of characters, where the expression is but the beginning of a column."""
    import sqlglot  # noqa: PLC0415 - most plans have no expression, and sqlglot is large
    from sqlglot import exp  # noqa: PLC0415 - most plans have no expression, and sqlglot is large
    from sqlglot.errors import SqlglotError  # noqa: PLC0415 - most plans have no expression, and sqlglot is large

    try:
        tree = sqlglot.parse_one(expression, read=dialect, into=exp.Condition).unnest()
    except (SqlglotError, ValueError, RecursionError):
        return None
    if not isinstance(tree, exp.Left) or not tree.expression.is_int:
        return None
    inner = tree.this.unnest()
    inner = inner.this.unnest() if isinstance(inner, exp.Cast) else inner
    return (inner.name, int(tree.expression.this)) if isinstance(inner, exp.Column) else None


def computed(table: Table, column: Column, dialect: str, names: Mapping[str, str]) -> str | None:
    """What another engine's column is computed from, as this one writes it; None where it might be something else.

    The servers take no computed column into a key or a reference, nor compute one from what they number or from
    columns that a reference may change.
    """
    from sqlglot import exp  # noqa: PLC0415 - most plans have no expression, and sqlglot is large

    bound = {name for key in table.foreign_keys for name in key.columns}
    if dialect == DIALECT or not column.nullable or column.name in bound.union(table.primary_key):
        return None
    sources = {
        one.name: one.type
        for one in table.columns
        if one.generated is None and not one.identity and one.name not in bound
    }
    tree = parsed(column.generated or "", dialect, sources, column.type)
    if tree is None:
        return None
    for name in list(tree.find_all(exp.Column)):
        named = exp.column(exp.to_identifier(names[name.name], quoted=True))
        tree = named if name is tree else tree
        name.replace(named)
    return str(tree.sql(dialect=DIALECT))


def default_expression(column: Column, target: Column, dialect: str) -> str | None:
    """The column's default as this server writes it; None when there is no way to say it."""
    default = column.default
    if default is None:
        return None
    if default.kind is DefaultKind.NOW:
        return _now(target)
    if default.kind is DefaultKind.EXPRESSION:
        if _SEQUENCE.search(default.value):
            return None  # it would go on drawing from the source's sequence
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
        stored = bytes.fromhex(written[1]) if written else value.encode()
        plain = stored.isascii() and stored.decode().isprintable()
        return literal(stored.decode()) if plain else f"x'{stored.hex()}'"
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
