"""One moment for all reads of several tables, whatever others write meanwhile; and the lock that makes it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Thread

import pytest

from rowferry.config.stream import Consistency
from rowferry.connectors.base import ChunkSize
from rowferry.connectors.mysql import snapshot
from rowferry.connectors.mysql.source import MySqlSource
from rowferry.errors import ConnectionLost, ReadFailed, Refused
from rowferry.model.chunks import Chunk
from rowferry.model.tables import Table
from tests.mysql.conftest import Place
from tests.servers import wait_until

SMALL = ChunkSize(100, 1 << 20)
KINDS = ("n INT PRIMARY KEY", "n INT", "n VARCHAR(20) PRIMARY KEY")
NAMES = ("a", "b", "c")
WRITES = ("UPDATE {} SET v = 'after'", "DELETE FROM {} WHERE n % 3 = 0", "INSERT INTO {} VALUES (5001, 'after')")


@pytest.fixture
def filled(place: Place) -> list[Table]:
    for name, kind in zip(NAMES, KINDS, strict=True):
        place.run(
            f"CREATE TABLE {name} ({kind}, v VARCHAR(20))",
            f"INSERT INTO {name} SELECT seq, 'before' FROM seq_1_to_1000",
        )
    return [place.table(name) for name in NAMES]


def hold(source: MySqlSource, tables: list[Table], readers: int = 3) -> None:
    source.hold(Consistency.SNAPSHOT, tables, readers)


def values(source: MySqlSource, table: Table, chunks: list[Chunk] | None = None) -> list[tuple[int, str]]:
    chunks = source.chunks(table, SMALL) if chunks is None else chunks
    batches = [batch for chunk in chunks for batch in source.read(table, chunk)]
    return sorted((int(row["n"]), row["v"]) for batch in batches for row in batch.to_pylist())


BEFORE = [(n, "before") for n in range(1, 1001)]


def test_a_snapshot_serves_every_table_chunk_and_thread(place: Place, filled: list[Table]) -> None:
    source = place.source
    hold(source, filled)
    first, *rest = source.chunks(filled[0], SMALL)
    early = values(source, filled[0], [first])
    place.run(*(statement.format(name) for name in NAMES for statement in WRITES))
    with ThreadPoolExecutor(6) as threads:
        others = list(threads.map(lambda table: values(source, table), filled[1:] * 2))
    assert others == [BEFORE] * 4
    assert sorted(early + values(source, filled[0], rest)) == BEFORE
    table = place.table("q", query="SELECT n, v FROM b")
    assert values(source, table) == BEFORE
    assert "one moment: 3 sessions began it under BACKUP STAGE BLOCK_COMMIT" in source.consistency()


def test_the_sessions_see_the_same_transactions(place: Place, filled: list[Table]) -> None:
    """Writers that change two tables together, for as long as snapshots are taken: each sees both or none."""
    done = False

    def write() -> None:
        with contextlib.closing(place.server.connect(place.database)) as session, session.cursor() as cursor:
            while not done:
                for statement in ("BEGIN", "UPDATE a SET n = n + 1000", "UPDATE b SET n = n + 1000", "COMMIT"):
                    cursor.execute(statement)

    writer = Thread(target=write)
    writer.start()
    try:
        for _ in range(10):
            with contextlib.closing(place.source_of()) as source:
                hold(source, filled, 2)
                with source._sessions.lease() as one, source._sessions.lease() as other:
                    found: list[tuple[object, ...]] = []
                    for session, name in ((one, "a"), (other, "b")):
                        with session.wire.cursor() as cursor:
                            cursor.execute(f"SELECT MIN(n) FROM {place.database}.{name}")
                            found += cursor.fetchall()
                assert found[0] == found[1]
    finally:
        done = True
        writer.join()


def test_a_lock_lasts_no_longer_than_it_must(place: Place, filled: list[Table]) -> None:
    hold(place.source, filled)
    values(place.source, filled[0])
    place.run("SET lock_wait_timeout = 1", "INSERT INTO a VALUES (2000, 'x')", "ALTER TABLE a ADD COLUMN w INT")


def test_one_reader_needs_no_lock(place: Place, filled: list[Table]) -> None:
    with poor(place, "SELECT") as source:
        hold(source, filled, 1)
        place.run("DELETE FROM a")
        assert values(source, filled[0]) == BEFORE
        assert "one session read everything" in source.consistency()


@contextlib.contextmanager
def poor(place: Place, grants: str) -> Iterator[MySqlSource]:
    place.run("CREATE USER poor@'%' IDENTIFIED BY 'poor'", f"GRANT {grants} ON {place.database}.* TO poor@'%'")
    try:
        with contextlib.closing(place.source_of(username="poor", password="poor")) as source:
            yield source
    finally:
        place.run("DROP USER poor@'%'")


def test_a_user_without_the_grant_is_told_which(place: Place, filled: list[Table]) -> None:
    with poor(place, "SELECT") as source, pytest.raises(Refused, match="grant it RELOAD, or LOCK TABLES on"):
        hold(source, filled)
    with poor(place, "SELECT, LOCK TABLES") as source:
        hold(source, filled)
        place.run("DELETE FROM c")
        assert values(source, filled[2]) == BEFORE
        assert "under LOCK TABLES" in source.consistency()
        query = place.table("q", query="SELECT n, v FROM b")
    with poor(place, "SELECT, LOCK TABLES") as source, pytest.raises(Refused, match="RELOAD"):
        hold(source, [*filled, query])


def test_the_lock_that_every_server_has(place: Place, filled: list[Table], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshot, "_STAGES", snapshot._EVERYTHING)
    hold(place.source, filled)
    place.run("DELETE FROM a")
    assert values(place.source, filled[0]) == BEFORE
    assert "under FLUSH TABLES WITH READ LOCK" in place.source.consistency()


def test_a_lock_that_others_stand_in_the_way_of(
    place: Place, filled: list[Table], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot, "PATIENCE", 1)
    with contextlib.closing(place.server.connect(place.database)) as other:
        other.query("LOCK TABLES a WRITE")
        with pytest.raises(ReadFailed, match=r"within 1 seconds.*then resume the stream"):
            hold(place.source, filled)
    hold(place.source, filled)
    assert values(place.source, filled[0]) == BEFORE


def test_tables_without_transactions_are_refused(place: Place, filled: list[Table]) -> None:
    place.run("CREATE TABLE m (n INT) ENGINE=MyISAM", "CREATE TABLE r (n INT) ENGINE=Aria")
    tables = [*filled, place.table("m"), place.table("r")]
    with pytest.raises(Refused, match=r"\.m \(MyISAM\), \w+\.r \(Aria\)\. Make them InnoDB"):
        hold(place.source, tables)
    hold(place.source, filled)


def _kill(place: Place, most: int) -> None:
    ours = place.run(
        "SELECT ID FROM information_schema.PROCESSLIST WHERE ID <> CONNECTION_ID() AND COMMAND = 'Sleep' AND DB IS NULL"
    )
    for (number,) in ours[:most]:
        place.run(f"KILL {number}")
    wait_until(
        lambda: not place.run(f"SELECT 1 FROM information_schema.PROCESSLIST WHERE ID IN ({listed(ours[:most])})")
    )


def listed(rows: list[tuple[int]]) -> str:
    return ", ".join(str(number) for (number,) in rows)


def test_a_session_that_is_lost_takes_nothing_with_it(place: Place, filled: list[Table]) -> None:
    hold(place.source, filled, 2)
    place.run("DELETE FROM a")
    _kill(place, 1)
    with contextlib.suppress(ConnectionLost):
        values(place.source, filled[0])
    assert values(place.source, filled[0]) == BEFORE


def test_a_snapshot_that_is_lost_ends_the_stream(place: Place, filled: list[Table]) -> None:
    source = place.source
    hold(source, filled, 2)
    _kill(place, 2)
    with pytest.raises(ConnectionLost):
        values(source, filled[0])
    with pytest.raises(ReadFailed, match="were lost: resume the stream"):
        values(source, filled[0])


def test_a_read_that_is_left_early_keeps_the_snapshot(place: Place, filled: list[Table]) -> None:
    source = place.source
    endless = place.table("q", query="SELECT x.n, x.v FROM a x, a y, a z")
    hold(source, [*filled, endless], 1)
    place.run("DELETE FROM a")
    for _ in range(3):
        rows = source.read(endless, Chunk(endless.name, 0))
        assert next(rows).num_rows
        rows.close()
        assert values(source, filled[0]) == BEFORE


def test_nothing_is_held_once_the_source_is_closed(place: Place, filled: list[Table]) -> None:
    hold(place.source, filled)
    rows = place.source.read(filled[0], Chunk(filled[0].name, 0))
    next(rows)
    place.source.close()
    rows.close()
    wait_until(lambda: place.run("SELECT COUNT(*) FROM information_schema.INNODB_TRX") == [(0,)], 10)
