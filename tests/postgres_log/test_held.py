"""The moment before a log is followed: what a read sees lies before its place, and everything else behind it."""

from __future__ import annotations

from threading import Event, Thread

import pytest

from rowferry.connectors.postgres.source import PostgresSource
from rowferry.errors import Cancelled, RowferryError
from rowferry.model.tables import Table
from tests.postgres_log.conftest import WHOLE, Follower, Log, following
from tests.servers import wait_until


def seen(source: PostgresSource, table: Table) -> list[int]:
    batches = [batch for chunk in source.chunks(table, WHOLE) for batch in source.read(table, chunk)]
    return [value for batch in batches for value in batch.column("n").to_pylist()]


def inserted(follower: Follower) -> list[int]:
    return [after["n"] for _, _, _, after in follower.rows() if after is not None]


@pytest.mark.parametrize("durable", ["on", "off"])
def test_nothing_is_lost_or_doubled_between_a_snapshot_and_the_log(log: Log, durable: str) -> None:
    """Two sessions commit one row after another while snapshots are taken in between."""
    log.run("CREATE TABLE t (n bigint)", "ALTER TABLE t REPLICA IDENTITY FULL")
    first = following(log, "t")
    ended = Event()
    written: list[list[int]] = [[], []]

    def write(who: int) -> None:
        with log.server.connect(log.database) as session:
            session.execute(f"SET synchronous_commit = {durable}".encode())
            number = who
            while not ended.is_set():
                session.execute(f"INSERT INTO t VALUES ({number})".encode())
                written[who].append(number)
                number += 2

    def grown(rows: int) -> None:
        wanted = sum(map(len, written)) + rows
        wait_until(lambda: sum(map(len, written)) >= wanted)

    writers = [Thread(target=write, args=(who,)) for who in range(2)]
    for writer in writers:
        writer.start()
    shots = []
    try:
        for _ in range(8):
            grown(5)
            source = log.source()
            source.hold_logged(first.tables, 1)
            place = source.held_at()
            assert place is not None
            shots.append((place, seen(source, first.tables[0])))
            assert source.held_at() == place
            source.close()
    finally:
        ended.set()
        for writer in writers:
            writer.join()
    everything = sorted(number for numbers in written for number in numbers)
    assert sorted(inserted(first)) == everything
    start = log.changes().prepare(first.tables)
    for place, rows in shots:
        follower = Follower(log, log.changes(), first.tables, start, {first.tables[0].name: place})
        assert sorted(rows + inserted(follower)) == everything


def test_a_snapshot_that_was_lost_has_another_place(log: Log) -> None:
    log.run("CREATE TABLE t (n int)", "INSERT INTO t VALUES (1)")
    [table] = log.tables("t")
    source = log.source()
    source.hold_logged([table], 2)
    first = source.held_at()
    assert seen(source, table) == [1]
    log.run("INSERT INTO t VALUES (2)")
    assert seen(source, table) == [1]
    assert source.held_at() == first
    # The session that holds the snapshot, not those that read by it.
    log.run(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'SELECT%' AND pid <> pg_backend_pid() "
        "AND datname = current_database() AND state = 'idle in transaction' AND backend_type = 'client backend' "
        "AND query IN ('SELECT 1', 'SELECT pg_export_snapshot()')"
    )
    assert seen(source, table) == [1, 2]
    second = source.held_at()
    assert second is not None
    assert log.changes().reached(second, first or "")
    assert second != first
    assert "2 moments" in source.consistency()


def test_without_a_logged_snapshot_there_is_no_place(log: Log) -> None:
    source = log.source()
    assert source.held_at() is None
    source.hold(None, [], 1)
    assert source.held_at() is None


def test_nothing_is_left_of_the_slot(log: Log) -> None:
    source = log.source()
    source.hold_logged([], 1)
    assert source.held_at()
    wait_until(lambda: log.run("SELECT count(*) FROM pg_replication_slots") == [(0,)])


def test_closing_ends_the_wait_for_a_snapshot(log: Log) -> None:
    log.run("CREATE TABLE t (n int)")
    source = log.source()
    source.hold_logged([], 1)
    ends: list[Exception] = []

    def take() -> None:
        try:
            source.held_at()
        except RowferryError as error:
            ends.append(error)

    with log.server.connect(log.database) as other, other.transaction():
        other.execute("INSERT INTO t VALUES (1)")
        taker = Thread(target=take)
        taker.start()
        waits = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'CREATE_REPLICATION_SLOT%' AND state = 'active'"
        wait_until(lambda: log.run(waits) == [(1,)])
        source.close()
        taker.join(20)
        assert not taker.is_alive()
    assert isinstance(ends[0], Cancelled)
