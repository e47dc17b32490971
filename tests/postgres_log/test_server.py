"""What is left at the server, and what befalls the connection: slots, publications, keepalives, log that is kept."""

from __future__ import annotations

import time
from collections.abc import Iterator
from threading import Thread

import psutil
import pytest

from rowferry.config.stream import SourceOptions
from rowferry.connectors.changes import ChangesRequest
from rowferry.connectors.postgres.replication import following as pace
from rowferry.connectors.postgres.replication.positions import number
from rowferry.connectors.postgres.replication.source import open_changes
from rowferry.errors import Cancelled, Conflict, ConnectionLost, Refused, RowferryError, SourceChanged
from tests.postgres_log.conftest import SIZE, Follower, Log, following
from tests.postgres_log.stall import Stall
from tests.postgres_source.conftest import connection_to
from tests.servers import wait_until

SLOTS = "SELECT slot_name::text FROM pg_replication_slots WHERE database = current_database()"


def confirmed(log: Log, slot: str = "rowferry_s1") -> int:
    [(place,)] = log.run(f"SELECT confirmed_flush_lsn::text FROM pg_replication_slots WHERE slot_name = '{slot}'")
    return number(str(place))


def test_what_was_prepared_is_kept_and_released(log: Log) -> None:
    log.run("CREATE TABLE a (n int PRIMARY KEY)", "CREATE TABLE b (n int PRIMARY KEY)")
    follower = following(log, "a")
    changes = follower.changes
    assert changes.prepare(follower.tables) == follower.position
    log.run("INSERT INTO a VALUES (1)")
    assert changes.prepare(log.tables("a", "b")) == follower.position
    published = "SELECT tablename::text FROM pg_publication_tables WHERE pubname = 'rowferry_s1' ORDER BY 1"
    assert log.run(published) == [("a",), ("b",)]
    changes.prepare(log.tables("b"))
    assert log.run(published) == [("b",)]
    changes.release()
    assert log.run(SLOTS) == []
    assert log.run("SELECT pubname FROM pg_publication") == []
    changes.release()


def test_release_while_somebody_follows(log: Log) -> None:
    log.run("CREATE TABLE t (n int PRIMARY KEY)")
    follower = following(log, "t")
    stream = follower.changes.follow(follower.position, follower.tables, {}, SIZE)
    next(stream)
    other = log.changes()
    other.close()
    other.release()
    assert log.run(SLOTS) == []
    with pytest.raises((ConnectionLost, SourceChanged)):
        for _ in stream:
            pass
    with pytest.raises(SourceChanged, match=r"no longer there.*start a new stream"):
        follower.to_the_end()


def test_a_second_follower_takes_over(log: Log) -> None:
    log.run("CREATE TABLE t (n int PRIMARY KEY)")
    follower = following(log, "t")
    dead = follower.changes.follow(follower.position, follower.tables, {}, SIZE)
    next(dead)
    log.run("INSERT INTO t VALUES (1)")
    second = Follower(log, log.changes(), follower.tables, follower.position)
    assert second.rows() == [("t", "insert", None, {"n": 1})]
    with pytest.raises(ConnectionLost):
        for _ in dead:
            pass


def test_a_slot_and_a_publication_of_the_users(log: Log) -> None:
    log.run("CREATE TABLE t (n int PRIMARY KEY)", "CREATE TABLE other (n int PRIMARY KEY)")
    log.run(
        'CREATE PUBLICATION "My Own" FOR ALL TABLES', "SELECT pg_create_logical_replication_slot('mine', 'pgoutput')"
    )
    follower = following(log, "t", replication_slot="mine", publication_name="My Own")
    log.run("INSERT INTO other VALUES (1)", "INSERT INTO t VALUES (2)")
    assert follower.rows() == [("t", "insert", None, {"n": 2})]
    follower.changes.release()
    assert log.run(SLOTS) == [("mine",)]
    assert log.run("SELECT pubname FROM pg_publication") == [("My Own",)]


def test_a_slot_of_the_users_is_not_made(log: Log) -> None:
    log.run("CREATE TABLE t (n int PRIMARY KEY)")
    with pytest.raises(Conflict, match=r"pg_create_logical_replication_slot\('mine'"):
        following(log, "t", replication_slot="mine")
    log.run("SELECT pg_create_logical_replication_slot('mine', 'test_decoding')")
    with pytest.raises(Conflict, match="not one of pgoutput"):
        following(log, "t", replication_slot="mine")


