"""Keys, indexes, foreign keys, checks and sequences, out of PostgreSQL's catalogue."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import psycopg
from psycopg.sql import SQL, Identifier, Literal

from rowferry.connectors.postgres.versions import spelled
from rowferry.model.tables import Check, Column, ForeignKey, Index, IndexPart, NativeIndex, Numbering, TableName

Session = psycopg.Connection[tuple[Any, ...]]

INDEXES = """
SELECT i.indrelid::int8, c.relname::text, am.amname::text, i.indisprimary, i.indisunique, i.indimmediate,
       i.indisexclusion, pg_get_expr(i.indpred, i.indrelid),
       ARRAY(SELECT a.attname::text
             FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS k(number, at)
             LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number AND k.number > 0
             WHERE k.at <= {index_keys} ORDER BY k.at),
       ARRAY(SELECT pg_get_indexdef(i.indexrelid, at, true) FROM generate_series(1, {index_keys}) AS at),
       ARRAY(SELECT option & 1 = 1
             FROM unnest(i.indoption::int2[]) WITH ORDINALITY AS o(option, at) WHERE at <= {index_keys} ORDER BY at),
       CASE WHEN k.oid IS NOT NULL THEN 'CONSTRAINT' WHEN i.indisunique THEN 'UNIQUE INDEX' ELSE 'INDEX' END,
       CASE WHEN k.oid IS NOT NULL THEN pg_get_constraintdef(k.oid)
            ELSE substr(pg_get_indexdef(i.indexrelid), 1 + length(format(
                'CREATE %%sINDEX %%I ON %%s%%I.%%I ', CASE WHEN i.indisunique THEN 'UNIQUE ' ELSE '' END, c.relname,
                CASE c.relkind WHEN 'I' THEN 'ONLY ' ELSE '' END, n.nspname, r.relname)))
       END,
       CASE WHEN k.contype IN ('p', 'u') THEN c.reloptions ELSE NULL END,
       coalesce(obj_description(k.oid, 'pg_constraint'), ''), coalesce(obj_description(c.oid, 'pg_class'), '')
FROM pg_index i
JOIN pg_class c ON c.oid = i.indexrelid
JOIN pg_am am ON am.oid = c.relam
JOIN pg_class r ON r.oid = i.indrelid
JOIN pg_namespace n ON n.oid = r.relnamespace
LEFT JOIN pg_constraint k ON k.conindid = c.oid AND k.conrelid = r.oid AND k.contype IN ('p', 'u', 'x')
WHERE i.indrelid = ANY(%(oids)s::oid[]) AND i.indisvalid
ORDER BY i.indrelid, c.relname::text COLLATE "C"
"""

CONSTRAINTS = """
SELECT c.conrelid::int8, c.contype::text, c.conname::text, pg_get_expr(c.conbin, c.conrelid),
       ARRAY(SELECT a.attname::text FROM unnest(c.conkey) WITH ORDINALITY AS k(number, at)
             JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.number ORDER BY k.at),
       n.nspname::text, r.relname::text,
       ARRAY(SELECT a.attname::text FROM unnest(c.confkey) WITH ORDINALITY AS k(number, at)
             JOIN pg_attribute a ON a.attrelid = c.confrelid AND a.attnum = k.number ORDER BY k.at),
       c.confupdtype::text, c.confdeltype::text, coalesce(c.confmatchtype = 'f', false),
       CASE WHEN c.condeferred THEN 'DEFERRABLE INITIALLY DEFERRED' WHEN c.condeferrable THEN 'DEFERRABLE' ELSE '' END,
       ARRAY(SELECT a.attname::text FROM unnest({set_columns}) WITH ORDINALITY AS k(number, at)
             JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.number ORDER BY k.at),
       {periods}, NOT c.connoinherit, {enforced}, c.convalidated OR NOT {enforced},
       coalesce(obj_description(c.oid, 'pg_constraint'), '')
FROM pg_constraint c
LEFT JOIN pg_class r ON r.oid = c.confrelid
LEFT JOIN pg_namespace n ON n.oid = r.relnamespace
WHERE c.conrelid = ANY(%(oids)s::oid[]) AND c.contype IN ('f', 'c') AND {of_no_partition}
ORDER BY c.conrelid, c.conname::text COLLATE "C"
"""
"""Foreign keys and checks, without the copies that PostgreSQL keeps for partitions."""

SEQUENCES = """
WITH used AS (
    SELECT d.refobjid AS relation, d.refobjsubid AS number, d.objid AS sequence
    FROM pg_depend d
    WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.deptype = 'i'
      AND d.refobjsubid > 0 AND d.refobjid = ANY(%(oids)s::oid[])
    UNION
    SELECT f.adrelid, f.adnum, d.refobjid
    FROM pg_attrdef f
    JOIN pg_depend d ON d.classid = 'pg_attrdef'::regclass AND d.objid = f.oid AND d.refclassid = 'pg_class'::regclass
    WHERE f.adrelid = ANY(%(oids)s::oid[])
)
SELECT used.relation::int8, a.attname::text, n.nspname::text, c.relname::text,
       has_sequence_privilege(c.oid, 'SELECT'), a.attidentity = 'a', s.seqincrement,
       nullif(s.seqstart, CASE WHEN s.seqincrement > 0 THEN s.seqmin ELSE s.seqmax END),
       nullif(s.seqmin, CASE WHEN s.seqincrement > 0 THEN 1 ELSE -most.value - 1 END),
       nullif(s.seqmax, CASE WHEN s.seqincrement > 0 THEN most.value ELSE -1 END),
       s.seqcache, s.seqcycle
