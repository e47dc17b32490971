"""Every command of the guides works: the one handed to users, where it is at hand, and our own."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from demo.server import Server, start_server
from tests.cdc.conftest import LOGGED
from tests.guide.compare import assert_in_parquet, assert_in_postgres, wanted
from tests.guide.walk import CREATIONS, OPERATIONS, Answer, Walk
from tests.guide.world import databases, storage
from tests.servers import MariaDb, Postgres, mariadb_server, wait_until
from tests.stores import ObjectStore, Vault

ROOT = Path(__file__).resolve().parents[2]
OUR_GUIDE = ROOT / "docs" / "api-guide.md"
USERS_GUIDE = Path(os.environ.get("ROWFERRY_GUIDE", ROOT.parent / "shared" / "seed" / "api-usage-guide.txt"))
GUIDES = {"ours": OUR_GUIDE, "users": USERS_GUIDE}

IDS = {CREATIONS[0]: r"conn_[0-9A-Za-z]{27}", CREATIONS[1]: r"config_[0-9A-Za-z]{27}"}
STREAM_ID = r"stream_[0-9A-Za-z]{27}"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, store_of_objects: ObjectStore, vault: Vault) -> Iterator[Server]:
    """A server with a connected account, which finds the object store and the keeper of secrets."""
    folder = tmp_path_factory.getbasetemp()
    with storage(store_of_objects, vault):
        running = start_server(folder / "data", folder / "log")
    yield running
    running.close()


@pytest.fixture(scope="module")
def world(mariadb: MariaDb, postgres: Postgres) -> Iterator[None]:
    """The databases that the guides speak of."""
    with databases(mariadb, postgres):
        yield


@pytest.fixture(scope="module", params=GUIDES)
def walk(
    request: pytest.FixtureRequest,
    server: Server,
    world: None,
    mariadb: MariaDb,
    postgres: Postgres,
    tmp_path_factory: pytest.TempPathFactory,
) -> Walk:
    """A walk through one of the guides; the tests below are its steps, in their order."""
    guide = GUIDES[request.param]
    if not guide.exists():
        pytest.skip(f"{guide} is not there; ROWFERRY_GUIDE says where else the users' guide lies")
    folder = tmp_path_factory.mktemp("guide")
    return Walk(
        guide.read_text(), server, mariadb, postgres, folder / "exports", folder / "curl",
        store=request.getfixturevalue("store_of_objects"),
    )  # fmt: skip


def test_the_guide_has_every_kind_of_command(walk: Walk) -> None:
    """Extraction found the commands: every line that begins with curl, and each kind of call."""
    assert len(walk.commands) == len(re.findall("^curl ", walk.guide, re.MULTILINE))
    assert {command.call for command in walk.commands} >= {*CREATIONS, *OPERATIONS}


@pytest.mark.parametrize("call", CREATIONS)
def test_creations(walk: Walk, call: str) -> None:
    """Each connection and each stream config is created, with an ID of the right shape and a time."""
    created = [walk.create(command) for command in walk.creations(call)]
    assert len(created) >= 3
    for answer in created:
        assert answer.status in (200, 201), answer
        assert re.fullmatch(IDS[call], answer.body["id"])
        assert isinstance(answer.body["created"], int)
        assert answer.body["name"] == answer.command.body["name"]
        assert f"'{walk.mariadb.password}'" not in str(answer.body)


def test_streams_to_postgresql_with_named_tables(walk: Walk) -> None:
    """A selective migration ends FINISHED and brings the named tables alone."""
    for config in _configs(walk, target="db", tables=True):
        stream = walk.start(config["name"])
        assert re.fullmatch(STREAM_ID, stream)
        stats = walk.wait_for(stream, "FINISHED")
        assert {table["status"] for table in stats["tables"]} == {"FINISHED"}
        assert_in_postgres(walk.mariadb, walk.postgres, config, set())


def test_streams_to_parquet(walk: Walk) -> None:
    """An export ends FINISHED, and the files hold the source's values."""
    for config in _configs(walk, target="files"):
        walk.wait_for(walk.start(config["name"]), "FINISHED")
        assert_in_parquet(walk.mariadb, walk.exports, config)


