from __future__ import annotations

from typing import Any

import pytest

from rowferry.state.ids import new_id
from tests.api.conftest import Api
from tests.servers import MariaDb, Postgres, free_port

SEED: list[dict[str, Any]] = [
    {
        "name": "mysql-source",
        "type": "mysql",
        "host": "localhost",
        "port": 3306,
        "username": "root",
        "password": "password",
        "defaultDatabase": "source_db",
    },
    {
        "name": "postgres-target",
        "type": "postgresql",
        "host": "localhost",
        "port": 5432,
        "username": "postgres",
        "password": "password",
        "defaultDatabase": "target_db",
    },
    {"name": "file-connection", "type": "files", "spec": {"files": {"basePath": "/data/exports"}}},
    {
        "name": "s3-csv-export",
        "type": "files",
        "file_format": "csv",
        "storage_config": {
            "provider": "s3",
            "uri": "s3://my-bucket/exports/csv/",
            "region": "us-east-1",
            "credentials_ref": "secret/data/aws/my-bucket",
        },
    },
]


@pytest.mark.parametrize("body", SEED, ids=lambda body: body["name"])
def test_the_guides_connections_are_saved_and_read_back(api: Api, body: dict[str, Any]) -> None:
    created = api.client.post("connections", json=body)
    assert created.status_code == 200
    answer = created.json()
    assert list(answer)[:4] == ["id", "name", "type", "created"]
    assert answer["name"] == body["name"]
    assert answer["type"] == body["type"]
    assert answer["databasesInfo"] == []
    assert "password" not in created.text
    assert api.client.get(f"connections/{answer['id']}").json() == answer
    assert answer in api.client.get("connections").json()["items"]


def test_a_list_is_searched(api: Api) -> None:
    for name in ("Alpha", "beta", "alphabet"):
        api.connection(name=name)
    found = api.client.get("connections", params={"search": "ALPHA"}).json()
    assert sorted(item["name"] for item in found["items"]) == ["Alpha", "alphabet"]
    assert (found["total"], found["filtered"]) == (3, 2)


def test_what_was_read_can_be_sent_back_and_the_secret_stays(api: Api) -> None:
    connection_id = api.connection(password="geheim")
    document = api.client.get(f"connections/{connection_id}").json()
    document["name"] = "renamed"
    document["spec"]["database"]["port"] = 3307
    changed = api.client.put(f"connections/{connection_id}", json=document)
    assert changed.status_code == 200
    assert changed.json() == document
    resolved = api.services.connections.resolve(connection_id)
    assert resolved.spec.database is not None
    assert resolved.spec.database.password is not None
    assert resolved.spec.database.password.get_secret_value() == "geheim"
    assert resolved.port == 3307


def test_identity_cannot_be_changed(api: Api) -> None:
    connection_id = api.connection()
    document = api.client.get(f"connections/{connection_id}").json()
    for change in ({"id": new_id("conn").id}, {"created": 5}):
        refused = api.client.put(f"connections/{connection_id}", json={**document, **change})
        assert refused.status_code == 400
        assert refused.json()["details"][0]["path"] in change
    assert api.client.get(f"connections/{connection_id}").json() == document


def test_a_clone_has_the_secrets(api: Api) -> None:
    clone = api.client.put(f"connections/{api.connection(password='geheim')}/clone").json()
    assert clone["name"] == "mysql (copy)"
    database = api.services.connections.resolve(clone["id"]).spec.database
    assert database is not None
    assert database.password is not None
    assert database.password.get_secret_value() == "geheim"


def test_secrets_appear_nowhere(api: Api) -> None:
    secret = "v3ry-geheim"
    flat = api.connection(password=secret)
    ssl = {"mode": "require", "client_key": secret}
    s3 = {"credentials": {"accessKey": secret, "secretKey": secret, "sessionToken": secret}}
    nested = api.client.post("connections", json={"name": "s3", "type": "s3", "spec": {"s3": s3}}).json()["id"]
    with_ssl = api.connection("postgresql", password=secret, ssl=ssl)
    wrong = {"name": "x", "type": "mysql", "host": "h", "password": [secret], "passwort": secret, "port": secret}
    answers = [api.client.get(f"connections/{one}") for one in (flat, nested, with_ssl)]
    answers += [api.client.get("connections"), api.client.put(f"connections/{flat}/clone")]
    answers += [api.client.post("connections", json=wrong), api.client.post("connections", content=f'{{"a": "{secret}')]
    for answer in answers:
        assert secret not in answer.text
    data = api.services.settings.data_dir
    for file in data.iterdir():
        assert secret.encode() not in file.read_bytes(), file


