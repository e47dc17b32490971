"""Streams over the API against real servers: pause, resume, stop, limits, conflicts, policies."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.servers import MariaDb, Postgres, wait_until
from tests.serving import Rowferry
from tests.streams.conftest import ROWS


@pytest.fixture
def ends(rowferry: Rowferry, mariadb: MariaDb, postgres: Postgres) -> tuple[str, str, str]:
    """A source connection, a target connection, and a fresh database there."""
    return rowferry.connect_mariadb(mariadb), rowferry.connect_postgres(postgres), postgres.new_database()


def db(database: str, **more: Any) -> dict[str, Any]:
    return {"db": {"database": database, **more}}


def count(postgres: Postgres, database: str, table: str = "items") -> tuple[object, ...]:
    return postgres.execute(f"SELECT count(*), count(DISTINCT id) FROM {table}", database=database)[0]


def items(rowferry: Rowferry, ends: tuple[str, str, str], big: str, **more: Any) -> str:
    part = {"tables": [{"name": "items"}]}
    spec = db(ends[2], structureOptions={"foreignKeys": False}, **more.pop("db", {}))
    return rowferry.configure(ends[0], big, ends[1], spec, part=part, **more)


def test_pause_and_resume(rowferry: Rowferry, postgres: Postgres, big: str, ends: tuple[str, str, str]) -> None:
    config = items(rowferry, ends, big)
    stream = rowferry.begin(config)
    for _ in range(2):
        before = rowferry.stats(stream)["target"]["counter"]
        moved = rowferry.wait_for_rows(stream, before)
        if moved["status"] == "FINISHED":
            break
        asked = time.monotonic()
        rowferry.post(f"/streams/{stream}/pause")
        assert time.monotonic() - asked < 2.5
        paused = rowferry.stats(stream)
        assert paused["status"] == "PAUSED"
        conflict = rowferry.client.post(f"/stream-configs/{config}/start")
        assert conflict.status_code == 409
        assert conflict.json()["details"]["field"] == "stream_state"
        assert conflict.json()["details"]["value"] == [stream]
        assert rowferry.client.post(f"/streams/{stream}/pause").status_code == 409
        assert rowferry.stats(stream)["target"]["counter"] == paused["target"]["counter"]
        rowferry.post(f"/streams/{stream}/resume")
    assert rowferry.wait(stream)["status"] == "FINISHED"
    assert count(postgres, ends[2]) == (ROWS, ROWS)


def test_paused_survives_a_restart(
    rowferry: Rowferry, postgres: Postgres, big: str, ends: tuple[str, str, str]
) -> None:
    stream = rowferry.begin(items(rowferry, ends, big))
    rowferry.wait_for_rows(stream, 0)
    rowferry.post(f"/streams/{stream}/pause")
    rowferry.kill()
    rowferry.start()
    assert rowferry.stats(stream)["status"] == "PAUSED"
    rowferry.post(f"/streams/{stream}/resume")
    assert rowferry.wait(stream)["status"] == "FINISHED"
    assert count(postgres, ends[2]) == (ROWS, ROWS)


@pytest.mark.parametrize("force", ["", "?force=true"])
@pytest.mark.parametrize("paused", [False, True])
def test_stop_is_for_good(
    rowferry: Rowferry, postgres: Postgres, big: str, ends: tuple[str, str, str], force: str, paused: bool
) -> None:
    stream = rowferry.begin(items(rowferry, ends, big))
    rowferry.wait_for_rows(stream, 0)
    if paused:
        rowferry.post(f"/streams/{stream}/pause")
    rowferry.post(f"/streams/{stream}/stop{force}")
    stats = rowferry.stats(stream)
    assert stats["status"] == "STOPPED"
    rows = count(postgres, ends[2])
    assert rows[0] == rows[1] <= ROWS  # type: ignore[operator]
    for action in ("pause", "resume", "stop"):
        answer = rowferry.client.post(f"/streams/{stream}/{action}")
        assert answer.status_code == 409
        assert "STOPPED" in answer.json()["error"]
    schemas = "SELECT count(*) FROM pg_namespace WHERE nspname = '_rowferry'"
    wait_until(lambda: postgres.execute(schemas, database=ends[2]) == [(0,)])


@pytest.mark.parametrize("limit", [1, 12_345])
def test_the_event_limit_is_exact(
    rowferry: Rowferry, postgres: Postgres, big: str, ends: tuple[str, str, str], limit: int
) -> None:
    stream = rowferry.begin(items(rowferry, ends, big, limits={"numberOfEvents": limit}))
    assert rowferry.wait(stream)["status"] == "EVENT_LIMIT_REACHED"
    assert count(postgres, ends[2]) == (limit, limit)


def test_the_time_limit_holds_within_a_second(
    rowferry: Rowferry, postgres: Postgres, mariadb: MariaDb, ends: tuple[str, str, str]
) -> None:
    database = mariadb.new_database()
    mariadb.execute("CREATE VIEW slow AS SELECT seq AS id, SLEEP(0.01) AS z FROM seq_1_to_10000", database=database)
    part = {"queries": [{"name": "slow", "query": "SELECT * FROM slow"}]}
    config = rowferry.configure(ends[0], database, ends[1], db(ends[2]), part=part, limits={"elapsedTime": 2})
    stats = rowferry.wait(rowferry.begin(config))
    assert stats["status"] == "TIME_LIMIT_REACHED"
    assert 2 <= stats["elapsed"] < 3


def test_streams_that_do_not_touch_run_side_by_side(
    rowferry: Rowferry, postgres: Postgres, big: str, ends: tuple[str, str, str], tmp_path: Path
) -> None:
    folder = rowferry.connect_folder(tmp_path / "out")
    first = rowferry.begin(items(rowferry, ends, big))
    second = rowferry.begin(rowferry.configure(ends[0], big, folder, {"files": {"fileFormat": "csv"}}))
    third = rowferry.begin(rowferry.configure(ends[0], big, ends[1], db(postgres.new_database())))
    assert [rowferry.wait(stream)["status"] for stream in (first, second, third)] == ["FINISHED"] * 3


def test_what_is_there_is_not_touched(
    rowferry: Rowferry, postgres: Postgres, big: str, ends: tuple[str, str, str]
) -> None:
    postgres.execute("CREATE TABLE items (id int PRIMARY KEY)", "INSERT INTO items VALUES (7)", database=ends[2])
    stats = rowferry.wait(rowferry.begin(items(rowferry, ends, big)))
    assert stats["status"] == "FAILED"
    assert stats["error"]["code"] == "target_exists"
    assert "items" in stats["error"]["error"]
    assert count(postgres, ends[2]) == (1, 1)


def test_a_wrong_password_fails_the_stream_with_a_reason(
    rowferry: Rowferry, mariadb: MariaDb, big: str, ends: tuple[str, str, str]
) -> None:
    wrong = rowferry._connect("mariadb", host=mariadb.host, port=mariadb.port, username=mariadb.user, password="sesame")
    stats = rowferry.wait(rowferry.begin(rowferry.configure(wrong, big, ends[1], db(ends[2]))))
    assert stats["status"] == "FAILED"
    assert stats["error"]["code"] == "connection_failed"
    assert "sesame" not in str(stats)


def test_a_lost_worker_is_replaced(
    rowferry: Rowferry, postgres: Postgres, big: str, ends: tuple[str, str, str]
) -> None:

    stream = rowferry.begin(items(rowferry, ends, big))
    rowferry.wait_for_rows(stream, 0)
    assert rowferry._process is not None
    for worker in psutil.Process(rowferry._process.pid).children():
        worker.kill()
    assert rowferry.wait(stream)["status"] == "FINISHED"
    assert count(postgres, ends[2]) == (ROWS, ROWS)


def test_history_and_deletion(rowferry: Rowferry, big: str, tmp_path: Path, ends: tuple[str, str, str]) -> None:
    folder = rowferry.connect_folder(tmp_path / "out")
    part = {"tables": [{"name": "small"}]}
    config = rowferry.configure(ends[0], big, folder, {"files": {"fileFormat": "jsonl"}}, part=part)
    stream = rowferry.begin(config)
    rowferry.wait(stream)
    runs = rowferry.client.get(f"/stream-configs/{config}/history").json()
    assert [(run["streamId"], run["status"], run["rowsInserted"]) for run in runs] == [(stream, "FINISHED", 3)]
    assert rowferry.client.delete(f"/stream-configs/{config}/runs/{runs[0]['id']}").is_success
    assert rowferry.client.get(f"/stream-configs/{config}/history").json() == []
