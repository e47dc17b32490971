"""Transactions so large that the server tells of them before they have ended."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Self

import psycopg
import pytest

from rowferry.connectors.changes import BatchSize, ChangeBatch
from rowferry.connectors.postgres.replication import following as following_module
from rowferry.errors import ConnectionLost, ReadFailed
from rowferry.model.changes import TableAltered, Truncated
from tests.disks import small_disk
from tests.postgres_log.conftest import SIZE, Follower, Log, changed, following
from tests.servers import wait_until

LARGE = 3000
"""Rows of `ROW` that the server does not hold until their transaction ends."""

ROW = "repeat(md5(n::text), 4)"


@pytest.fixture
def stingy(log: Log) -> Iterator[Log]:
    """A database whose walsenders hold little of a transaction."""
    log.run(f"ALTER DATABASE {log.database} SET logical_decoding_work_mem = '64kB'")
    yield log
    log.run(f"ALTER DATABASE {log.database} RESET logical_decoding_work_mem")


def start(log: Log) -> Follower:
    log.run("CREATE TABLE t (n int PRIMARY KEY, v text)")
    return following(log, "t")


def insert(session: psycopg.Connection[Any], first: int, rows: int = LARGE) -> None:
    session.execute(f"INSERT INTO t SELECT n, {ROW} FROM generate_series({first}, {first + rows - 1}) n".encode())


def streamed(log: Log) -> int:
    """How many pieces of transactions the server told before their ends."""
    [(pieces,)] = log.run("SELECT coalesce(sum(stream_count), 0)::int FROM pg_stat_replication_slots")
    return int(pieces)


def numbers(batches: list[ChangeBatch]) -> list[int]:
    return [after["n"] for _, _, _, after in changed(batches) if after is not None]


def test_it_counts_from_its_commit_on(stingy: Log) -> None:
    follower = start(stingy)
    with stingy.server.connect(stingy.database) as session:
        with session.transaction():
            insert(session, 1)
            stingy.run("INSERT INTO t VALUES (0, 'small')")
            assert numbers(follower.to_the_end()) == [0]
            insert(session, LARGE + 1)
            stingy.run("INSERT INTO t VALUES (-1, 'small')")
            assert numbers(follower.to_the_end()) == [-1]
            wait_until(lambda: streamed(stingy))
        stingy.run("INSERT INTO t VALUES (-2, 'small')")
    batches = follower.to_the_end()
    assert numbers(batches) == [*range(1, 2 * LARGE + 1), -2]
    assert all(batch.committed_at for batch in batches if batch.rows)


def test_a_reader_that_follows_all_the_while(stingy: Log) -> None:
    """The pieces come between other transactions, and its rows behind theirs."""
    follower = start(stingy)
    seen: list[int] = []

    def all_there() -> bool:
        return bool(seen) and seen[-1] == -9

    with stingy.server.connect(stingy.database) as session, session.transaction():
        stream = follower.changes.follow(follower.position, follower.tables, {}, follower.size)
        for step in range(8):
            insert(session, 1 + step * LARGE)
            stingy.run(f"INSERT INTO t VALUES ({-step - 1}, 'small')")
            while not seen or seen[-1] != -step - 1:
                seen += numbers([next(stream)])
    stingy.run("INSERT INTO t VALUES (-9, 'last')")
    while not all_there():
        seen += numbers([next(stream)])
    stream.close()
    assert seen == [*range(-1, -9, -1), *range(1, 8 * LARGE + 1), -9]
    wait_until(lambda: streamed(stingy) > 4)


def test_two_at_once_of_which_one_is_rolled_back(stingy: Log) -> None:
    follower = start(stingy)
    connect = stingy.server.connect
    with connect(stingy.database) as first, connect(stingy.database) as second, connect(stingy.database) as third:
        for number, session in enumerate((first, second, third)):
            session.execute("BEGIN")
            insert(session, 1 + number * 3 * LARGE)
        for number, session in enumerate((third, first, second)):
            insert(session, 1 + (3 * ((number + 2) % 3) + 1) * LARGE)
        second.execute("ROLLBACK")
        third.execute("COMMIT")
        first.execute("COMMIT")
    assert numbers(follower.to_the_end()) == [*range(6 * LARGE + 1, 8 * LARGE + 1), *range(1, 2 * LARGE + 1)]


@dataclass
class Ahead:
    """One reader, all the while, who is given changes a thousand at once."""

    log: Log
    rows: int = 0

    def __enter__(self) -> Self:
        follower = start(self.log)
        self._stream = follower.changes.follow(follower.position, follower.tables, {}, BatchSize(changes=1000))
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()

    def next(self) -> ChangeBatch:
        """The next batch that says anything; what was given ahead of a commit is counted in `rows`."""
        while True:
            batch = next(self._stream)
            self.rows = 0 if batch.undone or batch.position else self.rows + batch.changes
            if batch.rows or batch.undone or batch.committed_at:
                return batch

    def until_rows(self, rows: int) -> None:
        """Take batches of the transaction that is under way until so many rows are there."""
        while self.rows < rows:
            batch = self.next()
            assert (batch.position, batch.committed_at, batch.undone) == (None, None, False)

    def until_position(self) -> list[int]:
        """The numbers that are given up to the next position."""
        batches = [self.next()]
        while batches[-1].position is None:
            batches.append(self.next())
        return numbers(batches)


def test_rows_are_given_ahead_of_the_commit(stingy: Log) -> None:
    with Ahead(stingy) as ahead, stingy.server.connect(stingy.database) as session:
        with session.transaction():
            insert(session, 1, 4 * LARGE)
            ahead.until_rows(2 * LARGE)
            insert(session, 4 * LARGE + 1)
            there = ahead.rows
        assert ahead.until_position() == [*range(there + 1, 5 * LARGE + 1)]
        stingy.run("INSERT INTO t VALUES (0, 'small')")
        assert ahead.until_position() == [0]


@pytest.mark.parametrize(
    ("statement", "left"),
    [
        ("ROLLBACK", []),
        ("ROLLBACK TO a", range(1, LARGE + 1)),
        ("TRUNCATE t", range(1, 4 * LARGE + 1)),
        ("ALTER TABLE t ADD COLUMN w int", range(1, 4 * LARGE + 1)),
    ],
)
def test_what_was_given_ahead_is_undone(stingy: Log, statement: str, left: Sequence[int]) -> None:
    """Then it is given again, where it has committed, as what it has become."""
    with Ahead(stingy) as ahead, stingy.server.connect(stingy.database) as session:
        session.execute("BEGIN")
        insert(session, 1)
        session.execute("SAVEPOINT a")
        insert(session, LARGE + 1, 3 * LARGE)
        ahead.until_rows(LARGE + 1000)
        session.execute(statement.encode())
        if statement != "ROLLBACK":
            insert(session, 8 * LARGE)
            session.execute("COMMIT")
            left = [*left, *range(8 * LARGE, 9 * LARGE)]
        while not (batch := ahead.next()).undone:
            assert batch.position is None
        found = ahead.until_position() if left else []
        assert found == [*left]
        stingy.run("INSERT INTO t VALUES (0, 'small')")
        assert ahead.until_position() == [0]


def test_columns_that_are_being_altered_are_not_waited_for(stingy: Log) -> None:
    """What locks the table at the source keeps nobody, nor does it keep rows on the target."""
    with Ahead(stingy) as ahead, stingy.server.connect(stingy.database) as session:
        session.execute("BEGIN")
        insert(session, 1, 4 * LARGE)
        ahead.until_rows(LARGE)
        session.execute("ALTER TABLE t ADD COLUMN w int")
        session.execute(f"INSERT INTO t SELECT n, {ROW}, 1 FROM generate_series(100001, 110000) n".encode())
        while not ahead.next().undone:
            pass
        session.execute("ROLLBACK")
        stingy.run("INSERT INTO t VALUES (0, 'small')")
        assert ahead.until_position() == [0]


def test_a_value_that_cannot_be_carried_counts_once_it_has_committed(stingy: Log) -> None:
    stingy.run("CREATE TABLE d (n int PRIMARY KEY, v text, at time)")
    follower = following(stingy, "d")
    follower.size = BatchSize(changes=1000)
    rows = f"INSERT INTO d SELECT n, {ROW}, CASE WHEN n < 7000 THEN '1:00' ELSE '24:00' END::time"
    for end in ("ROLLBACK", "COMMIT"):
        with stingy.server.connect(stingy.database) as session:
            session.execute("BEGIN")
            session.execute(f"{rows} FROM generate_series(1, 9000) n".encode())
            session.execute(end.encode())
        if end == "ROLLBACK":
            assert numbers(follower.to_the_end()) == []
    with pytest.raises(ReadFailed, match=r"d\.at"):
        follower.to_the_end()


def test_a_column_that_is_dropped_right_behind_it_is_of_another_transaction(stingy: Log) -> None:
    """So there is a position between the two, also where they come at once."""
    follower = start(stingy)
    stingy.run(f"INSERT INTO t SELECT n, {ROW} FROM generate_series(1, {4 * LARGE}) n", "BEGIN",
               "ALTER TABLE t DROP COLUMN v", "INSERT INTO t VALUES (0)", "COMMIT")  # fmt: skip
    batches = follower.to_the_end()
    (at,) = [number for number, batch in enumerate(batches) if batch.event]
    last = max(number for number, batch in enumerate(batches[:at]) if batch.changes)
    assert [batch for batch in batches[last:at] if batch.position]
    assert numbers(batches) == [*range(1, 4 * LARGE + 1), 0]


def test_others_that_commit_come_first(stingy: Log) -> None:
    with Ahead(stingy) as ahead, stingy.server.connect(stingy.database) as session:
        with session.transaction():
            insert(session, 1, 4 * LARGE)
            ahead.until_rows(LARGE)
            stingy.run("INSERT INTO t VALUES (0, 'small')")
            while not ahead.next().undone:
                pass
            assert ahead.until_position() == [0]
            insert(session, 4 * LARGE + 1)
        assert ahead.until_position() == [*range(1, 5 * LARGE + 1)]


def test_a_transaction_that_falls_silent_is_undone(stingy: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody shall wait on the target for a session that sleeps at the source."""
    monkeypatch.setattr(following_module, "HOPE", 1.0)
    with Ahead(stingy) as ahead, stingy.server.connect(stingy.database) as session:
        with session.transaction():
            insert(session, 1, 4 * LARGE)
            while not ahead.next().undone:
                pass
            insert(session, 4 * LARGE + 1)
        assert ahead.until_position() == [*range(1, 5 * LARGE + 1)]


