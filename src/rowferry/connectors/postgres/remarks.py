"""What PostgreSQL's tables have that no target takes over, or PostgreSQL alone: said, never lost in silence.

The last column of each query is the version since which another PostgreSQL can take it over, NULL where none does.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import psycopg

from rowferry.connectors.postgres.versions import spelled
from rowferry.model.findings import Remark, Severity

Session = psycopg.Connection[tuple[Any, ...]]

TABLES = """
SELECT c.oid::int8, NULL::text, NULL::text,
       ': is unlogged there; here it is an ordinary table.', 0
FROM pg_class c WHERE c.oid = ANY(%(oids)s::oid[]) AND c.relpersistence = 'u'
UNION ALL
SELECT c.oid::int8, NULL, NULL, ': is partitioned there by ' || pg_get_partkeydef(c.oid) || '; here it is one table.',
       NULL
FROM pg_class c WHERE c.oid = ANY(%(oids)s::oid[]) AND c.relkind = 'p'
UNION ALL
SELECT i.inhrelid::int8, NULL, NULL,
       ': inherits from ' || i.inhparent::regclass || ' there; here it is a table of its own.', NULL
FROM pg_inherits i WHERE i.inhrelid = ANY(%(oids)s::oid[])
UNION ALL
SELECT i.inhparent::int8, NULL, NULL,
       ': shows the rows of ' || string_agg(i.inhrelid::regclass::text, ', ' ORDER BY i.inhrelid::regclass::text)
       || ' there, which inherit from it; here it has its own rows alone.', NULL
FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhparent
WHERE i.inhparent = ANY(%(oids)s::oid[]) AND c.relkind = 'r' GROUP BY i.inhparent
UNION ALL
SELECT c.oid::int8, NULL, p.polname::text,
       ': the row-level security policy ' || p.polname || ' is left out, so the target shows every row.', NULL
FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid WHERE c.oid = ANY(%(oids)s::oid[])
UNION ALL
SELECT c.oid::int8, NULL, NULL, ': its row-level security is left out, so the target shows every row.', NULL
FROM pg_class c WHERE c.oid = ANY(%(oids)s::oid[]) AND c.relrowsecurity
  AND NOT EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid)
UNION ALL
SELECT g.tgrelid::int8, NULL, g.tgname::text, ': the trigger ' || g.tgname || ' is left out.', NULL
FROM pg_trigger g WHERE g.tgrelid = ANY(%(oids)s::oid[]) AND NOT g.tgisinternal AND {trigger_of_no_partition}
UNION ALL
SELECT r.ev_class::int8, NULL, r.rulename::text, ': the rule ' || r.rulename || ' is left out.', NULL
FROM pg_rewrite r WHERE r.ev_class = ANY(%(oids)s::oid[]) AND r.rulename <> '_RETURN'
"""

COLUMNS = """
SELECT a.attrelid::int8, a.attname::text, NULL::text,
       ', column ' || a.attname || ': its numbers are always the server''s there; here one that is given is taken.', 0
FROM pg_attribute a WHERE a.attrelid = ANY(%(oids)s::oid[]) AND a.attidentity = 'a'
UNION ALL
SELECT a.attrelid::int8, a.attname::text, NULL,
       ', column ' || a.attname || ': its numbers go by ' || s.seqincrement || ' there; here they go by 1.', 0
FROM pg_attribute a
JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = a.attrelid AND d.refobjsubid = a.attnum
  AND d.classid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
JOIN pg_sequence s ON s.seqrelid = d.objid
WHERE a.attrelid = ANY(%(oids)s::oid[]) AND a.attnum > 0 AND NOT a.attisdropped AND s.seqincrement <> 1
UNION ALL
SELECT a.attrelid::int8, a.attname::text, NULL,
       ', column ' || a.attname || ': its collation ' || o.collname || ' is not taken over.', 0
FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid JOIN pg_collation o ON o.oid = a.attcollation
WHERE a.attrelid = ANY(%(oids)s::oid[]) AND a.attnum > 0 AND NOT a.attisdropped
  AND a.attcollation <> t.typcollation AND o.collname <> 'default'
UNION ALL
SELECT a.attrelid::int8, a.attname::text, NULL,
       ', column ' || a.attname || ': the domain ' || t.typname || ' also says '
       || concat_ws(' and ', CASE WHEN t.typnotnull THEN 'NOT NULL' END,
                    CASE WHEN NOT a.atthasdef THEN 'DEFAULT ' || t.typdefault END) || ', which is left out.', NULL
FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
WHERE a.attrelid = ANY(%(oids)s::oid[]) AND a.attnum > 0 AND NOT a.attisdropped AND t.typtype = 'd'
  AND (t.typnotnull OR t.typdefault IS NOT NULL AND NOT a.atthasdef)
UNION ALL
SELECT a.attrelid::int8, a.attname::text, NULL,
       ', column ' || a.attname || ': is computed when it is read there; here it is stored.', NULL
