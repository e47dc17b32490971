"""PostgreSQL's statements, from a planned table. Every name in it is the target's own already."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rowferry.connectors.postgres.names import literal, qualified, quoted, quoted_list
from rowferry.model.tables import (
    Check,
    Column,
    Default,
    DefaultKind,
    ForeignKey,
    Index,
    IndexPart,
    NativeIndex,
    Numbering,
    Table,
    TableName,
)


def place(name: TableName) -> str:
    """The table's name as SQL."""
    return qualified(name.schema, name.name)


def places(names: Iterable[TableName]) -> str:
    """Several tables' names, with commas between."""
    return ", ".join(place(name) for name in names)


def create_database(name: str) -> str:
    """A database like the server's own template."""
    return f"CREATE DATABASE {quoted(name)}"


def create_schema(name: str) -> str:
    """A schema of ours."""
    return f"CREATE SCHEMA {quoted(name)}"


def create_enum(schema: str, name: str, members: Sequence[str]) -> str:
    """An enum type with its members in order."""
    return f"CREATE TYPE {qualified(schema, name)} AS ENUM ({', '.join(literal(member) for member in members)})"


def create_table(table: Table) -> str:
    """The table with its columns, NOT NULL and defaults; keys and all else come after the rows."""
    columns = ",\n  ".join(_column(column) for column in table.columns)
    return f"CREATE TABLE {place(table.name)} (\n  {columns}\n)"


def add_column(table: TableName, column: Column) -> str:
    """One more column, with NOT NULL and its default."""
    return f"ALTER TABLE {place(table)} ADD COLUMN {_column(column)}"


def drop_column(table: TableName, name: str) -> str:
    """Take a column away, with the indexes and constraints that it is part of."""
    return f"ALTER TABLE {place(table)} DROP COLUMN {quoted(name)}"


def rename_column(table: TableName, old: str, new: str) -> str:
    """Call a column otherwise."""
    return f"ALTER TABLE {place(table)} RENAME COLUMN {quoted(old)} TO {quoted(new)}"


def change_type(table: TableName, column: Column) -> str:
    """Give a column the type that it has here, with the values that it holds."""
    declared = column.native.declared
    collation = f" COLLATE {column.native.collation}" if column.native.collation else ""
    name = quoted(column.name)
    return f"ALTER TABLE {place(table)} ALTER COLUMN {name} TYPE {declared}{collation} USING {name}::{declared}"


def change_null(table: TableName, column: Column) -> str:
    """Let a column be NULL, or forbid it."""
    action = "DROP" if column.nullable else "SET"
    return f"ALTER TABLE {place(table)} ALTER COLUMN {quoted(column.name)} {action} NOT NULL"


def add_member(enum: str, member: str, after: str | None) -> str:
    """One more member of an enum type (as SQL), behind another; None: as the first."""
    spot = f"AFTER {literal(after)}" if after is not None else ""
    return f"ALTER TYPE {enum} ADD VALUE IF NOT EXISTS {literal(member)} {spot}"


def drop_tables(names: Sequence[TableName]) -> str:
    """All in one statement, so that references between them are no hindrance."""
    return f"DROP TABLE {places(names)}"


def truncate(names: Sequence[TableName]) -> str:
    """All in one statement, so that references between them are no hindrance."""
    return f"TRUNCATE {places(names)}"


def add_primary_key(table: Table) -> str:
    """The plain key; where nobody named the constraint, the server does."""
    named = f"CONSTRAINT {quoted(table.native_key.name)} " if table.native_key else ""
    return f"ALTER TABLE {place(table.name)} ADD {named}PRIMARY KEY ({quoted_list(table.primary_key)})"


def in_own_words(table: TableName, index: NativeIndex) -> list[str]:
    """An index, or a constraint with one, as the source's server says it; with its comments."""
    name, full = quoted(index.name), qualified(table.schema, index.name)
    if index.kind == "CONSTRAINT":
        statements = [restore_constraint(table, index.name, index.definition)]
    else:
        statements = [f"CREATE {index.kind} {name} ON {place(table)} {index.definition}"]
    options = [f"{quoted(key)} = {literal(value)}" for key, _, value in (each.partition("=") for each in index.options)]
    statements += [f"ALTER INDEX {full} SET ({', '.join(options)})"] if options else []
    statements += [f"COMMENT ON INDEX {full} IS {literal(index.index_comment)}"] if index.index_comment else []
    return statements + comment_constraint(table, index.name, index.comment)


def comment_constraint(table: TableName, name: str, comment: str) -> list[str]:
    """The comment of a constraint, if there is one."""
    return [f"COMMENT ON CONSTRAINT {quoted(name)} ON {place(table)} IS {literal(comment)}"] if comment else []


def make_unlogged(table: TableName) -> str:
    """Leave the table's rows out of the server's log."""
    return f"ALTER TABLE {place(table)} SET UNLOGGED"


def create_index(table: TableName, index: Index) -> str:
    """An index; its expressions and predicate are PostgreSQL's already."""
    parts = ", ".join(_part(part) for part in index.parts)
    where = f" WHERE {index.predicate}" if index.predicate else ""
    unique = "UNIQUE " if index.unique else ""
    return f"CREATE {unique}INDEX {quoted(index.name)} ON {place(table)} USING {quoted(index.method)} ({parts}){where}"


def add_check(table: TableName, check: Check) -> str:
    """A check constraint."""
    further = ("" if check.inherited else " NO INHERIT") + ("" if check.enforced else " NOT ENFORCED")
    return f"ALTER TABLE {place(table)} ADD CONSTRAINT {quoted(check.name)} CHECK ({check.expression}){further}"


