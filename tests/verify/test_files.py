"""Files are compared with the database that they came from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from rowferry.control.oneshot import job_from_document, job_from_urls
from rowferry.pipeline.job import Job
from tests.servers import MariaDb, Postgres
from tests.verify.conftest import compared_table, moved, named, run
from tests.verify.test_types import ROWS, inserts
from tests.verify.values import MARIADB, POSTGRES, Kind

FORMATS = ["parquet", "csv", "jsonl", "csv&compression=gzip", "jsonl&compression=zstd"]


@pytest.fixture(scope="module")
def mariadb_source(mariadb: MariaDb) -> str:
    source = mariadb.new_database()
    columns = ", ".join(f"`{name}` {kind.declared}" for name, kind in MARIADB.items())
    statements = [f"CREATE TABLE kinds (id INT PRIMARY KEY, {columns})", *inserts(MARIADB, "`")]
    mariadb.execute("SET time_zone = '+00:00', sql_mode = ''", *statements, database=source)
    return mariadb.url(source)


def postgres_source(postgres: Postgres, kinds: Mapping[str, Kind]) -> str:
    source = postgres.new_database()
    columns = ", ".join(f'"{name}" {kind.declared}' for name, kind in kinds.items())
    statements = [f"CREATE TABLE kinds (id int PRIMARY KEY, {columns})", *inserts(kinds, '"')]
    postgres.execute("SET timezone = 'UTC'", *statements, database=source)
    return source


@pytest.mark.parametrize("form", FORMATS)
def test_all_types_of_mariadb_are_equal(mariadb_source: str, tmp_path: Path, form: str) -> None:
    found = compared_table(moved(mariadb_source, f"file://{tmp_path}?format={form}"))
    assert named(found) == []
    assert found.equal
    assert (found.source_rows, found.target_rows, found.skipped) == (ROWS, ROWS, ())


@pytest.mark.parametrize("form", ["parquet", "csv", "jsonl"])
def test_all_types_of_postgres_are_equal_and_the_least_difference_is_found(
    postgres: Postgres, tmp_path: Path, form: str
) -> None:
    kinds = {name: kind for name, kind in POSTGRES.items() if form != "jsonl" or "json" not in kind.declared}
    source = postgres_source(postgres, kinds)
    job = moved(postgres.url(source), f"file://{tmp_path}?format={form}")
    found = compared_table(job)
    assert named(found) == []
    assert found.equal
    assert found.skipped == ()
    changes = ", ".join(f'"{name}" = {kind.nudge}' for name, kind in kinds.items())
    nothing = ", ".join(f'"{name}" = NULL' for name in kinds)
    postgres.execute(
        "SET timezone = 'UTC'",
        f"UPDATE kinds SET {changes} WHERE id = 0",
        f"UPDATE kinds SET {nothing} WHERE id = 1",
        database=source,
    )
    both = tuple(kinds)
    assert named(compared_table(job)) == [("different", ("0",), both), ("different", ("1",), both)]


def test_a_document_in_json_lines_is_compared_but_for_its_line_ends(postgres: Postgres, tmp_path: Path) -> None:
    source = postgres.new_database()
    postgres.execute(
        "CREATE TABLE t (id int PRIMARY KEY, j json, b jsonb)",
        """INSERT INTO t VALUES (1, E'{"a":\n 1.0}', '{"a": 1.0}'), (2, 'null', 'null'), (3, NULL, '"null"')""",
        database=source,
    )
    job = moved(postgres.url(source), f"file://{tmp_path}?format=jsonl")
    assert compared_table(job).equal
    postgres.execute("UPDATE t SET j = '{\"a\":  1}', b = '{\"a\": 1.00}' WHERE id = 1", database=source)
    assert named(compared_table(job)) == [("different", ("1",), ("j", "b"))]
    changes = ("UPDATE t SET j = NULL, b = NULL WHERE id = 2", "UPDATE t SET j = 'null' WHERE id = 3")
    postgres.execute(*changes, database=source)
    assert [key for _, key, _ in named(compared_table(job))] == [("1",), ("2",), ("3",)]


def test_missing_and_extra_rows_and_lost_files_are_found(mariadb: MariaDb, tmp_path: Path) -> None:
    database = mariadb.new_database()
    mariadb.execute(
        "CREATE TABLE t (id INT PRIMARY KEY, w VARCHAR(20))",
        "INSERT INTO t SELECT seq, CONCAT('w', seq) FROM seq_1_to_3000",
        "CREATE TABLE loose (w TEXT)",
        "INSERT INTO loose VALUES (NULL), (''), ('NULL'), (NULL)",
        database=database,
    )
    job = moved(mariadb.url(database), f"file://{tmp_path}?format=csv")
    assert compared_table(job_for(job, "loose")).equal
    mariadb.execute("DELETE FROM t WHERE id = 7", "INSERT INTO t VALUES (5000, 'x')", database=database)
    found = compared_table(job_for(job, "t"))
    assert named(found) == [("extra", ("7",), ()), ("missing", ("5000",), ())]
    for file in (tmp_path / "t").glob("part-*"):
        file.unlink()
    assert compared_table(job_for(job, "t")).reason == "is not on the target"


def job_for(job: Job, table: str) -> Job:
    """The same stream, of one table only."""
    document = job.config.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude_none=True)
    document["source"]["connections"][0]["tables"] = [{"name": table}]
    return job.model_copy(update={"config": type(job.config).model_validate(document)})


def test_what_milliseconds_cannot_hold_is_no_difference(mariadb: MariaDb, tmp_path: Path) -> None:
    database = mariadb.new_database()
    mariadb.execute(
        "CREATE TABLE t (id INT PRIMARY KEY, at DATETIME(6), stamp TIMESTAMP(6) NULL)",
        "INSERT INTO t VALUES (1, '1969-12-31 23:59:59.999999', '2020-01-01 00:00:00.100900'), (2, NULL, NULL)",
        database=database,
    )
    options: dict[str, Any] = {"fileFormat": "parquet", "format": {"parquet": {"timestampUnit": "ms"}}}
    source = {"connections": [{"connectionId": mariadb.url(database)}]}
    target = {"id": f"file://{tmp_path}", "spec": {"files": options}}
    job = job_from_document({"name": "t", "mode": "convert", "source": source, "target": target})
    run(job)
    assert compared_table(job).equal
    mariadb.execute("UPDATE t SET at = '1969-12-31 23:59:59.998' WHERE id = 1", database=database)
    assert named(compared_table(job)) == [("different", ("1",), ("at",))]


def test_a_folder_that_is_not_there_holds_no_table(mariadb_source: str, tmp_path: Path) -> None:
    found = compared_table(job_from_urls(mariadb_source, f"file://{tmp_path / 'nowhere'}?format=csv"))
    assert found.reason == "is not on the target"
