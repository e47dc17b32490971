"""A Rowferry server of our own, and its REST API, seen from outside."""

from __future__ import annotations

import json
import os
import re
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import httpx

from demo.processes import DemoError, Started, free_port, start, tail, wait_for

ROWFERRY = Path(sys.executable).with_name("rowferry")
ENDED = frozenset({"FINISHED", "FAILED", "STOPPED", "TIME_LIMIT_REACHED", "EVENT_LIMIT_REACHED"})


class Server:
    """A running server with a connected account."""

    def __init__(self, url: str, account: dict[str, str], started: Started) -> None:
        self.url = url
        self.account = account
        self.started = started
        headers = {"X-API-Key": account["apiKey"], "X-Install-ID": account["installId"]}
        self._client = httpx.Client(base_url=f"{url}/api/v1", headers=headers, timeout=60)

    def call(self, method: str, path: str, body: object = None) -> Any:
        """The answer to a request; DemoError, with the server's own sentence, where it refuses."""
        answer = self._client.request(method, path, json=body)
        if answer.is_error:
            raise DemoError(f"{method} {path} was answered with {answer.status_code}: {answer.text}")
        return answer.json()

    def create(self, kind: str, document: dict[str, Any]) -> str:
        """Create a connection or a stream configuration; its ID."""
        return str(self.call("POST", f"/{kind}", document)["id"])

    def start_stream(self, config: str) -> str:
        """Start a stream; its ID."""
        return str(self.call("POST", f"/stream-configs/{config}/start")["id"])

    def stats(self, stream: str) -> dict[str, Any]:
        """Where a stream stands."""
        answer: dict[str, Any] = self.call("GET", f"/streams/{stream}/stats")
        return answer

    def follow(
        self, streams: Iterable[str], show: Callable[[str, dict[str, Any]], None], every: float = 0.1
    ) -> dict[str, dict[str, Any]]:
        """Wait until all streams have ended, showing how they get on; their last stats."""
        waiting, last = list(streams), {}
        while waiting:
            for stream in list(waiting):
                last[stream] = self.stats(stream)
                show(stream, last[stream])
                if last[stream]["status"] in ENDED:
                    waiting.remove(stream)
            if waiting:
                time.sleep(every)
        return last

    def close(self) -> None:
        """Stop the server."""
        self._client.close()
        self.started.stop()


def start_server(folder: Path, log: Path, port: int | None = None, options: tuple[str, ...] = ()) -> Server:
    """Start `rowferry serve` with its state in `folder`, and files beside it, and connect an account."""
    command: list[str | Path] = [ROWFERRY, "serve", "--port", str(port or free_port()), "--data-dir", folder, *options]
    started = start(command, log, environment={**os.environ, "ROWFERRY_FILE_ROOTS": str(folder.parent)})
    try:
        wait_for(lambda: _ready_url(log) is not None, started, "The Rowferry server")
        url = _ready_url(log)
        if url is None:
            raise DemoError(f"The Rowferry server did not say where it listens: {tail(log)}")
        return Server(url, connect_account(folder), started)
    except BaseException:
        started.stop()
        raise


def _ready_url(log: Path) -> str | None:
    found = re.search(r"^Rowferry is ready at (http://\S+?)/?\s*$", log.read_text(errors="replace"), re.MULTILINE)
    return found[1] if found else None


def connect_account(folder: Path, email: str = "demo@example.com") -> dict[str, str]:
    """Connect the account by the command line; its key and install ID, and the password for the pages."""
    password = secrets.token_urlsafe(12)
    command: list[str | Path] = [ROWFERRY, "account", "connect", "--email", email, "--data-dir", folder, "--json"]
    command.append("--password-stdin")
    done = subprocess.run(command, input=password + "\n", capture_output=True, text=True, check=False)
    if done.returncode:
        raise DemoError(f"The account could not be connected: {done.stderr.strip() or done.stdout.strip()}")
    account: dict[str, str] = json.loads(done.stdout)
    return {**account, "password": password}
