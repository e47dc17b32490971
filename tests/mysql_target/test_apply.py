"""One writer at a time, and a position that commits with the changes; who comes too late has written nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import pytest

from rowferry.connectors.base import PlannedTable
from rowferry.connectors.changes import Standing
from rowferry.connectors.mysql import follows
from rowferry.connectors.mysql.apply import MySqlApplier
from rowferry.errors import Cancelled, Conflict, ConnectionLost, FencedOff, MissingTable, WriteFailed
from rowferry.model import types as t
from rowferry.model.chunks import Chunk, Committed
from rowferry.model.tables import ForeignKey, Table, TableName
from tests.followed import row_changes
from tests.mysql_target.applying import change, merged
from tests.mysql_target.conftest import Place, load, prepared
from tests.servers import wait_until
from tests.tables import batch, column, simple, table

WAITING = "SELECT 1 FROM information_schema.INNODB_TRX WHERE trx_state = 'LOCK WAIT'"


@pytest.fixture
def item(place: Place) -> PlannedTable:
    """The table `item`, prepared for the stream."""
    return prepared(place.target(), simple(key=("id",))).tables[0]


def put(applier: MySqlApplier, item: PlannedTable, number: int) -> None:
    applier.merge(merged(item, ["id"], upserts=[(number, f"row {number}")], new=True))


def items(place: Place) -> list[int]:
    return [number for (number,) in place.run("SELECT id FROM item ORDER BY id")]


def test_the_position_comes_back(place: Place, item: PlannedTable) -> None:
    first = place.applier()
    assert first.standing() == Standing()
    notes = {"tables": {"shop.item": ["'", "\\", "é\U0001f600"]}, "n": 1, "none": None}
    first.commit(Standing("0/1A", notes))
    assert first.standing() == Standing("0/1A", notes)
    put(first, item, 1)
    first.commit(Standing("x" * 100_000, {}))
    first.commit(Standing("x" * 100_000, {}))  # the same once more is no sign of another writer
    first.close()
    second = place.applier()
    assert second.standing() == Standing("x" * 100_000, {})
    assert items(place) == [1]


def test_what_is_not_committed_is_gone(place: Place, item: PlannedTable) -> None:
    first = place.applier()
    first.commit(Standing("1"))
    put(first, item, 1)
    assert items(place) == []
    first.close()
    second = place.applier()
    assert second.standing() == Standing("1")
    assert items(place) == []


def test_a_stream_that_was_never_prepared_is_refused(place: Place) -> None:
    with pytest.raises(Conflict, match="start a new stream"):
        place.applier("unknown")
    prepared(place.target("other"), simple())
    with pytest.raises(Conflict, match="start a new stream"):
        place.applier("unknown")


def idle(_: MySqlApplier, __: PlannedTable) -> None:
    """The older writer has nothing under way."""


def changed(applier: MySqlApplier, item: PlannedTable) -> None:
    """It holds the locks of a change."""
    put(applier, item, 1)


def committing(applier: MySqlApplier, item: PlannedTable) -> None:
    """It has moved the position, and got no further."""
    put(applier, item, 1)
    assert follows.advance(applier._session, "stream_1", applier._epoch, Standing("late"))


@pytest.mark.parametrize("until", [idle, changed, committing])
def test_the_older_writer_comes_to_nothing(
    place: Place, item: PlannedTable, until: Callable[[MySqlApplier, PlannedTable], None]
) -> None:
    """However far it is, and though its end of the connection says nothing: its locks are free then."""
    older = place.applier()
    older.commit(Standing("1"))
    until(older, item)
    newer = place.applier()
    assert newer.standing() == Standing("1")
    put(newer, item, 1)
    newer.commit(Standing("2"))
    with pytest.raises(FencedOff, match="taken the stream over"):
        older.commit(Standing("late"))
    assert place.applier().standing() == Standing("2")
    assert items(place) == [1]


@pytest.mark.parametrize("until", [idle, changed])
def test_the_epoch_alone_keeps_an_older_writer_out(
    place: Place, item: PlannedTable, until: Callable[[MySqlApplier, PlannedTable], None]
) -> None:
    """Where the server's locks are not seen by all, as in a cluster."""
    older = place.applier()
    until(older, item)
    place.run("UPDATE _rowferry.follows SET epoch = epoch + 1")
    with pytest.raises(FencedOff):
        older.commit(Standing("late"))
    assert place.run("SELECT position FROM _rowferry.follows") == [(None,)]
    assert items(place) == []
    with pytest.raises(Conflict, match="open another"):
        older.standing()


