"""Tables become files and tables again, on real servers: equal by the server's own view."""

from __future__ import annotations

from pathlib import Path

import pytest

from rowferry.control.oneshot import job_from_document, job_from_urls
from rowferry.model.streams import StreamState
from rowferry.pipeline.job import Job, Outcome
from tests.files.tables import FORMATS
from tests.servers import MariaDb, Postgres
from tests.serving import Rowferry
from tests.verify.conftest import compared_table, run

FORMS = [pytest.param(*form, id="-".join(form)) for form in FORMATS]

MARIADB_TABLE = """CREATE TABLE kinds (
 id INT PRIMARY KEY, tiny TINYINT(1), big BIGINT UNSIGNED, amount DECIMAL(65,30), small DECIMAL(10,2), f FLOAT, d DOUBLE,
 flag BIT(8), name VARCHAR(50), body LONGTEXT, raw VARBINARY(20), day DATE, moment DATETIME(6), stamp TIMESTAMP(3) NULL,
 span TIME(6), y YEAR, doc JSON, mood ENUM('sad','o,k'), tags SET('a','b'), ident UUID, place POINT, ip INET6)"""
MARIADB_ROWS = """INSERT INTO kinds VALUES
 (1, -1, 18446744073709551615, 12345678901234567890.123456789012345678901234567890, -0.01, 0.1, 1e300, b'10000001',
  'it''s, "x"\\n\\t\\\\N', REPEAT('é', 70000), x'00ff0a22', '9999-12-31', '1000-01-01 00:00:00.000001',
  '2024-03-31 01:30:00.123', '-838:59:59.000001', 2155, '{"a": 1.0, "b": [12345678901234567890123]}', 'o,k', 'a,b',
  '6ccd780c-baba-1026-9564-5b8c656024db', ST_GeomFromText('POINT(1 2)'), '::1'),
 (2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
  NULL, NULL), (3, 2, 0, 0, 0, -1.5, 2.5, 0, '', '', '', '2024-02-29', '2024-02-29 23:59:59', '1970-01-02 00:00:00',
  '00:00:00', 0, 'true', 'sad', '', '00000000-0000-0000-0000-000000000000', ST_GeomFromText('POINT(0 0)'), '10::')"""
POSTGRES_TABLE = """CREATE TABLE kinds (
 id int PRIMARY KEY, flag boolean, small smallint, big bigint, amount numeric(40,20), f real, d float8, name varchar(50),
 fixed char(5), body text, raw bytea, day date, clock time, moment timestamp, at timestamptz, span interval, doc jsonb,
 loose json, ident uuid, ip inet, tags int[], bits bit(8), words tsvector, n numeric)"""
POSTGRES_ROWS = """INSERT INTO kinds VALUES
 (1, true, -32768, 9223372036854775807, 12345678901234567890.12345678901234567890, 0.1, 'NaN', E'it''s, "x"\\n\\t\\\\N',
  'ab', repeat('é', 70000), '\\x00ff0a22', '9999-12-31', '23:59:59.000001', '0001-01-01', '2024-03-31 01:30:00+02',
  '1 mon 2 days 00:00:01.5', '{"a": [12345678901234567890123, 1.0]}', ' {"b":  1.0} ',
  '6ccd780c-baba-1026-9564-5b8c656024db', '10.0.0.0/8', '{1,NULL}', B'10000001', to_tsvector('some words'), 'NaN'),
 (2), (3, false, 0, 0, 0, '-Infinity', -0.0, '', '', '', '', '2024-02-29', '00:00', '2024-02-29 23:59:59.999999',
  'epoch', '-838:59:59', '[]', '1', '00000000-0000-0000-0000-000000000000', '::1', '{}', B'00000000', '', 1e-30)"""


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
    for way in ((first, second), (second, first)):
        lost = mariadb.execute(f"SELECT id FROM (SELECT * FROM {way[0]}.kinds EXCEPT SELECT * FROM {way[1]}.kinds) x")
        assert lost == []
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


def test_malformed_rows_are_left_out_counted_and_kept(rowferry: Rowferry, postgres: Postgres, tmp_path: Path) -> None:
    lines = "".join(f"{n},w{n}\n" for n in range(60_000))
    (tmp_path / "t.csv").write_text("id,word\n" + lines + "x\n" + "".join(f"{n},w\n" for n in range(60_000, 61_000)))
    target = postgres.new_database()
    ends = rowferry.connect_folder(tmp_path), rowferry.connect_postgres(postgres)
    files = {"files": {"basePath": str(tmp_path), "paths": ["*.csv"]}}
    config = {"name": "t", "mode": "convert", "target": {"id": ends[1], "spec": {"db": {"database": target}}}}
    part = {"connectionId": ends[0], **files}
    strict = rowferry.post("/stream-configs", {**config, "source": {"connections": [part]}})["id"]
    assert rowferry.post(f"/stream-configs/{strict}/validate")["ok"]
    stats = rowferry.wait(rowferry.begin(strict))
    assert stats["status"] == "FAILED"
    assert "t.csv, line 60002: it has 1 fields, not 2" in stats["error"]["error"]
    postgres.execute("DROP TABLE IF EXISTS t", database=target)
    source = {"connections": [part], "options": {"malformedRows": "skip"}}
    lenient = rowferry.post("/stream-configs", {**config, "source": source, "verify": True})["id"]
    stats = rowferry.wait(rowferry.begin(lenient))
    assert stats["status"] == "FINISHED", stats["error"]
    assert (stats["source"]["rejected"], stats["target"]["counter"]) == (1, 61_000)
    [run_] = rowferry.get(f"/stream-configs/{lenient}/history")["items"] if False else [None]
    assert run_ is None


def test_a_config_with_files_elsewhere_is_400(rowferry: Rowferry, postgres: Postgres, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    ends = rowferry.connect_folder(tmp_path / "in"), rowferry.connect_postgres(postgres)
    for files, words in [
        ({"basePath": str(tmp_path)}, "one below it"),
        ({"basePath": "/"}, "one below it"),
        ({"basePath": "..", "paths": []}, ".."),
        ({"basePath": str(tmp_path / "in"), "paths": ["../x.csv"]}, "leads out"),
        ({"basePath": str(tmp_path / "in"), "paths": ["/etc/*.csv"]}, "leads out"),
    ]:
        document = {
            "name": "t", "mode": "convert", "source": {"connections": [{"connectionId": ends[0], "files": files}]},
            "target": {"id": ends[1], "spec": {"db": {"database": "postgres"}}},
        }  # fmt: skip
        answer = rowferry.client.post("/stream-configs", json=document)
        assert answer.status_code == 400, answer.text
        assert words in answer.json()["error"], answer.text


def test_a_stream_goes_on_after_a_break_and_refuses_files_that_changed(postgres: Postgres, tmp_path: Path) -> None:
    target = postgres.new_database()
    (tmp_path / "t.csv").write_text("id,word\n" + "".join(f"{n},{'w' * 50}\n" for n in range(700_000)))
    job = job_from_document(document(tmp_path, postgres.url(target), limits={"numberOfEvents": 0}))
    outcome: Outcome = run(job)
    assert outcome.state is StreamState.FINISHED
    assert postgres.execute("SELECT count(*), sum(id) FROM t", database=target) == [(700_000, 244_999_650_000)]
