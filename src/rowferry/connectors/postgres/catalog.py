"""The structure of tables, out of PostgreSQL's catalogue, in a number of queries that does not grow with them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, NamedTuple

import psycopg

from rowferry.connectors.postgres.chunks import Storage
from rowferry.connectors.postgres.connect import translate
from rowferry.connectors.postgres.defaults import classify, is_next_value
from rowferry.connectors.postgres.natives import Natives, load_natives
from rowferry.connectors.postgres.remarks import load_besides, load_remarks
from rowferry.connectors.postgres.structure import Keys, Structure, load_numbering, load_structure
from rowferry.connectors.postgres.types import neutral_type
from rowferry.connectors.postgres.versions import Since, spelled
from rowferry.errors import InvalidInput, ReadFailed
from rowferry.model.findings import Remark
from rowferry.model.tables import Column, Default, Numbering, Table, TableName
from rowferry.model.types import Integer

Session = psycopg.Connection[tuple[Any, ...]]

OWN_SCHEMA = "_rowferry"
"""The schema of our journals; never the user's."""

_USERS = f"""
n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', '{OWN_SCHEMA}')
AND NOT EXISTS (
    SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'
)
"""
"""Neither the server's own, nor ours, nor part of an extension."""

_LISTING = f"""
SELECT n.nspname::text, c.relname::text
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind::text = ANY(%(kinds)s) AND NOT c.relispartition AND c.relpersistence <> 't'
  AND (cardinality(%(schemas)s::text[]) = 0 OR n.nspname = ANY(%(schemas)s))
  AND (%(system)s AND n.nspname !~ '^pg_(toast|temp)' OR {_USERS})
ORDER BY n.nspname::text COLLATE "C", c.relname::text COLLATE "C"
"""

TABLE_KINDS = ("r", "p")
VIEW_KINDS = ("v", "m")

RELATIONS = f"""
WITH RECURSIVE wanted AS (
    SELECT c.oid, n.nspname, c.relname, c.relkind, c.relpersistence
    FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relpersistence <> 't'
      AND (cardinality(%(schemas)s::text[]) = 0 OR n.nspname = ANY(%(schemas)s))
      AND (%(names)s::text[] IS NULL OR c.relname = ANY(%(names)s))
      AND (%(system)s AND n.nspname !~ '^pg_(toast|temp)' OR {_USERS})
), parts(root, oid) AS (
    SELECT oid, oid FROM wanted
    UNION ALL
    SELECT parts.root, i.inhrelid
    FROM parts JOIN pg_class c ON c.oid = parts.oid AND c.relkind = 'p' JOIN pg_inherits i ON i.inhparent = parts.oid
), sizes AS (
    SELECT parts.root, c.reltuples, c.relpages, pg_relation_size(c.oid) / current_setting('block_size')::int AS pages,
           pg_table_size(c.oid) AS bytes,
           (SELECT 28 + sum(CASE WHEN a.attlen > 0 THEN a.attlen ELSE 32 END)
            FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) AS width
    FROM parts JOIN pg_class c ON c.oid = parts.oid AND c.relkind <> 'p'
), estimates AS (
    SELECT root, sum(bytes)::int8 AS bytes,
           sum(CASE WHEN relpages > 0 AND reltuples >= 0 THEN reltuples::float8 / relpages * pages
                    ELSE pages * current_setting('block_size')::int / coalesce(width, 28) END)::int8 AS guess
    FROM sizes GROUP BY root
)
SELECT w.oid::int8, w.nspname::text, w.relname::text, coalesce(obj_description(w.oid, 'pg_class'), ''),
       coalesce(e.guess, 0), coalesce(e.bytes, 0), w.relpersistence = 'u'
FROM wanted w LEFT JOIN estimates e ON e.root = w.oid
ORDER BY w.nspname::text COLLATE "C", w.relname::text COLLATE "C"
"""
"""Base and partitioned tables; a partitioned one has the rows and bytes of its partitions.

Rows are what the planner would guess: the last count by ANALYZE scaled to today's pages, or pages filled with rows
of the columns' usual widths where nothing was ever counted.
"""

