"""Keys, indexes, foreign keys, checks and sequences, out of PostgreSQL's catalogue."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg.sql import SQL, Identifier, Literal

from rowferry.connectors.postgres.versions import spelled
from rowferry.model.tables import Check, Column, ForeignKey, Index, IndexPart, TableName

Session = psycopg.Connection[tuple[Any, ...]]

INDEXES = """
SELECT i.indrelid::int8, c.relname::text, am.amname::text, i.indisprimary, i.indisunique, i.indimmediate,
       pg_get_expr(i.indpred, i.indrelid),
       ARRAY(SELECT a.attname::text
             FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS k(number, at)
             LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number AND k.number > 0
             WHERE k.at <= {index_keys} ORDER BY k.at),
       ARRAY(SELECT pg_get_indexdef(i.indexrelid, at, true) FROM generate_series(1, {index_keys}) AS at),
       ARRAY(SELECT option & 1 = 1
             FROM unnest(i.indoption::int2[]) WITH ORDINALITY AS o(option, at) WHERE at <= {index_keys} ORDER BY at)
FROM pg_index i
JOIN pg_class c ON c.oid = i.indexrelid
JOIN pg_am am ON am.oid = c.relam
WHERE i.indrelid = ANY(%(oids)s::oid[]) AND i.indisvalid AND NOT i.indisexclusion
ORDER BY i.indrelid, c.relname::text COLLATE "C"
"""

CONSTRAINTS = """
SELECT c.conrelid::int8, c.contype::text, c.conname::text, pg_get_expr(c.conbin, c.conrelid),
       ARRAY(SELECT a.attname::text FROM unnest(c.conkey) WITH ORDINALITY AS k(number, at)
             JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.number ORDER BY k.at),
       n.nspname::text, r.relname::text,
       ARRAY(SELECT a.attname::text FROM unnest(c.confkey) WITH ORDINALITY AS k(number, at)
             JOIN pg_attribute a ON a.attrelid = c.confrelid AND a.attnum = k.number ORDER BY k.at),
       c.confupdtype::text, c.confdeltype::text
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
SELECT used.relation::int8, a.attname::text, n.nspname::text, c.relname::text, s.seqincrement
FROM used
JOIN pg_class c ON c.oid = used.sequence AND c.relkind = 'S'
JOIN pg_sequence s ON s.seqrelid = c.oid
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = used.relation AND a.attnum = used.number
WHERE has_sequence_privilege(c.oid, 'SELECT')
"""
"""The sequence behind each identity column, and behind each default that draws from one."""

_ACTIONS = {"a": "NO ACTION", "r": "RESTRICT", "c": "CASCADE", "n": "SET NULL", "d": "SET DEFAULT"}


@dataclass(slots=True)
class Keys:
    """One table's indexes. `candidates`: the columns of each that could serve as a key, were none of them NULL."""

    primary: tuple[str, ...] = ()
    indexes: list[Index] = field(default_factory=list)
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
    name, method, primary, unique, immediate, predicate, columns, definitions, descending = row
    if primary:
        keys.primary = tuple(columns)
        return
    parts = tuple(
        IndexPart(column=column, expression=None if column else definition, descending=bool(backwards))
        for column, definition, backwards in zip(columns, definitions, descending, strict=True)
    )
    keys.indexes.append(Index(name=name, parts=parts, unique=unique, method=method, predicate=predicate))
    if unique and immediate and predicate is None and None not in columns:
        keys.candidates.append(tuple(columns))


def _add_constraint(structure: Structure, row: tuple[Any, ...]) -> None:
    oid, kind, name, expression, columns, schema, table, referenced, on_update, on_delete = row
    if kind == "c":
        structure.checks[oid].append(Check(name, expression))
        return
    structure.foreign_keys[oid].append(
        ForeignKey(
            name=name,
            columns=tuple(columns),
            referenced=TableName(schema, table),
            referenced_columns=tuple(referenced),
            on_update=_ACTIONS[on_update],
            on_delete=_ACTIONS[on_delete],
        )
    )


def next_values(connection: Session, oids: Sequence[int]) -> Mapping[tuple[int, str], int]:
    """By table and column, the number its sequence gives next; two queries. A sequence we may not see is left out."""
    rows = connection.execute(SEQUENCES.encode(), {"oids": oids}).fetchall()
    if not rows:
        return {}
    parts = [
        SQL("SELECT {}::int, CASE WHEN is_called THEN last_value + {}::numeric ELSE last_value END FROM {}").format(
            Literal(at), Literal(increment), Identifier(schema, name)
        )
        for at, (_, _, schema, name, increment) in enumerate(rows)
    ]
    values: dict[int, int] = dict(connection.execute(SQL(" UNION ALL ").join(parts)).fetchall())
    return {(oid, column): int(values[at]) for at, (oid, column, *_) in enumerate(rows)}
