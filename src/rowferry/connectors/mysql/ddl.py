"""MySQL's and MariaDB's statements, from a planned table. Every name in it is the target's own already."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rowferry.connectors.mysql.names import literal, place, quoted_list
from rowferry.connectors.mysql.sql import quoted
from rowferry.model.tables import Check, Column, ForeignKey, Index, IndexPart, Table, TableName


def create_database(name: str) -> str:
    """A database for any text."""
    return f"CREATE DATABASE IF NOT EXISTS {quoted(name)} CHARACTER SET utf8mb4"


def create_table(table: Table, mark: str, early: Sequence[Index] = ()) -> str:
    """The table with its columns and its primary key, by which the rows are stored, and with the `early` indexes.

    Secondary indexes, checks and references come after the rows. `mark` stands as the table's comment until then.
    """
    parts = [column_words(column) for column in table.columns]
    if table.primary_key:
        parts.append(f"PRIMARY KEY ({quoted_list(table.primary_key)})")
    parts += [_index(index) for index in early]
    body = ",\n  ".join(parts)
    options = f"ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COMMENT={literal(mark)}"
    return f"CREATE TABLE {place(table.name)} (\n  {body}\n) {options}"


def drop_tables(names: Iterable[TableName]) -> str:
    """All in one statement, so that references between them are no hindrance."""
    return f"DROP TABLE {', '.join(place(name) for name in names)}"


def truncate(name: TableName) -> str:
    """Empty a table."""
    return f"TRUNCATE TABLE {place(name)}"


def add_indexes(table: TableName, indexes: Sequence[Index]) -> str:
    """Several indexes in one pass over the table."""
    return alter(table, [f"ADD {_index(index)}" for index in indexes])


def add_checks(table: TableName, checks: Sequence[Check]) -> str:
    """Several checks in one pass over the table."""
    return alter(table, [f"ADD CONSTRAINT {quoted(one.name)} CHECK ({one.expression})" for one in checks])


def set_defaults(table: TableName, columns: Sequence[Column]) -> str:
    """The defaults of columns that are there without."""
    words = [f"ALTER COLUMN {quoted(c.name)} SET DEFAULT {c.default.value}" for c in columns if c.default]
    return alter(table, words)


def finish_all(table: Table, indexes: Sequence[Index], following: int) -> str:
    """The checks, these indexes, the next number (1: none) and the comment, in one statement."""
    words = [f"ADD CONSTRAINT {quoted(one.name)} CHECK ({one.expression})" for one in table.checks]
    words += [f"ADD {_index(index)}" for index in indexes]
    words += [f"AUTO_INCREMENT = {following}"] if following > 1 else []
    return alter(table.name, [*words, f"COMMENT = {literal(table.comment)}"])


def add_foreign_key(table: TableName, key: ForeignKey) -> str:
    """A foreign key with its actions."""
    actions = {"DELETE": key.on_delete, "UPDATE": key.on_update}
    words = [
        f"ADD CONSTRAINT {quoted(key.name)} FOREIGN KEY ({quoted_list(key.columns)})",
        f"REFERENCES {place(key.referenced)} ({quoted_list(key.referenced_columns)})",
        *(f"ON {event} {action}" for event, action in actions.items() if action not in _USUAL),
    ]
    return alter(table, [" ".join(words)])


_USUAL = frozenset({"NO ACTION", "RESTRICT"})
"""What the servers do unless told otherwise; both words mean the same to them."""


def find_orphan(table: TableName, key: ForeignKey) -> str:
    """A query that finds a row whose reference leads nowhere."""
    pairs = list(zip(key.columns, key.referenced_columns, strict=True))
    same = " AND ".join(f"p.{quoted(there)} = c.{quoted(here)}" for here, there in pairs)
    given = " AND ".join(f"c.{quoted(here)} IS NOT NULL" for here in key.columns)
    return (
        f"SELECT 1 FROM {place(table)} c WHERE {given} "
        f"AND NOT EXISTS (SELECT 1 FROM {place(key.referenced)} p WHERE {same}) LIMIT 1"
    )


def set_next(table: TableName, number: int) -> str:
    """What the server hands out next; never less than what follows the highest row."""
    return alter(table, [f"AUTO_INCREMENT = {number}"])


def set_comment(table: TableName, comment: str) -> str:
    """The table's comment."""
    return alter(table, [f"COMMENT = {literal(comment)}"])


def alter(table: TableName, words: Sequence[str]) -> str:
    """Several changes of a table in one statement."""
    return f"ALTER TABLE {place(table)} {', '.join(words)}"


def column_words(column: Column) -> str:
    """A column's declaration."""
    native = column.native
    words = [quoted(column.name), native.declared]
    if native.charset and native.collation:
        words.append(f"CHARACTER SET {native.charset} COLLATE {native.collation}")
    if column.generated is not None:
        kind, _, rest = column.extra.partition(" ")
        words.append(f"GENERATED ALWAYS AS ({column.generated}) {kind.upper()}")
        words += [rest.upper()] if rest else []
    else:
        words.append("NULL" if column.nullable else "NOT NULL")
        words += [f"DEFAULT {column.default.value}"] if column.default else []
        words += ["AUTO_INCREMENT"] if column.identity else []
        words += [column.extra.upper()] if column.extra else []
    words += [f"COMMENT {literal(column.comment)}"] if column.comment else []
    return " ".join(words)


_KINDS = {"fulltext": "FULLTEXT INDEX", "spatial": "SPATIAL INDEX"}


def _index(index: Index) -> str:
    kind = _KINDS.get(index.method, "UNIQUE INDEX" if index.unique else "INDEX")
    return f"{kind} {quoted(index.name)} ({', '.join(_part(part) for part in index.parts)})"


def _part(part: IndexPart) -> str:
    what = quoted(part.column) if part.column is not None else f"({part.expression})"
    size = f"({part.prefix})" if part.prefix else ""
    return f"{what}{size} DESC" if part.descending else f"{what}{size}"
