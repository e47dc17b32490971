"""What a server, a user or a table lacks for being followed, each with the statement that mends it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from struct import pack
from typing import Any

import pymysql
from pymysql.connections import Connection as Session

from rowferry.connectors.mysql.binlog.charsets import KNOWN
from rowferry.connectors.mysql.binlog.defaults import is_filled
from rowferry.connectors.mysql.binlog.place import status_statement
from rowferry.connectors.mysql.binlog.plans import MASKED, is_masked
from rowferry.connectors.mysql.binlog.treated import EXPRESSION, is_followed
from rowferry.connectors.mysql.connect import Access, Variant, variant_of
from rowferry.connectors.mysql.failures import DENIED, error_code, failed
from rowferry.connectors.mysql.sql import quoted
from rowferry.model import types as t
from rowferry.model.findings import Finding, Severity
from rowferry.model.tables import Column, Table, TableName

SHORTEST = 86_400
"""Seconds for which a log should be kept at least; who is away for longer must begin anew."""

_ADVISED = 604_800
_VARIABLES = (
    "log_bin",
    "binlog_format",
    "binlog_row_image",
    "binlog_row_metadata",
    "server_id",
    "binlog_expire_logs_seconds",
    "expire_logs_days",
)
_REGISTER = 0x15
_MONITOR = (10, 5, 2)
"""Since when MariaDB calls the right to ask about the log by its own name."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What was found out about a server. `denied`: the rights that the user lacks. `filtered`: databases not logged."""

    variant: Variant
    variables: Mapping[str, str]
    user: str
    denied: tuple[str, ...]
    filters: Mapping[str, frozenset[str]]
    engines: Mapping[TableName, tuple[str, bool]]
    by_transaction: frozenset[TableName]


def findings(access: Access, tables: Sequence[Table]) -> list[Finding]:
    """All of it."""
    try:
        with access.session() as session:
            facts = _facts(session, tables)
    except pymysql.Error as error:
        raise failed(error, "the source's settings") from error
    found = [*_of_server(facts), *_of_user(facts)]
    for table in tables:
        found += _of_table(table, facts)
    return found + list(_of_references(tables))


def _facts(session: Session, tables: Sequence[Table]) -> Facts:
    variant = variant_of(session)
    names = ", ".join(f"'{name}'" for name in _VARIABLES)
    variables = {
        str(name): str(value)
        for name, value in _rows(session, f"SHOW GLOBAL VARIABLES WHERE Variable_name IN ({names})")
    }
    user, host = str(_rows(session, "SELECT CURRENT_USER()")[0][0]).rsplit("@", 1)
    denied, filters = [], {}
    if not _registers(session):
        denied.append("REPLICATION SLAVE")
    try:
        status = _rows(session, status_statement(variant))
        filters = (
            {word: frozenset(filter(None, str(status[0][place]).split(","))) for word, place in _FILTERS}
            if status
            else {}
        )
    except pymysql.Error as error:
        if error_code(error) not in DENIED:
            raise
        denied.append("BINLOG MONITOR" if variant.mariadb and variant.version >= _MONITOR else "REPLICATION CLIENT")
    places = {table.name: _engine(session, table.name) for table in tables}
    return Facts(
        variant, variables, f"{quoted(user)}@{quoted(host)}", tuple(denied), filters, places,
        frozenset(table.name for table in tables if variant.mariadb and _by_transaction(session, table.name)),
    )  # fmt: skip


_FILTERS = (("do", 2), ("ignore", 3))
"""Where the log's place names databases that alone are logged, or are not."""


def _rows(session: Session, statement: str, *arguments: Any) -> Sequence[tuple[Any, ...]]:
    with session.cursor() as cursor:
        cursor.execute(statement, arguments or None)
        return list(cursor.fetchall())


def _registers(session: Session) -> bool:
    """Whether the server takes the user for one who may follow; nothing else tells it, whatever the grants' form."""
    wire: Any = session
    try:
        wire._execute_command(_REGISTER, pack("<IBBBHII", 0xFFFFFFF0, 0, 0, 0, 0, 0, 0))
        wire._read_ok_packet()
    except pymysql.Error as error:
        if error_code(error) in DENIED:
            return False
        raise
    return True


def _engine(session: Session, name: TableName) -> tuple[str, bool]:
    rows = _rows(
        session,
        "SELECT t.ENGINE, e.TRANSACTIONS = 'YES' FROM information_schema.TABLES t"
        " LEFT JOIN information_schema.ENGINES e ON e.ENGINE = t.ENGINE"
        " WHERE t.TABLE_SCHEMA = %s AND t.TABLE_NAME = %s",
        name.schema, name.name,
    )  # fmt: skip
    return (str(rows[0][0]), bool(rows[0][1])) if rows else ("", True)


def _by_transaction(session: Session, name: TableName) -> bool:
    """Whether the table's history counts transactions, which MariaDB logs as statements whatever it is told."""
    return bool(
        _rows(
            session,
            "SELECT 1 FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s"
            " AND GENERATION_EXPRESSION = 'ROW END' AND DATA_TYPE = 'bigint'",
            name.schema, name.name,
        )
    )  # fmt: skip


def _error(message: str, table: Table | None = None, column: str | None = None) -> Finding:
    return Finding(Severity.ERROR, str(table.name) if table else "", message, column)