COLUMNS = """
SELECT a.attrelid::int8, a.attnum::int, a.attname::text, a.atttypid::int8, a.atttypmod,
       format_type(a.atttypid, a.atttypmod), NOT a.attnotnull, a.attidentity <> '', {generated},
       pg_get_expr(d.adbin, d.adrelid), coalesce(col_description(a.attrelid, a.attnum), ''),
       (SELECT format('%%I.%%I', n.nspname, o.collname)
        FROM pg_collation o JOIN pg_namespace n ON n.oid = o.collnamespace JOIN pg_type t ON t.oid = a.atttypid
        WHERE o.oid = a.attcollation AND o.oid <> t.typcollation AND o.collname <> 'default')
FROM pg_attribute a
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE a.attrelid = ANY(%(oids)s::oid[]) AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attrelid, a.attnum
"""

STORAGE = """
SELECT c.oid::int8, c.relkind = 'p',
       CASE WHEN c.relkind = 'r' AND (c.relam = 0 OR EXISTS (
           SELECT FROM pg_am WHERE pg_am.oid = c.relam AND pg_am.amname = 'heap'
       )) THEN pg_relation_size(c.oid) / current_setting('block_size')::int ELSE 0 END
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND c.relname = %s AND c.relkind IN ('r', 'p')
"""

DECLARED = """
SELECT attname::text, format_type(atttypid, atttypmod)
FROM pg_attribute WHERE attrelid = %s AND attnum > 0 AND NOT attisdropped
"""


class _Relation(NamedTuple):
    oid: int
    schema: str
    name: str
    comment: str
    rows: int
    size: int
    unlogged: bool


class _Attribute(NamedTuple):
    relation: int
    number: int
    name: str
    type: int
    modifier: int
    declared: str
    nullable: bool
    identity: bool
    generated: bool
    expression: str | None
    comment: str
    collation: str | None


def list_tables(connection: Session, schemas: Sequence[str] = (), include_system: bool = False) -> list[TableName]:
    """The base and partitioned tables of these schemas (none named: all), sorted; one quick query."""
    return _listed(connection, TABLE_KINDS, schemas, include_system)


def list_views(connection: Session, schemas: Sequence[str] = (), include_system: bool = False) -> list[TableName]:
    """The views, plain and materialized, in the same way."""
    return _listed(connection, VIEW_KINDS, schemas, include_system)


def _listed(connection: Session, kinds: Sequence[str], schemas: Sequence[str], system: bool) -> list[TableName]:
    try:
        rows = connection.execute(_LISTING, {"kinds": list(kinds), "schemas": list(schemas), "system": system})
        return [TableName(schema, name) for schema, name in rows]
    except psycopg.Error as error:
        raise translate(error, "listing tables", ReadFailed) from error


def describe(
    connection: Session,
    schemas: Sequence[str],
    names: Sequence[str] | None = None,
    *,
    include_system: bool = False,
) -> list[Table]:
    """The tables of these schemas (none named: every user schema) with their whole structure, sorted by name.

    `names` narrows it to tables so called, in whichever of the schemas. Names of types and functions in what
    comes back are as a session with `search_path = public` would write them.
    """
    wanted = {
        "schemas": list(schemas),
        "names": None if names is None else list(names),
        "system": include_system,
    }
    try:
        with public_names(connection):
            return _described(connection, [_Relation(*row) for row in connection.execute(RELATIONS, wanted)])
    except psycopg.Error as error:
        raise translate(error, "reading the structure of tables", ReadFailed) from error


def besides(connection: Session, schemas: Sequence[str]) -> list[Remark]:
    """What these schemas (none named: every user schema) hold beside tables."""
    return load_besides(connection, schemas, _USERS)


def has_schema(connection: Session, name: str) -> bool:
    """Whether there is such a schema."""
    return connection.execute("SELECT FROM pg_namespace WHERE nspname = %s", (name,)).rowcount > 0


def storage(connection: Session, table: TableName) -> tuple[Storage | None, dict[str, str]]:
    """How a table lies on disk (None: it is not there), and its columns' types as they are declared now."""
    with public_names(connection):
        found = connection.execute(STORAGE, (table.schema, table.name)).fetchone()
        if found is None:
            return None, {}
        oid, partitioned, blocks = found
        ranges = connection.info.server_version >= Since.BLOCK_RANGES
        declared: dict[str, str] = dict(connection.execute(DECLARED, (oid,)).fetchall())
    return Storage(partitioned, blocks if ranges else 0), declared