FROM used
JOIN pg_class c ON c.oid = used.sequence AND c.relkind = 'S'
JOIN pg_sequence s ON s.seqrelid = c.oid
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = used.relation AND a.attnum = used.number
CROSS JOIN LATERAL (
    SELECT CASE s.seqtypid WHEN 21 THEN 32767 WHEN 23 THEN 2147483647 ELSE 9223372036854775807 END
) AS most(value)
"""
"""The sequence behind each identity column, and behind each default that draws from one.

Bounds and start are NULL where they are what the server chooses for the sequence's type (smallint, int, bigint).
"""

_ACTIONS = {"a": "NO ACTION", "r": "RESTRICT", "c": "CASCADE", "n": "SET NULL", "d": "SET DEFAULT"}


@dataclass(slots=True)
class Keys:
    """One table's indexes. `native` is the primary key's.

    `candidates`: the columns of each that could serve as a key, were none of them NULL.
    """

    primary: tuple[str, ...] = ()
    indexes: list[Index] = field(default_factory=list)
    native: NativeIndex | None = None
    exclusions: list[NativeIndex] = field(default_factory=list)
    candidates: list[tuple[str, ...]] = field(default_factory=list)

    def unique(self, columns: Sequence[Column]) -> tuple[str, ...]:
        """The shortest candidate whose columns are all not null, or nothing."""
        filled = {column.name for column in columns if not column.nullable}
        return min((key for key in self.candidates if filled.issuperset(key)), key=len, default=())


@dataclass(slots=True)
class Structure:
    """What belongs to tables beside their columns, by the tables' oids."""

    keys: dict[int, Keys]
    foreign_keys: defaultdict[int, list[ForeignKey]]
    checks: defaultdict[int, list[Check]]


def load_structure(connection: Session, oids: Sequence[int]) -> Structure:
    """Keys, indexes, foreign keys and checks of these tables, in two queries."""
    version = connection.info.server_version
    structure = Structure({}, defaultdict(list), defaultdict(list))
    for row in connection.execute(spelled(INDEXES, version), {"oids": oids}):
        _add_index(structure.keys.setdefault(row[0], Keys()), row[1:])
    for row in connection.execute(spelled(CONSTRAINTS, version), {"oids": oids}):
        _add_constraint(structure, row)
    return structure


def _add_index(keys: Keys, row: tuple[Any, ...]) -> None:
    name, method, primary, unique, immediate, exclusion, predicate, columns, definitions, descending, *words = row
    kind, definition, options, comment, index_comment = words
    native = NativeIndex(name, kind, definition, tuple(options or ()), comment, index_comment)
    if exclusion:
        keys.exclusions.append(native)
        return
    if primary:
        keys.primary, keys.native = tuple(columns), native
        return
    parts = tuple(
        IndexPart(column=column, expression=None if column else definition, descending=bool(backwards))
        for column, definition, backwards in zip(columns, definitions, descending, strict=True)
    )
    # Before 10.3 a server did not write the schema that the definition was cut off behind.
    cut = kind == "CONSTRAINT" or definition.startswith("USING ")
    keys.indexes.append(Index(name, parts, unique, method, predicate, native if cut else None))
    if unique and immediate and predicate is None and None not in columns:
        keys.candidates.append(tuple(columns))


def _add_constraint(structure: Structure, row: tuple[Any, ...]) -> None:
    oid, kind, name, expression, columns, schema, table, referenced, on_update, on_delete, *more = row
    match_full, timing, set_columns, period, inherited, enforced, validated, comment = more
    if kind == "c":
        structure.checks[oid].append(Check(name, expression, inherited, enforced, validated, comment))
        return
    structure.foreign_keys[oid].append(
        ForeignKey(
            name=name,
            columns=tuple(columns),
            referenced=TableName(schema, table),
            referenced_columns=tuple(referenced),
            on_update=_ACTIONS[on_update],
            on_delete=_ACTIONS[on_delete],
            match_full=match_full and len(columns) > 1,
            timing=timing,
            set_columns=tuple(set_columns),
            period=period,
            enforced=enforced,
            validated=validated,
            comment=comment,
        )
    )


def load_numbering(connection: Session, oids: Sequence[int]) -> Mapping[tuple[int, str], Numbering]:
    """By table and column, what its sequence is like; two queries. One that we may not read has no `following`."""
    rows = connection.execute(SEQUENCES.encode(), {"oids": oids}).fetchall()
    parts = [
        SQL("SELECT {}::int, CASE WHEN is_called THEN last_value + {}::numeric ELSE last_value END FROM {}").format(
            Literal(at), Literal(increment), Identifier(schema, name)
        )
        for at, (_, _, schema, name, readable, _, increment, *_) in enumerate(rows)
        if readable
    ]
    found = connection.execute(SQL(" UNION ALL ").join(parts)).fetchall() if parts else []
    values = {at: int(value) for at, value in found}
    return {
        (oid, column): replace(Numbering(*options), following=values.get(at))
        for at, (oid, column, _, _, _, *options) in enumerate(rows)
    }
