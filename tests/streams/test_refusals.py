"""What nobody should ask for, asked of a running server: the right status, one sentence, nothing changed, no secret."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from rowferry.control.fleet import LOG_FILE
from tests.servers import MariaDb, Postgres, free_port
from tests.serving import Rowferry, serving

SECRET = "sesame-open"
JSON = {"Content-Type": "application/json"}
CONFIRMED = {"X-Confirm-Delete": "true"}
CONNECTION = {"name": "a", "type": "mysql", "host": "h", "password": SECRET}


@dataclass(frozen=True)
class World:
    """A server, with a stream that is paused and one that is finished, and what they move and where."""

    rowferry: Rowferry
    folder: Path
    database: str
    names: dict[str, str]

    def state(self) -> list[Any]:
        """Everything that a refused request must leave as it is."""
        paths = ("/connections", "/stream-configs", "/streams", "/system/sql-logging")
        return [self.rowferry.get(path) for path in paths]

    def log(self) -> str:
        """All that the server and its workers have said."""
        return "".join((self.folder / "data" / name).read_text() for name in ("server.log", LOG_FILE))


@pytest.fixture(scope="module")
def world(mariadb: MariaDb, postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("refusals")
    database, there = mariadb.new_database(), postgres.new_database()
    mariadb.execute(
        "CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(20))", f"INSERT INTO t VALUES (1, '{SECRET}')", database=database
    )
    postgres.execute("CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(20))", database=there)
    with serving(folder / "data") as rowferry:
        source, target = rowferry.connect_mariadb(mariadb), rowferry.connect_postgres(postgres)
        files = rowferry.connect_folder(folder / "out")
        done = rowferry.configure(source, database, files, {"files": {"fileFormat": "csv"}})
        finished = rowferry.begin(done)
        rowferry.wait(finished)
        spec = {"db": {"database": there, "schemaPolicy": "create_missing_only", "writeMode": "append"}}
        config = rowferry.configure(source, database, target, spec)
        with postgres.holding(there, "LOCK TABLE t IN SHARE MODE") as wait:
            paused = rowferry.begin(config)
            wait()
            rowferry.post(f"/streams/{paused}/pause")
        names = {"source": source, "files": files, "config": config, "paused": paused, "finished": finished}
        yield World(rowferry, folder, database, names)


def config(**changes: Any) -> bytes:
    """A stream config as it is sent; `{source}` and `{files}` are to be filled in."""
    document: dict[str, Any] = {
        "name": "n",
        "mode": "convert",
        "source": {"connections": [{"connectionId": "{source}"}]},
        "target": {"id": "{files}", "spec": {"files": {"fileFormat": "csv"}}},
    }
    return orjson.dumps({**document, **changes})


def parts(*aliases: str | None) -> dict[str, Any]:
    return {"connections": [{"connectionId": "{source}", **({"alias": a} if a else {})} for a in aliases]}


def bundle(size: int) -> dict[str, Any]:
    return {"connections": [{"connectionId": "{source}"}], "options": {"dataBundleSize": size}}


Request = tuple[str, str, bytes | None, dict[str, str], int, str]

REQUESTS: dict[str, Request] = {
    "unknown field": ("POST", "/stream-configs", config(modee="x"), JSON, 400, "modee is not a known field: did you"),
    "wrong enum value": ("POST", "/stream-configs", config(mode="copy"), JSON, 400, "mode must be one of convert, cdc"),
    "bundle of 9": ("POST", "/stream-configs", config(source=bundle(9)), JSON, 400, "dataBundleSize must be at least"),
    "bundle of 1001": ("POST", "/stream-configs", config(source=bundle(1001)), JSON, 400, "must be at most 1000"),
    "no alias": ("POST", "/stream-configs", config(source=parts(None, "b")), JSON, 400, "needs an alias"),
    "doubled alias": ("POST", "/stream-configs", config(source=parts("a", "a")), JSON, 400, "alias"),
    "huge number": ("POST", "/stream-configs", config(limits={"elapsedTime": 1e300}), JSON, 400, "must be at most"),
    "huger number": ("POST", "/connections", b'{"port": ' + b"9" * 5000 + b"}", JSON, 400, "too long"),
    "NaN": ("POST", "/stream-configs", b'{"reportingInterval": NaN}', JSON, 400, "NaN is not a number"),
    "true as a number": ("POST", "/connections", orjson.dumps({**CONNECTION, "port": True}), JSON, 400, "a number"),
    "blank in a host": ("POST", "/connections", orjson.dumps({**CONNECTION, "host": "a\r\nb"}), JSON, 400, "blanks"),
    "doubled key": ("POST", "/connections", b'{"name": "a", "name": "b"}', JSON, 400, "'name' is written twice"),
    "deep nesting": ("POST", "/connections", b'{"a":' * 10_000 + b"1" + b"}" * 10_000, JSON, 400, "too deeply"),
    "invalid UTF-8": ("POST", "/connections", b'{"name": "\xff"}', JSON, 400, "not valid UTF-8: see its byte 10"),
    "10 MB": ("POST", "/connections", b'{"name": "' + b"x" * 10_000_000 + b'"}', JSON, 400, "too large"),
    "another content type": ("POST", "/connections", b"a=b", {"Content-Type": "text/plain"}, 400, "Content-Type"),
    "another method": ("PATCH", "/connections", b"{}", JSON, 405, "this address takes GET, POST"),
    "a secret of a wrong kind": (
        "POST", "/connections", orjson.dumps({**CONNECTION, "password": [SECRET]}), JSON, 400, "password must be text"
    ),
    "start while paused": ("POST", "/stream-configs/{config}/start", None, {}, 409, "{paused} runs or is paused"),
    "pause while paused": ("POST", "/streams/{paused}/pause", None, {}, 409, "is PAUSED: pause is not possible"),
    "pause when finished": ("POST", "/streams/{finished}/pause", None, {}, 409, "is FINISHED: pause is not possible"),
    "resume when finished": ("POST", "/streams/{finished}/resume", None, {}, 409, "is FINISHED: resume is not"),
    "stop when finished": ("POST", "/streams/{finished}/stop", None, {}, 409, "is FINISHED: stop is not possible"),
    "delete a used connection": ("DELETE", "/connections/{source}", None, CONFIRMED, 409, "{paused}"),
    "delete a used config": ("DELETE", "/stream-configs/{config}", None, CONFIRMED, 409, "{paused}"),
    "delete without a word": ("DELETE", "/connections/{source}", None, {}, 400, "X-Confirm-Delete"),
    "unknown connection": ("GET", "/connections/conn_x", None, {}, 404, "no connection with this id"),
    "unknown config": ("POST", "/stream-configs/config_x/start", None, {}, 404, "no stream config with this id"),
    "unknown stream": ("GET", "/streams/stream_x/stats", None, {}, 404, "no stream with this id"),
    "another kind of id": ("GET", "/streams/{source}/stats", None, {}, 404, "no stream with this id"),
    "no headers": ("GET", "/connections", None, {"X-API-Key": "", "X-Install-ID": ""}, 401, "X-API-Key"),
    "a wrong key": ("POST", "/connections", b"{}", {**JSON, "X-API-Key": SECRET}, 401, "X-API-Key wrong"),
    "a wrong installation": ("GET", "/streams", None, {"X-Install-ID": SECRET}, 401, "X-Install-ID wrong"),
    "a folder above": ("GET", "/connections/{files}/databases/%2e%2e/tables", None, {}, 400, "leads out of the"),
    "a folder elsewhere": ("GET", "/connections/{files}/databases/..%2Fdata/tables", None, {}, 404, "There is no"),
    "a new folder elsewhere": (
        "POST", "/connections/{files}/databases", b"../new", {"Content-Type": "text/plain"}, 400, "a folder's name"
    ),
    "an unknown database": ("GET", "/connections/{source}/databases/none/tables", None, {}, 404, "no database none"),
}  # fmt: skip
"""Method, path, body, headers; then the status and words of the sentence. {names} are the world's."""