def test_streams_to_object_storage(walk: Walk) -> None:
    """Each S3 connection, created word for word, answers, and takes a stream in the format that it names."""
    connected = [answer for answer in walk.done if answer.command.call == CREATIONS[0]]
    made = [answer for answer in connected if "s3" in answer.body["spec"]]
    assert made
    (export, *_) = _configs(walk, target="files")
    source = {"connections": [{**export["source"]["connections"][0], "connectionId": walk.connections["mysql"]}]}
    for answer in made:
        files = {"fileFormat": answer.command.body.get("file_format", "jsonl"), "schemaPolicy": "drop_and_recreate"}
        target = {"id": answer.body["id"], "spec": {"files": files}}
        document = {**export, "name": "into a bucket", "source": source, "target": target}
        with walk.client() as client:
            assert client.post(f"/connections/{answer.body['id']}/ping").json() == {"ping": "ok"}
            config = client.post("/stream-configs", json=document).json()["id"]
            stream = client.post(f"/stream-configs/{config}/start").json()["id"]
        walk.wait_for(stream, "FINISHED")
        scope = answer.body["spec"]["s3"]["scope"]
        _, names = wanted(walk.mariadb, export)
        assert walk.store is not None
        found = walk.store.objects(scope["bucket"], scope["prefix"].strip("/"))
        assert {key.split("/")[-2] for key in found if "/part-" in key} == set(names)
        _assert_back_again(walk, answer.body["id"], stream, names)


def _assert_back_again(walk: Walk, bucket: str, stream: str, names: list[str]) -> None:
    """What a stream put into a bucket is equal to its source, is shown as tables, and goes into PostgreSQL."""
    database, schema = "warehouse", f"from_{bucket[5:].lower()}"
    spec = {"db": {"database": database, "schema": schema}}
    with walk.client() as client:
        made = client.post(f"/streams/{stream}/verify").json()["id"]
        place = f"/streams/{stream}/verifications/{made}"
        wait_until(lambda: client.get(place).json()["status"] != "RUNNING", 60, "the verification")
        assert client.get(place).json()["status"] == "EQUAL", client.get(place).json()
        shown = [folder["name"] for folder in client.get(f"/connections/{bucket}/databases").json()]
        assert shown == names
        assert client.get(f"/connections/{bucket}/databases/{names[0]}/tables").json() == [names[0]]
        document = {
            "name": "out of a bucket", "mode": "convert", "source": {"connections": [{"connectionId": bucket}]},
            "target": {"id": walk.connections["postgresql"], "spec": spec}, "verify": True,
        }  # fmt: skip
        config = client.post("/stream-configs", json=document).json()["id"]
        back = client.post(f"/stream-configs/{config}/start").json()["id"]
    walk.wait_for(back, "FINISHED")
    listed = walk.postgres.execute(
        f"SELECT tablename FROM pg_tables WHERE schemaname = '{schema}' ORDER BY 1", database=database
    )
    assert [name for (name,) in listed] == names


def test_pause_resume_stop(walk: Walk) -> None:
    """A long stream is paused, goes on, and is stopped for good; each call that does not fit is a conflict."""
    (config,) = _configs(walk, target="db", tables=False)
    stream = walk.start(config["name"])
    assert walk.operate("pause", stream).status in (200, 202)
    walk.wait_for(stream, "PAUSED")
    assert walk.operate("pause", stream).status == 409
    assert walk.operate("start", walk.configs[config["name"]]).status == 409
    assert walk.operate("resume", stream).status in (200, 202)
    walk.wait_for(stream, "RUNNING")
    assert walk.operate("stop", stream).status in (200, 202)
    walk.wait_for(stream, "STOPPED")
    assert walk.operate("resume", stream).status == 409