def test_a_delete_wants_to_be_confirmed(api: Api) -> None:
    connection_id = api.connection()
    refused = api.client.delete(f"connections/{connection_id}")
    assert refused.status_code == 400
    assert refused.json()["details"] == [{"path": "X-Confirm-Delete", "message": "is required"}]
    assert api.client.get(f"connections/{connection_id}").status_code == 200
    deleted = api.client.delete(f"connections/{connection_id}", headers={"X-Confirm-Delete": "true"})
    assert (deleted.status_code, deleted.text) == (204, "")
    assert api.client.get(f"connections/{connection_id}").status_code == 404


def test_a_connection_in_use_stays(api: Api) -> None:
    config_id = api.config()
    stream_id = api.start(config_id)
    config = api.client.get(f"stream-configs/{config_id}").json()
    for connection_id in (config["target"]["id"], config["source"]["connections"][0]["connectionId"]):
        refused = api.client.delete(f"connections/{connection_id}", headers={"X-Confirm-Delete": "true"})
        assert refused.status_code == 409
        assert refused.json()["details"]["value"] == [stream_id]
        assert api.client.get(f"connections/{connection_id}").status_code == 200
    api.client.post(f"streams/{stream_id}/stop")
    deleted = api.client.delete(f"connections/{config['target']['id']}", headers={"X-Confirm-Delete": "true"})
    assert deleted.status_code == 204


@pytest.mark.parametrize("odd", ["x", "conn_", "conn_" + "1" * 27, "%00", "é", "conn_" + "é" * 27, "..%2f..", "null"])
def test_odd_identifiers_are_not_found(api: Api, odd: str) -> None:
    assert api.client.get(f"connections/{odd}").status_code == 404
    assert api.client.post(f"connections/{odd}/ping").status_code == 404
    assert api.client.get(f"connections/{odd}/databases").status_code == 404
    assert api.client.get(f"stream-configs/{odd}").status_code == 404
    assert api.client.get(f"streams/{odd}/stats").status_code == 404


def test_an_unreachable_server_is_reported(api: Api) -> None:
    body = {"name": "x", "type": "postgresql", "host": "127.0.0.1", "port": free_port(), "password": "geheim"}
    tested = api.client.post("connections/test", json=body)
    assert tested.status_code == 503
    assert tested.json()["ping"] == "failed"
    assert tested.json()["error"]
    assert "geheim" not in tested.text
    pinged = api.client.post(f"connections/{api.connection('postgresql', port=body['port'])}/ping")
    assert (pinged.status_code, pinged.json()["ping"]) == (503, "failed")


def test_a_server_without_a_connector_is_named(api: Api) -> None:
    body = {"name": "s3", "type": "s3", "spec": {"s3": {}}}
    assert api.client.post("connections/test", json=body).status_code == 400


