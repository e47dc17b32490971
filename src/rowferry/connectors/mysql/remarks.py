"""What MySQL's and MariaDB's tables have that no target takes over: said, never lost in silence."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Sequence
from dataclasses import replace

import pymysql
from pymysql.connections import Connection as Session

from rowferry.connectors.mysql.connect import Variant, variant_of
from rowferry.connectors.mysql.failures import failed
from rowferry.model.findings import Finding, Remark, Severity
from rowferry.model.tables import Table

_TABLES = """SELECT EVENT_OBJECT_TABLE, TRIGGER_NAME, CONCAT(': the trigger ', TRIGGER_NAME, ' is left out.')
 FROM information_schema.TRIGGERS WHERE EVENT_OBJECT_SCHEMA = %(database)s
UNION ALL
SELECT DISTINCT TABLE_NAME, NULL, CONCAT(': is partitioned there by ', PARTITION_METHOD, ' (',
 COALESCE(PARTITION_EXPRESSION, ''), '); here it is one table.')
 FROM information_schema.PARTITIONS WHERE TABLE_SCHEMA = %(database)s AND PARTITION_METHOD IS NOT NULL
UNION ALL
SELECT TABLE_NAME, NULL, ': keeps its history there, which is left out; here it has its present rows alone.'
 FROM information_schema.TABLES WHERE TABLE_SCHEMA = %(database)s AND TABLE_TYPE = 'SYSTEM VERSIONED'
UNION ALL
SELECT DISTINCT TABLE_NAME, INDEX_NAME, CONCAT(': the index ', INDEX_NAME, ' loses its comment.')
 FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = %(database)s AND INDEX_COMMENT <> ''
UNION ALL
SELECT DISTINCT TABLE_NAME, INDEX_NAME, CONCAT(': the index ', INDEX_NAME, ' is used here, and ignored there.')
 FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = %(database)s AND {unused}"""

_UNKNOWN_DEFAULTS = """
UNION ALL
SELECT TABLE_NAME, NULL, CONCAT(', column ', COLUMN_NAME,
 ': its default is left out, because the server does not show its bytes.')
 FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = %(database)s AND COLUMN_DEFAULT LIKE '%%?%%'
 AND DATA_TYPE IN ('binary', 'varbinary', 'tinyblob', 'blob', 'mediumblob', 'longblob')"""
"""MariaDB shows bytes that are no text as question marks."""

_BESIDES = """SELECT LOWER(TABLE_TYPE), TABLE_NAME FROM information_schema.TABLES
 WHERE TABLE_SCHEMA = %(database)s AND TABLE_TYPE IN ('VIEW', 'SEQUENCE')
UNION ALL
SELECT LOWER(ROUTINE_TYPE), ROUTINE_NAME FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = %(database)s
UNION ALL
SELECT 'event', EVENT_NAME FROM information_schema.EVENTS WHERE EVENT_SCHEMA = %(database)s
ORDER BY 1, 2"""

_ACTING = """SELECT EVENT_OBJECT_TABLE, GROUP_CONCAT(TRIGGER_NAME ORDER BY TRIGGER_NAME SEPARATOR ', ')
 FROM information_schema.TRIGGERS WHERE EVENT_OBJECT_SCHEMA = %(database)s GROUP BY 1 ORDER BY 1"""

MOST_NAMED = 20
"""How many of a kind are named."""


def remarked(session: Session, database: str, tables: Sequence[Table]) -> list[Table]:
    """The tables with what is to be said about them; one query."""
    variant = variant_of(session)
    query = _TABLES.format(unused=_unused(variant)) + (_UNKNOWN_DEFAULTS if variant.mariadb else "")
    rows = _rows(session, query, database)
    found: defaultdict[str, list[Remark]] = defaultdict(list)
    for table, item, text in sorted(rows, key=lambda row: (row[1] or "", row[2])):
        found[table].append(Remark(text, item=item))
    return [replace(table, remarks=(*table.remarks, *found[table.name.name])) for table in tables]


def besides(session: Session, database: str) -> list[Remark]:
    """What the database holds beside tables, a remark for each kind."""
    kinds: defaultdict[str, list[str]] = defaultdict(list)
    for kind, name, *_ in _rows(session, _BESIDES, database):
        kinds[kind].append(name)
    return [_besides(kind, names) for kind, names in kinds.items()]


def acting(session: Session, database: str, tables: Container[str]) -> list[Finding]:
    """What is to be said of triggers on those of a target's tables to which changes are applied."""
    return [
        Finding(
            Severity.WARNING,
            f"{database}.{table}",
            f"{database}.{table} has triggers on the target ({names}), which act on every change that is applied: drop "
            "those that have acted at the source already.",
        )
        for table, names in _rows(session, _ACTING, database)
        if table in tables
    ]


def _besides(kind: str, names: Sequence[str]) -> Remark:
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    listed = ", ".join(names[:MOST_NAMED])
    what = f"The {kind}" if len(names) == 1 else f"The {kind}s"
    return Remark(f"{what} {listed}{more} {'is' if len(names) == 1 else 'are'} not moved.", severity=Severity.INFO)


def _unused(variant: Variant) -> str:
    if variant.mariadb:
        return "IGNORED = 'YES'" if variant.version >= (10, 6) else "FALSE"
    return "IS_VISIBLE = 'NO'" if variant.version >= (8, 0) else "FALSE"


def _rows(session: Session, query: str, database: str) -> list[tuple[str, ...]]:
    try:
        with session.cursor() as cursor:
            cursor.execute(query, {"database": database})
            return list(cursor.fetchall())
    except pymysql.Error as error:
        raise failed(error, f"the catalogue of {database}") from error