def filled(text: str, names: dict[str, str]) -> str:
    for name, value in names.items():
        text = text.replace(f"{{{name}}}", value)
    return text


@pytest.mark.parametrize(
    ("method", "path", "body", "headers", "status", "words"), REQUESTS.values(), ids=list(REQUESTS)
)
def test_a_request(
    world: World, method: str, path: str, body: bytes | None, headers: dict[str, str], status: int, words: str
) -> None:
    before = world.state()
    content = body
    for name, value in world.names.items() if body else ():
        content = (content or b"").replace(f"{{{name}}}".encode(), value.encode())
    answer = world.rowferry.client.request(method, filled(path, world.names), content=content, headers=headers)
    assert answer.status_code == status, answer.text
    assert_one_sentence(answer, filled(words, world.names))
    assert world.state() == before
    assert SECRET not in answer.text + world.log()


def assert_one_sentence(answer: httpx.Response, words: str) -> None:
    body = answer.json()
    assert words in body["error"]
    assert body["error"].endswith(".")
    assert "\n" not in body["error"]
    assert set(body) == {"error", "code", "type", "details", "requestId"}
    assert answer.headers["X-Request-ID"] == body["requestId"]


@pytest.mark.parametrize("kind", ["mariadb", "postgresql"])
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"password": SECRET}, "password"),
        ({"host": "no-such-host.invalid", "password": SECRET}, "is not known"),
        ({"port": None, "password": SECRET}, "othing listens"),
        ({"database": "none"}, "database none"),
    ],
    ids=["wrong password", "unknown host", "nobody listens", "unknown database"],
)
def test_a_server_that_cannot_be_reached(
    world: World, mariadb: MariaDb, postgres: Postgres, kind: str, changes: dict[str, Any], words: str
) -> None:
    server: MariaDb | Postgres = mariadb if kind == "mariadb" else postgres
    spec = {"host": server.host, "port": server.port, "username": server.user, "password": server.password, **changes}
    spec["port"] = spec["port"] or free_port()
    document = {"name": "x", "type": kind, "spec": {"database": spec}}
    rowferry = world.rowferry
    tried = rowferry.client.post("/connections/test", json=document)
    assert tried.status_code == 503
    assert tried.json()["ping"] == "failed"
    broken = rowferry.post("/connections", document)["id"]
    pinged = rowferry.client.post(f"/connections/{broken}/ping")
    assert pinged.json()["error"] == tried.json()["error"]
    out = world.folder / f"never-{broken}"
    part = {} if "database" in changes else {"database": world.database}
    started = rowferry.configure(broken, "", rowferry.connect_folder(out), {"files": {"fileFormat": "csv"}}, part=part)
    stream = rowferry.begin(started)
    stats = rowferry.wait(stream)
    assert stats["status"] == "FAILED"
    assert stats["error"]["code"] == "connection_failed"
    assert words in stats["error"]["error"]
    assert stats["error"]["advice"]
    logs = rowferry.client.get(f"/streams/{stream}/logs").text
    assert SECRET not in f"{tried.text} {pinged.text} {stats} {logs} {world.log()}"
    assert not out.exists()