def test_no_table_is_published_whose_updates_would_fail(log: Log) -> None:
    log.run("CREATE TABLE t (n int)", "INSERT INTO t VALUES (1)")
    with pytest.raises(Refused, match=r'ALTER TABLE "public"\."t" REPLICA IDENTITY FULL'):
        following(log, "t")
    log.run("UPDATE t SET n = 2")


def test_an_idle_table_holds_nothing_back(log: Log) -> None:
    log.run("CREATE TABLE t (n int PRIMARY KEY)", "CREATE TABLE busy (n int)")
    follower = following(log, "t")
    before = confirmed(log)

    def moves() -> bool:
        log.run("INSERT INTO busy SELECT generate_series(1, 1000)")
        follower.changes.confirm(follower.position)
        return confirmed(log) > before + 100_000

    batches = follower.until(moves)
    assert not any(batch.changes for batch in batches)
    assert number(follower.position) > before + 100_000
    distance = follower.changes.distance(follower.position)
    assert distance is not None
    assert distance < 1_000_000


def test_what_is_not_confirmed_is_kept(log: Log) -> None:
    log.run("CREATE TABLE t (n int PRIMARY KEY)")
    follower = following(log, "t")
    start = follower.position
    log.run("INSERT INTO t VALUES (1)")
    assert follower.rows() == [("t", "insert", None, {"n": 1})]
    assert confirmed(log) == number(start)
    again = Follower(log, log.changes(), follower.tables, start)
    assert again.rows() == [("t", "insert", None, {"n": 1})]


def test_a_position_before_what_was_confirmed_is_gone(log: Log) -> None:
    log.run("CREATE TABLE t (n int PRIMARY KEY)")
    follower = following(log, "t")
    start = follower.position
    log.run("INSERT INTO t VALUES (1)")
    follower.to_the_end()
    follower.changes.confirm(follower.position)
    follower.until(lambda: confirmed(log) == number(follower.position))
    with pytest.raises(SourceChanged, match="changes in between are gone"):
        Follower(log, log.changes(), follower.tables, start).to_the_end()


def test_the_server_hears_of_a_stream_whose_target_is_slow(log: Log) -> None:
    log.run("CREATE TABLE t (n int PRIMARY KEY)")
    log.run("ALTER SYSTEM SET wal_sender_timeout = '1500ms'", "SELECT pg_reload_conf()")
    try:
        follower = following(log, "t")
        stream = follower.changes.follow(follower.position, follower.tables, {}, SIZE)
        next(stream)
        heard = "SELECT extract(epoch FROM clock_timestamp() - backend_start) FROM pg_stat_replication"
        wait_until(lambda: [age for (age,) in log.run(heard) if age > 6])
        log.run("INSERT INTO t VALUES (1)")
        assert next(batch for batch in stream if batch.changes).changes == 1
        stream.close()
    finally:
        log.run("ALTER SYSTEM RESET wal_sender_timeout", "SELECT pg_reload_conf()")


def test_a_walsender_that_is_killed_is_a_lost_connection(log: Log) -> None:
    log.run("CREATE TABLE t (n int PRIMARY KEY)")
    follower = following(log, "t")
    stream = follower.changes.follow(follower.position, follower.tables, {}, SIZE)
    next(stream)
    log.run("SELECT pg_terminate_backend(pid) FROM pg_stat_replication", "INSERT INTO t VALUES (1)")
    with pytest.raises(ConnectionLost):
        for _ in stream:
            pass
    assert follower.rows() == [("t", "insert", None, {"n": 1})]


def test_closing_ends_following(log: Log) -> None:
    log.run("CREATE TABLE t (n int PRIMARY KEY)")
    follower = following(log, "t")
    ends: list[Exception] = []

    def follow() -> None:
        try:
            for _ in follower.changes.follow(follower.position, follower.tables, {}, SIZE):
                pass
        except RowferryError as error:
            ends.append(error)

    thread = Thread(target=follow)
    thread.start()
    wait_until(lambda: log.run("SELECT pid FROM pg_stat_replication"))
    begun = time.monotonic()
    follower.changes.close()
    thread.join(10)
    assert isinstance(ends[0], Cancelled)
    assert time.monotonic() - begun < 5
    follower.changes.close()
    with pytest.raises(Cancelled):
        follower.to_the_end()


def test_closing_leaves_the_server_though_nobody_asks_for_more(log: Log) -> None:
    log.run("CREATE TABLE t (n int PRIMARY KEY)")
    follower = following(log, "t")
    stream = follower.changes.follow(follower.position, follower.tables, {}, SIZE)
    next(stream)
    follower.changes.close()
    wait_until(lambda: not log.run("SELECT pid FROM pg_stat_replication"))
    with pytest.raises(Cancelled):
        next(stream)


