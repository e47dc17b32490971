"""What a server itself says about the structure of a database, one line for each part of it."""

from __future__ import annotations

import contextlib
import re

import pymysql

from tests.servers import MariaDb, Postgres

_POSTGRES = """
SELECT 'table ' || quote_ident(relname) || coalesce(' comment ' || quote_literal(obj_description(oid, 'pg_class')), '')
       || ' ' || relkind::text || ' ' || relpersistence::text || CASE WHEN relrowsecurity THEN ' guarded' ELSE '' END
FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind NOT IN ('i', 'I', 'c')
UNION ALL
SELECT 'column ' || quote_ident(c.relname) || '.' || quote_ident(a.attname) || ' ' || format_type(atttypid, atttypmod)
       || CASE WHEN attnotnull THEN ' not null' ELSE '' END
       || CASE WHEN attidentity = '' THEN '' ELSE ' identity ' || attidentity::text END
       || CASE WHEN attgenerated = '' THEN coalesce(' default ' || pg_get_expr(adbin, adrelid), '')
               ELSE ' generated ' || attgenerated::text || ' ' || pg_get_expr(adbin, adrelid) END
       || coalesce(' collate ' || (SELECT collname FROM pg_collation o WHERE o.oid = attcollation
                                   AND collname <> 'default'), '')
       || coalesce(' comment ' || quote_literal(col_description(c.oid, attnum)), '')
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND attnum > 0 AND NOT attisdropped
LEFT JOIN pg_attrdef d ON adrelid = c.oid AND adnum = attnum
WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
UNION ALL
SELECT 'constraint ' || quote_ident(relname) || ' ' || quote_ident(conname) || ' ' || pg_get_constraintdef(k.oid)
       || coalesce(' comment ' || quote_literal(obj_description(k.oid, 'pg_constraint')), '')
FROM pg_constraint k JOIN pg_class c ON c.oid = conrelid WHERE relnamespace = 'public'::regnamespace AND contype <> 'n'
UNION ALL
SELECT 'index ' || quote_ident(t.relname) || ' ' || pg_get_indexdef(indexrelid)
       || coalesce(' comment ' || quote_literal(obj_description(indexrelid, 'pg_class')), '')
FROM pg_index i JOIN pg_class t ON t.oid = indrelid WHERE t.relnamespace = 'public'::regnamespace
  AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid AND contype IN ('p', 'u', 'x'))
UNION ALL
SELECT 'trigger ' || pg_get_triggerdef(g.oid) FROM pg_trigger g JOIN pg_class c ON c.oid = tgrelid
WHERE relnamespace = 'public'::regnamespace AND NOT tgisinternal
UNION ALL
SELECT 'policy ' || quote_ident(tablename) || ' ' || quote_ident(policyname) FROM pg_policies
WHERE schemaname = 'public'
UNION ALL
SELECT 'rule ' || definition FROM pg_rules WHERE schemaname = 'public'
UNION ALL
SELECT 'type ' || quote_ident(typname) || ' ' || typtype::text || coalesce(' ' || (
           SELECT string_agg(quote_literal(enumlabel), ', ' ORDER BY enumsortorder) FROM pg_enum WHERE enumtypid = t.oid
       ), '')
FROM pg_type t WHERE typnamespace = 'public'::regnamespace AND typtype IN ('e', 'd')
UNION ALL
SELECT 'inherits ' || inhparent::regclass || ' ' || inhrelid::regclass FROM pg_inherits i
JOIN pg_class c ON c.oid = inhrelid WHERE c.relkind IN ('r', 'p')
"""

_MARIADB = "SELECT TABLE_NAME, TABLE_TYPE FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE()"
_NAMED = (
    "SELECT 'trigger', TRIGGER_NAME FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = DATABASE()",
    "SELECT LOWER(ROUTINE_TYPE), ROUTINE_NAME FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = DATABASE()",
)


def look_postgres(server: Postgres, database: str) -> list[str]:
    """A line for each table, column, constraint, index …, and the next number of each sequence."""
    lines = [str(row[0]).replace("\n", "\\n") for row in server.execute(_POSTGRES, database=database)]
    sequences = server.execute(
        "SELECT quote_ident(c.relname) FROM pg_class c WHERE relkind = 'S' AND relnamespace = 'public'::regnamespace",
        database=database,
    )
    for (name,) in sequences:
        query = (
            f"SELECT CASE WHEN is_called THEN last_value + seqincrement ELSE last_value END FROM public.{name}, "
            f"pg_sequence WHERE seqrelid = 'public.{name}'::regclass"
        )
        [(number,)] = server.execute(query, database=database)
        lines.append(f"next of {name} {number}")
    return sorted(lines)


def look_mariadb(server: MariaDb, database: str) -> list[str]:
    """A line for each part of each table's declaration, and one for everything else that has a name."""
    lines = []
    for name, kind in server.execute(_MARIADB, database=database):
        quoted = "`" + str(name).replace("`", "``") + "`"
        if kind not in ("BASE TABLE", "SYSTEM VERSIONED"):
            lines.append(f"{str(kind).lower()} {quoted}")
            continue
        parts = _declaration(server, database, quoted).split("\n")[1:]
        lines += [f"{quoted} {re.sub(r',$', '', part.strip())}" for part in parts]
    for query in _NAMED:
        lines += [f"{kind} {name}" for kind, name in server.execute(query, database=database)]
    return sorted(lines)


def _declaration(server: MariaDb, database: str, table: str) -> str:
    """What SHOW CREATE TABLE says, which may hold bytes that are no text."""
    raw = pymysql.connect(
        host=server.host, port=server.port, user=server.user, password=server.password, database=database,
        charset="utf8mb4", use_unicode=False,
    )  # fmt: skip
    with contextlib.closing(raw), raw.cursor() as cursor:
        cursor.execute(f"SHOW CREATE TABLE {table}")
        [(_, text)] = cursor.fetchall()
    return bytes(text).decode(errors="backslashreplace")