def query_columns(connection: Session, query: str) -> tuple[Column, ...]:
    """The columns that the query gives, without running it; InvalidInput when it cannot be read under their names."""
    with connection.cursor() as cursor:
        # Prepared, because that takes one statement only.
        cursor.execute(f"SELECT * FROM ({query}\n) AS query LIMIT 0".encode(), prepare=True)
        result = cursor.pgresult
        fields = [] if result is None else [_field(result, at) for at in range(result.nfields)]
    _check_names([name for name, _, _ in fields])
    with public_names(connection):
        declared = connection.execute(
            "SELECT format_type(type, modifier) FROM unnest(%s::oid[], %s::int4[]) AS f(type, modifier)",
            ([oid for _, oid, _ in fields], [modifier for _, _, modifier in fields]),
        ).fetchall()
        natives = load_natives(connection, (oid for _, oid, _ in fields))
    columns = []
    for (name, oid, modifier), (spelling,) in zip(fields, declared, strict=True):
        native = natives.native(oid, modifier, spelling)
        columns.append(Column(name=name, type=neutral_type(native), native=native))
    return tuple(columns)


def _field(result: psycopg.pq.abc.PGresult, at: int) -> tuple[str, int, int]:
    return (result.fname(at) or b"").decode(), result.ftype(at), result.fmod(at)


def _check_names(names: Sequence[str]) -> None:
    if not names:
        raise InvalidInput("The query gives no columns.")
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise InvalidInput(f"The query gives more than one column called {', '.join(doubled)}: name each with AS.")
    if "?column?" in names:
        raise InvalidInput("The query gives a column without a name: name it with AS.")


@contextmanager
def public_names(connection: Session) -> Iterator[None]:
    """A transaction in which the catalogue spells names as if nothing but `public` were in sight."""
    with connection.transaction():
        connection.execute("SET LOCAL search_path = public")
        yield


def _described(connection: Session, relations: Sequence[_Relation]) -> list[Table]:
    if not relations:
        return []
    oids = [relation.oid for relation in relations]
    version = connection.info.server_version
    attributes = [_Attribute(*row) for row in connection.execute(spelled(COLUMNS, version), {"oids": oids})]
    natives = load_natives(connection, (attribute.type for attribute in attributes))
    structure = load_structure(connection, oids)
    numbers = load_numbering(connection, oids)
    remarks = load_remarks(connection, oids)
    columns: defaultdict[int, list[Column]] = defaultdict(list)
    for attribute in attributes:
        numbering = numbers.get((attribute.relation, attribute.name))
        columns[attribute.relation].append(_column(attribute, natives, numbering))
    return [_table(relation, columns[relation.oid], structure, remarks.get(relation.oid, ())) for relation in relations]


def _column(attribute: _Attribute, natives: Natives, numbering: Numbering | None) -> Column:
    native = natives.native(attribute.type, attribute.modifier, attribute.declared)
    neutral = neutral_type(native)
    native = replace(native, collation=attribute.collation)
    expression = attribute.expression
    # A column that may be NULL is none that a server numbers: it would number the NULLs, too.
    numbered = (
        isinstance(neutral, Integer) and not attribute.nullable and expression is not None and is_next_value(expression)
    )
    default: Default | None = None
    if expression is not None and not attribute.generated and not numbered:
        default = classify(expression, native)
    return Column(
        name=attribute.name,
        type=neutral,
        native=native,
        nullable=attribute.nullable,
        default=default,
        identity=attribute.identity or numbered,
        numbering=numbering if attribute.identity or numbered else None,
        generated=expression if attribute.generated else None,
        comment=attribute.comment,
        number=attribute.number,
    )


def _table(
    relation: _Relation,
    columns: Sequence[Column],
    structure: Structure,
    remarks: Sequence[Remark],
) -> Table:
    keys = structure.keys.get(relation.oid, Keys())
    numbering = next((column.numbering for column in columns if column.identity), None)
    return Table(
        name=TableName(relation.schema, relation.name),
        columns=tuple(columns),
        primary_key=keys.primary,
        key=keys.primary or keys.unique(columns),
        indexes=tuple(keys.indexes),
        foreign_keys=tuple(structure.foreign_keys[relation.oid]),
        checks=tuple(structure.checks[relation.oid]),
        comment=relation.comment,
        estimated_rows=relation.rows,
        estimated_bytes=relation.size,
        next_identity=numbering.following if numbering else None,
        native_key=keys.native,
        exclusions=tuple(keys.exclusions),
        unlogged=relation.unlogged,
        remarks=tuple(remarks),
    )