def test_a_failed_stream_goes_on_once_its_connection_is_right(
    world: World, mariadb: MariaDb, postgres: Postgres
) -> None:
    rowferry = world.rowferry
    wrong = {"name": "x", "type": "postgresql", "host": postgres.host, "port": postgres.port, "username": postgres.user}
    target = rowferry.post("/connections", {**wrong, "password": SECRET})["id"]
    there = postgres.new_database()
    stream = rowferry.begin(
        rowferry.configure(world.names["source"], world.database, target, {"db": {"database": there}})
    )
    assert rowferry.wait(stream)["error"]["code"] == "connection_failed"
    mended = rowferry.client.put(f"/connections/{target}", json={**wrong, "password": postgres.password})
    assert mended.is_success
    rowferry.post(f"/streams/{stream}/resume")
    assert rowferry.wait(stream)["status"] == "FINISHED"
    assert postgres.execute("SELECT count(*) FROM t", database=there) == [(1,)]


@pytest.mark.parametrize("kind", ["mariadb", "postgres"])
def test_a_table_that_is_not_there(request: pytest.FixtureRequest, world: World, kind: str) -> None:
    server: MariaDb | Postgres = request.getfixturevalue(kind)
    rowferry = world.rowferry
    connect = rowferry.connect_mariadb if isinstance(server, MariaDb) else rowferry.connect_postgres
    out = world.folder / f"missing-{kind}"
    part = {"tables": [{"name": "none"}, {"name": "nothing"}]}
    config_id = rowferry.configure(
        connect(server),  # type: ignore[arg-type]
        server.new_database(), rowferry.connect_folder(out), {"files": {"fileFormat": "csv"}}, part=part,
    )  # fmt: skip
    stats = rowferry.wait(rowferry.begin(config_id))
    assert stats["error"]["code"] == "missing_table"
    assert "none, nothing" in stats["error"]["error"]
    checked = rowferry.client.post(f"/stream-configs/{config_id}/validate").json()
    assert [finding["severity"] for finding in checked["findings"]] == ["error"]
    assert not out.exists()


POLICIES = {
    (None, None): "target_exists",
    ("fail_if_exists", "upsert"): "target_exists",
    ("validate_existing", None): "target_not_empty",
    ("create_missing_only", "fail_if_not_empty"): "target_not_empty",
    ("create_missing_only", "append"): "write_failed",
    ("validate_existing", "upsert"): "",
    ("create_missing_only", "truncate_and_load"): "",
    ("drop_and_recreate", None): "",
}
"""By schemaPolicy and writeMode: how a stream fails on a table that holds a row with the same key ("": it does not)."""


@pytest.mark.parametrize(("policies", "code"), POLICIES.items(), ids=str)
def test_a_target_with_rows(
    world: World, postgres: Postgres, policies: tuple[str | None, str | None], code: str
) -> None:
    rowferry, there = world.rowferry, postgres.new_database()
    postgres.execute(
        "CREATE TABLE t (id int PRIMARY KEY, v varchar(20))", "INSERT INTO t VALUES (1, 'mine')", database=there
    )
    chosen = {name: value for name, value in zip(("schemaPolicy", "writeMode"), policies, strict=True) if value}
    target = rowferry.connect_postgres(postgres)
    config_id = rowferry.configure(world.names["source"], world.database, target, {"db": {"database": there, **chosen}})
    stats = rowferry.wait(rowferry.begin(config_id))
    assert (stats["error"] or {"code": ""})["code"] == code
    assert postgres.execute("SELECT v FROM t", database=there) == [("mine" if code else SECRET,)]
    assert "mine" not in str(stats["error"])
    assert SECRET not in str(stats["error"])
