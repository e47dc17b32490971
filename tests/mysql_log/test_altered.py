"""Tables that are altered while they are followed, and the log read long afterwards."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from rowferry.errors import SourceChanged
from rowferry.model.changes import TableAltered
from rowferry.model.tables import Table
from tests.mysql_log.conftest import Log, events, told

STEPS: list[tuple[str, dict[str, object]]] = [
    ("ADD COLUMN a INT", {"a": None}),
    ("ADD COLUMN b VARCHAR(20) NOT NULL DEFAULT 'it''s' FIRST", {"b": "it's"}),
    ("ADD c DECIMAL(10,2) UNSIGNED AFTER id, ADD COLUMN d DATETIME(3) NULL COMMENT 'a, b'", {"c": None, "d": None}),
    ("RENAME COLUMN a TO e", {"e": None}),
    ("CHANGE e `f g` BIGINT UNSIGNED", {"f g": None}),
    ("MODIFY name VARCHAR(100) AFTER b", {}),
    ("DROP COLUMN b, DROP d", {}),
    ("ADD COLUMN (h ENUM('x','y') DEFAULT 'y', i BIT(3), j TEXT)", {"h": "y", "i": None, "j": None}),
    ("ADD INDEX (name), ADD UNIQUE KEY u (c)", {}),
    ("ADD COLUMN IF NOT EXISTS h INT, DROP COLUMN IF EXISTS zz", {}),
    ("MODIFY id BIGINT NOT NULL", {}),
    ("ADD k BOOL, ADD l DOUBLE PRECISION, ADD m CHAR(5) CHARACTER SET latin1, ADD n NUMERIC(5), ADD o YEAR", {}),
    ("ADD p JSON, ADD q TINYINT UNSIGNED DEFAULT 3, ADD r VARBINARY(10), ADD s TIMESTAMP NULL, ADD v INT AS (q+1)", {}),
    ("COMMENT 'only that', ENGINE=InnoDB", {}),
]


@pytest.fixture
def table(log: Log) -> Table:
    log.run("CREATE TABLE t (id INT PRIMARY KEY, name VARCHAR(20)) CHARACTER SET utf8mb4")
    return log.table("t")


@pytest.mark.parametrize("metadata", ["NO_LOG", "MINIMAL", "FULL"])
def test_every_step_at_its_place(log: Log, table: Table, metadata: str) -> None:
    """Rows between alterations are read as the table was then, though the catalogue is far ahead by now."""
    log.run(f"SET GLOBAL binlog_row_metadata = {metadata}")
    position = log.changes.position()
    shapes = []
    for number, (step, _) in enumerate(STEPS):
        log.run(f"INSERT INTO t (id, name) VALUES ({number}, 'row {number}')")
        log.run(f"ALTER TABLE t {step}")
        shapes.append(log.table("t"))
    log.run("INSERT INTO t (id, name) VALUES (100, 'last')", "SET GLOBAL binlog_row_metadata = NO_LOG")
    batches = log.batches(position, table)
    rows = [after for _, _, after in told(batches) if after is not None]
    assert [row["name"] for row in rows] == [*(f"row {number}" for number in range(len(STEPS))), "last"]
    for (_, wanted), row in zip(STEPS, rows[1:], strict=True):
        assert wanted.items() <= row.items()
    found = [one for one in events(batches) if isinstance(one, TableAltered)]
    assert all(one.before.columns != one.after.columns for one in found)
    told_shapes = [_shape(one.after) for one in found]
    known = [_shape(table), *map(_shape, shapes)]
    assert told_shapes == [shape for before, shape in itertools.pairwise(known) if shape != before]


def _shape(table: Table) -> list[tuple[object, ...]]:
    return [
        (one.name, one.type, one.native.declared, one.nullable, one.default, bool(one.generated), one.comment)
        for one in table.columns
    ]


def test_what_is_told(log: Log, table: Table) -> None:
    """Added, dropped, renamed and retyped columns by name."""
    position = log.changes.position()
    log.run(
        "ALTER TABLE t ADD a INT",
        "ALTER TABLE t CHANGE a b INT, MODIFY name VARCHAR(30)",
        "ALTER TABLE t DROP b",
        "ALTER TABLE t ADD KEY (name)",
    )
    found = [one for one in events(log.batches(position, table)) if isinstance(one, TableAltered)]
    assert [(one.added, one.dropped, dict(one.renamed), one.retyped) for one in found] == [
        (("a",), (), {}, ()),
        ((), (), {"b": "a"}, ("name",)),
        ((), ("b",), {}, ()),
    ]


GONE = {
    "DROP TABLE t": "was dropped",
    "RENAME TABLE t TO u": "was renamed",
    "ALTER TABLE t RENAME TO u": "was renamed",
    "ALTER TABLE t DROP PRIMARY KEY": "has lost its key",
    "ALTER TABLE t CONVERT TO CHARACTER SET latin1": "was converted",
    "CREATE OR REPLACE TABLE t (id INT)": "was created anew",
}


@pytest.mark.parametrize("statement", GONE)
def test_no_longer_what_it_was(log: Log, table: Table, statement: str) -> None:
    """Where a stream cannot go on, it says why."""
    position = log.changes.position()
    log.run(statement)
    with pytest.raises(SourceChanged, match=GONE[statement]):
        log.batches(position, table)


def test_other_tables(log: Log, table: Table) -> None:
    """What becomes of tables that are not followed is of no concern."""
    position = log.changes.position()
    log.run(
        "CREATE TABLE u (id INT)", "ALTER TABLE u ADD x INT", "DROP TABLE u",
        "CREATE TEMPORARY TABLE t (a INT)", "DROP TEMPORARY TABLE t",
        "CREATE TABLE IF NOT EXISTS t (id INT)",
        "CREATE INDEX i ON t (name)", "ANALYZE TABLE t",
    )  # fmt: skip
    assert [batch.event for batch in log.batches(position, table) if batch.event] == []


def test_another_table_in_its_place(log: Log, table: Table) -> None:
    """A plan that does not fit the log is refused, and nothing is decoded by it."""
    position = log.changes.position()
    log.run("INSERT INTO t VALUES (1, 'x')")
    wrong = replace(table, columns=(*table.columns, replace(table.column("id"), name="more")))
    with pytest.raises(SourceChanged, match="2 columns"):
        log.batches(position, wrong)
    turned = replace(table, columns=tuple(reversed(table.columns)))
    with pytest.raises(SourceChanged, match="of another type"):
        log.batches(position, turned)


def test_selected_columns(log: Log, table: Table) -> None:
    """A table of which only some columns are read is not followed through an ALTER that lies behind."""
    narrow = table.with_selection(replace(table.selection, columns=("name", "id")))
    position = log.changes.position()
    log.run("ALTER TABLE t ADD x INT FIRST", "INSERT INTO t VALUES (1, 2, 'a')")
    with pytest.raises(SourceChanged, match="only some of its columns"):
        log.batches(position, narrow)
