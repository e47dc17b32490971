"""What a server lets its users reach on its machine, seen through the API."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from rowferry.app import create_app
from rowferry.config.settings import Settings
from rowferry.control.services import Services
from tests.api.conftest import EMAIL, PASSWORD, Api, run


@pytest.fixture
def served(tmp_path: Path) -> Path:
    """The folder that the server serves."""
    (tmp_path / "served" / "in").mkdir(parents=True)
    return tmp_path / "served"


@pytest.fixture
def api(tmp_path: Path, served: Path) -> Iterator[Api]:
    """A server with one root for files and one for secrets."""
    (tmp_path / "secrets").mkdir()
    settings = Settings(
        data_dir=tmp_path / "data", file_roots=(served,), secret_roots=(tmp_path / "secrets", tmp_path / "data")
    )
    app = create_app(settings, run)
    services: Services = app.state.services
    services.accounts.create(EMAIL, PASSWORD)
    headers = {"X-API-Key": services.accounts.api_key(), "X-Install-ID": services.accounts.install_id}
    with TestClient(app, base_url="http://testserver/api/v1/", headers=headers) as client:
        yield Api(app, client, services, headers)


def folder(place: Path | str) -> dict[str, Any]:
    return {"name": "f", "type": "files", "spec": {"files": {"basePath": str(place)}}}


def refused(answer: Any, *words: str) -> None:
    assert answer.status_code == 400, answer.text
    for word in words:
        assert word in answer.json()["error"]


@pytest.mark.parametrize(
    "place", ["/etc", "//etc", "/", "{root}/../x", "{root}/out", "~", "~nobody-of-that-name/x", "{root}/" + "x" * 300]
)
def test_folders_elsewhere_are_400_wherever_they_are_named(api: Api, served: Path, place: str) -> None:
    (served / "out").symlink_to("/etc")
    body = folder(place.replace("{root}", str(served)))
    saved = api.connection("files", spec=folder(served)["spec"])
    local = {
        "name": "l",
        "type": "files",
        "storage_config": {"provider": "local", "uri": body["spec"]["files"]["basePath"]},
    }
    for answer in (
        api.client.post("connections", json=body),
        api.client.post("connections", json=local),
        api.client.put(f"connections/{saved}", json=body),
        api.client.post("connections/test", json=body),
        api.client.post("connections/test", json={**body, "id": saved}),
    ):
        refused(answer, "basePath")
    assert api.client.get(f"connections/{saved}").json()["spec"] == folder(served)["spec"]


def test_the_sentence_says_what_to_change(api: Api, served: Path) -> None:
    refused(api.client.post("connections", json=folder("/etc")), "/etc", str(served), "ROWFERRY_FILE_ROOTS")


def test_a_folder_that_became_a_link_is_refused_at_each_use(api: Api, served: Path) -> None:
    saved = api.connection("files", spec=folder(served / "in")["spec"])
    assert api.client.post(f"connections/{saved}/ping").json() == {"ping": "ok"}
    (served / "in").rmdir()
    (served / "in").symlink_to("/etc")
    for answer in (
        api.client.post(f"connections/{saved}/ping"),
        api.client.get(f"connections/{saved}/databases"),
        api.client.get(f"connections/{saved}/databases/./tables"),
        api.client.put(f"connections/{saved}/clone"),
    ):
        if answer.status_code != 404:
            refused(answer, "outside of the folders")
    assert api.client.get(f"connections/{saved}").status_code == 200


def test_a_nul_in_a_path_is_400(api: Api) -> None:
    refused(api.client.post("connections", json=folder("/data/exports\0/../../etc")), "NUL")


def test_a_folder_that_is_not_there_and_cannot_be_made(api: Api, served: Path) -> None:
    saved = api.connection("files", spec=folder(served / "new" / "er")["spec"])
    assert api.client.post(f"connections/{saved}/ping").json() == {"ping": "ok"}


@pytest.mark.parametrize("upload", [{"keepLocalFiles": True}])
def test_copies_of_objects_stay_below_the_roots(api: Api, served: Path, upload: dict[str, Any]) -> None:
    bucket = {"name": "s", "type": "s3", "spec": {"s3": {"scope": {"bucket": "b"}}}}
    target = api.client.post("connections", json=bucket).json()["id"]

    def config(output: str) -> Any:
        spec = {"fileFormat": "csv", "upload": {"bucket": "b", **upload}, "outputDirectory": output}
        return api.client.post("stream-configs", json=api.config_body(target={"id": target, "spec": {"s3": spec}}))

    assert config(str(served / "kept")).status_code == 200
    for output in ("/etc", f"{served}/../x", "~"):
        refused(config(output), "outputDirectory")


def test_secrets_are_read_from_their_own_roots_alone(api: Api, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("the secret")
    (tmp_path / "secrets" / "out").symlink_to(outside)
    (tmp_path / "secrets" / "word").write_text("x")
    os.mkfifo(tmp_path / "secrets" / "pipe")
    assert api.connection(password=None, passwordRef=f"file:{tmp_path}/secrets/word")
    body = {"name": "m", "type": "mysql", "host": "127.0.0.1", "port": 1}
    s3 = {"name": "s", "type": "s3", "spec": {"s3": {"credentials": {"credentialsRef": "file:/etc/passwd"}}}}
    places: list[Path | str] = ["/etc/passwd", "/proc/self/environ", "~/.ssh/id_rsa", outside]
    places += [tmp_path / place for place in ("secrets/out", "secrets/../outside", "data/secret.key")]
    attempts: list[dict[str, Any]] = [{**body, "passwordRef": f"file:{place}"} for place in places]
    attempts += [s3, {**body, "ssl": {"ca": "/etc/passwd"}}, {**body, "ssl": {"client_cert": str(outside)}}]
    for attempt in attempts:
        for path in ("connections", "connections/test"):
            refused(api.client.post(path, json=attempt), "ROWFERRY_SECRET_ROOTS" if ".." not in str(attempt) else "..")
    key = {**body, "ssl": {"client_key": str(outside)}}
    answer = api.client.post("connections/test", json=key)
    refused(answer, "ssl.client_key", "ROWFERRY_SECRET_ROOTS")
    assert str(outside) not in answer.text
    for reference in (f"file:{tmp_path}/secrets/pipe", f"file:{tmp_path}/secrets", f"file:{tmp_path}/secrets/none"):
        answer = api.client.post("connections/test", json={**body, "passwordRef": reference})
        assert answer.json()["code"] == "secret_unavailable", answer.text


def test_what_is_no_certificate_is_not_shown(api: Api, tmp_path: Path) -> None:
    (tmp_path / "secrets" / "word").write_text("the secret")
    for name in ("ca", "client_cert", "client_key"):
        body = {
            "name": "p",
            "type": "postgresql",
            "host": "127.0.0.1",
            "port": 1,
            "ssl": {name: f"{tmp_path}/secrets/word"},
        }
        answer = api.client.post("connections/test", json=body)
        assert answer.json()["code"] == "secret_unavailable"
        assert f"ssl.{name}" in answer.json()["error"]
        assert "the secret" not in answer.text


def test_certificates_become_texts_before_anybody_opens_them(api: Api, tmp_path: Path) -> None:
    pem = "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n"
    (tmp_path / "secrets" / "ca").write_text(pem)
    saved = api.connection("postgresql", ssl={"ca": f"{tmp_path}/secrets/ca"})
    ssl = api.services.connections.resolve(saved).ssl
    assert ssl is not None
    assert ssl.ca == pem
    assert pem not in api.client.get(f"connections/{saved}").text


@pytest.mark.parametrize(
    "name", ["..%2F..", "%2Fetc", "..%2Fx", "~", "out", "x" * 300, "in%2F..%2F..", "a%5C..", "%00"]
)
def test_a_database_elsewhere_is_400(api: Api, served: Path, name: str) -> None:
    (served / "out").symlink_to("/etc")
    saved = api.connection("files", spec=folder(served)["spec"])
    for what in ("tables", "meta", "overview"):
        answer = api.client.get(f"connections/{saved}/databases/{name}/{what}")
        if "%2F" in name:
            assert answer.status_code == 404  # a slash is one of the address, however it is written
        else:
            refused(answer)
    created = api.client.post(
        f"connections/{saved}/databases", content=name.replace("%2F", "/"), headers={"Content-Type": "text/plain"}
    )
    assert created.status_code in (400, 409) or name == "~"
    assert sorted(one.name for one in served.iterdir()) == ["in", "out"]
