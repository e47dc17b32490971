"""Reading under way: bounded, broken off, and gone wrong."""

from __future__ import annotations

import os
from dataclasses import replace
from itertools import islice

import psutil
import pytest

from rowferry.connectors.base import TableRequest
from rowferry.connectors.postgres.source import PostgresSource
from rowferry.errors import ConnectionLost, ReadFailed, Refused, RowferryError
from rowferry.model.tables import Table
from tests.postgres_source.conftest import WHOLE, Place
from tests.servers import wait_until

MARK = "slow_and_long"


@pytest.fixture
def endless(place: Place) -> tuple[PostgresSource, Table]:
    """A query whose rows do not end within a test."""
    place.run("CREATE TABLE t AS SELECT g AS a, repeat('x', 500) AS v FROM generate_series(1, 20000) g")
    query = f"SELECT t.a, t.v AS {MARK} FROM t CROSS JOIN t AS u CROSS JOIN t AS w"
    return place.source(), place.table("endless", query=query)


def test_the_server_is_held_back(place: Place, endless: tuple[PostgresSource, Table]) -> None:
    source, table = endless
    reading = source.read(table, source.chunks(table, WHOLE)[0])
    list(islice(reading, 3))
    process = psutil.Process(os.getpid())
    before = process.memory_info().rss
    waiting = f"SELECT wait_event FROM pg_stat_activity WHERE query LIKE '%{MARK}%' AND pid <> pg_backend_pid()"
    wait_until(lambda: ("ClientWrite",) in place.run(waiting), 10, "the server to wait for us")
    batches = list(islice(reading, 5))
    assert all(batch.nbytes < 12 * 2**20 for batch in batches)
    assert process.memory_info().rss - before < 150 * 2**20
    reading.close()


def test_a_lost_connection(place: Place, endless: tuple[PostgresSource, Table]) -> None:
    source, table = endless
    reading = source.read(table, source.chunks(table, WHOLE)[0])
    next(reading)
    place.run(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE application_name = 'rowferry' AND datname = current_database()"
    )
    with pytest.raises(ConnectionLost):
        for _ in reading:
            pass
    wait_until(lambda: _answers(source), 10, "a new session")


def _answers(source: PostgresSource) -> bool:
    try:
        return bool(source.tables([]))
    except RowferryError:
        return False


def test_a_column_that_is_no_longer_filled(place: Place) -> None:
    place.run("CREATE TABLE t (a int PRIMARY KEY, b text NOT NULL)")
    table = place.table("t")
    place.run("ALTER TABLE t ALTER b DROP NOT NULL", "INSERT INTO t VALUES (1, NULL)")
    with pytest.raises(ReadFailed, match=r"t\.b "):
        place.rows(table)


@pytest.mark.parametrize(
    "query", ["SELECT 1 / (a - 15000) AS v FROM t", "SELECT ('top secret ' || a)::int AS v FROM t"]
)
def test_an_error_in_mid_read_shows_no_value(place: Place, query: str) -> None:
    place.run("CREATE TABLE t AS SELECT g AS a FROM generate_series(1, 20000) g")
    with pytest.raises(ReadFailed) as caught:
        place.rows(place.table("q", query=query))
    assert "secret" not in caught.value.message


def test_a_table_without_columns(place: Place) -> None:
    place.run("CREATE TABLE t ()")
    with pytest.raises(Refused, match="no columns"):
        place.rows(place.table("t"))


def test_hidden_rows_are_an_error(place: Place) -> None:
    place.run(
        "CREATE TABLE t (a int PRIMARY KEY, b text)",
        "ALTER TABLE t ENABLE ROW LEVEL SECURITY",
        "CREATE POLICY few ON t USING (a = 1)",
        "INSERT INTO t VALUES (1, 'x'), (2, 'y')",
        "ALTER TABLE t FORCE ROW LEVEL SECURITY",
        f"CREATE ROLE {place.database} LOGIN PASSWORD 'ferry'",
        f"GRANT SELECT ON t TO {place.database}",
    )
    limited = Place(replace(place.server, user=place.database), place.database)
    with pytest.raises(RowferryError, match="row-level security"):
        limited.rows(limited.table("t"))
    for source in limited.sources:
        source.close()
    place.run(f"DROP OWNED BY {place.database}", f"DROP ROLE {place.database}")


def test_names_of_every_kind(place: Place) -> None:
    place.run(
        'CREATE SCHEMA "My.Schema"',
        'CREATE TABLE "My.Schema"."a ""quoted"" täble" ("select" int PRIMARY KEY, "With.Dot" text, "{}" numeric(3,1), '
        '"%s" date, "t" int[])',
        'INSERT INTO "My.Schema"."a ""quoted"" täble" VALUES (1, \'x\', 1.5, NULL, \'{1}\')',
    )
    table = place.table('My.Schema.a "quoted" täble')
    assert place.rows(table).to_pylist()[0]["With.Dot"] == "x"
    assert list(table.column_names()) == ["select", "With.Dot", "{}", "%s", "t"]


def test_a_schema_of_the_request_is_where_a_query_looks(place: Place) -> None:
    place.run('CREATE SCHEMA "S x"', 'CREATE TABLE "S x".t (a int)', 'INSERT INTO "S x".t VALUES (7)')
    source = place.source("S x")
    table = source.tables([TableRequest("q", query="SELECT a FROM t")])[0]
    batches = list(source.read(table, source.chunks(table, WHOLE)[0]))
    assert batches[0].to_pylist() == [{"a": 7}]
