"""Defaults, checks and index expressions: from the source's SQL to PostgreSQL's, and whether PostgreSQL agrees."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import psycopg

from rowferry.connectors.postgres.names import literal
from rowferry.connectors.postgres.types_write import DIALECT
from rowferry.model import types as t
from rowferry.model.tables import Column, Default, DefaultKind, Table
from rowferry.typemap.computed import parsed

_NUMBER = re.compile(r"[-+]?\d+(\.\d+)?([eE][-+]?\d+)?")
_NUMBERS = (t.Integer, t.Decimal, t.Number, t.Float, t.Year)

_NOW = {t.Date: "CURRENT_DATE", t.Time: "LOCALTIME"}


def translated(expression: str, dialect: str, columns: Mapping[str, str]) -> str | None:
    """The expression as PostgreSQL writes it, its columns renamed; None when it cannot be read or said.

    What a PostgreSQL source wrote is kept to the letter when none of its columns has another name here; it
    is parsed all the same, so that it is one expression and nothing more.
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
        for column in list(tree.find_all(exp.Column)):
            if column.name not in columns:
                return None
            column.replace(exp.column(exp.to_identifier(columns[column.name], quoted=True)))
        if dialect != DIALECT and tree.find(exp.Div, exp.RegexpLike, exp.RegexpILike):
            return None  # engines divide by kinds of their own, and have patterns of their own
        tree = tree.transform(_plain_text)
        return str(tree.sql(dialect=DIALECT, unsupported_level=ErrorLevel.RAISE))
    except (SqlglotError, ValueError, RecursionError):
        return None


_CHARACTERS = frozenset({"CHAR", "CHARACTER_SET"})


def _plain_text(node: Any) -> Any:
    """What MySQL says otherwise of texts, and sqlglot hands on as it is.

    PostgreSQL knows no character set before a text (_utf8mb4'a'), CHAR is one character to it, and LENGTH counts
    characters.
    """
    from sqlglot import exp  # noqa: PLC0415 - most plans have no expression, and sqlglot is large

    if isinstance(node, exp.Introducer):
        return node.expression
    if isinstance(node, exp.Cast) and node.to.this.name in _CHARACTERS and not node.to.expressions:
        return exp.cast(node.this, "text")
    if isinstance(node, exp.Length) and node.args.get("binary"):
        return exp.func("OCTET_LENGTH", node.this)
    return node


def computed(table: Table, column: Column, dialect: str, names: Mapping[str, str]) -> str | None:
    """What a computed column is computed from, as PostgreSQL writes it; None where it might compute something else."""
    if dialect == DIALECT:
        return translated(column.generated or "", dialect, names)
    from sqlglot import exp  # noqa: PLC0415 - most plans have no expression, and sqlglot is large

    sources = {one.name: one.type for one in table.columns if one.generated is None}
    tree = parsed(column.generated or "", dialect, sources, column.type)
    if tree is None:
        return None
    for name in list(tree.find_all(exp.Column)):
        named = exp.column(exp.to_identifier(names[name.name], quoted=True))
        counted = isinstance(sources[name.name], t.Integer) and name.find_ancestor(exp.Add, exp.Sub, exp.Mul, exp.Neg)
        renamed = exp.cast(named, "decimal") if counted else named
        tree = renamed if name is tree else tree
        name.replace(renamed)
    return str(tree.sql(dialect=DIALECT))


def default_expression(column: Column, dialect: str) -> str | None:
    """The column's default as PostgreSQL writes it; None when there is no way to say it."""
    default = column.default
    if default is None:
        return None
    if default.kind is DefaultKind.NOW:
        return _now(column)
    if default.kind is DefaultKind.EXPRESSION:
        return translated(default.value, dialect, {})
    return None if "\x00" in default.value else _literal(column, default)


def _now(column: Column) -> str:
    if isinstance(column.type, t.DateTime | t.Instant) and column.type.precision < 6:
        return f"CURRENT_TIMESTAMP({column.type.precision})"
    return _NOW.get(type(column.type), "CURRENT_TIMESTAMP")


def _literal(column: Column, default: Default) -> str:
    value = default.value
    if isinstance(column.type, _NUMBERS) and _NUMBER.fullmatch(value):
        return value
    if isinstance(column.type, t.Boolean) and value in ("0", "1"):
        return "true" if value == "1" else "false"
    if isinstance(column.type, t.Bits):
        return f"B'{_bits(value)}'"
    if isinstance(column.type, t.Binary | t.Geometry):
        return f"'\\x{_hex(value)}'::bytea"
    return literal(value)


def _bits(value: str) -> str:
    inner = re.fullmatch(r"[bB]'([01]*)'", value)
    return inner.group(1) if inner else re.sub(r"[^01]", "", value)


def _hex(value: str) -> str:
    written = re.fullmatch(r"(?:0x|\\x)((?:[0-9a-fA-F]{2})*)", value)
    return written.group(1) if written else value.encode().hex()


_PROBE = """
DO $probe$
DECLARE
    asked text[] := {statements};
    refused text := '';
BEGIN
    FOR place IN 1 .. array_length(asked, 1) LOOP
        BEGIN
            EXECUTE 'EXPLAIN ' || asked[place];
        EXCEPTION WHEN OTHERS THEN
            refused := refused || place || ' ';
        END;
    END LOOP;
    PERFORM set_config('rowferry.refused', refused, true);
END
$probe$
"""


def refused_queries(session: psycopg.Connection[tuple[Any, ...]], queries: Sequence[str]) -> set[int]:
    """The places of those queries that PostgreSQL would not run; they are explained, not run, all in one call."""
    asked = [query for query in queries if "$probe$" not in query]
    unasked = {place for place, query in enumerate(queries) if "$probe$" in query}
    if not asked:
        return unasked
    places = [place for place, query in enumerate(queries) if "$probe$" not in query]
    statements = f"ARRAY[{', '.join(literal(query) for query in asked)}]::text[]"
    with session.transaction():
        session.execute(_PROBE.replace("{statements}", statements).encode())
        [(refused,)] = session.execute("SELECT current_setting('rowferry.refused')").fetchall()
    return unasked | {places[int(word) - 1] for word in refused.split()}