def _of_server(facts: Facts) -> Iterator[Finding]:
    said = facts.variables
    if said.get("log_bin") != "ON":
        yield _error(
            "The source writes no binary log: put log_bin and a server_id into its configuration under [mysqld], and "
            "restart it."
        )
        return
    if said.get("server_id") == "0":
        yield _error("The source has no server_id, and so gives its log to nobody: run SET GLOBAL server_id = 1.")
    if said.get("binlog_format", "ROW") != "ROW":
        yield _error(
            f"The source logs statements (binlog_format={said['binlog_format']}), which do not tell rows: run SET "
            "GLOBAL binlog_format = 'ROW', put it into the configuration, and let programs connect anew."
        )
    seconds = _retention(said)
    if 0 < seconds < SHORTEST:
        statement = f"binlog_expire_logs_seconds = {_ADVISED}"
        if "binlog_expire_logs_seconds" not in said:
            statement = f"expire_logs_days = {_ADVISED // 86_400}"
        yield Finding(
            Severity.WARNING,
            "",
            f"The source keeps its log for {seconds // 3600} hours: a stream that stands still for longer must begin "
            f"anew. Run SET GLOBAL {statement}.",
        )


def _retention(said: Mapping[str, str]) -> int:
    seconds = int(float(said.get("binlog_expire_logs_seconds", "0")))
    return seconds or int(float(said.get("expire_logs_days", "0")) * 86_400)


def _of_user(facts: Facts) -> Iterator[Finding]:
    if facts.denied:
        rights = ", ".join(facts.denied)
        yield _error(f"The source's user may not follow its log: run GRANT {rights} ON *.* TO {facts.user}.")


def _of_table(table: Table, facts: Facts) -> Iterator[Finding]:
    engine, transactional = facts.engines.get(table.name, ("", True))
    if table.query is not None:
        yield _error(f"{table.name} is a query, whose changes no log tells: name a table.", table)
        return
    if not transactional:
        yield Finding(
            Severity.WARNING,
            str(table.name),
            f"{table.name} ({engine}) knows no transactions: what a failing statement has written there stays. Run "
            f"ALTER TABLE {_place(table)} ENGINE = InnoDB.",
        )
    if table.name in facts.by_transaction:
        yield _error(
            f"{table.name} keeps its history by transactions, and is logged as statements: declare its period as "
            "TIMESTAMP(6), or leave the table out.",
            table,
        )
    only, left_out = facts.filters.get("do"), facts.filters.get("ignore", frozenset())
    if (only and table.name.schema not in only) or table.name.schema in left_out:
        yield _error(
            f"The source does not log the database {table.name.schema}: change binlog_do_db and binlog_ignore_db in "
            "its configuration, and restart it.",
            table,
        )
    yield from _of_image(table, facts.variables.get("binlog_row_image", "FULL").upper())
    for column in table.columns:
        yield from _of_column(table, column, facts)


def _of_image(table: Table, image: str) -> Iterator[Finding]:
    """What must not be left out of the log of this table."""
    if image.startswith("FULL"):
        return
    reason = None
    if not table.key:
        reason = "it has no key, and so all of a row tells which one it is"
    elif table.key != table.primary_key:
        reason = "its key is no primary key, and may be left out"
    elif image == "MINIMAL":
        untold = [one.name for one in table.columns if not _is_told(one)]
        reason = f"what new rows have in {untold[0]} may be left out" if untold else None
    if reason:
        yield _error(
            f"{table.name} cannot be followed with binlog_row_image={image}, since {reason}: run SET GLOBAL "
            "binlog_row_image = 'FULL', put it into the configuration, and let programs connect anew.",
            table,
        )


def _is_told(column: Column) -> bool:
    """Whether a row of which only what was given is logged tells the column all the same."""
    given = column.default is None and not column.nullable and column.generated is None
    return given or column.identity or is_filled(column)


def _of_column(table: Table, column: Column, facts: Facts) -> Iterator[Finding]:
    place = f"{table.name}.{column.name}"
    if isinstance(column.type, t.Unknown):
        yield _error(
            f"{place} has the type {column.native.declared}, which cannot be carried exactly: leave it out by "
            "selectedColumns.",
            table,
            column.name,
        )
    elif column.native.charset is not None and column.native.charset not in KNOWN:
        yield _error(
            f"{place} is in the character set {column.native.charset}, which the log's text cannot be read in: run "
            f"ALTER TABLE {_place(table)} CONVERT TO CHARACTER SET utf8mb4, or leave it out by selectedColumns.",
            table,
            column.name,
        )
    elif is_masked(column) and facts.variables.get("binlog_row_metadata") != "FULL":
        yield _error(f"{place}{MASKED}", table, column.name)
    elif not is_followed(column):
        yield _error(f"{place}{EXPRESSION}", table, column.name)


def _place(table: Table) -> str:
    return f"{quoted(table.name.schema)}.{quoted(table.name.name)}"


def _of_references(tables: Sequence[Table]) -> Iterator[Finding]:
    """Rows that a foreign key changes are not in the log."""
    followed = {table.name for table in tables}
    for table in tables:
        for key in table.foreign_keys:
            if not key.actions:
                continue
            if key.referenced in followed:
                yield Finding(
                    Severity.WARNING,
                    str(table.name),
                    f"{table.name}: the log does not tell the rows that the foreign key {key.name} changes by "
                    f"{' and '.join(key.actions)}; the target's own foreign key does it there, and must stay.",
                    item=key.name,
                )
            else:
                yield _error(
                    f"{table.name}: the log does not tell the rows that the foreign key {key.name} changes by "
                    f"{' and '.join(key.actions)}: let the stream follow {key.referenced}, too, or run ALTER TABLE "
                    f"{_place(table)} DROP FOREIGN KEY {quoted(key.name)}.",
                    table,
                )
