"""The whole API on a real store, with streams that move no rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from rowferry.app import Ground, Running, create_app
from rowferry.config.settings import Settings
from rowferry.control.services import Services
from rowferry.control.verifications import Verifications
from rowferry.model.streams import StreamState
from tests.control.ferry import MemoryFeed, MemoryMetrics, MemoryStreams, launch_memory

EMAIL, PASSWORD = "owner@example.org", "a long password"


def run(ground: Ground) -> Running:
    streams = MemoryStreams(ground.store, ground.configs)
    verifications = Verifications(
        ground.store, ground.connections, ground.settings, launch=launch_memory, publish=lambda _: None
    )
    return Running(streams, verifications, MemoryFeed(), MemoryMetrics())


@dataclass
class Api:
    """A client that is let in, and what it talks to."""

    app: FastAPI
    client: TestClient
    services: Services
    headers: dict[str, str]

    @property
    def anonymous(self) -> TestClient:
        return TestClient(self.app, base_url="http://testserver/api/v1/")

    @property
    def streams(self) -> MemoryStreams:
        assert isinstance(self.services.streams, MemoryStreams)
        return self.services.streams

    @property
    def feed(self) -> MemoryFeed:
        assert isinstance(self.services.feed, MemoryFeed)
        return self.services.feed

    def connection(self, kind: str = "mysql", **fields: Any) -> str:
        body: dict[str, Any] = {"name": kind, "type": kind, "host": "127.0.0.1", "password": "geheim", **fields}
        if kind == "files":
            body = {"name": kind, "type": kind, "spec": {"files": {"basePath": "/data/exports"}}, **fields}
        response = self.client.post("connections", json=body)
        assert response.status_code == 200, response.text
        return str(response.json()["id"])

    def config_body(self, **fields: Any) -> dict[str, Any]:
        return {
            "name": "load",
            "mode": "convert",
            "source": {"connections": [{"connectionId": self.connection(), "database": "sakila"}]},
            "target": {"id": self.connection("postgresql"), "spec": {"db": {"database": "t"}}},
            **fields,
        }

    def config(self, **fields: Any) -> str:
        response = self.client.post("stream-configs", json=self.config_body(**fields))
        assert response.status_code == 200, response.text
        return str(response.json()["id"])

    def start(self, config_id: str) -> str:
        response = self.client.post(f"stream-configs/{config_id}/start")
        assert response.status_code == 200, response.text
        return str(response.json()["id"])

    def finished(self, config_id: str, status: StreamState = StreamState.FINISHED, **fields: Any) -> str:
        stream_id = self.start(config_id)
        self.streams.finish(stream_id, status, **fields)
        return stream_id


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    """A fresh installation with an account."""
    app = create_app(Settings(data_dir=tmp_path / "data", max_body_bytes=100_000), run)
    services: Services = app.state.services
    services.accounts.create(EMAIL, PASSWORD)
    headers = {"X-API-Key": services.accounts.api_key(), "X-Install-ID": services.accounts.install_id}
    with TestClient(app, base_url="http://testserver/api/v1/", headers=headers) as client:
        yield Api(app, client, services, headers)
