"""Verifications over the API, in a stream's own config, and from the command line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.servers import MariaDb, Postgres, wait_until
from tests.serving import Rowferry

ROWS = 5000


@pytest.fixture
def database(mariadb: MariaDb) -> str:
    name = mariadb.new_database()
    mariadb.execute(
        "CREATE TABLE item (id INT PRIMARY KEY, name VARCHAR(40) NOT NULL)",
        f"INSERT INTO item SELECT seq, CONCAT('secret ', seq) FROM seq_1_to_{ROWS}",
        "CREATE TABLE word (w VARCHAR(20) PRIMARY KEY)",
        "INSERT INTO word VALUES ('a'), ('b')",
        database=name,
    )
    return name


def verified(rowferry: Rowferry, stream: str) -> dict[str, Any]:
    """The stream's verification once it has ended."""
    made = rowferry.post(f"/streams/{stream}/verify")
    assert made["streamId"] == stream
    place = f"/streams/{stream}/verifications/{made['id']}"
    wait_until(lambda: rowferry.get(place)["status"] != "RUNNING", 60, "the verification's end")
    return rowferry.get(place)


def test_a_stream_is_verified_when_it_is_asked_for(
    rowferry: Rowferry, mariadb: MariaDb, postgres: Postgres, database: str
) -> None:
    target = postgres.new_database()
    config = rowferry.configure(
        rowferry.connect_mariadb(mariadb), database, rowferry.connect_postgres(postgres), {"db": {"database": target}}
    )
    stream = rowferry.begin(config)
    assert rowferry.wait(stream)["status"] == "FINISHED"
    equal = verified(rowferry, stream)
    assert equal["status"] == "EQUAL"
    assert equal["error"] is None
    assert equal["comparison"]["rows"] == 2 * (ROWS + 2)
    assert rowferry.stats(stream)["status"] == "FINISHED"
    postgres.execute(
        "UPDATE item SET name = name || '!' WHERE id = 77", "DELETE FROM word WHERE w = 'b'", database=target
    )
    found = verified(rowferry, stream)
    assert found["status"] == "DIFFERENT"
    item, word = found["comparison"]["tables"]
    assert (item["source"], item["target"]) == (f"{database}.item", "public.item")
    assert item["rows"] == [{"kind": "different", "key": {"id": "77"}, "columns": ["name"]}]
    assert item["ranges"] == [{"above": None, "upTo": None}]
    assert word["rows"] == [{"kind": "missing", "key": {"w": "b"}, "columns": []}]
    listed = rowferry.get(f"/streams/{stream}/verifications")
    assert [one["status"] for one in listed["items"]] == ["DIFFERENT", "EQUAL"]
    assert listed["total"] == 2
    lines = orjson.dumps(rowferry.client.get(f"/streams/{stream}/logs").json()).decode()
    assert "1 different" in lines
    assert "secret" not in lines + orjson.dumps(found).decode()
    run = rowferry.client.delete(f"/stream-configs/{config}/runs/{stream}")
    assert run.is_success
    assert rowferry.client.get(f"/streams/{stream}/verifications").status_code == 404


def test_a_stream_that_verifies_itself_fails_on_a_difference_and_can_go_on(
    rowferry: Rowferry, mariadb: MariaDb, postgres: Postgres, database: str
) -> None:
    target = postgres.new_database()
    postgres.execute(
        "CREATE TABLE item (id int PRIMARY KEY, name varchar(40) NOT NULL)",
        "CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN IF NEW.id = 7 THEN NEW.name := 'spoilt'; END IF; RETURN NEW; END $$",
        "CREATE TRIGGER spoil BEFORE INSERT ON item FOR EACH ROW EXECUTE FUNCTION spoil()",
        database=target,
    )
    config = rowferry.configure(
        rowferry.connect_mariadb(mariadb), database, rowferry.connect_postgres(postgres),
        {"db": {"database": target, "schemaPolicy": "create_missing_only"}}, verify=True,
    )  # fmt: skip
    stream = rowferry.begin(config)
    failed = rowferry.wait(stream)
    assert failed["status"] == "FAILED"
    assert failed["error"]["code"] == "different"
    assert "public.item: 5000 rows at the source, 5000 on the target (1 different)" in failed["error"]["error"]
    assert "word" not in failed["error"]["error"]
    (kept,) = rowferry.get(f"/streams/{stream}/verifications")["items"]
    assert kept["status"] == "DIFFERENT"
    postgres.execute("UPDATE item SET name = 'secret 7' WHERE id = 7", database=target)
    rowferry.post(f"/streams/{stream}/resume")
    assert rowferry.wait(stream)["status"] == "FINISHED"
    assert rowferry.get(f"/streams/{stream}/verifications")["items"][0]["status"] == "EQUAL"