FROM pg_attribute a WHERE a.attrelid = ANY(%(oids)s::oid[]) AND a.attnum > 0 AND NOT a.attisdropped AND {virtual}
"""

INDEXES = """
SELECT i.indrelid::int8, NULL::text, x.relname::text, ': the index ' || x.relname || said.text, said.since
FROM pg_index i
JOIN pg_class x ON x.oid = i.indexrelid
JOIN pg_am m ON m.oid = x.relam
CROSS JOIN LATERAL (
    SELECT ' is not valid there and is left out.', NULL::int WHERE NOT i.indisvalid
    UNION ALL
    SELECT ' leaves out the columns that it only includes there.',
           CASE m.amname WHEN 'gist' THEN 120000 WHEN 'spgist' THEN 140000 ELSE 110000 END
    WHERE i.indnatts > {index_keys}
    UNION ALL
    SELECT ' takes any number of NULLs here, and only one there.', 150000 WHERE {nulls_equal}
    UNION ALL
    SELECT ' is unique at every moment here, and at the end of a transaction there.', 0
    WHERE i.indisunique AND NOT i.indimmediate
    UNION ALL
    SELECT ' has its NULLs where the target puts them.', 0
    WHERE EXISTS (SELECT FROM unnest(i.indoption::int2[]) AS o(option) WHERE o.option IN (1, 2))
    UNION ALL
    SELECT ' leaves out its operator class ' || string_agg(o.opcname::text, ', ' ORDER BY o.opcname) || '.', 0
    FROM unnest(i.indclass::oid[]) AS k(oid) JOIN pg_opclass o ON o.oid = k.oid
    WHERE NOT o.opcdefault AND NOT i.indisexclusion HAVING count(*) > 0
    UNION ALL
    SELECT ' leaves out its collation ' || string_agg(o.collname::text, ', ' ORDER BY o.collname) || '.', 0
    FROM unnest(i.indcollation::oid[], i.indkey::int2[]) AS k(oid, number)
    JOIN pg_collation o ON o.oid = k.oid
    JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number
    WHERE k.oid <> a.attcollation HAVING count(*) > 0
    UNION ALL
    SELECT ' loses its comment.', 0 WHERE obj_description(i.indexrelid, 'pg_class') IS NOT NULL
) AS said(text, since)
WHERE i.indrelid = ANY(%(oids)s::oid[])
"""

CONSTRAINTS = """
SELECT c.conrelid::int8, NULL::text, c.conname::text, ': the constraint ' || c.conname || said.text, said.since
FROM pg_constraint c
CROSS JOIN LATERAL (
    SELECT ' (' || pg_get_constraintdef(c.oid) || ') is left out.', 0 WHERE c.contype = 'x'
    UNION ALL
    SELECT ' is checked at once here, and can wait for the end of a transaction there.', 0
    WHERE c.contype = 'f' AND c.condeferrable
    UNION ALL
    SELECT ' leaves out MATCH FULL, so some of its columns may be NULL here.', 0
    WHERE c.contype = 'f' AND c.confmatchtype = 'f' AND cardinality(c.conkey) > 1
    UNION ALL
    SELECT ' sets all its columns when a row is deleted here, and only some there.', 150000
    WHERE c.contype = 'f' AND {set_columns} IS NOT NULL
    UNION ALL
    SELECT ' is enforced here, and not there.', 180000 WHERE NOT {enforced} AND c.contype IN ('c', 'f')
    UNION ALL
    SELECT ' looks at equal periods here, and at periods that overlap there.', 180000 WHERE {periods}
    UNION ALL
    SELECT ' loses its comment.', 0 WHERE obj_description(c.oid, 'pg_constraint') IS NOT NULL
) AS said(text, since)
WHERE c.conrelid = ANY(%(oids)s::oid[]) AND c.contype IN ('c', 'f', 'p', 'u', 'x') AND {of_no_partition}
"""

BESIDES = """
SELECT CASE c.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' WHEN 'S' THEN 'sequence'
                      ELSE 'foreign table' END, c.relname::text
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('v', 'm', 'f', 'S') AND c.relpersistence <> 't'
  AND NOT (c.relkind = 'S' AND EXISTS (
      SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype IN ('a', 'i')
        AND d.refclassid = 'pg_class'::regclass
  ))
  AND {users} AND (cardinality(%(schemas)s::text[]) = 0 OR n.nspname = ANY(%(schemas)s))
UNION ALL
SELECT {routine}, p.proname::text || '(' || pg_get_function_identity_arguments(p.oid) || ')'
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', '_rowferry')
  AND (cardinality(%(schemas)s::text[]) = 0 OR n.nspname = ANY(%(schemas)s))
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
ORDER BY 1, 2
"""

MOST_NAMED = 20
"""How many of a kind are named."""


def load_remarks(connection: Session, oids: Sequence[int]) -> Mapping[int, Sequence[Remark]]:
    """What is to be said about these tables, by their oids; one query."""
    found: defaultdict[int, list[Remark]] = defaultdict(list)
    query = spelled("UNION ALL".join((TABLES, COLUMNS, INDEXES, CONSTRAINTS)), connection.info.server_version)
    rows = connection.execute(query, {"oids": oids}).fetchall()
    for oid, column, item, text, since in sorted(rows, key=lambda row: (row[1] or "", row[2] or "", row[3])):
        found[oid].append(Remark(text, column, item, since=since))
    return found


def load_besides(connection: Session, schemas: Sequence[str], users: str) -> list[Remark]:
    """What the schemas hold beside tables, a remark for each kind; `users` tells the user's relations."""
    query = spelled(BESIDES.replace("{users}", users), connection.info.server_version)
    rows = connection.execute(query, {"schemas": list(schemas)})
    kinds: defaultdict[str, list[str]] = defaultdict(list)
    for kind, name in rows:
        kinds[kind].append(name)
    return [_besides(kind, names) for kind, names in kinds.items()]


def _besides(kind: str, names: Sequence[str]) -> Remark:
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    listed = ", ".join(names[:MOST_NAMED])
    what = f"The {kind}" if len(names) == 1 else f"The {kind}s"
    return Remark(f"{what} {listed}{more} {'is' if len(names) == 1 else 'are'} not moved.", severity=Severity.INFO)