def test_an_older_writer_in_the_middle_of_a_statement_is_ended(place: Place, item: PlannedTable) -> None:
    older = place.applier()
    older.commit(Standing("1"))
    with closing(place.connect()) as other, ThreadPoolExecutor(1) as threads:
        other.begin()
        other.query("INSERT INTO item VALUES (1, 'held')")
        stuck = threads.submit(put, older, item, 1)
        wait_until(lambda: place.run(WAITING))
        newer = place.applier()
        with pytest.raises(FencedOff):
            stuck.result(30)
        other.rollback()
    put(newer, item, 1)
    newer.commit(Standing("2"))
    assert items(place) == [1]


def test_many_writers_at_once_and_one_goes_on(place: Place, item: PlannedTable) -> None:
    """Each raises what it finds by one; whatever they do to each other, the count tells every commit."""
    start = threading.Barrier(4)

    def write(_: int) -> int:
        start.wait(30)
        mine = 0
        for _ in range(5):
            try:
                applier = place.applier()
                number = int(applier.standing().position or "0") + 1
                put(applier, item, number)
                applier.commit(Standing(str(number)))
                mine += 1
            except (FencedOff, ConnectionLost):
                continue
        return mine

    with ThreadPoolExecutor(4) as threads:
        commits = sum(threads.map(write, range(4)))
    last = place.applier().standing().position
    assert last is not None
    assert int(last) >= commits > 0
    assert items(place) == list(range(1, int(last) + 1))


def test_a_lost_connection_is_worth_another_try(place: Place, item: PlannedTable) -> None:
    applier = place.applier()
    put(applier, item, 1)
    place.run(f"KILL {applier._session._number}")
    with pytest.raises(ConnectionLost):
        applier.commit(Standing("1"))
    assert items(place) == []
    assert place.applier().standing() == Standing()


def test_a_lock_of_others_is_worth_another_try(place: Place, item: PlannedTable) -> None:
    applier = place.applier()
    applier._session.execute("SET innodb_lock_wait_timeout = 1")
    put(applier, item, 1)
    with closing(place.connect()) as other:
        other.begin()
        other.query("INSERT INTO item VALUES (2, 'held')")
        with pytest.raises(ConnectionLost, match="lock"):
            put(applier, item, 2)
    assert items(place) == []


def test_closing_ends_what_is_under_way(place: Place, item: PlannedTable) -> None:
    applier = place.applier()
    with closing(place.connect()) as other, ThreadPoolExecutor(1) as threads:
        other.begin()
        other.query("INSERT INTO item VALUES (1, 'held')")
        stuck = threads.submit(put, applier, item, 1)
        wait_until(lambda: place.run(WAITING))
        applier.close()
        applier.close()
        with pytest.raises(Cancelled):
            stuck.result(30)
    with pytest.raises(Cancelled):
        applier.standing()
    assert items(place) == []


def test_a_stream_that_was_ended_takes_nothing(place: Place, item: PlannedTable) -> None:
    applier = place.applier()
    put(applier, item, 1)
    place.target().forget()
    with pytest.raises(FencedOff):
        applier.commit(Standing("1"))
    assert items(place) == []
    assert place.run("SHOW DATABASES LIKE '\\_rowferry'") == []


def test_the_journal_of_an_older_version_is_completed(place: Place, item: PlannedTable) -> None:
    place.run("DROP TABLE _rowferry.follows", "DROP TABLE _rowferry.moments")
    target = place.target()
    journal = target.journal()
    assert journal is not None
    target.begin(item, [Chunk(item.source.name, 0)])
    rows = [batch(item.source.columns, [[1, "a"]])]
    assert target.write(item, Chunk(item.source.name, 0, at="0/1"), iter(rows)).at == "0/1"
    place.run("DROP TABLE _rowferry.follows")
    applier = place.applier()
    applier.commit(Standing("1"))
    assert place.applier().standing() == Standing("1")


def test_where_a_chunk_was_read_comes_back(place: Place, item: PlannedTable) -> None:
    target, name = place.target(), str(item.target.name)
    chunks = [Chunk(item.source.name, 0, None, (5,)), Chunk(item.source.name, 1, (5,), None)]
    target.begin(item, chunks)
    for number, at in enumerate(["mysql-bin.000003:4'", None]):
        chunk = Chunk(item.source.name, number, at=at)
        wanted = Committed(name, number, 1, 16, at)
        for _ in range(2):  # the second time it is done already
            done = target.write(item, chunk, iter([batch(item.source.columns, [[number, ""]])]))
            assert (done.rows, done.at, done.number) == (wanted.rows, wanted.at, wanted.number)
    journal = place.target().journal()
    assert journal is not None
    assert [(one.number, one.at) for one in journal.committed] == [(0, "mysql-bin.000003:4'"), (1, None)]


