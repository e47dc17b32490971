"""Everything that is missing is said in one answer, with the statement that mends it; and that statement does."""

from __future__ import annotations

import contextlib
import re
from dataclasses import replace

import pytest

from rowferry.connectors.changes import BatchSize
from rowferry.errors import ReadFailed
from rowferry.model.findings import Finding, Severity
from tests.mysql_log.conftest import Log, logged
from tests.servers import MariaDb, mariadb_server


def errors(found: list[Finding]) -> list[str]:
    return [one.message for one in found if one.severity is Severity.ERROR]


def test_nothing_is_missing(log: Log) -> None:
    log.run("CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(10))", "CREATE TABLE bare (v JSON)")
    assert log.changes.prerequisites([log.table("t"), log.table("bare")]) == []


def test_without_a_log(mariadb: MariaDb) -> None:
    """One finding, which says what to put into the configuration; asking for the place says the same."""
    with logged(mariadb) as log:
        log.run("CREATE TABLE t (id INT PRIMARY KEY)")
        (message,) = errors(log.changes.prerequisites([log.table("t")]))
        assert "log_bin" in message
        with pytest.raises(ReadFailed, match="no binary log"):
            log.changes.position()


def test_all_at_once() -> None:
    """A server and a user that have nothing right; each statement is run as it stands, and then nothing is missing."""
    options = ("--log-bin=bin", "--server-id=7", "--binlog-format=MIXED", "--binlog-row-image=MINIMAL")
    with mariadb_server(*options, "--expire-logs-days=0.1") as server, logged(server) as log:
        log.run("CREATE TABLE bare (v INT)", "CREATE TABLE old (id INT PRIMARY KEY) ENGINE=MyISAM")
        server.execute("CREATE USER poor@'%' IDENTIFIED BY 'ferry'", f"GRANT SELECT ON {log.database}.* TO poor@'%'")
        tables = [log.table("bare"), log.table("old")]
        poor = log.another(username="poor")
        found = poor.prerequisites(tables)
        assert len(errors(found)) == 3
        assert [one.severity for one in found].count(Severity.WARNING) == 2
        with pytest.raises(ReadFailed, match="grant it"):
            poor.position()
        for one in found:
            statement = re.search(r"[rR]un ((?:SET GLOBAL|GRANT|ALTER TABLE) .*?)(?:, put it|\.$)", one.message)
            assert statement, one.message
            server.execute(statement[1])
        again = log.another(username="poor")
        assert again.prerequisites([log.table("bare"), log.table("old")]) == []
        with contextlib.closing(again.follow(again.position(), tables, {}, BatchSize())) as following:
            assert next(following).changes == 0


def test_tables(log: Log) -> None:
    """Types, expressions, references and images, each by its name."""
    log.run(
        "CREATE TABLE parent (id INT PRIMARY KEY)",
        "CREATE TABLE child (id INT PRIMARY KEY, p INT, CONSTRAINT fk FOREIGN KEY (p) REFERENCES parent (id) "
        "ON DELETE CASCADE ON UPDATE SET NULL)",
        "CREATE TABLE emoji (id INT PRIMARY KEY, e ENUM('😀'))",
        "CREATE TABLE period (id INT PRIMARY KEY, s BIGINT UNSIGNED AS ROW START, e BIGINT UNSIGNED AS ROW END, "
        "PERIOD FOR SYSTEM_TIME(s, e)) WITH SYSTEM VERSIONING",
    )
    parent, child, emoji = log.table("parent"), log.table("child"), log.table("emoji")
    (alone,) = errors(log.changes.prerequisites([child]))
    assert "fk" in alone
    assert "DROP FOREIGN KEY" in alone
    (noted,) = log.changes.prerequisites([child, parent])
    assert noted.severity is Severity.WARNING
    assert "CASCADE" in noted.message
    (masked,) = errors(log.changes.prerequisites([emoji]))
    assert "binlog_row_metadata=FULL" in masked
    (history,) = errors(log.changes.prerequisites([log.table("period")]))
    assert "TIMESTAMP(6)" in history
    read = replace(parent, columns=(replace(parent.columns[0], read_as="id + 1"),))
    (through,) = errors(log.changes.prerequisites([read]))
    assert "parent.id" in through
    assert "typePolicies" in through
