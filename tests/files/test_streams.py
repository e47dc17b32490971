"""Tables become files and tables again, on real servers: equal by the server's own view."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rowferry.config.stream import MalformedRows
from rowferry.control import oneshot
from rowferry.control.oneshot import job_from_document, job_from_urls
from rowferry.errors import ReadFailed, SourceChanged
from rowferry.pipeline.job import Job
from rowferry.pipeline.signals import Signals
from tests.files.tables import FORMATS
from tests.servers import MariaDb, Postgres
from tests.verify.conftest import Silent, compared_table, run

FORMS = [pytest.param(*form, id="-".join(form)) for form in FORMATS]

MARIADB_TABLE = """CREATE TABLE kinds (
 id INT PRIMARY KEY, tiny TINYINT(1), big BIGINT UNSIGNED, amount DECIMAL(65,30), small DECIMAL(10,2), f FLOAT,
 d DOUBLE, flag BIT(8), name VARCHAR(50), body LONGTEXT, raw VARBINARY(20), day DATE, moment DATETIME(6),
 stamp TIMESTAMP(3) NULL, span TIME(6), y YEAR, doc JSON, mood ENUM('sad','o,k'),
 tags SET('a','b'), ident UUID, place POINT, ip INET6)"""
MARIADB_ROWS = """INSERT INTO kinds VALUES
 (1, -1, 18446744073709551615, 12345678901234567890.123456789012345678901234567890, -0.01, 0.1, 1e300, b'10000001',
  'it''s, "x"\\n\\t\\\\N', REPEAT('é', 70000), x'00ff0a22', '9999-12-31', '1000-01-01 00:00:00.000001',
  '2024-03-31 01:30:00.123', '-838:59:59.000001', 2155, '{"a": 1.0, "b": [12345678901234567890123]}', 'o,k', 'a,b',
  '6ccd780c-baba-1026-9564-5b8c656024db', ST_GeomFromText('POINT(1 2)'), '::1'),
 (2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
  NULL, NULL), (3, 2, 0, 0, 0, -1.5, 2.5, 0, '', '', '', '2024-02-29', '2024-02-29 23:59:59', '1970-01-02 00:00:00',
  '00:00:00', 0, 'true', 'sad', '', '00000000-0000-0000-0000-000000000000', ST_GeomFromText('POINT(0 0)'), '10::')"""
POSTGRES_TABLE = """CREATE TABLE kinds (
 id int PRIMARY KEY, flag boolean, small smallint, big bigint, amount numeric(40,20), f real, d float8,
 name varchar(50), fixed char(5), body text, raw bytea, day date, clock time, moment timestamp, at timestamptz,
 span interval, doc jsonb, loose json, ident uuid, ip inet, tags int[], bits bit(8), words tsvector, n numeric)"""
POSTGRES_ROWS = """INSERT INTO kinds VALUES
 (1, true, -32768, 9223372036854775807, 12345678901234567890.12345678901234567890, 0.1, 'NaN', E'it''s, "x"\\n\\t\\\\N',
  'ab', repeat('é', 70000), '\\x00ff0a22', '9999-12-31', '23:59:59.000001', '0001-01-01', '2024-03-31 01:30:00+02',
  '1 mon 2 days 00:00:01.5', '{"a": [12345678901234567890123, 1.0]}', ' {"b":  1.0} ',
  '6ccd780c-baba-1026-9564-5b8c656024db', '10.0.0.0/8', '{1,NULL}', B'10000001', to_tsvector('some words'), 'NaN'),
 (2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
  NULL, NULL, NULL, NULL), (3, false, 0, 0, 0, '-Infinity', -0.0, '', '', '', '', '2024-02-29', '00:00',
  '2024-02-29 23:59:59.999999', 'epoch', '-838:59:59', '[]', '1', '00000000-0000-0000-0000-000000000000', '::1', '{}',
  B'00000000', '', 1e-30)"""


def moved(source: str, target: str) -> Job:
    """A stream that has finished."""
    job = job_from_urls(source, target)
    run(job)
    return job


@pytest.mark.parametrize(("file_format", "compression"), FORMS)
def test_mariadb_by_way_of_files(mariadb: MariaDb, tmp_path: Path, file_format: str, compression: str) -> None:
    first, second = mariadb.new_database(), mariadb.new_database()
    mariadb.execute("SET time_zone = '+00:00'", MARIADB_TABLE, MARIADB_ROWS, database=first)
    moved(mariadb.url(first), f"file://{tmp_path}?format={file_format}&compression={compression}")
    job = moved(f"file://{tmp_path}", mariadb.url(second))
    for one, other in ((first, second), (second, first)):
        lost = f"SELECT id FROM (SELECT * FROM {one}.kinds EXCEPT SELECT * FROM {other}.kinds) x"
        assert mariadb.execute("SET time_zone = '+00:00'", lost) == []
    assert mariadb.execute("SHOW KEYS FROM kinds WHERE Key_name = 'PRIMARY'", database=second)
    if compression == "zstd":
        found = compared_table(job)
        assert (found.equal, found.source_rows) == (True, 3)


@pytest.mark.parametrize(("file_format", "compression"), FORMS)
def test_postgres_by_way_of_files(postgres: Postgres, tmp_path: Path, file_format: str, compression: str) -> None:
    first, second = postgres.new_database(), postgres.new_database()
    postgres.execute("SET timezone = 'UTC'", POSTGRES_TABLE, POSTGRES_ROWS, database=first)
    moved(postgres.url(first), f"file://{tmp_path}?format={file_format}&compression={compression}")
    job = moved(f"file://{tmp_path}", postgres.url(second))
    there = [postgres.execute("SELECT k::text FROM kinds k ORDER BY id", database=one) for one in (first, second)]
    assert there[0] == there[1]
    columns = "SELECT attname, format_type(atttypid, atttypmod), attnotnull FROM pg_attribute WHERE attnum > 0 "
    columns += (
        "AND attname <> 'fixed' "  # a fixed length is one of MySQL's kind, without its blanks, to all but PostgreSQL
    )
    made = [postgres.execute(columns + "AND attrelid = 'kinds'::regclass", database=one) for one in (first, second)]
    assert made[0] == made[1]
    if compression == "zstd":
        found = compared_table(job)
        assert (found.equal, found.source_rows) == (True, 3)
        postgres.execute("UPDATE kinds SET big = 1 WHERE id = 3", database=second)
        assert not compared_table(job).equal


def document(folder: Path, target: str, **more: object) -> dict[str, object]:
    """A config of all files of a folder."""
    part = {"connectionId": f"file://{folder}", "files": {"basePath": str(folder)}}
    spec = {"db": {"database": target.rpartition("/")[2]}}
    source = {"connections": [part], **({"options": more.pop("options")} if "options" in more else {})}
    return {"name": "t", "mode": "convert", "source": source, "target": {"id": target, "spec": spec}, **more}


def test_overrides_decide_what_texts_are(postgres: Postgres, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text('id,code,price,day,doc\n1,007,1.505,2024-01-01,"[1, 2]"\n2,8,,,\n')
    target = postgres.new_database()
    wanted = {"t.code": "integer", "t.price": "numeric(10,3)", "t.day": "text", "t.doc": "jsonb", "t.id": "numeric"}
    run(job_from_document(document(tmp_path, postgres.url(target), typeOverrides=wanted)))
    assert postgres.execute("SELECT t::text FROM t ORDER BY id", database=target) == [
        ('(1,7,1.505,2024-01-01,"[1, 2]")',), ("(2,8,,,)",),
    ]  # fmt: skip


def test_a_file_that_changes_ends_a_stream_and_putting_it_back_lets_it_go_on(
    postgres: Postgres, tmp_path: Path
) -> None:
    target = postgres.new_database()
    name = tmp_path / "t.csv"
    name.write_text("id,word\n" + "".join(f"{n},{'w' * 40}\n" for n in range(400_000)) + "x,w\n")
    stamp = name.stat().st_mtime_ns
    job = job_from_document(document(tmp_path, postgres.url(target)))
    outcome = oneshot.run(job, Silent(), Signals())
    assert outcome.error is not None
    assert isinstance(outcome.error, ReadFailed), outcome.error.message
    held = name.read_bytes()
    name.write_bytes(held + b"1,w\n")
    outcome = oneshot.run(job, Silent(), Signals())
    assert isinstance(outcome.error, SourceChanged), outcome.error
    name.write_bytes(held)
    os.utime(name, ns=(stamp, stamp))
    skipping = job.config.source.options.model_copy(update={"malformed_rows": MalformedRows.SKIP})
    source = job.config.source.model_copy(update={"options": skipping})
    lenient = job.model_copy(
        update={"config": job.config.model_copy(update={"source": source}), "rejects": tmp_path / "kept"}
    )
    run(lenient)
    assert postgres.execute("SELECT count(*), sum(id) FROM t", database=target) == [(400_000, 79_999_800_000)]
