"""Losses that nobody would notice: what a journey through data files does not show."""

from __future__ import annotations

from contextlib import closing

import pytest

from rowferry.config.connection import Connection
from rowferry.connectors.base import SourceRequest
from rowferry.connectors.mysql import expressions as mysql_sql
from rowferry.connectors.postgres import expressions as postgres_sql
from rowferry.connectors.postgres.source import open_source
from rowferry.control import oneshot
from rowferry.control.oneshot import job_from_urls
from rowferry.model.findings import Finding
from rowferry.model.streams import StreamState
from rowferry.pipeline.job import Job, Outcome
from rowferry.pipeline.signals import Signals
from tests.servers import MariaDb, Postgres
from tests.structure.legs import Silent


def run(job: Job) -> list[Finding]:
    outcome: Outcome = oneshot.run(job, Silent(), Signals())
    assert outcome.state is StreamState.FINISHED, outcome.error and outcome.error.message
    return list(outcome.report)


def test_nulls_in_a_numbered_column_stay(mariadb: MariaDb, postgres: Postgres) -> None:
    there, here = postgres.new_database(), mariadb.new_database()
    postgres.execute(
        "CREATE TABLE t (id int PRIMARY KEY, n serial)",
        "ALTER TABLE t ALTER n DROP NOT NULL",
        "INSERT INTO t VALUES (1, NULL), (2, 7)",
        database=there,
    )
    report = run(job_from_urls(postgres.url(there), mariadb.url(here)))
    assert mariadb.execute("SELECT id, n FROM t ORDER BY id", database=here) == [(1, None), (2, 7)]
    assert [f.column for f in report if "default cannot be said" in f.message] == ["n"]
    back = postgres.new_database()
    report = run(job_from_urls(postgres.url(there), postgres.url(back)))
    assert postgres.execute("SELECT id, n FROM t ORDER BY id", database=back) == [(1, None), (2, 7)]
    assert [f.column for f in report if "default cannot be said" in f.message] == ["n"]


def test_a_sequence_of_the_source_is_not_drawn_from(mariadb: MariaDb) -> None:
    database, there = mariadb.new_database(), mariadb.new_database()
    mariadb.execute(
        "CREATE SEQUENCE numbers", "CREATE TABLE t (id INT PRIMARY KEY, n INT DEFAULT (NEXT VALUE FOR numbers))",
        database=database,
    )  # fmt: skip
    report = run(job_from_urls(mariadb.url(database), mariadb.url(there)))
    assert [f.column for f in report if "default cannot be said" in f.message] == ["n"]
    assert mariadb.execute("INSERT INTO t (id) VALUES (1) RETURNING n", database=there) == [(None,)]


def test_what_a_selection_of_columns_costs_is_said(mariadb: MariaDb, postgres: Postgres) -> None:
    database, there = mariadb.new_database(), postgres.new_database()
    mariadb.execute(
        "CREATE TABLE other (id INT PRIMARY KEY)",
        "CREATE TABLE t (id INT PRIMARY KEY, a INT, b INT, KEY by_b (b), KEY by_a (a), "
        "CONSTRAINT small CHECK (a < 10), CONSTRAINT far FOREIGN KEY (b) REFERENCES other (id))",
        database=database,
    )
    job = job_from_urls(mariadb.url(database), postgres.url(there), tables=["t"])
    document = job.config.model_dump(mode="json", by_alias=True)
    document["source"]["connections"][0]["tables"][0]["selection"] = {"selectedColumns": ["id", "a"]}
    selected = job.model_copy(update={"config": type(job.config).model_validate(document)})
    lost = {f.item for f in run(selected) if "only some columns are selected" in f.message}
    assert lost == {"by_b", "small", "far"}