def test_what_the_server_can_tell_at_the_end_alone(stingy: Log) -> None:
    follower = start(stingy)
    with stingy.server.connect(stingy.database) as session, session.transaction():
        insert(session, 1)
        session.execute("SAVEPOINT a")
        session.execute("ALTER TABLE t ADD COLUMN w int")
        insert(session, LARGE + 1)
        session.execute("ROLLBACK TO a")
        insert(session, LARGE + 1)
        session.execute("TRUNCATE t")
        insert(session, 2 * LARGE + 1)
    with pytest.raises(ConnectionLost, match="asked to tell of transactions that have ended alone"):
        follower.to_the_end()
    assert numbers(follower.batches) == []
    assert numbers(follower.to_the_end()) == [*range(1, 3 * LARGE + 1)]


def test_columns_that_change_in_it(stingy: Log) -> None:
    follower = start(stingy)
    with stingy.server.connect(stingy.database) as session, session.transaction():
        insert(session, 1)
        session.execute("TRUNCATE t")
        session.execute("ALTER TABLE t ADD COLUMN x int")
        session.execute("INSERT INTO t VALUES (-2, 'there', 2)")
        insert(session, LARGE + 1)
    batches = follower.to_the_end()
    emptied, altered = [batch.event for batch in batches if batch.event]
    assert isinstance(emptied, Truncated)
    assert isinstance(altered, TableAltered)
    assert altered.added == ("x",)
    assert numbers(batches) == [*range(1, LARGE + 1), -2, *range(LARGE + 1, 2 * LARGE + 1)]
    assert changed(batches)[LARGE] == ("t", "insert", None, {"n": -2, "v": "there", "x": 2})
    wait_until(lambda: streamed(stingy) > 0)


