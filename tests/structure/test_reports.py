"""The report of a run: what became of the structure stays with it, whichever way it ended."""

from __future__ import annotations

from typing import Any

from tests.servers import MariaDb, Postgres
from tests.serving import Rowferry

TABLES = (
    "CREATE TABLE parent (id INT PRIMARY KEY, name VARCHAR(50), FULLTEXT KEY words (name))",
    "CREATE TABLE child (id INT PRIMARY KEY, parent INT, CONSTRAINT to_parent FOREIGN KEY (parent) "
    "REFERENCES parent (id))",
    "INSERT INTO parent VALUES (1, 'one')",
    "SET foreign_key_checks = 0",
    "INSERT INTO child VALUES (1, 1), (2, 99)",
)


def moved(rowferry: Rowferry, mariadb: MariaDb, postgres: Postgres, *statements: str, **more: Any) -> tuple[str, str]:
    """A stream that has ended, and its config."""
    database = mariadb.new_database()
    mariadb.execute(*TABLES, *statements, database=database)
    source, target = rowferry.connect_mariadb(mariadb), rowferry.connect_postgres(postgres)
    config = rowferry.configure(source, database, target, {"db": {"database": postgres.new_database()}}, **more)
    stream = rowferry.begin(config)
    rowferry.wait(stream)
    return config, stream


def report(rowferry: Rowferry, config: str, stream: str) -> tuple[dict[str, Any], list[str]]:
    """The run, and what its report says about the structure."""
    run = rowferry.get(f"/stream-configs/{config}/runs/{stream}")
    assert run["report"] == rowferry.get(f"/streams/{stream}")["report"]
    (listed,) = rowferry.client.get(f"/stream-configs/{config}/history").json()
    assert listed == {name: value for name, value in run.items() if name != "report"}
    assert sum(run["findings"].values()) == len(run["report"])
    return run, [f"{found['severity']} {found['item']}" for found in run["report"] if found["item"]]


def test_what_the_finish_found_is_kept(rowferry: Rowferry, mariadb: MariaDb, postgres: Postgres) -> None:
    config, stream = moved(rowferry, mariadb, postgres)
    run, items = report(rowferry, config, stream)
    assert run["status"] == "FINISHED"
    assert items == ["warning words", "warning to_parent"]
    assert rowferry.client.delete(f"/stream-configs/{config}/runs/{stream}").is_success
    assert rowferry.client.get(f"/stream-configs/{config}/runs/{stream}").status_code == 404


def test_a_failed_run_keeps_its_report(rowferry: Rowferry, mariadb: MariaDb, postgres: Postgres) -> None:
    config, stream = moved(rowferry, mariadb, postgres, r"UPDATE parent SET name = 'a\0b'")
    run, items = report(rowferry, config, stream)
    assert run["status"] == "FAILED"
    assert items == ["warning words"]
    rowferry.post(f"/streams/{stream}/resume")
    rowferry.wait(stream)
    assert report(rowferry, config, stream)[1] == ["warning words"]


def test_a_refused_run_keeps_its_report(rowferry: Rowferry, mariadb: MariaDb, postgres: Postgres) -> None:
    database = postgres.new_database()
    table = "CREATE TABLE t (id int PRIMARY KEY, n numeric, words text[])"
    postgres.execute(table, "CREATE INDEX every_word ON t USING gin (words)", database=database)
    source, target = rowferry.connect_postgres(postgres), rowferry.connect_mariadb(mariadb)
    config = rowferry.configure(source, database, target, {"db": {"database": mariadb.new_database()}})
    stream = rowferry.begin(config)
    rowferry.wait(stream)
    run, items = report(rowferry, config, stream)
    assert run["status"] == "FAILED"
    assert items == ["warning every_word"]
    assert "n" in [found["column"] for found in run["report"] if found["severity"] == "error"]


def test_keys_that_a_limit_costs_are_said(rowferry: Rowferry, mariadb: MariaDb, postgres: Postgres) -> None:
    config, stream = moved(rowferry, mariadb, postgres, limits={"numberOfEvents": 1})
    run, items = report(rowferry, config, stream)
    assert run["status"] == "EVENT_LIMIT_REACHED"
    assert "warning to_parent" in items