class TestBehindPostgres:
    """What lies behind a connection, asked of a real server."""

    @pytest.fixture
    def place(self, api: Api, postgres: Postgres) -> tuple[str, str]:
        database = postgres.new_database()
        postgres.execute(
            "CREATE SCHEMA sales",
            "CREATE TABLE sales.customer (id int PRIMARY KEY, name varchar(40) NOT NULL DEFAULT 'x', born date)",
            "CREATE TABLE public.note (id int REFERENCES sales.customer, words text UNIQUE)",
            "CREATE VIEW sales.names AS SELECT name FROM sales.customer",
            database=database,
        )
        created = api.connection(
            "postgresql", port=postgres.port, username=postgres.user, password=postgres.password, database=database
        )
        return created, database

    def test_ping_and_test(self, api: Api, place: tuple[str, str], postgres: Postgres) -> None:
        connection_id, _ = place
        assert api.client.post(f"connections/{connection_id}/ping").json() == {"ping": "ok"}
        saved = api.client.get(f"connections/{connection_id}").json()
        assert api.client.post("connections/test", json=saved).json() == {"ping": "ok"}
        saved["spec"]["database"]["password"] = "wrong"
        failed = api.client.post("connections/test", json=saved)
        assert (failed.status_code, failed.json()["ping"]) == (503, "failed")

    def test_databases_and_schemas(self, api: Api, place: tuple[str, str]) -> None:
        connection_id, database = place
        url = f"connections/{connection_id}/databases"
        text = {"Content-Type": "text/plain"}
        made = api.client.post(f"{url}/{database}/schemas", content="fresh", headers=text)
        assert (made.status_code, made.json()) == (200, {"status": "success"})
        assert api.client.post(f"{url}/{database}/schemas", content="fresh", headers=text).status_code == 409
        for bad in ("", "  ", "a\nb", "a\0b"):
            assert api.client.post(url, content=bad, headers=text).status_code == 400
        assert api.client.post(url, content=b"\xff\xfe", headers=text).status_code == 400
        listed = {one["name"]: one for one in api.client.get(url).json()}
        assert {"name": "fresh", "isSystem": False} in listed[database]["schemas"]
        assert api.client.post(url, content=f"{database}_2", headers=text).status_code == 200
        assert f"{database}_2" in {one["name"] for one in api.client.get(url).json()}

    def test_tables_views_and_structure(self, api: Api, place: tuple[str, str]) -> None:
        connection_id, database = place
        url = f"connections/{connection_id}/databases/{database}"
        assert api.client.get(f"{url}/tables").json() == ["public.note", "sales.customer"]
        assert api.client.get(f"{url}/tables", params={"schemas": "sales"}).json() == ["sales.customer"]
        assert api.client.get(f"{url}/views").json() == ["sales.names"]
        first = api.client.get(f"{url}/meta")
        assert first.headers["X-Cache"] == "MISS"
        again = api.client.get(f"{url}/meta")
        assert (again.headers["X-Cache"], again.json()) == ("HIT", first.json())
        assert api.client.get(f"{url}/meta", params={"refresh": True}).headers["X-Cache"] == "MISS"
        customer = first.json()["tables"]["sales.customer"]
        assert [column["name"] for column in customer["columns"]] == ["id", "name", "born"]
        assert customer["primaryKeys"] == ["id"]
        assert customer["columns"][1]["length"] == {"Int64": 40, "Valid": True}
        note = first.json()["tables"]["public.note"]
        assert note["foreignKeys"][0]["referencedTable"] == "customer"
        assert note["columns"][1]["isUnique"]
        short = api.client.get(f"{url}/meta", params={"summary": True}).json()
        assert short["stats"] == {"tables": 2, "views": 1}
        sizes = api.client.get(f"{url}/overview")
        assert sizes.json()["counts"] == {"tables": 2, "views": 1, "schemas": 2}
        assert sizes.json()["engine"] == "postgres"

    def test_a_changed_connection_is_asked_anew(self, api: Api, place: tuple[str, str]) -> None:
        connection_id, database = place
        url = f"connections/{connection_id}"
        api.client.get(f"{url}/databases/{database}/meta")
        api.client.put(url, json=api.client.get(url).json())
        assert api.client.get(f"{url}/databases/{database}/meta").headers["X-Cache"] == "MISS"


def test_behind_mariadb(api: Api, mariadb: MariaDb) -> None:
    database = mariadb.new_database()
    mariadb.execute("CREATE TABLE t (id int PRIMARY KEY, v enum('a','b'))", database=database)
    connection_id = api.connection(
        "mariadb", port=mariadb.port, username=mariadb.user, password=mariadb.password, defaultDatabase=database
    )
    assert api.client.post(f"connections/{connection_id}/ping").json() == {"ping": "ok"}
    url = f"connections/{connection_id}/databases/{database}"
    assert api.client.get(f"{url}/tables").json() == ["t"]
    meta = api.client.get(f"{url}/meta").json()
    assert meta["tables"]["t"]["columns"][1]["enumValues"] == ["a", "b"]
