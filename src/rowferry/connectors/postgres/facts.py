"""What is on the target already, as far as a plan must know it; a constant number of queries."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import sql

from rowferry.config.connection import Connection
from rowferry.connectors.postgres.connect import connect, database_name, translate
from rowferry.connectors.postgres.names import literal, qualified
from rowferry.connectors.postgres.types_write import TEXTS
from rowferry.connectors.postgres.versions import Since, spelled
from rowferry.errors import ConnectionFailed, RowferryError
from rowferry.model.tables import NativeType

PLAIN_KINDS = frozenset("rp")
"""Kinds of relation that take rows: tables and partitioned tables."""


@dataclass(frozen=True, slots=True)
class ExistingColumn:
    """A column that is there. `filled`: the server gives it a value when nobody writes one."""

    name: str
    native: NativeType
    nullable: bool
    filled: bool
    generated: bool


@dataclass(frozen=True, slots=True)
class Relation:
    """Something that has a name in the schema; `owner` is the table that an index or sequence belongs to."""

    name: str
    kind: str
    owner: str | None = None


@dataclass(frozen=True)
class Facts:
    """The target's schema. `keys`: the unique keys of each wanted table, the primary key first.

    `foreign_keys`: name and definition of those that lead from a wanted table to another wanted table.
    """

    database: bool = True
    schema: bool = True
    relations: Mapping[str, Relation] = field(default_factory=dict)
    columns: Mapping[str, Sequence[ExistingColumn]] = field(default_factory=dict)
    keys: Mapping[str, Sequence[tuple[str, ...]]] = field(default_factory=dict)
    foreign_keys: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    enums: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


_RELATIONS = """
SELECT c.relname, c.relkind, coalesce(it.relname, st.relname)
FROM pg_class c
LEFT JOIN pg_index i ON i.indexrelid = c.oid
LEFT JOIN pg_class it ON it.oid = i.indrelid
LEFT JOIN pg_depend d ON d.objid = c.oid AND c.relkind = 'S' AND d.deptype IN ('a', 'i')
    AND d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass
LEFT JOIN pg_class st ON st.oid = d.refobjid
WHERE c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = %s)
"""

_COLUMNS = """
SELECT c.relname, a.attname, coalesce(b.typname, t.typname), format_type(a.atttypid, a.atttypmod),
       CASE WHEN t.typtype = 'd' THEN t.typtypmod ELSE a.atttypmod END, coalesce(b.typtype, t.typtype),
       NOT (a.attnotnull OR t.typnotnull), a.atthasdef OR a.attidentity <> '' OR t.typdefault IS NOT NULL,
       {generated},
       (SELECT array_agg(e.enumlabel::text ORDER BY e.enumsortorder) FROM pg_enum e
         WHERE e.enumtypid = coalesce(b.oid, t.oid))
FROM pg_class c
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_type t ON t.oid = a.atttypid
LEFT JOIN pg_type b ON t.typtype = 'd' AND b.oid = t.typbasetype
WHERE c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = %s) AND c.relname = ANY(%s)
  AND c.relkind IN ('r', 'p')
ORDER BY c.relname, a.attnum
"""

_KEYS = """
SELECT c.relname,
       array(SELECT a.attname::text FROM unnest(i.indkey::int2[]) WITH ORDINALITY k(number, place)
             JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.number ORDER BY k.place)
FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
WHERE c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = %s) AND c.relname = ANY(%s)
  AND i.indisunique AND i.indisvalid AND i.indimmediate AND i.indpred IS NULL AND i.indexprs IS NULL
  AND {index_keys} = i.indnatts
ORDER BY c.relname, i.indisprimary DESC, i.indnatts, i.indexrelid
"""

_FOREIGN_KEYS = """
SELECT t.relname, c.conname, pg_get_constraintdef(c.oid)
FROM pg_constraint c JOIN pg_class t ON t.oid = c.conrelid JOIN pg_class r ON r.oid = c.confrelid
WHERE c.contype = 'f' AND {of_no_partition}
  AND t.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = %s) AND t.relname = ANY(%s)
  AND r.relnamespace = t.relnamespace AND r.relname = ANY(%s)
