"""`rowferry migrate` and `rowferry run` on real servers: what they print where, and how they end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import orjson
import pytest

from rowferry.cli import Exit
from tests.servers import MariaDb, Postgres
from tests.stores import BUCKET, ObjectStore

APPEND = ("--schema-policy", "create_missing_only", "--write-mode", "append")


def command(*words: str, **environment: str) -> subprocess.Popen[str]:
    """The command line, started."""
    line = [sys.executable, "-m", "rowferry", *words]
    return subprocess.Popen(
        line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **environment}
    )


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Its exit code, standard output and standard error."""
    out, err = process.communicate(timeout=60)
    assert "Traceback" not in err
    assert "ferry@" not in out + err  # the password in the URLs
    return process.returncode, out, err


def as_json(*words: str, **environment: str) -> tuple[int, dict[str, Any], str]:
    """Its exit code, what it printed as JSON, and standard error."""
    code, out, err = ended(command(*words, "--json", **environment))
    assert out.count("\n") == 1
    return code, orjson.loads(out), err


@pytest.fixture(scope="module")
def shop(mariadb: MariaDb) -> str:
    """A database with two tables; PostgreSQL has no index like one of theirs."""
    database = mariadb.new_database()
    mariadb.execute(
        "CREATE TABLE orders (id INT PRIMARY KEY, total DECIMAL(10,2))",
        "INSERT INTO orders SELECT seq, seq * 1.25 FROM seq_1_to_1000",
        "CREATE TABLE words (id INT PRIMARY KEY, word VARCHAR(20), FULLTEXT (word))",
        "INSERT INTO words VALUES (1, 'one'), (2, NULL)",
        database=database,
    )
    return database


@pytest.fixture
def empty(postgres: Postgres) -> str:
    """A database to write to."""
    return postgres.new_database()


def orders(postgres: Postgres, database: str) -> tuple[object, ...]:
    return postgres.execute("SELECT count(*), count(DISTINCT id), sum(total) FROM orders", database=database)[0]


def stream(tmp_path: Path, database: str, **more: Any) -> str:
    """A file with a stream config whose connections stand in ${SOURCE} and ${TARGET}."""
    document = {
        "name": "n",
        "mode": "convert",
        "source": {"connections": [{"connectionId": "${SOURCE}", "tables": [{"name": "orders"}]}]},
        "target": {"id": "${TARGET}", "spec": {"db": {"database": database}}},
        **more,
    }
    file = tmp_path / "stream.json"
    file.write_bytes(orjson.dumps(document))
    return str(file)


def test_done(mariadb: MariaDb, postgres: Postgres, shop: str, empty: str) -> None:
    code, out, err = ended(command("migrate", mariadb.url(shop), postgres.url(empty)))
    assert code == Exit.DONE
    lines = out.splitlines()
    assert lines[:2] == ["public.orders: 1,000 rows", "public.words: 2 rows"]
    assert lines[2].startswith("FINISHED: 1,002 rows in ")
    assert len(lines) == 3
    assert err.startswith("warning: ")
    assert "fulltext" in err
    assert err.count("\n") == 1
    assert [str(value) for value in orders(postgres, empty)] == ["1000", "1000", "625625.00"]


def test_done_as_json(mariadb: MariaDb, shop: str, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    code, shown, err = as_json(
        "migrate", mariadb.url(shop), f"file://{folder}?format=parquet&compression=gzip", "--tables", "orders"
    )
    assert code == Exit.DONE
    assert 0 < shown.pop("elapsed") < 60
    [table] = shown.pop("tables")
    assert (table["name"], table["rows"]) == ("orders", 1000)
    assert table["size"] > 1000
    [consistency] = shown.pop("findings")
    assert consistency["severity"] == "info"
    assert shown == {"status": "FINISHED", "rows": 1000, "error": None, "resumable": False}
    assert err == ""
    with duckdb.connect() as connection:
        found = connection.execute(f"SELECT count(*), sum(total) FROM '{folder}/orders/*.parquet'").fetchone()
    assert [str(value) for value in found or ()] == ["1000", "625625.00"]
    assert not (folder / ".rowferry").exists()


def test_progress_is_on_standard_error(mariadb: MariaDb, postgres: Postgres, empty: str, tmp_path: Path) -> None:
    query = {"name": "slow", "query": "SELECT seq AS id, SLEEP(0.02) AS z FROM seq_1_to_100"}
    source = {"connections": [{"connectionId": "${SOURCE}", "queries": [query]}]}
    file = stream(tmp_path, empty, source=source, reportingInterval=1)
    urls = {"SOURCE": mariadb.url("mysql"), "TARGET": postgres.url(empty)}
    code, shown, err = as_json("run", file, **urls)
    assert (code, shown["rows"]) == (Exit.DONE, 100)
    assert "rows written." in err


def test_failed(mariadb: MariaDb, postgres: Postgres, shop: str, empty: str) -> None:
    wrong = mariadb.url(shop).replace(":ferry@", ":sesame@")
    code, shown, err = as_json("migrate", wrong, postgres.url(empty))
    assert code == Exit.FAILED
    assert (shown["status"], shown["rows"], shown["resumable"]) == ("FAILED", 0, False)
    assert shown["error"].endswith("does not accept the user rowferry with this password: check both.")
    assert err == f"error: {shown['error']}\n"
    assert "sesame" not in f"{shown} {err}"


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ((), "The target has public.orders, public.words already"),
        (("--schema-policy", "validate_existing"), "public.orders hold rows already"),
        (("--tables", "orders,none"), "There is no table none"),
    ],
)
def test_refused(
    mariadb: MariaDb, postgres: Postgres, shop: str, empty: str, words: tuple[str, ...], reason: str
) -> None:
    postgres.execute(
        "CREATE TABLE orders (id int PRIMARY KEY, total numeric(10,2))",
        "CREATE TABLE words (id int PRIMARY KEY, word varchar(20))",
        "INSERT INTO orders VALUES (7, 1)",
        database=empty,
    )
    code, shown, _ = as_json("migrate", mariadb.url(shop), postgres.url(empty), *words)
    assert code == Exit.REFUSED
    assert reason in shown["error"]
    assert [str(value) for value in orders(postgres, empty)] == ["1", "1", "1.00"]


