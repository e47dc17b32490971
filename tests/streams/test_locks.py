"""A key that another session holds on to: the stream fails with the reason, and goes on once it is let go."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest

from rowferry.connectors.mysql import sessions
from rowferry.connectors.postgres import target as postgres_target
from rowferry.control import oneshot
from rowferry.control.oneshot import job_from_urls
from rowferry.model.streams import StreamState
from rowferry.pipeline import copy
from rowferry.pipeline.meter import Meter
from rowferry.pipeline.signals import Signals
from tests.servers import MariaDb, Postgres
from tests.verify.conftest import Silent

POLICIES = {"schemaPolicy": "validate_existing", "writeMode": "upsert"}


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for long."""
    monkeypatch.setattr(copy, "BACKOFF", (0.05, 0.05))
    monkeypatch.setattr(postgres_target, "PATIENT", "SET lock_timeout = '400ms'")
    waits = "SET innodb_lock_wait_timeout = 1, lock_wait_timeout = 1"
    monkeypatch.setattr(sessions, "SETTINGS", (*sessions.SETTINGS, waits))


@pytest.fixture
def source(mariadb: MariaDb) -> str:
    """A database with two tables, the second of which is in nobody's way."""
    database = mariadb.new_database()
    mariadb.execute(
        "CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(9) NOT NULL)",
        "INSERT INTO t SELECT seq, 'new' FROM seq_1_to_100",
        "CREATE TABLE u (id INT PRIMARY KEY)",
        "INSERT INTO u SELECT seq FROM seq_1_to_10",
        database=database,
    )
    return database


@pytest.mark.parametrize("engine", ["mariadb", "postgres"])
def test_a_row_that_is_locked(request: pytest.FixtureRequest, mariadb: MariaDb, source: str, engine: str) -> None:
    server: MariaDb | Postgres = request.getfixturevalue(engine)
    target = server.new_database()
    server.execute(
        "CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(9) NOT NULL)",
        "CREATE TABLE u (id INT PRIMARY KEY)",
        "INSERT INTO t VALUES (50, 'old'), (200, 'kept')",
        database=target,
    )
    job = job_from_urls(mariadb.url(source), server.url(target), policies=POLICIES)
    with closing(server.connect(target)) as other, other.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("UPDATE t SET v = 'held' WHERE id = 50")
        outcome = oneshot.run(job, Silent(), Signals())
        assert outcome.state is StreamState.FAILED
        assert outcome.error is not None
        assert "lock" in outcome.error.message
        assert ".t" in outcome.error.message
        assert server.execute("SELECT id, v FROM t ORDER BY id", database=target) == [(50, "old"), (200, "kept")]
        cursor.execute("ROLLBACK")
    assert oneshot.run(job, Silent(), Signals()).state is StreamState.FINISHED
    counted = "SELECT COUNT(*), SUM(CASE WHEN v = 'new' THEN 1 ELSE 0 END) FROM t"
    assert [tuple(map(str, row)) for row in server.execute(counted, database=target)] == [("101", "100")]
    assert server.execute("SELECT COUNT(*) FROM u", database=target) == [(10,)]


@pytest.mark.parametrize("engine", ["mariadb", "postgres"])
def test_a_table_that_somebody_reads_while_it_is_finished(
    request: pytest.FixtureRequest, mariadb: MariaDb, source: str, engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    server: MariaDb | Postgres = request.getfixturevalue(engine)
    target = server.new_database()
    mariadb.execute("ALTER TABLE t ADD UNIQUE KEY (v, id)", "DROP TABLE u", database=source)
    job = job_from_urls(mariadb.url(source), server.url(target))
    with closing(server.connect(target)) as other, other.cursor() as cursor:
        with monkeypatch.context() as patch:
            patch.setattr(Meter, "committed", _then(Meter.committed, lambda: _look(cursor)))
            outcome = oneshot.run(job, Silent(), Signals())
        assert outcome.state is StreamState.FAILED
        assert outcome.error is not None
        assert "lock" in outcome.error.message
        assert "t" in outcome.error.message
        cursor.execute("ROLLBACK")
    assert oneshot.run(job, Silent(), Signals()).state is StreamState.FINISHED
    assert server.execute("SELECT COUNT(*), COUNT(DISTINCT id) FROM t", database=target) == [(100, 100)]


def _look(cursor: Any) -> None:
    cursor.execute("BEGIN")
    cursor.execute("SELECT COUNT(*) FROM t")


def _then(first: Callable[..., None], second: Callable[[], None]) -> Callable[..., None]:
    def both(*arguments: Any) -> None:
        first(*arguments)
        second()

    return both
