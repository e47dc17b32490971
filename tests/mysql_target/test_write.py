"""Each chunk exactly once, whatever happens; and errors that say what to do."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import pyarrow as pa
import pytest

from rowferry.connectors.base import PlannedTable
from rowferry.connectors.mysql.encode_bulk import bulk_rows
from rowferry.errors import ConnectionLost, MissingTable, RowferryError, TargetExists, WriteFailed
from rowferry.model import types as t
from rowferry.model.chunks import Chunk
from rowferry.model.tables import Column, Table, TableName
from tests.mysql_target.conftest import Place, load, prepared, write
from tests.servers import wait_until
from tests.tables import batch, column, simple, table

WAITING = "SELECT 1 FROM information_schema.INNODB_TRX WHERE trx_state = 'LOCK WAIT'"
BLOCKING = (
    "FROM information_schema.INNODB_LOCK_WAITS w JOIN information_schema.INNODB_TRX t ON t.trx_id = w.blocking_trx_id"
)


def chunk_of(planned: PlannedTable, number: int = 0) -> Chunk:
    return Chunk(planned.source.name, number)


def test_the_waiting_writer_takes_over_when_the_first_dies(each_way: Place) -> None:
    zombie, second = each_way.target(), each_way.target()
    [planned] = prepared(zombie, simple()).tables
    inside, go_on = threading.Event(), threading.Event()

    def slow() -> Iterator[pa.RecordBatch]:
        inside.set()
        assert go_on.wait(30)
        yield batch(planned.source.columns, [[1, "zombie"]])

    with ThreadPoolExecutor(2) as threads:
        one = threads.submit(zombie.write, planned, chunk_of(planned), slow())
        assert inside.wait(30)
        two = threads.submit(
            second.write, planned, chunk_of(planned), iter([batch(planned.source.columns, [[1, "two"]])])
        )
        wait_until(lambda: each_way.run(WAITING))
        [(blocker,)] = each_way.run(f"SELECT trx_mysql_thread_id {BLOCKING}")
        each_way.run(f"KILL {blocker}")
        assert two.result(30).rows == 1
        go_on.set()
        with pytest.raises(ConnectionLost):
            one.result(30)
    assert each_way.run("SELECT name FROM item") == [("two",)]
    assert write(zombie, planned, [[2, "next"]], number=1).rows == 1


JOURNAL = "SELECT COUNT(*) FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = '_rowferry'"


def test_streams_that_come_and_go_at_once(place: Place) -> None:
    def whole(number: int) -> None:
        target = place.target(f"s{number}")
        [planned] = prepared(target, simple(f"t{number}")).tables
        write(target, planned, [[1, "a"]])
        target.finish_table(planned)
        target.finish([planned])
        target.forget()
        target.close()

    with ThreadPoolExecutor(6) as threads:
        for done in [threads.submit(whole, number) for number in range(12)]:
            done.result(60)
    last = place.target("last")
    prepared(last, simple("last"))
    last.forget()
    assert place.run(JOURNAL) == [(0,)]


def test_a_journal_that_somebody_looks_at_is_left(place: Place) -> None:
    target = place.target("s1")
    prepared(target, simple("a"))
    with closing(place.connect()) as reader:
        reader.begin()
        reader.query("SELECT * FROM _rowferry.streams")
        target.forget()
    assert target.journal() is None
    prepared(place.target("s2"), simple("b"))
    assert place.run("SELECT stream_id FROM _rowferry.streams") == [("s2",)]


def test_a_preparation_that_was_cut_off_is_made_again(place: Place) -> None:
    """Tables carry the stream's mark from the statement on that creates them, so a second try knows its own."""
    broken = place.target()
    plan = broken.plan([simple("a"), simple("b"), simple("c")], "postgres", prepared=False)
    place.run("CREATE VIEW b AS SELECT 1")
    with pytest.raises(RowferryError):
        broken.prepare(plan, {})
    assert place.run(
        "SELECT TABLE_COMMENT FROM information_schema.TABLES WHERE TABLE_NAME = 'a' AND TABLE_SCHEMA = DATABASE()"
    ) == [("rowferry stream_1",)]
    assert broken.journal() is None
    with pytest.raises(TargetExists, match=r"\.a, .*\.b"):
        place.target("other").plan([simple("a"), simple("b")], "postgres", prepared=False)
    place.run("DROP VIEW b")
    load(place.target(), *((simple(name), [[1, "x"]]) for name in "abc"))
    assert place.run("SELECT TABLE_COMMENT FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE()") == [
        ("",), ("",), ("",),
    ]  # fmt: skip


