"""Rows that change, transactions, and what is left out."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rowferry.connectors.changes import BatchSize
from rowferry.errors import ReadFailed
from rowferry.model.changes import Truncated
from tests.mysql_log.conftest import Log, events, told

ROW = {"id": 1, "name": "one"}


@pytest.fixture
def pair(log: Log) -> Log:
    """A table with a key, and one without."""
    log.run("CREATE TABLE t (id INT PRIMARY KEY, name VARCHAR(20))", "CREATE TABLE bare (id INT, name VARCHAR(20))")
    return log


def test_each_operation(pair: Log) -> None:
    """An insert has no before, a delete no after, an update both; a key that changes is told by both."""
    found = pair.while_(
        lambda: pair.run(
            "INSERT INTO t VALUES (1, 'one')",
            "UPDATE t SET name = 'two'",
            "UPDATE t SET id = 3",
            "DELETE FROM t",
        ),
        pair.table("t"),
    )
    assert found == [
        ("insert", None, ROW),
        ("update", {"id": 1}, {"id": 1, "name": "two"}),
        ("update", {"id": 1}, {"id": 3, "name": "two"}),
        ("delete", {"id": 3}, None),
    ]


def test_without_a_key(pair: Log) -> None:
    """All columns tell which row it was, NULLs too."""
    found = pair.while_(
        lambda: pair.run("INSERT INTO bare VALUES (1, NULL)", "UPDATE bare SET id = 2", "DELETE FROM bare"),
        pair.table("bare"),
    )
    assert found == [
        ("insert", None, {"id": 1, "name": None}),
        ("update", {"id": 1, "name": None}, {"id": 2, "name": None}),
        ("delete", {"id": 2, "name": None}, None),
    ]


def test_order_across_tables(pair: Log) -> None:
    """Ordinals say what came first, in whichever table."""
    position = pair.changes.position()
    pair.run(*(f"INSERT INTO {('t', 'bare')[number % 2]} VALUES ({number}, 'x')" for number in range(10)))
    batches = pair.batches(position, pair.table("t"), pair.table("bare"))
    assert [after["id"] for _, _, after in told(batches) if after] == list(range(10))
    assert all(len({one.table.name for one in batch.rows}) == len(batch.rows) for batch in batches)


def test_tables_of_others(pair: Log) -> None:
    """What is not followed only moves the position."""
    position = pair.changes.position()
    pair.run("INSERT INTO bare VALUES (1, 'x')")
    batches = pair.batches(position, pair.table("t"))
    assert told(batches) == []
    assert batches[-1].position == pair.changes.position()


def test_rolled_back(pair: Log) -> None:
    """What was rolled back has not happened; savepoints as well."""
    connection = pair.server.connect(pair.database)
    connection.autocommit(False)
    position = pair.changes.position()
    with connection, connection.cursor() as cursor:
        cursor.execute("INSERT INTO t VALUES (1, 'gone')")
        connection.rollback()
        cursor.execute("INSERT INTO t VALUES (2, 'kept')")
        cursor.execute("SAVEPOINT a")
        cursor.execute("INSERT INTO t VALUES (3, 'gone')")
        cursor.execute("ROLLBACK TO a")
        cursor.execute("INSERT INTO t VALUES (4, 'kept')")
        connection.commit()
    assert [after for _, _, after in pair.happened(position, pair.table("t"))] == [
        {"id": 2, "name": "kept"},
        {"id": 4, "name": "kept"},
    ]


@pytest.mark.parametrize("rows", [1, 3])
def test_rolled_back_beside_a_table_that_cannot(pair: Log, rows: int) -> None:
    """What an engine without transactions wrote stays, and keeps the rest in the log together with its end.

    Also where a part of it was given out before: it is read once more without that.
    """
    pair.run("CREATE TABLE solid (id INT PRIMARY KEY) ENGINE=MyISAM")
    tables = pair.table("t"), pair.table("solid")
    connection = pair.server.connect(pair.database)
    connection.autocommit(False)
    position = pair.changes.position()
    with connection, connection.cursor() as cursor:
        cursor.execute("SET binlog_direct_non_transactional_updates = 0")
        cursor.execute("INSERT INTO t VALUES (1, 'kept')")
        cursor.execute("SAVEPOINT a")
        for number in range(2, 2 + rows):
            cursor.execute(f"INSERT INTO t VALUES ({number}, 'gone')")
        cursor.execute("INSERT INTO solid VALUES (1)")
        cursor.execute("ROLLBACK TO a")
        connection.commit()
        cursor.execute("INSERT INTO t VALUES (10, 'gone')")
        cursor.execute("INSERT INTO solid VALUES (2)")
        connection.rollback()
    wanted = {("t", 1), ("solid", 1), ("solid", 2)}
    whole = pair.happened(position, *tables)
    assert {("t" if "name" in after else "solid", after["id"]) for _, _, after in whole if after} == wanted


def test_truncated(pair: Log) -> None:
    """TRUNCATE is an event between batches of rows."""
    position = pair.changes.position()
    pair.run("INSERT INTO t VALUES (1, 'one')", "TRUNCATE TABLE t", "INSERT INTO t VALUES (2, 'two')")
    table = pair.table("t")
    batches = [batch for batch in pair.batches(position, table) if batch.changes or batch.event]
    assert [batch.event for batch in batches] == [None, Truncated((table.name,), restart=True), None]
    assert all(batch.position for batch in batches)


def test_large_transaction(pair: Log) -> None:
    """It comes in parts, of which only the last has a position."""
    position = pair.changes.position()
    pair.run("INSERT INTO t SELECT seq, 'x' FROM seq_1_to_10000")
    batches = pair.batches(position, pair.table("t"), size=BatchSize(changes=1000, size=1 << 30))
    parts = [batch for batch in batches if batch.changes]
    assert sum(batch.changes for batch in parts) == 10000
    assert len(parts) > 5
    assert all(batch.position is None for batch in parts[:-1])
    assert batches[-1].position == pair.changes.position()


def test_known(pair: Log) -> None:
    """Of a table that was read up to some place, what had happened by then is left out."""
    table, bare = pair.table("t"), pair.table("bare")
    position = pair.changes.position()
    pair.run("INSERT INTO t VALUES (1, 'one')", "INSERT INTO bare VALUES (1, 'one')")
    mark = pair.changes.position()
    pair.run("INSERT INTO t VALUES (2, 'two')", "INSERT INTO bare VALUES (2, 'two')")
    found = pair.happened(position, table, bare, known={table.name: mark})
    assert [after["id"] for _, _, after in found if after] == [1, 2, 2]


def test_resumed(pair: Log) -> None:
    """From every position that was given out, what follows is the rest."""
    table = pair.table("t")
    position = pair.changes.position()
    pair.run(*(f"INSERT INTO t VALUES ({number}, 'x')" for number in range(5)))
    batches = pair.batches(position, table, size=BatchSize(changes=1))
    places = [position, *(batch.position for batch in batches if batch.changes)]
    assert len(places) == 6
    for number, place in enumerate(places):
        assert place is not None
        assert len(pair.happened(place, table)) == 5 - number
        bare = place.split("/")[0]
        assert len(pair.happened(bare, table)) == 5 - number


def test_statement_format(pair: Log) -> None:
    """A change that the log tells as a statement is refused by name; of a table of others it is passed over."""
    table = pair.table("t")
    position = pair.changes.position()
    pair.run("SET binlog_format = STATEMENT", "INSERT INTO bare VALUES (1, 'x')")
    assert pair.happened(position, table) == []
    pair.run("SET binlog_format = STATEMENT", "INSERT INTO t VALUES (1, 'x')")
    with pytest.raises(ReadFailed, match="set binlog_format=ROW"):
        pair.happened(position, table)


def test_selected_columns(pair: Log) -> None:
    """Only some columns of a table are followed."""
    table = pair.table("t")
    narrow = replace(
        table, columns=(table.column("name"),), key=(), selection=replace(table.selection, columns=("name",))
    )
    found = pair.while_(lambda: pair.run("INSERT INTO t VALUES (1, 'one')", "DELETE FROM t"), narrow)
    assert found == [("insert", None, {"name": "one"}), ("delete", {"name": "one"}, None)]
    assert events([]) == []