def test_a_table_that_is_gone_is_named(place: Place, item: PlannedTable) -> None:
    applier = place.applier()
    place.run("DROP TABLE item")
    with pytest.raises(MissingTable, match=r"merging changes of .*\.item"):
        put(applier, item, 1)


def linked(name: str, *keys: ForeignKey) -> Table:
    return table(
        name, column("id", t.Integer(32), nullable=False), column("parent", t.Integer(32)),
        primary_key=("id",), key=("id",), foreign_keys=keys,
    )  # fmt: skip


@pytest.fixture
def family(place: Place) -> tuple[PlannedTable, PlannedTable]:
    """`child` refers to `parent`, with ON DELETE CASCADE."""
    parent = linked("parent")
    key = ForeignKey("leads", ("parent",), TableName("shop", "parent"), ("id",), on_delete="CASCADE")
    child = linked("child", key)
    load(place.target(), (parent, [[1, None], [2, None]]), (child, [[10, 1], [20, 2]]))
    first, second = place.target().plan([parent, child], "postgres", prepared=True).tables
    return first, second


def test_references_act_only_when_asked(place: Place, family: tuple[PlannedTable, PlannedTable]) -> None:
    """What a log tells of is not done twice; what it does not tell of, the target does itself."""
    parent, child = family
    applier = place.applier()
    applier.merge(merged(parent, ["id"], deletes=[(1, None)]))
    applier.commit(Standing("1"))
    assert place.run("SELECT id FROM child ORDER BY id") == [(10,), (20,)]
    applier.replay(parent, row_changes(parent.source, [change((2, None), None)]), checked=True)
    applier.commit(Standing("2"))
    assert place.run("SELECT id FROM child ORDER BY id") == [(10,)]
    applier.merge(merged(child, ["id"], upserts=[(30, 99)]))
    applier.replay(child, row_changes(child.source, [change(None, (40, 99))]), checked=False)
    applier.commit(Standing("3"))
    with pytest.raises(WriteFailed, match="refers to a row that is not on the target"):
        applier.replay(child, row_changes(child.source, [change(None, (50, 99))]), checked=True)
    assert place.run("SELECT id FROM child ORDER BY id") == [(10,), (30,), (40,)]


def test_a_reference_that_forbids_is_named(place: Place, family: tuple[PlannedTable, PlannedTable]) -> None:
    parent, _ = family
    with pytest.raises(WriteFailed, match="Other rows refer to a row that is changed or deleted"):
        place.applier().replay(parent, row_changes(parent.source, [change((1, None), (3, None))]), checked=True)


def test_a_row_that_gives_way_takes_no_others_with_it(place: Place, family: tuple[PlannedTable, PlannedTable]) -> None:
    """A load that overlapped has read what the log tells again; no delete of the source's is among it."""
    parent, _ = family
    applier = place.applier()
    steps = [change(None, (1, 5)), change(None, (3, 0)), change((3, 0), (2, 6)), change((9, None), (2, 7))]
    applier.replay(parent, row_changes(parent.source, steps), checked=True)
    applier.commit(Standing("1"))
    assert place.run("SELECT id, parent FROM parent") == [(1, 5), (2, 6)]
    assert place.run("SELECT id FROM child ORDER BY id") == [(10,), (20,)]


def test_tables_are_emptied_alone_and_with_the_rest(place: Place, family: tuple[PlannedTable, PlannedTable]) -> None:
    parent, child = family
    applier = place.applier()
    applier.truncate([parent], restart=True)
    applier.merge(merged(parent, ["id"], upserts=[(7, None)], new=True))
    assert place.run("SELECT id FROM parent ORDER BY id") == [(1,), (2,)]
    applier.commit(Standing("1"))
    assert place.run("SELECT id FROM parent") == [(7,)]
    assert place.run("SELECT COUNT(*) FROM child") == [(2,)]
    applier.truncate([child, parent], restart=False)
    applier.commit(Standing("2"))
    assert place.run("SELECT (SELECT COUNT(*) FROM child) + (SELECT COUNT(*) FROM parent)") == [(0,)]


def test_the_connector_opens_it(place: Place, item: PlannedTable) -> None:
    from rowferry.connectors.registry import connector  # noqa: PLC0415 - only this test needs it

    opener = connector("mysql").open_applier
    assert opener is not None
    request: Any = place._request("stream_1", "fail_if_exists", "fail_if_not_empty")
    with closing(opener(request, [item])) as applier:
        assert applier.standing() == Standing()