def test_a_marked_table_that_has_rows_is_not_dropped(place: Place) -> None:
    target = place.target()
    plan = target.plan([simple()], "postgres", prepared=False)
    place.run("CREATE TABLE item (id INT) COMMENT 'rowferry stream_1'", "INSERT INTO item VALUES (7)")
    with pytest.raises(TargetExists):
        target.prepare(plan, {})
    with pytest.raises(TargetExists):
        place.target().plan([simple()], "postgres", prepared=False)
    assert place.run("SELECT * FROM item") == [(7,)]


def test_a_stream_that_ends_before_it_is_prepared_leaves_nothing(place: Place) -> None:
    target = place.target()
    plan = target.plan([simple("a"), simple("b")], "postgres", prepared=False)
    place.run("CREATE VIEW b AS SELECT 1")
    with pytest.raises(RowferryError):
        target.prepare(plan, {})
    place.target().forget()
    assert place.run("SHOW TABLES") == [("b",)]


def test_a_stream_that_ends_early_takes_its_mark_away(place: Place) -> None:
    target = place.target()
    [planned] = prepared(target, simple()).tables
    write(target, planned, [[1, "a"]])
    target.forget()
    assert place.run("SELECT TABLE_COMMENT FROM information_schema.TABLES WHERE TABLE_NAME = 'item'") == [("",)]
    assert place.run("SELECT * FROM item") == [(1, "a")]


SECRET = "top-secret-value"

FAILURES: list[tuple[Column, str, Any, str]] = [
    (column("c", t.Text(30)), "varchar(3)", SECRET, r"column c\)"),
    (column("c", t.Text(30)), "varchar(30) CHECK (c <> 'top-secret-value')", SECRET, "check"),
    (column("c", t.Text(30)), "varchar(30) UNIQUE", SECRET, "same key"),
    (column("c", t.Text(30)), "varchar(30) CHARACTER SET latin1", f"{SECRET} \U0001f600", r"charset.*column c\)"),
    (column("c", t.Text(30)), "int", SECRET, r"column c\)"),
    (column("c", t.Text(30)), "enum('a')", SECRET, r"column c\)"),
    (column("c", t.Text(30)), "datetime", SECRET, r"column c\)"),
    (column("c", t.Text(30)), "json", SECRET, "check"),
    (column("c", t.Integer(64)), "tinyint", 123456789, r"range.*column c\)"),
    (column("c", t.Integer(64)), "varchar(3)", 123456789, r"column c\)"),
    (column("c", t.Binary()), "varbinary(3)", SECRET.encode(), r"column c\)"),
    (column("c", t.Text(30)), "varchar(30) NOT NULL", None, "NULL"),
    (column("c", t.Text(30)), "varchar(16)", f"{SECRET}   ", r"column c\)"),
]


def test_failures_name_the_place_and_no_value(each_way: Place) -> None:
    """Each would have been a warning, and a changed or missing value, were LOCAL left to itself."""
    place = each_way
    for at, (cell, declared, value, words) in enumerate(FAILURES):
        target = place.target(f"s{at}")
        [planned] = prepared(target, table(f"t{at}", cell)).tables
        place.run(f"ALTER TABLE t{at} DROP COLUMN c, ADD COLUMN k INT, ADD COLUMN c {declared}")
        with pytest.raises(WriteFailed, match=words) as caught:
            write(target, planned, [[value]] * 2, number=3)
        assert SECRET not in caught.value.message
        assert "123456789" not in caught.value.message
        assert f"chunk 3 of {place.database}.t{at}" in caught.value.message
        assert place.run(f"SELECT COUNT(*) FROM t{at}") == [(0,)]
        place.run(f"ALTER TABLE t{at} DROP COLUMN c, ADD COLUMN c longtext")
        if cell.type == t.Text(30):
            assert write(target, planned, [["ok"]], number=3).rows == 1


def test_a_number_that_is_zero_stays_zero(each_way: Place) -> None:
    numbered = column("id", t.Integer(32), nullable=False, identity=True)
    source = table("t", numbered, column("v", t.Text(5)), primary_key=("id",))
    load(each_way.target(), (source, [[0, "a"], [5, "b"], [-1, "c"]]))
    assert each_way.run("SELECT id FROM t ORDER BY id") == [(-1,), (0,), (5,)]


def test_large_rows(each_way: Place) -> None:
    """Longer than a packet of LOAD DATA; for INSERT, as long as the server's packet allows, and a word when longer."""
    target = each_way.target()
    [planned] = prepared(target, table("t", column("v", t.Text()), column("b", t.Binary()))).tables
    text, raw = "é\t\\" * 400_000, bytes(range(256)) * 8000
    write(target, planned, [[text, raw], ["", b""]])
    query = f"SELECT v = REPEAT('é\\t\\\\', 400000) AND b = x'{raw.hex()}' FROM t LIMIT 1"
    assert each_way.run(query) == [(1,)]
    huge = ["x" * (17 << 20), None]
    if each_way.way == "insert":
        with pytest.raises(WriteFailed, match=r"\.t gets a row .* max_allowed_packet, .* column v: raise"):
            write(target, planned, [huge], number=1)
        assert write(target, planned, [["y", None]], number=2).rows == 1
    else:
        write(target, planned, [huge], number=1)
        assert each_way.run("SELECT MAX(LENGTH(v)) FROM t") == [(17 << 20,)]


