"""A source that changes under a stream: between plan and copy, and between a pause and a resume."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from threading import Event
from typing import Any

import pytest

from tests.servers import MariaDb, Postgres
from tests.serving import Rowferry

Source = tuple[str, MariaDb | Postgres, str, str]
"""An engine's name, a server of it, a database there with the table t, and a connection."""

CHANGES: dict[str, str | dict[str, str]] = {
    "a column is dropped": "ALTER TABLE t DROP COLUMN v",
    "one gets another type": {"mariadb": "ALTER TABLE t MODIFY v TEXT", "postgres": "ALTER TABLE t ALTER v TYPE text"},
    "the table is dropped": "DROP TABLE t",
}
"""What no stream may go on with."""

ADDED = "ALTER TABLE t ADD COLUMN w INT"


@pytest.fixture(params=["mariadb", "postgres"])
def source(request: pytest.FixtureRequest, rowferry: Rowferry) -> Source:
    """Two rows, to be moved."""
    server: MariaDb | Postgres = request.getfixturevalue(request.param)
    database = server.new_database()
    server.execute(
        "CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(20))",
        "INSERT INTO t VALUES (1, 'a value'), (2, 'a value')",
        database=database,
    )
    connect = rowferry.connect_mariadb if isinstance(server, MariaDb) else rowferry.connect_postgres
    return request.param, server, database, connect(server)  # type: ignore[arg-type]


def spelled(change: str | dict[str, str], engine: str) -> str:
    return change if isinstance(change, str) else change[engine]


def rows(postgres: Postgres, database: str) -> list[tuple[Any, ...]]:
    return postgres.execute("SELECT id, v FROM t ORDER BY id", database=database)


@pytest.mark.parametrize("change", [*CHANGES.values(), ADDED], ids=[*CHANGES, "one is added"])
def test_between_plan_and_copy(
    rowferry: Rowferry, postgres: Postgres, source: Source, change: str | dict[str, str]
) -> None:
    engine, server, database, connection = source
    there = postgres.new_database()
    config = rowferry.configure(connection, database, rowferry.connect_postgres(postgres), {"db": {"database": there}})
    with postgres.holding(there, "CREATE SCHEMA _rowferry") as wait:
        stream = rowferry.begin(config)
        wait()
        server.execute(spelled(change, engine), database=database)
    stats = rowferry.wait(stream)
    if change == ADDED:
        assert stats["status"] == "FINISHED"
        assert rows(postgres, there) == [(1, "a value"), (2, "a value")]
        return
    assert stats["status"] == "FAILED"
    assert stats["error"]["code"] == "source_changed"
    assert "start a new stream" in stats["error"]["error"]
    assert "a value" not in str(stats)
    assert rows(postgres, there) == []


@pytest.fixture
def paused(rowferry: Rowferry, postgres: Postgres, source: Source) -> tuple[str, str]:
    """A stream that was paused before it had written a row of t, and the database it writes to."""
    _, _, database, connection = source
    there = postgres.new_database()
    postgres.execute("CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(20))", database=there)
    spec = {"db": {"database": there, "schemaPolicy": "create_missing_only", "writeMode": "append"}}
    config = rowferry.configure(connection, database, rowferry.connect_postgres(postgres), spec)
    with postgres.holding(there, "LOCK TABLE t IN SHARE MODE") as wait:
        stream = rowferry.begin(config)
        wait()
        rowferry.post(f"/streams/{stream}/pause")
    return stream, there


@pytest.mark.parametrize("source", ["mariadb"], indirect=True)
@pytest.mark.parametrize("change", CHANGES.values(), ids=list(CHANGES))
def test_between_pause_and_resume(
    rowferry: Rowferry,
    postgres: Postgres,
    source: Source,
    paused: tuple[str, str],
    change: str | dict[str, str],
) -> None:
    engine, server, database, _ = source
    stream, there = paused
    server.execute(spelled(change, engine), database=database)
    rowferry.post(f"/streams/{stream}/resume")
    stats = rowferry.wait(stream)
    assert stats["status"] == "FAILED"
    assert stats["error"]["code"] == "source_changed"
    assert "undo" in stats["error"]["error"]
    assert rows(postgres, there) == []


@pytest.mark.parametrize("source", ["mariadb"], indirect=True)
def test_a_change_that_is_undone(
    rowferry: Rowferry, postgres: Postgres, source: Source, paused: tuple[str, str]
) -> None:
    _, server, database, _ = source
    stream, there = paused
    server.execute(ADDED, database=database)
    rowferry.post(f"/streams/{stream}/resume")
    error = rowferry.wait(stream)["error"]
    assert error["code"] == "source_changed"
    assert "column w is missing; that was otherwise when this stream began" in error["error"]
    server.execute("ALTER TABLE t DROP COLUMN w", database=database)
    rowferry.post(f"/streams/{stream}/resume")
    assert rowferry.wait(stream)["status"] == "FINISHED"
    assert rows(postgres, there) == [(1, "a value"), (2, "a value")]


@pytest.mark.parametrize("source", ["mariadb"], indirect=True)
def test_a_table_that_appears(rowferry: Rowferry, postgres: Postgres, source: Source, paused: tuple[str, str]) -> None:
    _, server, database, _ = source
    stream, there = paused
    server.execute("CREATE TABLE late (id INT PRIMARY KEY, v VARCHAR(20))", database=database)
    rowferry.post(f"/streams/{stream}/resume")
    stats = rowferry.wait(stream)
    assert stats["status"] == "FINISHED", stats["error"]
    assert rows(postgres, there) == [(1, "a value"), (2, "a value")]
    logs = rowferry.client.get(f"/streams/{stream}/logs").json()
    assert [entry["level"] for entry in logs if "public.late appeared" in entry["message"]] == ["warn"]


def test_a_snapshot_of_tables_that_are_written_to(rowferry: Rowferry, mariadb: MariaDb, postgres: Postgres) -> None:
    """Somebody moves money between two tables all the while; the target holds as much as there is."""
    database, there = mariadb.new_database(), postgres.new_database()
    for name in ("debit", "credit"):
        mariadb.execute(
            f"CREATE TABLE {name} (id INT PRIMARY KEY, v INT NOT NULL)",
            f"INSERT INTO {name} SELECT seq, 100 FROM seq_1_to_60000",
            f"ANALYZE TABLE {name}",
            database=database,
        )
    done = Event()

    def write() -> None:
        with closing(mariadb.connect(database)) as session, session.cursor() as cursor:
            while not done.is_set():
                for statement in ("BEGIN", "UPDATE debit SET v = v - 1", "UPDATE credit SET v = v + 1", "COMMIT"):
                    cursor.execute(f"{statement} WHERE id > 59000" if "SET" in statement else statement)

    ends = rowferry.connect_mariadb(mariadb), rowferry.connect_postgres(postgres)
    options = {"consistency": "snapshot", "dataBundleSize": 10}
    config = rowferry.configure(ends[0], database, ends[1], {"db": {"database": there}}, source={"options": options})
    with ThreadPoolExecutor(1) as writer:
        writing = writer.submit(write)
        try:
            stats = rowferry.wait(rowferry.begin(config))
        finally:
            done.set()
        writing.result()
    assert stats["status"] == "FINISHED", stats["error"]
    for name in ("debit", "credit"):
        found = mariadb.execute(f"SELECT COUNT(DISTINCT v) FROM {name} WHERE id > 59000", database=database)
        assert found == [(1,)]
    both = "SELECT sum(v) FROM (SELECT * FROM debit UNION ALL SELECT * FROM credit) s"
    assert postgres.execute(both, database=there) == [(12_000_000,)]