"""

_ENUMS = """
SELECT t.typname, array_agg(e.enumlabel::text ORDER BY e.enumsortorder)
FROM pg_type t JOIN pg_enum e ON e.enumtypid = t.oid
WHERE t.typnamespace = (SELECT oid FROM pg_namespace WHERE nspname = %s) GROUP BY t.typname
"""

Session = psycopg.Connection[tuple[Any, ...]]


def open_database(connection: Connection, database: str) -> tuple[Session, bool]:
    """A session in `database`, or beside it where it does not exist yet; and whether it exists."""
    try:
        return connect(connection, database), True
    except ConnectionFailed as refused:
        beside = _beside(connection, database)
        if beside is None:
            raise
        try:
            there = beside.execute("SELECT 1 FROM pg_database WHERE datname = %s", (database,)).fetchone()
        except psycopg.Error as error:
            beside.close()
            raise translate(error, "looking for the target database") from error
        if there is not None:
            beside.close()
            raise refused
        return beside, False


def _beside(connection: Connection, database: str) -> Session | None:
    for other in dict.fromkeys((database_name(connection, None), "postgres", "template1")):
        if other != database:
            try:
                return connect(connection, other)
            except RowferryError:
                continue
    return None


def read_facts(session: Session, schema: str, names: Iterable[str]) -> Facts:
    """The schema's names, and more about those of its tables that are called one of `names`."""
    wanted, version = list(names), session.info.server_version
    with session.transaction():
        found = session.execute("SELECT 1 FROM pg_namespace WHERE nspname = %s", (schema,)).fetchone()
        if found is None:
            return Facts(schema=False)
        references = session.execute(spelled(_FOREIGN_KEYS, version), (schema, wanted, wanted)).fetchall()
        return Facts(
            relations={r[0]: Relation(*r) for r in session.execute(_RELATIONS, (schema,))},
            columns=_grouped((r[0], _column(r)) for r in session.execute(spelled(_COLUMNS, version), (schema, wanted))),
            keys=_grouped((r[0], tuple(r[1])) for r in session.execute(spelled(_KEYS, version), (schema, wanted))),
            foreign_keys={
                table: dict(pairs) for table, pairs in _grouped((r[0], (r[1], r[2])) for r in references).items()
            },
            enums={r[0]: tuple(r[1]) for r in session.execute(_ENUMS, (schema,))},
        )


def computes(session: Session) -> bool:
    """Whether the server has computed columns."""
    return session.info.server_version >= Since.COMPUTED_COLUMNS


def not_empty(session: Session, schema: str, names: Sequence[str]) -> list[str]:
    """Those of the tables that hold at least one row; one query, one row of each table at most."""
    if not names:
        return []
    parts = [f"SELECT {literal(name)} WHERE EXISTS (SELECT 1 FROM {qualified(schema, name)} LIMIT 1)" for name in names]
    rows = session.execute(sql.SQL(" UNION ALL ".join(parts).replace("{", "{{").replace("}", "}}")).format())
    return sorted(str(row[0]) for row in rows)


def missing_types(session: Session, declared: Iterable[str]) -> set[str]:
    """Those of the declarations whose type the target does not know."""
    wanted = sorted(set(declared))
    if not wanted:
        return set()
    rows = session.execute("SELECT d FROM unnest(%s::text[]) d WHERE to_regtype(d) IS NULL", (wanted,))
    return {str(row[0]) for row in rows}


def _grouped(pairs: Iterable[tuple[str, Any]]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    return found


def _column(row: tuple[Any, ...]) -> ExistingColumn:
    _, name, base, declared, modifier, kind, nullable, filled, generated, members = row
    length, precision, scale = _modifier(base, modifier)
    native = NativeType(
        name=base,
        declared=declared,
        kind="enum" if kind == "e" else "base",
        members=tuple(members or ()),
        length=length,
        precision=precision,
        scale=scale,
    )
    return ExistingColumn(name, native, nullable, filled, bool(generated))


def _modifier(name: str, modifier: int) -> tuple[int | None, int | None, int | None]:
    """Length, precision and scale out of a type modifier; -1 says there is none."""
    if name in TEXTS or name == "bpchar":
        return (modifier - 4 if modifier >= 4 else None), None, None
    if name in ("bit", "varbit"):
        return (modifier if modifier >= 0 else None), None, None
    if name == "numeric":
        return (None, (modifier - 4) >> 16 & 0xFFFF, _scale(modifier - 4)) if modifier >= 4 else (None, None, None)
    if name == "interval":
        return None, _interval_precision(modifier), None
    return None, (modifier if modifier >= 0 else 6), None


def _scale(packed: int) -> int:
    """Eleven bits, signed since PostgreSQL 15."""
    return ((packed & 0x7FF) ^ 1024) - 1024


def _interval_precision(modifier: int) -> int:
    """The digits of a second, or 0 where the interval keeps only some of its fields."""
    if modifier < 0:
        return 6
    if modifier >> 16 & 0x7FFF != 0x7FFF:
        return 0
    return 6 if modifier & 0xFFFF == 0xFFFF else modifier & 0xFFFF
