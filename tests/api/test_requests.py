"""Who is let in, and what happens to requests that are not as they should be."""

from __future__ import annotations

import logging
import re
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar

import pytest
from fastapi.testclient import TestClient

from rowferry.control.services import Services
from rowferry.control.sessions import COOKIE, CSRF_HEADER
from rowferry.errors import ConnectionFailed
from rowferry.state.store import STATE_FILE
from tests.api.conftest import EMAIL, Api

JSON = {"Content-Type": "application/json"}


def total(api: Api) -> int:
    return int(api.client.get("connections").json()["total"])


class TestCredentials:
    """The two headers."""

    @pytest.mark.parametrize(
        ("headers", "words"),
        [
            ({}, "X-API-Key and X-Install-ID missing"),
            ({"X-API-Key": "?"}, "X-Install-ID missing"),
            ({"X-Install-ID": "?"}, "X-API-Key missing"),
            ({"X-API-Key": "?", "X-Install-ID": "wrong"}, "X-Install-ID wrong"),
            ({"X-API-Key": "wrong", "X-Install-ID": "?"}, "X-API-Key wrong"),
            ({"X-API-Key": "wrong", "X-Install-ID": "wrong"}, "X-API-Key and X-Install-ID wrong"),
            ({"X-API-Key": "é\xff", "X-Install-ID": "\xe9"}, "X-API-Key and X-Install-ID wrong"),
        ],
    )
    def test_what_is_missing_or_wrong_is_said(self, api: Api, headers: dict[str, str], words: str) -> None:
        sent = [
            (name.encode(), (api.headers[name] if value == "?" else value).encode("latin-1"))
            for name, value in headers.items()
        ]
        for method, path in (("GET", "connections"), ("POST", "connections"), ("GET", "nowhere"), ("GET", "metrics")):
            refused = api.anonymous.request(method, path, headers=sent)
            assert refused.status_code == 401
            assert refused.json()["error"].startswith(words)
            assert "opened once" in refused.json()["error"]
            assert refused.json()["code"] == "unauthenticated"
            assert refused.headers["X-Request-ID"] == refused.json()["requestId"]

    def test_some_addresses_are_open(self, api: Api) -> None:
        assert api.anonymous.get("health").json() == {"status": "ok", "ping": "ok"}
        assert api.anonymous.get("ready").json() == {"ready": True, "status": "ready"}
        assert api.anonymous.get("system/defaults").json()["installId"] == api.services.accounts.install_id
        assert api.anonymous.get("openapi.json").status_code == 200
        page = api.anonymous.get("docs")
        assert page.status_code == 200
        addresses = re.findall(r'(?:src|href)="([^"]+)"', page.text)
        assert len(addresses) == 3
        for address in addresses:
            asset = api.anonymous.get(f"http://testserver{address}")
            assert asset.status_code == 200
            assert len(asset.content) > 500
        assert api.anonymous.get("docs/other.js").status_code == 404

    def test_every_other_route_is_closed(self, api: Api) -> None:
        document = api.anonymous.get("openapi.json").json()
        open_paths = set()
        for path, item in document["paths"].items():
            for method in item:
                answer = api.anonymous.request(method, path.lstrip("/"))
                if answer.status_code != 401:
                    open_paths.add(path)
        assert open_paths == {"/health", "/ready", "/system/defaults"}

    def test_a_replaced_key_is_worthless(self, api: Api) -> None:
        answer = api.client.get("user")
        assert answer.json()["email"] == EMAIL
        assert api.headers["X-API-Key"] not in answer.text
        assert api.client.post("user/clear-key").json() == {"status": "success"}
        assert api.client.get("user").status_code == 401
        api.client.headers["X-API-Key"] = api.services.accounts.api_key()
        assert api.client.get("user").status_code == 200

    def test_a_new_installation_says_what_to_do(self, api: Api) -> None:
        with sqlite3.connect(api.services.settings.data_dir / STATE_FILE) as state:
            state.execute("DELETE FROM account")
        state.close()
        refused = api.client.get("connections")
        assert refused.status_code == 401
        assert "open it once in a browser" in refused.json()["error"]


class TestSessions:
    """A browser's cookie."""

    @pytest.fixture
    def browser(self, api: Api) -> TestClient:
        client = api.anonymous
        client.cookies.set(COOKIE, api.app.state.sessions.issue(EMAIL))
        return client

    def test_a_session_may_read(self, browser: TestClient) -> None:
        assert browser.get("connections").status_code == 200

    def test_a_change_wants_the_token(self, api: Api, browser: TestClient) -> None:
        body = {"name": "a", "type": "mysql", "host": "h"}
        assert browser.post("connections", json=body).status_code == 401
        for wrong in ("x", "é", api.app.state.sessions.csrf_token("another")):
            headers = [(CSRF_HEADER.encode(), wrong.encode())]
            assert browser.post("connections", json=body, headers=headers).status_code == 401
        assert total(api) == 0
        token = api.app.state.sessions.csrf_token(browser.cookies[COOKIE])
        assert browser.post("connections", json=body, headers={CSRF_HEADER: token}).status_code == 200

    def test_forged_and_ended_sessions_are_refused(self, api: Api, browser: TestClient) -> None:
        value = browser.cookies[COOKIE]
        for forged in (value[:-1] + ("a" if value[-1] != "a" else "b"), "x", "a.b.c", ""):
            client = api.anonymous
            client.cookies.set(COOKIE, forged)
            assert client.get("connections").status_code == 401
        api.services.accounts.set_password("another password")
        assert browser.get("connections").status_code == 401


