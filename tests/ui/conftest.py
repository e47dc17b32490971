"""The pages on a real server: NiceGUI is one for a process, so the server has its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.servers import free_port, wait_until

EMAIL, PASSWORD = "owner@example.org", "a long password"
HERE = Path(__file__).parents[2]


@dataclass
class App:
    """A running server."""

    url: str
    token: str
    folder: Path

    @contextmanager
    def visitor(self) -> Iterator[httpx.Client]:
        with httpx.Client(base_url=self.url, trust_env=False) as client:
            yield client


@contextmanager
def serving(folder: Path) -> Iterator[App]:
    port = free_port()
    with (folder / "server.log").open("wb") as log:
        command = [sys.executable, "-m", "tests.ui.serving", str(port), str(folder / "data")]
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=HERE)
    url = f"http://127.0.0.1:{port}"

    def up() -> bool:
        assert process.poll() is None, (folder / "server.log").read_text()
        try:
            return httpx.get(f"{url}/assets/page.js", trust_env=False).status_code == 200
        except httpx.TransportError:
            return False

    try:
        wait_until(up, 60, "the server")
        yield App(url, (folder / "data" / "token").read_text(), folder)
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """A new installation, shared by the tests of a file, in their order."""
    with serving(tmp_path_factory.mktemp("app")) as app:
        yield app


@pytest.fixture(scope="module")
def app(fresh: App) -> App:
    """An installation with an account."""
    with fresh.visitor() as visitor:
        form = {"token": fresh.token, "email": EMAIL, "password": PASSWORD}
        assert visitor.post("/setup", data=form).status_code == 303
    return fresh