def add_foreign_key(table: TableName, key: ForeignKey) -> str:
    """A foreign key with its actions and all that PostgreSQL says besides."""
    columns, there = ([quoted(name) for name in names] for names in (key.columns, key.referenced_columns))
    if key.period:
        columns[-1], there[-1] = f"PERIOD {columns[-1]}", f"PERIOD {there[-1]}"
    only = f" ({quoted_list(key.set_columns)})" if key.set_columns else ""
    words = (
        f"ALTER TABLE {place(table)} ADD CONSTRAINT {quoted(key.name)} FOREIGN KEY ({', '.join(columns)})",
        f"REFERENCES {place(key.referenced)} ({', '.join(there)})",
        "MATCH FULL" if key.match_full else "",
        f"ON UPDATE {key.on_update} ON DELETE {key.on_delete}{only}",
        key.timing,
        "" if key.enforced else "NOT ENFORCED",
    )
    return " ".join(word for word in words if word)


def drop_constraint(table: TableName, name: str) -> str:
    """Take a constraint off a table."""
    return f"ALTER TABLE {place(table)} DROP CONSTRAINT {quoted(name)}"


def restore_constraint(table: TableName, name: str, definition: str) -> str:
    """Put a constraint back, `definition` being pg_get_constraintdef's."""
    return f"ALTER TABLE {place(table)} ADD CONSTRAINT {quoted(name)} {definition}"


def add_identity(table: TableName, column: str, numbering: Numbering) -> str:
    """Let the server number the column; without more about it, numbers that are given are taken."""
    when = "ALWAYS" if numbering.always else "BY DEFAULT"
    options = [f"{word} {int(value)}" for word, value in _options(numbering) if value is not None]
    options += ["CYCLE"] if numbering.cycle else []
    further = f" ({' '.join(options)})" if options else ""
    return f"ALTER TABLE {place(table)} ALTER COLUMN {quoted(column)} ADD GENERATED {when} AS IDENTITY{further}"


def _options(numbering: Numbering) -> list[tuple[str, int | None]]:
    return [
        ("INCREMENT BY", numbering.increment if numbering.increment != 1 else None),
        ("MINVALUE", numbering.lowest),
        ("MAXVALUE", numbering.highest),
        ("START WITH", numbering.start),
        ("CACHE", numbering.cache if numbering.cache != 1 else None),
    ]


def forbid_null(table: TableName, column: str) -> str:
    """An identity cannot be NULL."""
    return f"ALTER TABLE {place(table)} ALTER COLUMN {quoted(column)} SET NOT NULL"


def move_sequence(table: TableName, column: str, following: int, sequence: str | None = None) -> str:
    """Let numbers go on beyond every row and `following`, up or down as the sequence goes.

    `sequence`: also not back from where that one, which is the column's, stands; none: it has given out nothing.
    """
    given = "CASE WHEN is_called THEN 1 ELSE 0 END"
    stands = f"(SELECT last_value::numeric + {given} FROM {sequence})" if sequence else "NULL"
    falls = f"(SELECT last_value::numeric - {given} FROM {sequence})" if sequence else "NULL"
    return (
        f"WITH s AS (SELECT seqrelid::regclass AS seq, seqmax, seqmin, seqincrement < 0 AS down FROM pg_sequence "
        f"WHERE seqrelid = pg_get_serial_sequence({literal(place(table))}, {literal(column)})::regclass), "
        f"r AS (SELECT max({quoted(column)})::numeric AS most, min({quoted(column)})::numeric AS least "
        f"FROM {place(table)}), "
        f"n AS (SELECT CASE WHEN down THEN least({int(following)}::numeric, r.least - 1, {falls}) "
        f"ELSE greatest({int(following)}::numeric, r.most + 1, {stands}) END AS next FROM r, s) "
        "SELECT setval(seq, greatest(least(next, seqmax), seqmin)::bigint, "
        "CASE WHEN down THEN next < seqmin ELSE next > seqmax END) FROM n, s"
    )


def own_sequence(table: TableName, column: str, sequence: str) -> list[str]:
    """The same for a column that is too wide for an identity: a sequence that belongs to it."""
    name = qualified(table.schema, sequence)
    return [
        f"CREATE SEQUENCE {name} OWNED BY {place(table)}.{quoted(column)}",
        f"ALTER TABLE {place(table)} ALTER COLUMN {quoted(column)} SET DEFAULT nextval({literal(name)}::regclass)",
    ]


def comments(table: Table) -> list[str]:
    """The comments of the table and its columns, as far as there are any."""
    statements = [f"COMMENT ON TABLE {place(table.name)} IS {literal(table.comment)}"] if table.comment else []
    statements += [
        f"COMMENT ON COLUMN {place(table.name)}.{quoted(column.name)} IS {literal(column.comment)}"
        for column in table.columns
        if column.comment
    ]
    return statements


def sql_default(expression: str) -> Default:
    """A default in PostgreSQL's words."""
    return Default(DefaultKind.EXPRESSION, expression)


def _column(column: Column) -> str:
    needed = "" if column.nullable else " NOT NULL"
    collation = f" COLLATE {column.native.collation}" if column.native.collation else ""
    default = f" DEFAULT {column.default.value}" if column.default else ""
    if column.generated:
        default = f" GENERATED ALWAYS AS ({column.generated}) STORED"
    return f"{quoted(column.name)} {column.native.declared}{collation}{needed}{default}"


def _part(part: IndexPart) -> str:
    what = quoted(part.column) if part.column is not None else f"({part.expression})"
    return f"{what} DESC" if part.descending else what
