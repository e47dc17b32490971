"""Set-up, log in, log out: by plain HTTP, in the order in which an installation lives."""

from __future__ import annotations

import contextlib
import re
import sqlite3

import httpx
import pytest

from rowferry.state.store import STATE_FILE
from tests.ui.conftest import EMAIL, PASSWORD, App


def test_a_new_installation_asks_for_its_link(fresh: App) -> None:
    with fresh.visitor() as visitor:
        assert visitor.get("/").headers["location"] == "/setup"
        assert visitor.get("/login").headers["location"] == "/setup"
        page = visitor.get("/setup")
        assert page.status_code == 200
        assert "<form" not in page.text
        assert visitor.get("/setup", params={"token": "wrong"}).status_code == 401


def test_the_token_is_checked_when_the_form_comes(fresh: App) -> None:
    with fresh.visitor() as visitor:
        answer = visitor.post("/setup", data={"token": "wrong", "email": EMAIL, "password": PASSWORD})
        assert answer.status_code == 401
        assert PASSWORD not in answer.text
        assert "set-cookie" not in answer.headers


def test_a_short_password_is_refused_and_the_form_comes_back(fresh: App) -> None:
    with fresh.visitor() as visitor:
        answer = visitor.post("/setup", data={"token": fresh.token, "email": '"><b>@x', "password": "short"})
        assert answer.status_code == 400
        assert "<b>" not in answer.text
        assert fresh.token in answer.text


def test_set_up_lets_in_and_shows_a_key_that_works(app: App) -> None:
    with app.visitor() as visitor:
        entered = visitor.post("/login", data={"email": EMAIL, "password": PASSWORD})
        assert entered.headers["location"] == "/"
        cookie = entered.headers["set-cookie"].lower()
        assert all(word in cookie for word in ("httponly", "samesite=strict", "path=/"))
        done = visitor.get("/setup/done").text
        key, install_id = re.findall(r'data-copy="([^" ]+)"', done)[:2]
        headers = {"X-API-Key": key, "X-Install-ID": install_id}
        assert httpx.get(f"{app.url}/api/v1/connections", headers=headers, trust_env=False).status_code == 200
        assert visitor.get("/").status_code == 200
        account = visitor.get("/account")
        assert account.status_code == 200
        assert key not in account.text


def test_the_token_is_good_once(app: App) -> None:
    with app.visitor() as visitor:
        assert visitor.get("/setup", params={"token": app.token}).headers["location"] == "/login"
        form = {"token": app.token, "email": "other@example.org", "password": PASSWORD}
        assert visitor.post("/setup", data=form).status_code in (401, 409)


@pytest.mark.parametrize("path", ["/", "/account", "/setup/done"])
def test_without_a_session_there_is_only_the_log_in(app: App, path: str) -> None:
    with app.visitor() as visitor:
        answer = visitor.get(path)
        assert (answer.status_code, answer.headers["location"]) == (303, "/login")
        visitor.cookies.set("rowferry_session", "forged")
        assert visitor.get(path).status_code == 303


def test_live_connections_need_the_session_and_our_own_page(app: App) -> None:
    path = "/_nicegui_ws/socket.io/"
    query = {"EIO": "4", "transport": "polling"}
    with app.visitor() as visitor:
        assert visitor.get(path, params=query).status_code == 403
        visitor.post("/login", data={"email": EMAIL, "password": PASSWORD})
        assert visitor.get(path, params=query, headers={"Origin": "http://evil.example"}).status_code == 403
        assert visitor.get(path, params=query, headers={"Origin": app.url}).status_code == 200


@pytest.mark.parametrize(
    "headers", [{"Origin": "http://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}]
)
def test_forms_of_other_sites_are_refused(app: App, headers: dict[str, str]) -> None:
    with app.visitor() as visitor:
        answer = visitor.post("/login", data={"email": EMAIL, "password": PASSWORD}, headers=headers)
        assert answer.status_code == 403
        assert "set-cookie" not in answer.headers


def test_a_wrong_password_is_told_in_one_sentence(app: App) -> None:
    with app.visitor() as visitor:
        answer = visitor.post("/login", data={"email": EMAIL, "password": "wrong password"})
        assert answer.status_code == 401
        assert "E-mail or password is wrong." in answer.text
        assert "wrong password" not in answer.text


def test_a_form_that_is_too_large_is_refused(app: App) -> None:
    with app.visitor() as visitor:
        assert visitor.post("/login", content=b"x" * 20_000).status_code == 400


def test_logging_out_needs_the_token_of_the_session(app: App) -> None:
    with app.visitor() as visitor:
        visitor.post("/login", data={"email": EMAIL, "password": PASSWORD})
        assert visitor.post("/logout", data={"csrf": "wrong"}).status_code == 401
        assert visitor.get("/").status_code == 200
        found = re.search(r'"name":"csrf","value":"([0-9a-f]{64})"', visitor.get("/account").text)
        assert found
        assert visitor.post("/logout", data={"csrf": found[1]}).headers["location"] == "/login"
        assert visitor.get("/").status_code == 303


def test_pages_are_not_framed_nor_cached_and_load_nothing_from_elsewhere(app: App) -> None:
    with app.visitor() as visitor:
        for path in ("/login", "/", "/account", "/nothing"):
            page = visitor.get(path)
            assert page.headers["x-frame-options"] == "DENY", path
            assert page.headers["cache-control"] == "no-store", path
            assert not re.search(r'(?:src|href)="(?:https?:)?//', page.text), path
            visitor.post("/login", data={"email": EMAIL, "password": PASSWORD})


def test_an_unknown_page_is_one_sentence(app: App) -> None:
    with app.visitor() as visitor:
        page = visitor.get("/nothing")
        assert page.status_code == 404
        assert "There is no such page." in page.text


def test_a_page_that_fails_is_one_sentence(app: App) -> None:
    """Last in this file: the state loses its streams."""
    with app.visitor() as visitor:
        visitor.post("/login", data={"email": EMAIL, "password": PASSWORD})
        with contextlib.closing(sqlite3.connect(app.folder / "data" / STATE_FILE)) as state:
            state.execute("ALTER TABLE streams RENAME TO lost")
        page = visitor.get("/")
        assert page.status_code == 503
        assert "The state database does not answer" in page.text
        assert "no such table" not in page.text
        assert visitor.get("/account").status_code == 200
