"""Streams that follow a log, over the API, between real servers."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import psycopg
import pymysql

from tests.servers import MariaDb, Postgres, wait_until
from tests.serving import Rowferry

TABLES = (
    "CREATE TABLE item (id bigint PRIMARY KEY AUTO_INCREMENT, name varchar(40) UNIQUE, price decimal(10,2), "
    "made datetime(3))",
    "INSERT INTO item (id, name, price, made) SELECT seq, CONCAT('n', seq), seq / 4, '2024-02-29 12:00:00.125' "
    "FROM seq_1_to_2000",
    "CREATE TABLE note (word varchar(20), n int)",
    "INSERT INTO note VALUES ('a', 1), ('a', 1), (NULL, 2)",
)
CHANGES = (
    "INSERT INTO item (name, price) VALUES ('new', 1.5), ('emoji \U0001f642', NULL)",
    "UPDATE item SET price = price + 1 WHERE id % 7 = 0",
    "UPDATE item SET id = id + 100000 WHERE id IN (5, 6)",
    "DELETE FROM item WHERE id BETWEEN 10 AND 20",
    "UPDATE note SET n = 5 WHERE n = 2",
    "DELETE FROM note WHERE word = 'a' LIMIT 1",
    "INSERT INTO note VALUES ('z', 9)",
)


def rows(server: MariaDb | Postgres, query: str, database: str) -> list[tuple[Any, ...]] | None:
    """The rows, None where there is no such table yet."""
    with suppress(psycopg.errors.UndefinedTable, pymysql.err.ProgrammingError):
        return sorted(server.execute(query, database=database), key=repr)
    return None


def same(mariadb: MariaDb, source: str, target: MariaDb | Postgres, database: str) -> Callable[[], bool]:
    """Whether both hold the same rows."""
    queries = ("SELECT id, name, price, made FROM item", "SELECT word, n FROM note")
    return lambda: all(rows(mariadb, query, source) == rows(target, query, database) for query in queries)


def test_a_mariadb_is_followed_into_a_postgresql(rowferry: Rowferry, logged: MariaDb, postgres: Postgres) -> None:
    source, target = logged.new_database(), postgres.new_database()
    logged.execute(*TABLES, database=source)
    spec = {"db": {"database": target}}
    config = rowferry.configure(
        rowferry.connect_mariadb(logged), source, rowferry.connect_postgres(postgres), spec, mode="cdc"
    )
    stream = rowferry.begin(config)
    is_same = same(logged, source, postgres, target)
    wait_until(is_same, 60, "the load")
    logged.execute(*CHANGES, database=source)
    wait_until(is_same, 30, "changes")
    rowferry.post(f"/streams/{stream}/pause")
    logged.execute("DELETE FROM item WHERE id < 100", "INSERT INTO item (name) VALUES ('later')", database=source)
    rowferry.post(f"/streams/{stream}/resume")
    wait_until(is_same, 30, "changes after a pause")
    wait_until(lambda: rowferry.stats(stream)["lagSeconds"] is not None, what="a lag")
    stats = rowferry.stats(stream)
    assert stats["status"] == "RUNNING"
    assert stats["position"]
    rowferry.post(f"/streams/{stream}/stop")
    assert rowferry.stats(stream)["status"] == "STOPPED"


def test_a_postgresql_is_followed_into_a_mariadb(rowferry: Rowferry, logged: MariaDb, postgres: Postgres) -> None:
    source, target = postgres.new_database(), logged.new_database()
    postgres.execute(
        "CREATE TABLE item (id bigint PRIMARY KEY, name varchar(40) UNIQUE, price numeric(10,2), made timestamp(3))",
        "INSERT INTO item SELECT n, 'n' || n, n / 4.0, '2024-02-29 12:00:00.125' FROM generate_series(1, 2000) n",
        "CREATE TABLE note (word varchar(20), n int)",
        "ALTER TABLE note REPLICA IDENTITY FULL",
        "INSERT INTO note VALUES ('a', 1), ('a', 1), (NULL, 2)",
        database=source,
    )
    spec = {"db": {"database": target}}
    config = rowferry.configure(
        rowferry.connect_postgres(postgres), source, rowferry.connect_mariadb(logged), spec, mode="cdc"
    )
    stream = rowferry.begin(config)
    is_same = same(logged, target, postgres, source)
    wait_until(is_same, 60, "the load")
    postgres.execute(
        "INSERT INTO item VALUES (3000, 'new', 1.5), (3001, 'emoji \U0001f642', NULL)",
        "UPDATE item SET price = price + 1 WHERE id % 7 = 0",
        "UPDATE item SET id = id + 100000 WHERE id IN (5, 6)",
        "DELETE FROM item WHERE id BETWEEN 10 AND 20",
        "UPDATE note SET n = 5 WHERE n = 2",
        "DELETE FROM note WHERE ctid = (SELECT min(ctid) FROM note WHERE word = 'a')",
        "INSERT INTO note VALUES ('z', 9)",
        database=source,
    )
    wait_until(is_same, 30, "changes")
    slots = "SELECT count(*) FROM pg_replication_slots WHERE database = current_database()"
    assert postgres.execute(slots, database=source) == [(1,)]
    rowferry.post(f"/streams/{stream}/pause")
    assert postgres.execute(slots, database=source) == [(1,)]
    rowferry.post(f"/streams/{stream}/stop")
    wait_until(lambda: postgres.execute(slots, database=source) == [(0,)], 30, "the slot to go")