class TestBodies:
    """Bodies that nobody should send."""

    @pytest.mark.parametrize(
        ("content", "words"),
        [
            (b"", "body is missing"),
            (b"{", "not valid JSON"),
            (b'{"name": "a",}', "not valid JSON"),
            (b'{"name": "\xff"}', "not valid UTF-8"),
            (b"\xff\xfe", "not valid UTF-8"),
            (b'{"name": "a\\u0000b"}', "NUL"),
            (b'{"na\\u0000me": "a"}', "NUL"),
            (b'{"name": "a\x00b"}', "not valid JSON"),
            (b'{"name": "\\ud800"}', "half of a character"),
            (b'{"port": NaN}', "NaN"),
            (b'{"port": 1e999}', "too large"),
            (b'{"port": ' + b"9" * 5000 + b"}", "too long"),
            (b'{"name": "a", "name": "b"}', "written twice"),
            (b"[" * 50_000, "not valid JSON|nested too deeply"),
            (b'{"a":' * 10_000 + b"1" + b"}" * 10_000, "nested too deeply"),
            (b"[]", "must be an object"),
            (b"null", "body"),
            (b'"text"', "must be an object"),
        ],
        ids=range(18),
    )
    def test_each_gets_one_sentence(self, api: Api, content: bytes, words: str) -> None:
        for path in ("connections", "stream-configs", "connections/test"):
            refused = api.client.post(path, content=content, headers=JSON)
            assert refused.status_code == 400, refused.text
            assert re.search(words, refused.json()["error"])
            assert refused.json()["code"] == "invalid_request"
        assert total(api) == 0

    @pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "", "x", "application/json2"])
    def test_the_content_type_is_named(self, api: Api, kind: str) -> None:
        body = b'{"name": "a", "type": "mysql", "host": "h"}'
        refused = api.client.post("connections", content=body, headers={"Content-Type": kind})
        assert refused.status_code == 400
        assert "Content-Type: application/json" in refused.json()["error"]
        assert total(api) == 0

    @pytest.mark.parametrize("kind", ["application/json; charset=utf-8", "application/vnd.x+json", "APPLICATION/JSON"])
    def test_json_has_several_names(self, api: Api, kind: str) -> None:
        body = b'{"name": "a", "type": "mysql", "host": "h"}'
        assert api.client.post("connections", content=body, headers={"Content-Type": kind}).status_code == 200

    @pytest.mark.parametrize("path", ["connections", "stream-configs/x/start", "connections/x/databases"])
    def test_a_large_body_is_not_kept(self, api: Api, path: str) -> None:
        def parts() -> Any:
            for _ in range(1000):
                yield b" " * 10_000

        for content in (b" " * 10_000_000, parts()):
            refused = api.client.post(path, content=content, headers=JSON)
            assert refused.status_code == 400
            assert "too large" in refused.json()["error"]

    def test_an_empty_model_is_told_what_it_lacks(self, api: Api) -> None:
        refused = api.client.post("stream-configs", json={}).json()
        assert {one["path"] for one in refused["details"]} == {"name", "mode", "source", "target"}


class TestAddresses:
    """Addresses that are not there."""

    def test_unknown_routes(self, api: Api) -> None:
        for path in ("nothing", "connections/", "streams/a/b/c", ""):
            missing = api.client.get(path)
            assert missing.status_code == 404
            assert set(missing.json()) == {"error", "code", "type", "details", "requestId"}

    def test_wrong_methods(self, api: Api) -> None:
        refused = api.client.patch("connections")
        assert refused.status_code == 405
        assert refused.headers["Allow"] == "GET, POST"
        assert refused.json()["code"] == "method_not_allowed"

    @pytest.mark.parametrize("path", ["connections", "stream-configs"])
    def test_a_nul_in_a_search(self, api: Api, path: str) -> None:
        assert api.client.get(path, params={"search": "a\0"}).status_code == 400


