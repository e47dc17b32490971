"""The API behind a real server, as curl and browsers meet it."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlencode

import httpx
import pytest
import uvicorn

from rowferry.api.logs import events
from rowferry.app import create_app
from rowferry.config.settings import Settings
from rowferry.control.sessions import COOKIE
from rowferry.errors import DataDirectoryInUse
from tests.api.conftest import EMAIL, Api, run
from tests.control.ferry import MemoryFeed
from tests.servers import wait_until


@dataclass
class Live:
    """A served API."""

    api: Api
    url: str

    def client(self, **headers: str) -> httpx.Client:
        return httpx.Client(base_url=self.url, headers={**self.api.headers, **headers})


@pytest.fixture
def live(api: Api) -> Iterator[Live]:
    config = uvicorn.Config(api.app, lifespan="off", log_config=None, timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port = listening.getsockname()[1]
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        wait_until(lambda: server.started, what="the server to start")
        yield Live(api, f"http://127.0.0.1:{port}/api/v1/")
        server.should_exit = True
        thread.join()


def test_requests_over_the_wire(live: Live) -> None:
    with live.client() as client:
        assert client.get("health").json()["ping"] == "ok"
        created = client.post("connections", json={"name": "a", "type": "mysql", "host": "h"})
        assert created.status_code == 200
        deleted = client.delete(f"connections/{created.json()['id']}", headers={"X-Confirm-Delete": "true"})
        assert (deleted.status_code, deleted.content) == (204, b"")
        large = client.post("connections", content=b"x" * 10_000_000, headers={"Content-Type": "application/json"})
        assert large.status_code == 400
        assert "too large" in large.json()["error"]
        assert client.get("connections").status_code == 200


def read_events(response: httpx.Response) -> Iterator[tuple[str, dict[str, str]]]:
    name = ""
    for line in response.iter_lines():
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield name, json.loads(line.removeprefix("data: "))


def test_events_come_by_header_by_cookie_and_by_query(live: Live, caplog: pytest.LogCaptureFixture) -> None:
    key, install = live.api.headers["X-API-Key"], live.api.headers["X-Install-ID"]
    query = urlencode({"install_id": install, "api_key": key, "other": "kept"})
    cookie = f"{COOKIE}={live.api.app.state.sessions.issue(EMAIL)}"
    ways = [("logs/stream", live.api.headers), ("logs/stream", {"Cookie": cookie}), (f"logs/stream?{query}", {})]
    caplog.set_level(logging.DEBUG)
    for path, headers in ways:
        with (
            httpx.Client(base_url=live.url, headers=headers) as client,
            client.stream("GET", path) as response,
        ):
            assert response.status_code == 200
            assert response.headers["Content-Type"].startswith("text/event-stream")
            wait_until(lambda: bool(live.api.feed.listeners))
            live.api.feed.publish({"level": "info", "message": "hello\n", "category": "general"})
            live.api.feed.publish({"level": "debug", "query": "SELECT 1", "category": "sql"})
            got = read_events(response)
            assert next(got) == ("log", {"level": "info", "message": "hello\n", "category": "general"})
            assert next(got)[0] == "sql"
        wait_until(lambda: not live.api.feed.listeners, what="the listener to be forgotten")
    refused = httpx.get(f"{live.url}logs/stream", params={"api_key": key})
    assert refused.status_code == 401
    elsewhere = httpx.get(f"{live.url}connections", params={"api_key": key, "install_id": install})
    assert elsewhere.status_code == 401
    written = "\n".join(record.getMessage() for record in caplog.records if not record.name.startswith("http"))
    assert "/api/v1/logs/stream" in written
    assert "other=kept" in written
    assert key not in written
    assert install not in written


async def first_events(feed: MemoryFeed, count: int) -> list[str]:
    stream = events(feed, heartbeat=0.01)
    try:
        return [await anext(stream) for _ in range(count)]
    finally:
        await stream.aclose()  # type: ignore[attr-defined]


def test_a_quiet_feed_has_a_heartbeat() -> None:
    feed = MemoryFeed()
    assert asyncio.run(first_events(feed, 3)) == [": listening\n\n", ": still here\n\n", ": still here\n\n"]
    assert feed.listeners == []


def test_one_server_has_the_data_directory(api: Api) -> None:
    with pytest.raises(DataDirectoryInUse, match="Another server"):
        create_app(Settings(data_dir=api.services.settings.data_dir), run)


def test_the_lifespan_takes_up_and_lets_go(api: Api) -> None:
    assert api.streams.recovered
    assert not api.streams.shut_down