def test_streams_to_postgresql_with_all_tables(walk: Walk) -> None:
    """A full migration, paused once on its way, ends FINISHED and brings every table, no row lost or doubled."""
    (config,) = _configs(walk, target="db", tables=False)
    others = {
        table["name"] for each in _configs(walk, "db", True) for table in each["source"]["connections"][0]["tables"]
    }
    _drop_all_but(walk.postgres, config["target"]["spec"]["db"]["database"], others)
    stream = walk.start(config["name"])
    walk.operate("pause", stream)
    if walk.wait_for(stream, "PAUSED", "FINISHED")["status"] == "PAUSED":
        walk.operate("resume", stream)
    walk.wait_for(stream, "FINISHED")
    assert_in_postgres(walk.mariadb, walk.postgres, config, others)


def test_the_commands_of_streams_follow_a_log(walk: Walk) -> None:
    """The same config of mode cdc: started, watched, paused, resumed and stopped by the guide's commands."""
    (config,) = _configs(walk, target="db", tables=False)
    (part,) = config["source"]["connections"]
    place = {**config["target"]["spec"]["db"], "database": "followed"}
    with mariadb_server(*LOGGED) as logged, walk.client() as client:
        logged.execute(f"CREATE DATABASE {part['database']}")
        logged.execute("CREATE TABLE t (id int PRIMARY KEY)", "INSERT INTO t VALUES (1)", database=part["database"])
        walk.postgres.execute("DROP DATABASE IF EXISTS followed WITH (FORCE)", "CREATE DATABASE followed")
        own = {"type": "mysql", "host": logged.host, "port": logged.port, "username": logged.user}
        source = client.post("/connections", json={**own, "name": "logged", "password": logged.password}).json()["id"]
        document = {
            **config, "name": "followed", "mode": "cdc",
            "source": {"connections": [{**part, "connectionId": source}]},
            "target": {"id": walk.connections["postgresql"], "spec": {"db": place}},
        }  # fmt: skip
        walk.configs["followed"] = client.post("/stream-configs", json=document).json()["id"]
        stream = walk.start("followed")
        _arrives(walk, 1)
        assert walk.operate("pause", stream).status in (200, 202)
        walk.wait_for(stream, "PAUSED")
        logged.execute("INSERT INTO t VALUES (2)", database=part["database"])
        assert walk.operate("resume", stream).status in (200, 202)
        _arrives(walk, 2)
        assert walk.wait_for(stream, "RUNNING")["mode"] == "cdc"
        assert walk.operate("stop", stream).status in (200, 202)
        walk.wait_for(stream, "STOPPED")


def _arrives(walk: Walk, rows: int) -> None:
    there = "SELECT to_regclass('t') IS NOT NULL"
    ask = walk.postgres.execute
    wait_until(lambda: ask(there, database="followed") == [(True,)], 60, "the table")
    wait_until(lambda: ask("SELECT count(*) FROM t", database="followed") == [(rows,)], 60, "the rows")


def test_other_commands(walk: Walk) -> None:
    """Whatever else the guide shows is answered with success."""
    stream = next(answer.body["id"] for answer in walk.done if _started(answer))
    config = walk.operate("stats", stream).body["configID"]
    for command in walk.others():
        answer = walk.run(command, {"CONFIG_ID": config, "STREAM_ID": stream})
        assert 200 <= answer.status < 300, answer


def test_every_command_was_run(walk: Walk) -> None:
    """No command of the guide was left out, and no answer shows a password."""
    assert {answer.command for answer in walk.done} == set(walk.commands)


def _started(answer: Answer) -> bool:
    return OPERATIONS.get(answer.command.call) == "start" and "id" in answer.body


def _configs(walk: Walk, target: str, tables: bool | None = None) -> list[dict[str, Any]]:
    """The guide's stream configs by the kind of their target, and by whether they name tables."""
    bodies = [command.body for command in walk.creations(CREATIONS[1])]
    fitting = [body for body in bodies if target in body["target"]["spec"]]
    named = [bool(body["source"]["connections"][0].get("tables")) for body in fitting]
    return [body for body, has in zip(fitting, named, strict=True) if tables in (None, has)]


def _drop_all_but(postgres: Postgres, database: str, kept: set[str]) -> None:
    for (name,) in postgres.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'", database=database):
        if name not in kept:
            postgres.execute(f'DROP TABLE "{name}" CASCADE', database=database)