def test_a_limit(mariadb: MariaDb, postgres: Postgres, shop: str, empty: str, tmp_path: Path) -> None:
    file = stream(tmp_path, empty, limits={"numberOfEvents": 10})
    urls = {"SOURCE": mariadb.url(shop), "TARGET": postgres.url(empty)}
    code, shown, _ = as_json("run", file, **urls)
    assert code == Exit.LIMIT
    assert (shown["status"], shown["rows"], shown["resumable"]) == ("EVENT_LIMIT_REACHED", 10, False)
    assert orders(postgres, empty)[0] == 10


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_interrupted(mariadb: MariaDb, postgres: Postgres, shop: str, empty: str, how: signal.Signals) -> None:
    postgres.execute("CREATE TABLE words (id int PRIMARY KEY, word varchar(20))", database=empty)
    words = ("migrate", mariadb.url(shop), postgres.url(empty), *APPEND)
    with postgres.holding(empty, "LOCK TABLE words IN SHARE MODE") as wait:
        process = command(*words)
        wait()
        process.send_signal(how)
        code, out, _ = ended(process)
    assert code == Exit.INTERRUPTED
    assert out.splitlines()[-1].startswith("What is written stays: the same command goes on where this one ended")
    assert postgres.execute("SELECT count(*) FROM words", database=empty) == [(0,)]
    code, shown, _ = as_json(*words)
    assert (code, shown["rows"]) == (Exit.DONE, 1002)
    assert orders(postgres, empty)[:2] == (1000, 1000)
    assert postgres.execute("SELECT count(*) FROM words", database=empty) == [(2,)]
    assert postgres.execute("SELECT 1 FROM pg_namespace WHERE nspname = '_rowferry'", database=empty) == []


def test_after_a_failure_the_same_command_goes_on_or_begins_anew(
    mariadb: MariaDb, postgres: Postgres, shop: str, empty: str
) -> None:
    postgres.execute("CREATE TABLE words (id int PRIMARY KEY, word varchar(20) CHECK (word <> 'one'))", database=empty)
    words = ("migrate", mariadb.url(shop), postgres.url(empty), *APPEND)
    code, shown, _ = as_json(*words)
    assert code == Exit.FAILED
    assert (shown["status"], shown["resumable"]) == ("FAILED", True)
    assert "check constraint" in shown["error"]
    code, _, err = ended(command(*words))
    assert code == Exit.FAILED
    assert err.splitlines()[-1].startswith("error: A row breaks a check constraint")
    postgres.execute("DROP TABLE words, orders", database=empty)
    code, shown, _ = as_json(*words)
    assert (code, shown["resumable"]) == (Exit.FAILED, True)
    assert "start a new stream" in shown["error"]
    code, shown, _ = as_json(*words, "--anew")
    assert (code, shown["rows"]) == (Exit.DONE, 1002)
    assert orders(postgres, empty)[:2] == (1000, 1000)


def test_buckets_are_sources_and_targets(
    mariadb: MariaDb, shop: str, postgres: Postgres, empty: str, store_of_objects: ObjectStore
) -> None:
    store = store_of_objects
    keys = {"AWS_ACCESS_KEY_ID": store.access_key, "AWS_SECRET_ACCESS_KEY": store.secret_key, "AWS_REGION": "us-east-1"}
    place = f"s3://{BUCKET}/{store.new_folder()}"
    where = {**keys, "AWS_ENDPOINT_URL": store.endpoint}
    code, summary, err = as_json("migrate", mariadb.url(shop), f"{place}?format=jsonl&compression=gzip", **where)
    assert (code, summary["rows"]) == (Exit.DONE, 1002), err
    code, _, err = ended(command("verify", mariadb.url(shop), f"{place}?format=jsonl&compression=gzip", **where))
    assert code == Exit.DONE, err
    address = f"?endpoint={store.endpoint}"
    code, summary, err = as_json("migrate", f"{place}/orders/*.jsonl.gz{address}", postgres.url(empty), **keys)
    assert (code, summary["rows"]) == (Exit.DONE, 1000), err
    assert orders(postgres, empty) == (1000, 1000, Decimal("625625.00"))
    code, _, err = ended(command("verify", f"{place}{address}", postgres.url(empty), "--tables", "orders", **keys))
    assert code == Exit.DONE, err
    wrong = {**where, "AWS_SECRET_ACCESS_KEY": "wrong"}
    code, _, err = ended(command("migrate", place, postgres.url(empty), **wrong))
    assert code == Exit.FAILED
    assert "The secret key does not fit the access key" in err
