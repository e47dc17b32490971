"""Where a server's log ends, and how far that is."""

from __future__ import annotations

from typing import Any

import pymysql
from pymysql.connections import Connection as Session

from rowferry.connectors.mysql.binlog.gtids import Domains, Gtids, Sources
from rowferry.connectors.mysql.binlog.position import Place
from rowferry.connectors.mysql.connect import Variant, variant_of
from rowferry.connectors.mysql.failures import DENIED, error_code
from rowferry.errors import ReadFailed

_NEW_WORDS = (8, 2)
"""Since when MySQL says SHOW BINARY LOG STATUS."""


def status_statement(variant: Variant) -> str:
    """What a server calls the place where its log ends."""
    return "SHOW MASTER STATUS" if variant.mariadb or variant.version < _NEW_WORDS else "SHOW BINARY LOG STATUS"


def here(session: Session) -> Place:
    """Where the log ends; ReadFailed when there is none, or the user may not ask."""
    row = _row(session, status_statement(variant_of(session)))
    if not row:
        raise ReadFailed("The source writes no binary log: set log_bin in its configuration, and restart it.")
    return placed(session, str(row["FILE"]), int(row["POSITION"]), str(row.get("EXECUTED_GTID_SET") or ""))


def held_here(session: Session) -> Place:
    """The place in the log of the snapshot that the session holds.

    MariaDB tells it by itself. Elsewhere it is where the log ends, so nobody may commit meanwhile.
    """
    if not variant_of(session).mariadb:
        return here(session)
    with session.cursor() as cursor:
        cursor.execute("SHOW STATUS LIKE 'binlog_snapshot_%'")
        found = {str(name).lower(): value for name, value in cursor.fetchall()}
    if not found.get("binlog_snapshot_file"):
        return here(session)
    return placed(session, str(found["binlog_snapshot_file"]), int(found["binlog_snapshot_position"]))


def placed(session: Session, file: str, offset: int, executed: str = "") -> Place:
    """A place with the numbers of the transactions before it, where they have any; `executed` as MySQL told them."""
    return Place(file, offset, _gtids(session, file, offset, executed))


def _gtids(session: Session, file: str, offset: int, executed: str) -> Gtids | None:
    if variant_of(session).mariadb:
        row = _row(session, "SELECT BINLOG_GTID_POS(%s, %s) AS AT", file, offset)
        return Domains.parse(str(row["AT"])) if row and row["AT"] else None
    mode = _row(session, "SHOW GLOBAL VARIABLES LIKE 'gtid_mode'")
    return Sources.parse(executed) if mode and mode["VALUE"] == "ON" and executed else None


def left(session: Session, place: Place) -> int | None:
    """How many bytes of log lie behind the place; None when the server does not have its file."""
    with session.cursor() as cursor:
        cursor.execute("SHOW BINARY LOGS")
        sizes = {str(row[0]): int(row[1]) for row in cursor.fetchall()}
    if place.file not in sizes:
        return None
    number = place.order[0]
    behind = [size for file, size in sizes.items() if int(file.rpartition(".")[2]) >= number]
    return max(0, sum(behind) - place.offset)


def _row(session: Session, statement: str, *arguments: Any) -> dict[str, Any] | None:
    try:
        with session.cursor() as cursor:
            cursor.execute(statement, arguments or None)
            row = cursor.fetchone()
            names = [str(item[0]).upper() for item in cursor.description or ()]
    except pymysql.Error as error:
        if error_code(error) in DENIED:
            raise ReadFailed(
                "The source's user may not ask where its log ends: grant it REPLICATION CLIENT."
            ) from error
        raise
    return dict(zip(names, row, strict=True)) if row else None