def test_columns_that_did_not_change_after_all(stingy: Log) -> None:
    follower = start(stingy)
    with stingy.server.connect(stingy.database) as session, session.transaction():
        insert(session, 1)
        session.execute("SAVEPOINT a")
        session.execute("ALTER TABLE t ADD COLUMN w int")
        session.execute("INSERT INTO t VALUES (-1, 'gone', 1)")
        insert(session, LARGE + 1)
        session.execute("ROLLBACK TO a")
        insert(session, LARGE + 1)
    batches = follower.to_the_end()
    assert [batch.event for batch in batches if batch.event] == []
    assert numbers(batches) == [*range(1, 2 * LARGE + 1)]
    wait_until(lambda: streamed(stingy) > 0)


@pytest.mark.parametrize("seed", range(8))
def test_savepoints_at_random(stingy: Log, seed: int) -> None:
    """What the log tells comes to what the table holds, whatever of the transactions was rolled back."""
    chance = random.Random(seed)
    follower = start(stingy)
    follower.size = chance.choice((SIZE, BatchSize(changes=100)))
    with stingy.server.connect(stingy.database) as session:
        for _ in range(6):
            session.execute("BEGIN")
            _anything(session, chance, 0)
            session.execute(chance.choice((b"COMMIT", b"COMMIT", b"ROLLBACK")))
    with suppress(ConnectionLost):  # the server may be unable to tell of it before its end
        follower.to_the_end()
    follower.to_the_end()
    there: dict[int, str] = {}
    for batch in follower.batches:
        if batch.event is not None:
            there.clear()
        for _, _, before, after in changed([batch]):
            if before is not None:
                del there[before["n"]]
            if after is not None:
                there[after["n"]] = after["v"]
    assert sorted(there.items()) == stingy.run("SELECT n, v FROM t ORDER BY n")
    wait_until(lambda: streamed(stingy) > 0)