class TestTracing:
    """Request identifiers, and what is logged."""

    def test_a_plain_identifier_is_kept(self, api: Api) -> None:
        assert api.client.get("health", headers={"X-Request-ID": "abc-1"}).headers["X-Request-ID"] == "abc-1"
        for odd in ("a b", "x" * 65, "a\tb"):
            assert api.client.get("health", headers={"X-Request-ID": odd}).headers["X-Request-ID"] != odd

    def test_a_defect_says_nothing_about_the_inside(
        self, api: Api, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        def broken(_self: object, _search: str = "") -> None:
            raise ZeroDivisionError("the inside")

        monkeypatch.setattr(type(api.services.connections), "list", broken)
        answer = api.client.get("connections")
        assert answer.status_code == 500
        assert answer.json()["code"] == "internal_error"
        assert "inside" not in answer.text
        request_id = answer.headers["X-Request-ID"]
        assert answer.json()["requestId"] == request_id
        assert any(request_id in record.getMessage() and record.exc_info for record in caplog.records)

    def test_a_query_is_not_logged(self, api: Api, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level(logging.INFO, "rowferry.access"):
            api.client.get("connections", params={"search": "geheim"})
        lines = [record.getMessage() for record in caplog.records if record.name == "rowferry.access"]
        assert len(lines) == 1
        assert "geheim" not in lines[0]


class TestIdempotency:
    """Requests that are sent again."""

    BODY: ClassVar[dict[str, Any]] = {"name": "a", "type": "mysql", "host": "h"}

    def post(self, api: Api, key: str, path: str = "connections", **fields: Any) -> Any:
        return api.client.post(path, json={**self.BODY, **fields}, headers={"Idempotency-Key": key})

    def test_the_first_answer_is_given_again(self, api: Api) -> None:
        first, again = self.post(api, "k"), self.post(api, "k")
        assert (first.status_code, first.json()) == (again.status_code, again.json())
        assert again.headers["Idempotent-Replayed"] == "true"
        assert "Idempotent-Replayed" not in first.headers
        assert again.headers["Content-Type"] == first.headers["Content-Type"]
        assert total(api) == 1
        assert self.post(api, "k2").json()["id"] != first.json()["id"]

    def test_another_request_under_the_key_is_refused(self, api: Api) -> None:
        self.post(api, "k")
        assert self.post(api, "k", name="b").status_code == 409
        assert self.post(api, "k", "connections?x=1").status_code == 409
        assert total(api) == 1

    def test_a_failed_request_may_be_tried_again(self, api: Api) -> None:
        assert self.post(api, "k", hots="x").status_code == 400
        assert self.post(api, "k").status_code == 200

    def test_a_start_happens_once(self, api: Api) -> None:
        config_id = api.config()
        headers = {"Idempotency-Key": "start"}
        answers = [api.client.post(f"stream-configs/{config_id}/start", headers=headers) for _ in range(3)]
        assert {answer.status_code for answer in answers} == {200}
        assert len({answer.json()["id"] for answer in answers}) == 1
        assert api.client.get("streams").json()["total"] == 1

    def test_requests_at_the_same_time_act_once(self, api: Api) -> None:
        barrier = threading.Barrier(6)

        def send(_: int) -> int:
            client = TestClient(api.app, base_url="http://testserver/api/v1/", headers=api.headers)
            barrier.wait()
            return client.post("connections", json=self.BODY, headers={"Idempotency-Key": "k"}).status_code

        with ThreadPoolExecutor(6) as pool:
            codes = set(pool.map(send, range(6)))
        assert 200 in codes
        assert codes <= {200, 409}
        assert total(api) == 1

    def test_others_do_not_get_the_answer(self, api: Api) -> None:
        self.post(api, "k")
        refused = api.anonymous.post("connections", json=self.BODY, headers={"Idempotency-Key": "k"})
        assert refused.status_code == 401

    def test_odd_keys(self, api: Api) -> None:
        assert self.post(api, "").status_code == 400
        assert self.post(api, "x" * 256).status_code == 400
        assert self.post(api, "x" * 255).status_code == 200


class TestSystem:
    """The server itself."""

    def test_sql_logging_is_kept(self, api: Api) -> None:
        url = "system/sql-logging"
        assert api.client.get(url).json() == {"sqlCaptureMode": "minimal", "forwardSQLLogs": False}
        assert api.client.put(url, json={"sqlCaptureMode": "verbose"}).json()["sqlCaptureMode"] == "verbose"
        both = {"sqlCaptureMode": "verbose", "forwardSQLLogs": True}
        assert api.client.put(url, json={"forwardSQLLogs": True}).json() == both
        assert api.client.get(url).json() == both
        assert api.client.put(url, json={"sqlCaptureMode": "loud"}).status_code == 400
        assert (
            api.client.put(url, json={"forwardSqlLog": True})
            .json()["details"][0]["message"]
            .endswith("did you mean forwardSQLLogs")
        )

    def test_parts_and_counts(self, api: Api) -> None:
        parts = api.client.get("services/status").json()["services"]
        assert {"name": "stream-api", "status": "passing"} in parts
        api.config()
        assert api.client.get("user/configs").json() == {"connections": 2, "streamConfigs": 1}
        metrics = api.client.get("metrics")
        assert metrics.headers["Content-Type"].startswith("text/plain")
        assert b"rowferry_up 1" in metrics.content

    def test_an_ill_part_is_not_ready(self, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
        def down(_self: object) -> None:
            raise ConnectionFailed("The state database does not answer.")

        services: Services = api.services
        monkeypatch.setitem(services.system._probes, "state", lambda: down(None))
        assert api.anonymous.get("ready").status_code == 503
        assert {"name": "state", "status": "critical"} in api.client.get("services/status").json()["services"]