def test_a_slot_whose_log_was_thrown_away(log: Log) -> None:
    log.run("CREATE TABLE t (n int PRIMARY KEY)", "CREATE TABLE busy (v text)")
    follower = following(log, "t")
    log.run("ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'", "SELECT pg_reload_conf()")
    try:

        def lost() -> bool:
            log.run(
                "INSERT INTO busy SELECT repeat('x', 1000) FROM generate_series(1, 3000)",
                "SELECT pg_switch_wal()",
                "CHECKPOINT",
            )
            return log.run("SELECT wal_status FROM pg_replication_slots WHERE slot_name = 'rowferry_s1'") == [("lost",)]

        wait_until(lost)
    finally:
        log.run("ALTER SYSTEM RESET max_slot_wal_keep_size", "SELECT pg_reload_conf()")
    with pytest.raises(SourceChanged, match=r"threw away log.*max_slot_wal_keep_size.*start a new stream"):
        follower.to_the_end()
    [finding] = log.changes().prerequisites(follower.tables)
    assert "threw away log" in finding.message
    follower.changes.release()
    assert log.run(SLOTS) == []


@pytest.mark.parametrize("which", ["log", "log18"])
def test_a_publication_that_is_gone(which: str, request: pytest.FixtureRequest) -> None:
    """An older server fails, a newer one goes on without it."""
    log: Log = request.getfixturevalue(which)
    log.run("CREATE TABLE t (n int PRIMARY KEY)")
    follower = following(log, "t")
    assert follower.changes.distance(follower.position) is not None
    log.run("DROP PUBLICATION rowferry_s1", "INSERT INTO t VALUES (1)")
    with pytest.raises(SourceChanged, match=r"publication.*start a new stream"):
        follower.changes.distance(follower.position)
    with pytest.raises(SourceChanged, match=r"publication.*start a new stream"):
        follower.to_the_end()


@pytest.fixture
def stalling(log: Log) -> Iterator[Stall]:
    """A way to the server that can fall silent."""
    with Stall(log.server.host, log.server.port) as made:
        yield made


def test_a_connection_that_falls_silent_is_lost(log: Log, stalling: Stall, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "STALL", 2.0)
    log.run("CREATE TABLE t (n int PRIMARY KEY)")
    follower = following(log, "t")
    connection = connection_to(log.server, port=stalling.port)
    changes = open_changes(ChangesRequest(connection, log.database, None, "s1", SourceOptions()))
    log.opened.append(changes)
    stream = changes.follow(follower.position, follower.tables, {}, SIZE)
    for _ in range(5):
        assert not next(stream).changes
    stalling.stalled.set()
    log.run("INSERT INTO t VALUES (1)")
    with pytest.raises(ConnectionLost):
        sum(batch.changes for batch in stream)
    assert follower.rows() == [("t", "insert", None, {"n": 1})]


def test_a_server_that_is_at_work_is_told_from_one_that_rests(log: Log) -> None:
    log.run("CREATE TABLE t (n int PRIMARY KEY)", "CREATE TABLE busy (n int)")
    follower = following(log, "t")
    log.run("INSERT INTO busy SELECT generate_series(1, 300000)")
    stream = follower.changes.follow(follower.position, follower.tables, {}, SIZE)
    reader = Thread(target=lambda: next(batch for batch in stream if batch.changes))
    reader.start()
    wait_until(lambda: log.run("SELECT pid FROM pg_stat_replication"))
    [(pid,)] = log.run("SELECT pid FROM pg_stat_replication")
    wait_until(lambda: follower.changes.is_at_work(pid))
    wait_until(lambda: not follower.changes.is_at_work(pid))
    log.run("INSERT INTO t VALUES (1)")
    reader.join(30)
    assert not reader.is_alive()
    stream.close()
    assert not follower.changes.is_at_work(pid)


def test_a_transaction_that_is_larger_than_memory_may_be(log: Log) -> None:
    log.run("CREATE TABLE t (n int PRIMARY KEY, v text)")
    follower = following(log, "t")
    log.run("INSERT INTO t SELECT n, repeat('x', 2000) FROM generate_series(1, 150000) n")
    ours = psutil.Process()
    before, most, rows = ours.memory_info().rss, 0, 0
    for batch in follower.changes.follow(follower.position, follower.tables, {}, SIZE):
        rows += batch.changes
        most = max(most, ours.memory_info().rss)
        if rows and batch.position is not None:
            break
    assert rows == 150_000
    assert most - before < 150 << 20