def _anything(session: psycopg.Connection[Any], chance: random.Random, depth: int) -> None:
    for _ in range(chance.randrange(2, 6)):
        first = chance.randrange(10**9)
        match chance.randrange(10):
            case 0 | 1:
                insert(session, first, chance.choice((1, 10, 1000)))
            case 2:
                session.execute(f"UPDATE t SET v = v || 'x' WHERE n % 7 = {first % 7}".encode())
            case 3:
                session.execute(f"DELETE FROM t WHERE n % 9 = {first % 9}".encode())
            case 4 if chance.random() < 0.2:
                session.execute("TRUNCATE t")
            case _ if depth < 5:
                name = f"s{first}"
                session.execute(f"SAVEPOINT {name}".encode())
                _anything(session, chance, depth + 1)
                session.execute(chance.choice((f"ROLLBACK TO {name}", f"RELEASE {name}")).encode())


def test_no_room_for_it(stingy: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason is told, and nothing of it was given; with room it goes on from where it was."""
    follower = start(stingy)
    with stingy.server.connect(stingy.database) as session, session.transaction():
        insert(session, 1, 20_000)
    with small_disk("256k") as disk:
        monkeypatch.setattr(tempfile, "tempdir", str(disk.folder))
        with pytest.raises(ReadFailed, match=r"No space left on device\. Make room there, or set TMPDIR"):
            follower.to_the_end()
    assert numbers(follower.batches) == []
    monkeypatch.setattr(tempfile, "tempdir", None)
    assert numbers(follower.to_the_end()) == [*range(1, 20_001)]