def test_what_cannot_be_verified_is_refused(
    rowferry: Rowferry, mariadb: MariaDb, postgres: Postgres, database: str, big: str
) -> None:
    ends = rowferry.connect_mariadb(mariadb), rowferry.connect_postgres(postgres)
    spec = {"db": {"database": postgres.new_database(), "structureOptions": {"foreignKeys": False}}}
    stream = rowferry.begin(rowferry.configure(ends[0], big, ends[1], spec))
    refused = rowferry.client.post(f"/streams/{stream}/verify")
    assert refused.status_code == 409
    assert "can be verified once it has ended" in refused.json()["error"]
    rowferry.post(f"/streams/{stream}/stop")
    spec = {"db": {"database": postgres.new_database()}}
    limited = rowferry.begin(rowferry.configure(ends[0], database, ends[1], spec, limits={"numberOfEvents": 10}))
    assert rowferry.wait(limited)["status"] == "EVENT_LIMIT_REACHED"
    refused = rowferry.client.post(f"/streams/{limited}/verify")
    assert refused.status_code == 409
    assert "its limit of events" in refused.json()["error"]
    assert rowferry.client.get(f"/streams/{limited}/verifications/verify_{'0' * 27}").status_code == 404
    cdc = rowferry.client.post(
        "/stream-configs",
        json={
            "name": "t", "mode": "cdc", "verify": True,
            "source": {"connections": [{"connectionId": ends[0], "database": database}]},
            "target": {"id": ends[1], "spec": spec},
        },
    )  # fmt: skip
    assert cdc.status_code == 400


def test_a_source_that_is_gone_fails_the_verification(
    rowferry: Rowferry, mariadb: MariaDb, postgres: Postgres, database: str
) -> None:
    spec = {"db": {"database": postgres.new_database()}}
    ends = rowferry.connect_mariadb(mariadb), rowferry.connect_postgres(postgres)
    stream = rowferry.begin(rowferry.configure(ends[0], database, ends[1], spec))
    assert rowferry.wait(stream)["status"] == "FINISHED"
    mariadb.execute(f"DROP DATABASE {database}")
    found = verified(rowferry, stream)
    assert found["status"] == "FAILED"
    assert found["comparison"] is None
    assert found["error"]["error"]


def command(*words: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "rowferry", *words]
    return subprocess.run(line, check=False, capture_output=True, text=True, env={**os.environ, "COLUMNS": "200"})


def test_the_command_says_by_its_exit_code(mariadb: MariaDb, postgres: Postgres, database: str, tmp_path: Path) -> None:
    target = postgres.new_database()
    urls = mariadb.url(database), postgres.url(target)
    assert command("migrate", *urls).returncode == 0
    equal = command("verify", *urls)
    assert equal.returncode == 0, equal.stderr
    assert "public.item: 5000 rows, equal" in equal.stdout
    assert "EQUAL: 10,004 rows on both sides" in equal.stdout
    postgres.execute("DELETE FROM item WHERE id = 4999", database=target)
    different = command("verify", *urls)
    assert different.returncode == 5
    assert "  missing: id 4999" in different.stdout
    assert command("verify", *urls, "--tables", "word").returncode == 0
    document = orjson.loads(command("verify", *urls, "--json", "--tables", "item").stdout)
    assert document["comparison"]["tables"][0]["missing"] == 1
    assert command("verify", *urls, "--tables", "nothing").returncode == 3
    assert command("verify", urls[0], "postgresql://nobody:x@127.0.0.1:1/x").returncode == 1
    assert command("verify", "nothing", urls[1]).returncode == 2
