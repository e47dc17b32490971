"""What a query must not reach: files, networks, settings, secrets, other servers."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import duckdb
import pytest

from rowferry.config.connection import Connection
from rowferry.connectors.base import TableRequest
from rowferry.connectors.federated.engine import computing, lock
from rowferry.connectors.federated.statement import named
from rowferry.errors import InvalidInput, RowferryError
from tests.federated.conftest import World, folder, member

OUTSIDE = {
    "csv": "SELECT * FROM read_csv('/etc/passwd')",
    "csv by another name": "SELECT * FROM read_csv_auto('/etc/passwd', header = false)",
    "text": "SELECT * FROM read_text('/etc/passwd')",
    "bytes": "SELECT * FROM read_blob('/etc/passwd')",
    "names of files": "SELECT * FROM glob('/etc/*')",
    "sniffed": "SELECT * FROM sniff_csv('/etc/passwd')",
    "a file as a table": "SELECT * FROM '/etc/passwd'",
    "a file as a quoted table": 'SELECT * FROM "/etc/passwd.csv"',
    "a file inside as a table": "SELECT * FROM 'codes.csv'",
    "json": "SELECT * FROM read_json_auto('/etc/hosts.json')",
    "objects": "SELECT * FROM read_json_objects('/etc/hosts')",
    "parquet": "SELECT * FROM parquet_scan('/var/x.parquet')",
    "metadata": "SELECT * FROM parquet_metadata('shelves.parquet')",
    "upwards": "SELECT * FROM read_csv('../secret.csv')",
    "upwards by alias": "SELECT * FROM read_csv('f1://a/../../secret.csv')",
    "home": "SELECT * FROM read_csv('~/secret.csv')",
    "backslash": "SELECT * FROM read_csv('..\\secret.csv')",
    "in a list": "SELECT * FROM read_csv(['codes.csv', '/etc/passwd'])",
    "computed name": "SELECT * FROM read_csv('/etc/' || 'passwd')",
    "name from a query": "SELECT * FROM read_csv((SELECT 'codes.csv'))",
    "a part of a query": "SELECT (SELECT count(*) FROM read_text('/etc/passwd'))",
    "in WITH": "WITH x AS (SELECT * FROM read_text('/etc/passwd')) SELECT * FROM x",
    "in a set": "SELECT 'a' UNION ALL SELECT content FROM read_text('/etc/passwd')",
    "in EXISTS": "SELECT 1 WHERE EXISTS (FROM read_text('/etc/passwd'))",
    "in a lateral join": "SELECT * FROM range(1) r, LATERAL (SELECT * FROM read_text('/etc/passwd'))",
    "network": "SELECT * FROM read_csv('http://127.0.0.1:1/x.csv')",
    "network with TLS": "SELECT * FROM read_parquet('https://127.0.0.1:1/x.parquet')",
    "a hub": "SELECT * FROM read_parquet('hf://datasets/a/b.parquet')",
    "a store nobody named": "SELECT * FROM read_parquet('s3://bucket/x.parquet')",
    "another scheme": "SELECT * FROM read_csv('file:///etc/passwd')",
    "a database as files": "SELECT * FROM read_csv('db1://etc/passwd')",
    "postgres": "SELECT * FROM postgres_scan('host=127.0.0.1', 'public', 'sales')",
    "postgres query": "SELECT * FROM postgres_query('pg1', 'SELECT 1')",
    "mysql query": "SELECT * FROM mysql_query('db1', 'SELECT 1')",
    "sqlite": "SELECT * FROM sqlite_scan('/tmp/x.db', 't')",
    "duckdb": "SELECT * FROM read_duckdb('/tmp/x.db')",
    "query in a text": "SELECT * FROM query('SELECT * FROM duckdb_settings()')",
    "table in a text": "SELECT * FROM query_table('duckdb_settings')",
    "query in json": "SELECT * FROM json_execute_serialized_sql('{}')",
    "plan": "SELECT json_serialize_plan('SELECT * FROM duckdb_settings()')",
    "pointers": "SELECT * FROM arrow_scan(1, 2, 3)",
    "python": "SELECT * FROM pandas_scan(1)",
    "secrets": "SELECT * FROM duckdb_secrets()",
    "which secret": "SELECT * FROM which_secret('s3://x', 's3')",
    "settings": "SELECT * FROM duckdb_settings()",
    "a setting": "SELECT current_setting('temp_directory')",
    "databases": "SELECT * FROM duckdb_databases()",
    "views": "SELECT * FROM duckdb_views",
    "log": "SELECT * FROM duckdb_logs",
    "environment": "SELECT getenv('HOME')",
    "waiting": "SELECT sleep_ms(1000)",
    "writing a log": "SELECT write_log('x')",
    "catalogue": "SELECT * FROM information_schema.tables",
    "catalogue of a source": "SELECT * FROM db1.information_schema.tables",
    "old catalogue": "SELECT * FROM pg1.pg_catalog.pg_authid",
    "master": "SELECT * FROM sqlite_master",
    "hidden relation": "SELECT * FROM rowferry_0",
    "hidden files": "SELECT * FROM rowferry_files_0",
    "DuckDB's own": "SELECT * FROM system.main.duckdb_settings",
    "qualified function": "SELECT * FROM system.main.read_text('/etc/passwd')",
    "attach": "ATTACH '/tmp/x.db' AS x",
    "copy": "COPY (SELECT 1) TO '/tmp/x.csv'",
    "copy from": "COPY x FROM '/etc/passwd'",
    "export": "EXPORT DATABASE '/tmp/x'",
    "install": "INSTALL httpfs",
    "load": "LOAD httpfs",
    "pragma": "PRAGMA database_list",
    "set": "SET enable_external_access = true",
    "call": "CALL duckdb_settings()",
    "create": "CREATE TABLE x AS SELECT 1",
    "secret": "CREATE SECRET x (TYPE s3)",
    "two statements": "SELECT 1; ATTACH '/tmp/x.db'",
    "two queries": "SELECT 1; SELECT 2",
    "explain": "EXPLAIN ANALYZE SELECT 1",
    "describe": "DESCRIBE SELECT 1",
    "describe inside": "SELECT * FROM (DESCRIBE SELECT 1)",
    "show": "SELECT * FROM (SHOW DATABASES)",
    "insert": "INSERT INTO db1.x.film VALUES (1)",
    "delete": "DELETE FROM db1.x.film",
    "parameter": "SELECT $1",
    "nothing": "",
    "a comment": "-- SELECT 1",
}


@pytest.mark.parametrize("attack", OUTSIDE)
def test_what_is_not_granted_is_refused_before_anything_is_opened(world: World, attack: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        named(OUTSIDE[attack], world.members)
    assert "root:" not in caught.value.message


def test_a_link_that_leads_out_of_the_folder_is_not_followed(world: World, tmp_path: Path) -> None:
    base, outside = tmp_path / "base", tmp_path / "outside"
    base.mkdir()
    outside.mkdir()
    (outside / "secret.csv").write_text("a,b\n1,2\n")
    (base / "link.csv").symlink_to(outside / "secret.csv")
    (base / "down").symlink_to(outside)
    source = world.open(members=[*world.members[:2], folder("f1", base)])
    for path in ("link.csv", "down/secret.csv", "down/*.csv", "*.csv", "**/secret.csv", f"{base}/link.csv"):
        with pytest.raises(RowferryError) as caught:
            source.tables([TableRequest("q", query=f"SELECT * FROM read_csv('{path}')")])
        assert "1,2" not in caught.value.message


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM '/etc/passwd.csv'",
        "SELECT * FROM glob('/etc/*')",
        "COPY (SELECT 1) TO '/tmp/rowferry-attack.csv'",
        "ATTACH '/tmp/rowferry-attack.db' AS x",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET enable_external_access = true",
        "SET memory_limit = '100GB'",
        "SET temp_directory = '/tmp/elsewhere'",
        "RESET lock_configuration",
        "EXPORT DATABASE '/tmp/rowferry-attack'",
        "SELECT getenv('HOME')",
    ],
)
def test_the_engine_itself_has_no_way_out(statement: str) -> None:
    with computing() as connection:
        lock(connection)
        with pytest.raises(duckdb.Error):
            connection.execute(statement).fetchall()


def test_the_engine_knows_no_secret_and_no_other_server() -> None:
    """Rows come through our own readers, so that there is nothing to be found in it."""
    with computing() as connection:
        assert connection.execute("SELECT count(*) FROM duckdb_secrets()").fetchall() == [(0,)]
        loaded = {
            str(name) for (name,) in connection.execute("SELECT function_name FROM duckdb_functions()").fetchall()
        }
    assert not {"postgres_query", "mysql_query", "postgres_scan", "sqlite_scan", "read_xlsx"} & loaded


def test_an_error_while_reading_holds_no_value(world: World) -> None:
    with pytest.raises(RowferryError) as caught:
        world.rows("SELECT title::INT AS n FROM db1.{my}.film")
    assert "ACE" not in caught.value.message
    assert "TRY_CAST" in caught.value.message


def test_a_failing_login_tells_no_password(world: World) -> None:
    document = {"name": "wrong", "type": "mysql", "host": world.mariadb.host, "port": world.mariadb.port}
    wrong = Connection.model_validate({**document, "username": world.mariadb.user, "password": "opens-nothing"})
    source = world.open(members=[member("db1", wrong, world.my), *world.members[1:]])
    with pytest.raises(RowferryError) as caught:
        source.tables([TableRequest("q", query=f"SELECT * FROM db1.{world.my}.film")])
    assert "opens-nothing" not in caught.value.message


@pytest.mark.parametrize("depth", [100, 2_000, 20_000])
def test_a_query_of_great_depth_is_refused_or_read_but_breaks_nothing(world: World, depth: int) -> None:
    for query in (
        f"SELECT {'1+' * depth}1",
        f"SELECT {'(' * depth}1{')' * depth}",
        f"SELECT {'-(' * depth}1{')' * depth}",
    ):
        with suppress(InvalidInput):
            named(query, world.members)
    assert named("SELECT 1", world.members) == frozenset()
