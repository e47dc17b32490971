"""kill -9 at any moment: the stream goes on after a restart, and the target ends whole, with no row twice."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.servers import MariaDb, Postgres, knows, wait_until
from tests.serving import Rowferry, serving
from tests.streams.conftest import ROWS

MOMENTS = 21
"""Kills, each of which strikes streams to every kind of target, at moments drawn over the whole run."""

KILLS = 3
"""How often a run is killed before it may come to its end."""


class PostgresEnd:
    """A PostgreSQL database to be filled."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres
        self._database = postgres.new_database()

    def spec(self, rowferry: Rowferry) -> tuple[str, dict[str, Any]]:
        return rowferry.connect_postgres(self._postgres), {"db": {"database": self._database}}

    def assert_whole(self, stream: str) -> None:
        def ask(query: str) -> list[tuple[object, ...]]:
            return self._postgres.execute(query, database=self._database)

        expected = [(ROWS, ROWS, 1, ROWS)]
        assert ask("SELECT count(*), count(DISTINCT id), min(id), max(id) FROM items") == expected
        assert ask("SELECT count(*), count(DISTINCT n) FROM loose") == [(5000, 5000)]
        assert ask("SELECT count(*) FROM small") == [(3,)]
        keys = (
            "SELECT count(*) FROM pg_constraint WHERE contype IN ('p', 'f') AND connamespace = 'public'::regnamespace"
        )
        assert ask(keys) == [(3,)]
        wait_until(lambda: not knows(self._postgres, self._database, stream), 20)


class MariaDbEnd:
    """A MariaDB database to be filled."""

    def __init__(self, mariadb: MariaDb) -> None:
        self._mariadb = mariadb
        self._database = mariadb.new_database()

    def spec(self, rowferry: Rowferry) -> tuple[str, dict[str, Any]]:
        return rowferry.connect_mariadb(self._mariadb), {"db": {"database": self._database}}

    def assert_whole(self, stream: str) -> None:
        def ask(query: str) -> list[tuple[object, ...]]:
            return self._mariadb.execute(query, database=self._database)

        expected = [(ROWS, ROWS, 1, ROWS)]
        assert ask("SELECT COUNT(*), COUNT(DISTINCT id), MIN(id), MAX(id) FROM items") == expected
        assert ask("SELECT COUNT(*), COUNT(DISTINCT n) FROM loose") == [(5000, 5000)]
        assert ask("SELECT COUNT(*) FROM small") == [(3,)]
        keys = "SELECT COUNT(*) FROM information_schema.TABLE_CONSTRAINTS WHERE CONSTRAINT_SCHEMA = DATABASE()"
        assert ask(keys) == [(3,)]
        wait_until(lambda: not knows(self._mariadb, self._database, stream), 20)


class FolderEnd:
    """A folder to be filled with Parquet."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def spec(self, rowferry: Rowferry) -> tuple[str, dict[str, Any]]:
        return rowferry.connect_folder(self._folder), {"files": {"fileFormat": "parquet"}}

    def assert_whole(self, stream: str) -> None:
        with duckdb.connect() as connection:
            query = f"SELECT count(*), count(DISTINCT id), min(id), max(id) FROM '{self._folder}/items/*.parquet'"
            assert connection.execute(query).fetchall() == [(ROWS, ROWS, 1, ROWS)]
            query = f"SELECT count(*), count(DISTINCT n) FROM '{self._folder}/loose/*.parquet'"
            assert connection.execute(query).fetchall() == [(5000, 5000)]
        wait_until(lambda: not (self._folder / ".rowferry").exists() or not any((self._folder / ".rowferry").iterdir()))


End = PostgresEnd | MariaDbEnd | FolderEnd


@pytest.fixture
def make_ends(mariadb: MariaDb, postgres: Postgres, tmp_path: Path) -> Callable[[int], list[End]]:
    """Makes one of each kind."""
    return lambda number: [PostgresEnd(postgres), MariaDbEnd(mariadb), FolderEnd(tmp_path / f"out{number}")]


@pytest.mark.timeout(900)
def test_kill_at_random_moments(
    mariadb: MariaDb, big: str, tmp_path: Path, make_ends: Callable[[int], list[End]]
) -> None:
    moments = random.Random(7)
    with serving(tmp_path / "data") as rowferry:
        source = rowferry.connect_mariadb(mariadb)
        undisturbed = run_once(rowferry, source, big, make_ends(0), [])
        for number in range(1, MOMENTS // KILLS + 1):
            waits = [undisturbed * moments.uniform(0.0, 1.05 / (1 + at)) for at in range(KILLS)]
            run_once(rowferry, source, big, make_ends(number), waits)


def run_once(rowferry: Rowferry, source: str, database: str, ends: Sequence[End], kills: Sequence[float]) -> float:
    """Run streams to their ends, killing the server each time after so many seconds; how long the longest took."""
    streams = {begin(rowferry, source, database, end): end for end in ends}
    for wait in kills:
        time.sleep(wait)  # the moment is what is tested: there is nothing to wait for
        rowferry.kill()
        rowferry.start()
    took = 0.0
    for stream, end in streams.items():
        stats = rowferry.wait(stream)
        assert stats["status"] == "FINISHED", stats["error"]
        assert stats["target"]["counter"] == ROWS + 5003
        end.assert_whole(stream)
        took = max(took, stats["elapsed"])
    return took


def begin(rowferry: Rowferry, source: str, database: str, end: End) -> str:
    """A stream that fills that end."""
    target, spec = end.spec(rowferry)
    return rowferry.begin(rowferry.configure(source, database, target, spec))


def test_a_server_that_is_asked_to_end_comes_back(
    mariadb: MariaDb, big: str, tmp_path: Path, make_ends: Callable[[int], list[End]]
) -> None:
    with serving(tmp_path / "data") as rowferry:
        source = rowferry.connect_mariadb(mariadb)
        streams = {begin(rowferry, source, big, end): end for end in make_ends(1)}
        for stream in streams:
            wait_until(lambda: rowferry.stats(stream)["target"]["counter"] > 0)  # noqa: B023
        rowferry.terminate()
        rowferry.start()
        for stream, end in streams.items():
            assert rowferry.wait(stream)["status"] == "FINISHED"
            end.assert_whole(stream)