def test_rows_as_parameters_fit_into_packets(place: Place) -> None:
    """Slices are halved until they do; where a row might not, the table is loaded as text."""
    target = place.target()
    [planned] = prepared(target, table("t", column("v", t.Text(4000)), column("n", t.Integer(32)))).tables
    with target._pool.lease() as session:
        assert session.bulk
        session.largest = 20_000
    rows = [["x" * (at * 37 % 4000), at] for at in range(300)]
    assert write(target, planned, rows).rows == 300
    query = "SELECT COUNT(*), SUM(n), SUM(LENGTH(v)) FROM t WHERE LENGTH(v) = n * 37 % 4000"
    assert place.run(query) == [(300, sum(range(300)), sum(len(str(text)) for text, _ in rows))]
    assert bulk_rows(planned) is not None
    wider = table("w", column("v", t.Text(8000)), column("n", t.Integer(32)))
    [planned] = prepared(place.target("wider"), wider).tables
    other = place.target("wider")
    with other._pool.lease() as session:
        session.largest = 20_000
    assert write(other, planned, [["\U0001f600" * 8000, 1]]).rows == 1


def test_long_values_are_no_parameters() -> None:
    kinds: list[t.NeutralType] = [
        t.Foreign("mysql", "datetime(3)"),
        t.Text(8000),
        t.Text(8001),
        t.Text(),
        t.Json(),
        t.Geometry(),
        t.Binary(),
        t.Bits(None, varying=True),
    ]
    tables = [table("t", column("n", t.Integer(32)), column("v", kind)) for kind in kinds]
    assert [bulk_rows(PlannedTable(one, one)) is not None for one in tables] == [True] * 2 + [False] * 6


def test_chunks_of_a_numbered_table_go_in_side_by_side(place: Place) -> None:
    """A chunk that is half written keeps no other from being written."""
    target = place.target()
    numbered = column("id", t.Integer(32), nullable=False, identity=True)
    source = table("t", numbered, primary_key=("id",))
    [planned] = prepared(target, source).tables
    begun, go_on = threading.Event(), threading.Event()

    def slowly() -> Iterator[pa.RecordBatch]:
        yield batch(source.columns, [[1]])
        begun.set()
        assert go_on.wait(30)
        yield batch(source.columns, [[2]])

    with ThreadPoolExecutor(1) as other:
        first = other.submit(target.write, planned, Chunk(source.name, 0), slowly())
        assert begun.wait(30)
        assert write(target, planned, [[3], [4]], number=1).rows == 2
        go_on.set()
        assert first.result(30).rows == 2
    assert place.run("SELECT id FROM t ORDER BY id") == [(1,), (2,), (3,), (4,)]


def test_a_dropped_table_is_named(each_way: Place) -> None:
    target = each_way.target()
    [planned] = prepared(target, simple()).tables
    each_way.run("DROP TABLE item")
    with pytest.raises(MissingTable, match=r"chunk 0 of db_.*item"):
        write(target, planned, [[1, "a"]])


def test_names_survive(place: Place) -> None:
    odd = "We `ird; DROP\\ \"' é {}%s"
    long = "n" * 70
    source = Table(
        TableName("shop", odd),
        (
            column(odd, t.Integer(32), nullable=False), column(long, t.Text(5)), column("Name", t.Inet()),
            column("näme", t.Binary()), column("\U0001f600", t.Text(3)),
        ),
        primary_key=(odd,),
    )  # fmt: skip
    target = place.target()
    plan = prepared(target, source)
    [planned] = plan.tables
    names = [cell.name for cell in planned.target.columns]
    assert names[0] == odd
    assert names[1] != long
    assert all(len(name) <= 64 for name in names)
    assert names[2:4] == ["Name", "näme_"]
    write(target, planned, [[1, "a", "::1", b"x", "y"]])
    assert target.finish_table(planned) == []
    stored = place.run(
        "SELECT COLUMN_NAME FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE() ORDER BY ORDINAL_POSITION"
    )
    assert [row[0] for row in stored] == names


def test_a_database_of_an_odd_name(place: Place) -> None:
    place.database = f'{place.database} new "`one`'
    assert place.target().journal() is None
    place.target().forget()
    target = place.target()
    prepared(target, simple())
    assert place.run("SHOW TABLES") == [("item",)]
