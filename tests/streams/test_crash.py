"""kill -9 at any moment: the stream goes on after a restart, and the target ends whole, with no row twice."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.servers import MariaDb, Postgres, wait_until
from tests.serving import Rowferry, serving
from tests.streams.conftest import ROWS

MOMENTS = 20
"""Kills for each kind of target, at moments drawn over the whole run."""


class PostgresEnd:
    """A PostgreSQL database to be filled."""

    kills = MOMENTS

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres
        self._database = postgres.new_database()

    def spec(self, rowferry: Rowferry) -> tuple[str, dict[str, Any]]:
        return rowferry.connect_postgres(self._postgres), {"db": {"database": self._database}}

    def assert_whole(self) -> None:
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
        wait_until(lambda: ask("SELECT count(*) FROM pg_namespace WHERE nspname = '_rowferry'") == [(0,)], 20)


class MariaDbEnd:
    """A MariaDB database to be filled; a run takes longer than into the others, so it is killed less often."""

    kills = MOMENTS // 3

    def __init__(self, mariadb: MariaDb) -> None:
        self._mariadb = mariadb
        self._database = mariadb.new_database()

    def spec(self, rowferry: Rowferry) -> tuple[str, dict[str, Any]]:
        return rowferry.connect_mariadb(self._mariadb), {"db": {"database": self._database}}

    def assert_whole(self) -> None:
        def ask(query: str) -> list[tuple[object, ...]]:
            return self._mariadb.execute(query, database=self._database)

        expected = [(ROWS, ROWS, 1, ROWS)]
        assert ask("SELECT COUNT(*), COUNT(DISTINCT id), MIN(id), MAX(id) FROM items") == expected
        assert ask("SELECT COUNT(*), COUNT(DISTINCT n) FROM loose") == [(5000, 5000)]
        assert ask("SELECT COUNT(*) FROM small") == [(3,)]
        keys = "SELECT COUNT(*) FROM information_schema.TABLE_CONSTRAINTS WHERE CONSTRAINT_SCHEMA = DATABASE()"
        assert ask(keys) == [(3,)]
        wait_until(lambda: ask("SHOW DATABASES LIKE '\\_rowferry'") == [], 20)


class FolderEnd:
    """A folder to be filled with Parquet."""

    kills = MOMENTS

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def spec(self, rowferry: Rowferry) -> tuple[str, dict[str, Any]]:
        return rowferry.connect_folder(self._folder), {"files": {"fileFormat": "parquet"}}

    def assert_whole(self) -> None:
        with duckdb.connect() as connection:
            query = f"SELECT count(*), count(DISTINCT id), min(id), max(id) FROM '{self._folder}/items/*.parquet'"
            assert connection.execute(query).fetchall() == [(ROWS, ROWS, 1, ROWS)]
            query = f"SELECT count(*), count(DISTINCT n) FROM '{self._folder}/loose/*.parquet'"
            assert connection.execute(query).fetchall() == [(5000, 5000)]
        wait_until(lambda: not (self._folder / ".rowferry").exists() or not any((self._folder / ".rowferry").iterdir()))


End = PostgresEnd | MariaDbEnd | FolderEnd


@pytest.fixture(params=["postgres", "mariadb", "folder"])
def make_end(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[int], End]:
    if request.param == "folder":
        return lambda number: FolderEnd(tmp_path / f"out{number}")
    if request.param == "mariadb":
        mariadb: MariaDb = request.getfixturevalue("mariadb")
        return lambda _: MariaDbEnd(mariadb)
    postgres: Postgres = request.getfixturevalue("postgres")
    return lambda _: PostgresEnd(postgres)


@pytest.mark.timeout(600)
def test_kill_at_random_moments(mariadb: MariaDb, big: str, tmp_path: Path, make_end: Callable[[int], End]) -> None:
    moments = random.Random(7)
    with serving(tmp_path / "data") as rowferry:
        source = rowferry.connect_mariadb(mariadb)
        first = make_end(0)
        undisturbed = run_once(rowferry, source, big, first, None)
        for number in range(1, first.kills + 1):
            run_once(rowferry, source, big, make_end(number), undisturbed * moments.uniform(0.0, 1.05))


def run_once(rowferry: Rowferry, source: str, database: str, end: End, kill_after: float | None) -> float:
    """Run a stream to its end, killing the server after so many seconds; how long it took."""
    target, spec = end.spec(rowferry)
    stream = rowferry.begin(rowferry.configure(source, database, target, spec))
    if kill_after is not None:
        time.sleep(kill_after)  # the moment is what is tested: there is nothing to wait for
        rowferry.kill()
        rowferry.start()
    stats = rowferry.wait(stream)
    assert stats["status"] == "FINISHED", stats["error"]
    assert stats["target"]["counter"] == ROWS + 5003
    end.assert_whole()
    return float(stats["elapsed"])


def test_a_server_that_is_asked_to_end_comes_back(
    mariadb: MariaDb, big: str, tmp_path: Path, make_end: Callable[[int], End]
) -> None:
    end = make_end(1)
    with serving(tmp_path / "data") as rowferry:
        target, spec = end.spec(rowferry)
        stream = rowferry.begin(rowferry.configure(rowferry.connect_mariadb(mariadb), big, target, spec))
        wait_until(lambda: rowferry.stats(stream)["target"]["counter"] > 0)
        rowferry.terminate()
        rowferry.start()
        assert rowferry.wait(stream)["status"] == "FINISHED"
        end.assert_whole()
