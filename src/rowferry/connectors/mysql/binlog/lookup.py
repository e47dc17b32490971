"""What must be known of tables before their rows are read in the log, beside what a stream knows of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pymysql
from pymysql.connections import Connection as Session

from rowferry.connectors.mysql import catalog
from rowferry.connectors.mysql.binlog.declare import Manner
from rowferry.connectors.mysql.binlog.history import History
from rowferry.connectors.mysql.binlog.place import here
from rowferry.connectors.mysql.binlog.plans import PERIOD, Followed
from rowferry.connectors.mysql.connect import Access, Variant, variant_of
from rowferry.connectors.mysql.failures import failed
from rowferry.model.tables import Table, TableName

_WITHOUT_WIDTHS = (8, 0, 19)
"""Since when MySQL shows INT without a number of digits."""


def looked_up(access: Access, tables: Sequence[Table]) -> History:
    """The tables, ready to be followed."""

    def live(name: TableName) -> Table | None:
        with access.session() as session:
            return next(iter(catalog.describe(session, name.schema, [name.name])), None)

    try:
        with access.session() as session:
            facts = {table.name: _facts(session, table.name) for table in tables}
            followed = [_followed(session, table, facts[table.name]) for table in tables]
            variant = variant_of(session)
            return History(followed, manner(variant), live, _folded(session))
    except pymysql.Error as error:
        raise failed(error, "the catalogue of the source") from error


def manner(variant: Variant) -> Manner:
    """How a server of that variant shows columns."""
    return Manner(variant.mariadb, variant.mariadb or variant.version < _WITHOUT_WIDTHS, "utf8mb4")


def _facts(session: Session, name: TableName) -> dict[str, Any]:
    with session.cursor() as cursor:
        cursor.execute(
            "SELECT t.TABLE_TYPE, e.TRANSACTIONS, t.TABLE_COLLATION FROM information_schema.TABLES t"
            " LEFT JOIN information_schema.ENGINES e ON e.ENGINE = t.ENGINE"
            " WHERE t.TABLE_SCHEMA = %s AND t.TABLE_NAME = %s",
            (name.schema, name.name),
        )
        row = cursor.fetchone()
    return dict(zip(("kind", "transactions", "collation"), row, strict=True)) if row else {}


def _followed(session: Session, table: Table, facts: dict[str, Any]) -> Followed:
    whole, seen = table.columns, None
    if table.selection.columns:
        live = catalog.describe(session, table.name.schema, [table.name.name])
        whole, seen = (live[0].columns if live else whole), here(session)
    row_end = _row_end(session, table.name) if facts.get("kind") == "SYSTEM VERSIONED" else None
    period = PERIOD if row_end == PERIOD[1] else ()
    return Followed(
        table,
        whole,
        hidden=(*period, *("" for index in table.indexes if index.unique and index.method == "hash")),
        row_end=row_end,
        transactional=facts.get("transactions", "YES") == "YES",
        charset=str(facts.get("collation") or "utf8mb4").split("_", 1)[0],
        seen=seen,
    )


def _row_end(session: Session, name: TableName) -> str:
    """The column that says when a row ended, its own or the hidden one."""
    with session.cursor() as cursor:
        cursor.execute(
            "SELECT COLUMN_NAME FROM information_schema.COLUMNS"
            " WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s AND GENERATION_EXPRESSION = 'ROW END'",
            (name.schema, name.name),
        )
        row = cursor.fetchone()
    return str(row[0]) if row else PERIOD[1]


def _folded(session: Session) -> bool:
    with session.cursor() as cursor:
        cursor.execute("SELECT @@lower_case_table_names")
        row = cursor.fetchone()
    return bool(row and int(row[0]))
