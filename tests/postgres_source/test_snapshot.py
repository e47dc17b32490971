"""One moment for all reads, whatever others write meanwhile."""

from __future__ import annotations

import pytest

from rowferry.config.stream import Consistency
from rowferry.connectors.base import ChunkSize
from rowferry.connectors.postgres.source import PostgresSource
from rowferry.errors import ConnectionLost
from rowferry.model.chunks import Chunk
from rowferry.model.tables import Table
from tests.postgres_source.conftest import Place
from tests.servers import wait_until

SMALL = ChunkSize(100, 8192)
WRITES = (
    "UPDATE t SET v = 'after'",
    "DELETE FROM t WHERE n % 3 = 0",
    "INSERT INTO t SELECT n, 'after' FROM generate_series(1001, 2000) n",
)


@pytest.fixture(params=["n int PRIMARY KEY", "n int"], ids=["by key", "by block"])
def filled(place: Place, request: pytest.FixtureRequest) -> Table:
    place.run(
        f"CREATE TABLE t ({request.param}, v text)",
        "INSERT INTO t SELECT n, 'before' FROM generate_series(1, 1000) n",
        "ANALYZE t",
    )
    return place.table("t")


def values(source: PostgresSource, table: Table, chunks: list[Chunk]) -> list[tuple[int, str]]:
    batches = [batch for chunk in chunks for batch in source.read(table, chunk)]
    return sorted((row["n"], row["v"]) for batch in batches for row in batch.to_pylist())


def test_a_snapshot_serves_every_chunk(place: Place, filled: Table) -> None:
    source = place.source()
    source.hold(None, [filled], 2)
    first, *rest = source.chunks(filled, SMALL)
    assert rest
    early = values(source, filled, [first])
    place.run(*WRITES)
    assert sorted(early + values(source, filled, rest)) == [(n, "before") for n in range(1, 1001)]
    assert "one moment" in source.consistency()


def test_chunks_of_their_own_moments(place: Place, filled: Table) -> None:
    source = place.source()
    source.hold(Consistency.CHUNK, [filled], 2)
    chunks = source.chunks(filled, SMALL)
    place.run("UPDATE t SET v = 'after'", "VACUUM FULL t")
    assert {value for _, value in values(source, filled, chunks)} == {"after"}
    assert "Each chunk" in source.consistency()


def test_a_snapshot_that_was_lost_is_told(place: Place, filled: Table) -> None:
    source = place.source()
    source.hold(Consistency.SNAPSHOT, [filled], 2)
    chunks = source.chunks(filled, SMALL)
    values(source, filled, chunks[:1])
    place.run(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    place.run("UPDATE t SET v = 'after'")
    seen: set[str] = set()

    def reads_again() -> bool:
        """Every session notices the loss by itself, and fails once."""
        try:
            seen.update(value for _, value in values(source, filled, chunks[1:]))
        except ConnectionLost:
            return False
        return True

    assert not reads_again()
    wait_until(reads_again)
    assert seen == {"after"}
    assert "2 moments" in source.consistency()


def test_nothing_is_held_once_the_source_is_closed(place: Place, filled: Table) -> None:
    source = place.source()
    source.hold(None, [filled], 2)
    values(source, filled, source.chunks(filled, SMALL))
    source.close()
    place.run("SET lock_timeout = '20s'", "ALTER TABLE t ADD COLUMN w int")
    assert place.run("SELECT count(*) FROM pg_stat_activity WHERE backend_xmin IS NOT NULL AND state <> 'active'") == [
        (0,)
    ]
