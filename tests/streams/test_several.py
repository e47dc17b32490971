"""Streams of several sources: tables from each, and queries that join them in DuckDB."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.servers import MariaDb, Postgres, wait_until
from tests.serving import Rowferry

FILMS = [(1, "ACE", "2.99", '{"a": 1}'), (2, "BEE", "0.01", None), (3, "CAT", "99.99", "[]")]
JOIN = (
    "SELECT f.film_id, f.title, f.rate, s.customer, s.amount, s.sold_at "
    "FROM db1.{films}.film f JOIN pg1.public.sales s ON s.film_id = f.film_id"
)


@dataclass(frozen=True)
class World:
    """A MariaDB with films, a PostgreSQL with sales, a folder, and an empty database to write to."""

    rowferry: Rowferry
    mariadb: MariaDb
    postgres: Postgres
    films: str
    sales: str
    folder: Path
    ids: Mapping[str, str]

    def parts(self, first: dict[str, Any], second: dict[str, Any], *more: dict[str, Any]) -> dict[str, Any]:
        """The source of a config: db1, pg1, and whatever comes behind them."""
        one = {"alias": "db1", "connectionId": self.ids["mariadb"], "database": self.films, **first}
        two = {"alias": "pg1", "connectionId": self.ids["postgres"], "database": self.sales, **second}
        return {"connections": [one, two, *more]}

    def document(self, source: dict[str, Any], **more: Any) -> dict[str, Any]:
        """A config that writes into a third database."""
        target = {"id": self.ids["postgres"], "spec": {"db": {"database": self.sales, "schema": "landed"}}}
        return {"name": "several", "mode": "convert", "source": source, "target": target, **more}

    def run(self, source: dict[str, Any], **more: Any) -> dict[str, Any]:
        """The numbers of a stream of such a config, once it has ended."""
        made = self.rowferry.post("/stream-configs", self.document(source, **more))
        return self.rowferry.wait(self.rowferry.begin(str(made["id"])))

    def refused(self, source: dict[str, Any], path: str = "/stream-configs") -> str:
        """Why there can be no such config: a 400, in one sentence."""
        answer = self.rowferry.client.post(path, json=self.document(source))
        assert answer.status_code == 400, answer.text
        return str(answer.json()["error"])

    def landed(self, query: str) -> list[tuple[Any, ...]]:
        """What the third database says."""
        return self.postgres.execute(query, database=self.sales)


@pytest.fixture(scope="module")
def servers(
    rowferry: Rowferry, mariadb: MariaDb, postgres: Postgres, tmp_path_factory: pytest.TempPathFactory
) -> World:
    films, sales = mariadb.new_database(), postgres.new_database()
    mariadb.execute(
        "CREATE TABLE film (film_id INT PRIMARY KEY, title VARCHAR(128) NOT NULL, rate DECIMAL(4,2), extra JSON, "
        "flag TINYINT(1) DEFAULT 7)",
        "CREATE TABLE actor (actor_id INT PRIMARY KEY, film_id INT, FOREIGN KEY (film_id) REFERENCES film (film_id))",
        "INSERT INTO actor VALUES (1, NULL)",
        database=films,
    )
    with mariadb.connect(films) as session, session.cursor() as cursor:
        cursor.executemany("INSERT INTO film (film_id, title, rate, extra) VALUES (%s, %s, %s, %s)", FILMS)
        session.commit()
    postgres.execute(
        "CREATE TABLE sales (id int PRIMARY KEY, film_id int, customer text DEFAULT 'no'||'body', "
        "amount numeric(10,3), sold_at timestamptz)",
        "INSERT INTO sales VALUES (1, 1, 'Ann', 1.500, '2024-03-31 01:30:00+01'), (2, 1, 'Bob', NULL, NULL), "
        "(3, 3, NULL, -0.001, '2024-10-27 02:30:00+02'), (4, 9, 'Cy', 1, now())",
        "CREATE TABLE film (id int PRIMARY KEY, word text)",
        "INSERT INTO film VALUES (1, 'other')",
        database=sales,
    )
    folder = tmp_path_factory.mktemp("files")
    pq.write_table(pa.table({"film_id": [1, 3], "shelf": ["left", "right"]}), folder / "shelves.parquet")
    (folder / "codes.csv").write_text("film_id,code\n1,007\n3,\n")
    ids = {
        "mariadb": rowferry.connect_mariadb(mariadb),
        "postgres": rowferry.connect_postgres(postgres),
        "files": rowferry.connect_folder(folder),
    }
    return World(rowferry, mariadb, postgres, films, sales, folder, ids)


@pytest.fixture
def world(servers: World) -> World:
    servers.landed("DROP SCHEMA IF EXISTS landed CASCADE")
    return servers


def test_a_join_of_two_databases_lands_in_a_third(world: World) -> None:
    query = {"queries": [{"name": "film_sales", "query": JOIN.format(films=world.films)}]}
    stats = world.run(world.parts(query, {}))
    assert stats["status"] == "FINISHED", stats
    assert world.landed("SELECT * FROM landed.film_sales ORDER BY film_id, customer") == world.landed(
        "SELECT s.film_id, CASE s.film_id WHEN 1 THEN 'ACE' ELSE 'CAT' END, CASE s.film_id WHEN 1 THEN 2.99 ELSE 99.99 "
        "END, customer, amount, sold_at FROM sales s WHERE film_id IN (1, 3) ORDER BY film_id, customer"
    )
    assert world.landed("SELECT table_name FROM information_schema.tables WHERE table_schema = 'landed'") == [
        ("film_sales",)
    ]


def test_files_are_joined_with_databases(world: World) -> None:
    files = {"alias": "f1", "connectionId": world.ids["files"]}
    query = (
        f"SELECT f.title, p.shelf, c.code, count(*) AS sold, sum(s.id) AS total FROM db1.{world.films}.film f "
        "JOIN pg1.public.sales s USING (film_id) JOIN read_parquet('shelves.parquet') p USING (film_id) "
        "LEFT JOIN read_csv_auto('f1://codes.csv') c USING (film_id) GROUP BY ALL ORDER BY title"
    )
    stats = world.run(world.parts({}, {"queries": [{"name": "shelved", "query": query}]}, files))
    assert stats["status"] == "FINISHED", stats
    assert world.landed("SELECT * FROM landed.shelved ORDER BY title") == [
        ("ACE", "left", "007", 2, 3), ("CAT", "right", None, 1, 3),
    ]  # fmt: skip


def test_tables_of_each_source_arrive_and_names_that_clash_are_told_apart(world: World) -> None:
    first = {"tables": [{"name": "db1.film"}, {"name": "actor"}]}
    second = {"tables": [{"name": "pg1.public.film"}, {"name": "public.sales"}]}
    source = world.parts(first, second)
    made = world.rowferry.post("/stream-configs", world.document(source))
    dry = world.rowferry.post(f"/stream-configs/{made['id']}/validate")
    assert [table["name"] for table in dry["tables"]] == ["db1_film", "actor", "pg1_film", "sales"]
    told = [one["message"] for one in dry["findings"] if "is called" in one["message"]]
    assert [("db1_film" in text, "pg1_film" in text) for text in told] == [(True, False), (False, True)]
    stats = world.rowferry.wait(world.rowferry.begin(str(made["id"])))
    assert stats["status"] == "FINISHED", stats
    assert world.landed("SELECT count(*) FROM landed.db1_film") == [(3,)]
    assert world.landed("SELECT word FROM landed.pg1_film") == [("other",)]
    assert world.landed("SELECT count(*) FROM landed.sales") == [(4,)]
    assert world.landed(
        "SELECT confrelid::regclass::text FROM pg_constraint WHERE contype = 'f' AND "
        "conrelid = 'landed.actor'::regclass"
    ) == [("landed.db1_film",)]
    [(default,)] = world.landed(
        "SELECT column_default FROM information_schema.columns WHERE table_schema = 'landed' AND table_name = 'sales' "
        "AND column_name = 'customer'"
    )
    assert "||" in str(default)


@pytest.mark.parametrize(
    ("query", "word"),
    [
        ("SELECT * FROM film", "film"),
        ("SELECT * FROM public.sales", "public.sales"),
        ("SELECT * FROM db2.sakila.film", "db2.sakila.film"),
        ("SELECT * FROM db1.film", "db1.film"),
        ("SELECT * FROM pg1.x.public.sales", "three words"),
    ],
)
def test_a_query_names_every_table_by_its_alias(world: World, query: str, word: str) -> None:
    said = world.refused(world.parts({}, {"queries": [{"name": "q", "query": query}]}))
    assert word in said
    assert "db1, pg1" in said


@pytest.mark.parametrize("name", ["pg1.film", "nope.public.sales", "nope.sales", "pg1.public.sales"])
def test_a_table_under_a_wrong_alias_is_refused_with_the_aliases(world: World, name: str) -> None:
    assert "db1, pg1" in world.refused(world.parts({"tables": [{"name": name}]}, {}))


def test_a_table_that_may_begin_with_a_wrong_alias_is_refused_when_it_is_not_there(world: World) -> None:
    source = world.parts({}, {"tables": [{"name": "nope.sales"}]})
    made = world.rowferry.post("/stream-configs", world.document(source))
    answer = world.rowferry.client.post(f"/stream-configs/{made['id']}/validate")
    assert answer.status_code == 400
    assert "db1, pg1" in answer.json()["error"]


def test_a_query_of_a_single_source_stays_with_its_server(world: World) -> None:
    part = {"connectionId": world.ids["mariadb"], "database": world.films}
    query = {"queries": [{"name": "q", "query": "SELECT title, @@version_comment IS NOT NULL AS own FROM film"}]}
    stats = world.run({"connections": [{**part, **query}]})
    assert stats["status"] == "FINISHED", stats
    assert world.landed("SELECT title FROM landed.q ORDER BY 1") == [("ACE",), ("BEE",), ("CAT",)]


def test_a_query_over_several_sources_is_not_verified_and_that_is_said(world: World) -> None:
    query = {"queries": [{"name": "film_sales", "query": JOIN.format(films=world.films)}]}
    made = world.rowferry.post("/stream-configs", world.document(world.parts(query, {})))
    stream = world.rowferry.begin(str(made["id"]))
    assert world.rowferry.wait(stream)["status"] == "FINISHED"
    asked = world.rowferry.post(f"/streams/{stream}/verify")
    path = f"/streams/{stream}/verifications/{asked['id']}"
    wait_until(lambda: world.rowferry.get(path)["status"] != "RUNNING", 60, "the verification")
    [table] = world.rowferry.get(path)["comparison"]["tables"]
    assert (table["equal"], table["sourceRows"]) == (True, 0)
    assert "was not compared" in table["reason"]


def test_the_result_goes_into_files(world: World, tmp_path: Path) -> None:
    target = {"id": world.rowferry.connect_folder(tmp_path), "spec": {"files": {"fileFormat": "parquet"}}}
    query = {"queries": [{"name": "film_sales", "query": JOIN.format(films=world.films) + " ORDER BY s.id"}]}
    stats = world.run(world.parts(query, {}), target=target)
    assert stats["status"] == "FINISHED", stats
    table = pq.read_table(next(tmp_path.glob("film_sales/*.parquet")))
    assert table.column("customer").to_pylist() == ["Ann", "Bob", None]


def test_a_query_that_was_interrupted_begins_anew(world: World) -> None:
    few = f"db1.{world.films}.film f JOIN pg1.public.film g ON g.id = f.film_id"
    query = f"SELECT r.range AS n, f.title FROM range(2000000) r, {few}"
    part = world.parts({"queries": [{"name": "many", "query": query}]}, {})
    made = world.rowferry.post("/stream-configs", world.document(part))
    stream = world.rowferry.begin(str(made["id"]))
    world.rowferry.post(f"/streams/{stream}/pause")
    assert world.rowferry.wait(stream, {"PAUSED", "FINISHED"})["status"] == "PAUSED"
    world.rowferry.post(f"/streams/{stream}/resume")
    assert world.rowferry.wait(stream)["status"] == "FINISHED"
    assert world.landed("SELECT count(*), count(DISTINCT n), min(title) FROM landed.many") == [
        (2_000_000, 2_000_000, "ACE")
    ]


def test_what_a_query_computes_without_a_type_is_refused_before_it_is_written(world: World) -> None:
    query = {
        "queries": [{"name": "lists", "query": f"SELECT [film_id] AS ids FROM db1.{world.films}.film, pg1.public.film"}]
    }
    stats = world.run(world.parts(query, {}))
    assert stats["status"] == "FAILED"
    assert "lists" in stats["error"]["error"] if isinstance(stats["error"], dict) else "lists" in str(stats["error"])
    assert world.landed("SELECT 1 FROM pg_namespace WHERE nspname = 'landed'") == []