def test_computed_columns_are_computed_and_verified(mariadb: MariaDb, postgres: Postgres) -> None:
    database, there, back = mariadb.new_database(), postgres.new_database(), mariadb.new_database()
    mariadb.execute(
        "CREATE TABLE t (id INT PRIMARY KEY, a INT, b BIGINT UNSIGNED, p DECIMAL(10,2), w VARCHAR(20), "
        "s DECIMAL(30,0) AS (a + b * 3) STORED, q DECIMAL(20,4) AS (p * p - 1) VIRTUAL, "
        "c VARCHAR(60) AS (concat(w, '-', coalesce(w, 'none'))) STORED, n INT AS (char_length(w)) STORED)",
        "INSERT INTO t (id, a, b, p, w) VALUES (1, -2147483648, 6148914691236517205, -99999999.99, '名 ü'), "
        "(2, NULL, 1, 0.01, NULL), (3, 1, NULL, NULL, '')",
        database=database,
    )
    run(job_from_urls(mariadb.url(database), postgres.url(there)))
    kinds = "SELECT attname::text FROM pg_attribute WHERE attrelid = 't'::regclass AND attgenerated = 's' ORDER BY 1"
    assert postgres.execute(kinds, database=there) == [("c",), ("n",), ("q",), ("s",)]
    assert_equal(job_from_urls(mariadb.url(database), postgres.url(there)))
    run(job_from_urls(postgres.url(there), mariadb.url(back)))
    kinds = (
        "SELECT COLUMN_NAME FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 't' "
        "AND IS_GENERATED = 'ALWAYS' ORDER BY 1"
    )
    assert mariadb.execute(kinds, database=back) == [("c",), ("n",), ("q",), ("s",)]
    assert_equal(job_from_urls(postgres.url(there), mariadb.url(back)))


def assert_equal(job: Job) -> None:
    """Every column of the one table is compared, and is the same."""
    outcome = oneshot.run(job.model_copy(update={"verify_only": True}), Silent(), Signals())
    assert outcome.comparison is not None
    assert outcome.comparison.equal
    assert [table.skipped for table in outcome.comparison.tables] == [()]


INTO_POSTGRES = {
    "length(`name`) > 3": 'OCTET_LENGTH("name") > 3',
    "char_length(`name`) > 3": 'LENGTH("name") > 3',
    "cast(`name` as char) <> ''": "CAST(\"name\" AS TEXT) <> ''",
    "cast(`name` as char charset utf8mb4) <> ''": "CAST(\"name\" AS TEXT) <> ''",
    "`a` / 2 > 1": None,
    "`name` regexp '^a'": None,
    "`name` = 'a\0b'": None,
}

INTO_MYSQL = {
    "((name)::text <> ''::text)": "(`name` <> '')",
    "((a)::text <> ''::text)": "(CAST((`a`) AS CHAR) <> '')",
    "(a = ANY (ARRAY[1, 2]))": "(`a` IN (1, 2))",
    "((name)::text = ANY ((ARRAY['x'::character varying, 'y'::text])::text[]))": "(`name` IN ('x', 'y'))",
    "((a / 2) > 1)": None,
    "((name)::text ~ '^a'::text)": None,
}


@pytest.mark.parametrize("said", INTO_POSTGRES)
def test_expressions_mean_the_same_to_postgres(said: str) -> None:
    assert postgres_sql.translated(said, "mysql", {"a": "a", "name": "name"}) == INTO_POSTGRES[said]


@pytest.mark.parametrize("said", INTO_MYSQL)
def test_expressions_mean_the_same_to_mysql(said: str) -> None:
    assert mysql_sql.translated(said, "postgres", {"a": "a", "name": "name"}, ["name"]) == INTO_MYSQL[said]


def test_bytes_that_a_catalogue_does_not_show_are_no_default(mariadb: MariaDb) -> None:
    database, there = mariadb.new_database(), mariadb.new_database()
    mariadb.execute(
        "CREATE TABLE t (id INT PRIMARY KEY, a VARBINARY(4) DEFAULT x'00ff', b VARBINARY(4) DEFAULT x'0041')",
        database=database,
    )
    report = run(job_from_urls(mariadb.url(database), mariadb.url(there)))
    mariadb.execute("INSERT INTO t (id) VALUES (1)", database=there)
    assert mariadb.execute("SELECT a, b FROM t", database=there) == [(None, b"\0A")]
    assert [f.column for f in report if "does not show its bytes" in f.message or "default" in f.message] == [None]


def test_a_user_without_rights_to_a_schema_can_still_browse(postgres: Postgres) -> None:
    database = postgres.new_database()
    postgres.execute(
        "CREATE SCHEMA closed",
        "CREATE TABLE closed.t (id int GENERATED ALWAYS AS IDENTITY (INCREMENT BY 2) PRIMARY KEY)",
        "DROP ROLE IF EXISTS looker",
        "CREATE ROLE looker LOGIN PASSWORD 'looks'",
        database=database,
    )
    flat = {"host": postgres.host, "port": postgres.port, "username": "looker", "password": "looks"}
    connection = Connection.model_validate({"name": "here", "type": "postgresql", **flat})
    with closing(open_source(SourceRequest(connection, database))) as source:
        [table] = source.tables([])
        assert [remark.column for remark in table.remarks] == ["id", "id"]
        assert source.besides() == []
