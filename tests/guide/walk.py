"""A walk through a guide: each command is run by a real shell and curl, against a real server."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from demo.server import Server
from tests.guide.commands import ADDRESS, Command, commands
from tests.servers import MariaDb, Postgres, wait_until
from tests.stores import ObjectStore

CREATIONS = ("POST /connections", "POST /stream-configs")
OPERATIONS = {
    "POST /stream-configs/*/start": "start",
    "POST /streams/*/pause": "pause",
    "POST /streams/*/resume": "resume",
    "POST /streams/*/stop": "stop",
    "GET /streams/*/stats": "stats",
}
"""The commands that a walk repeats, stream by stream."""

PLACEHOLDERS = {"conn_SOURCE_ID": "mysql", "conn_TARGET_ID": "postgresql", "conn_FILES_TARGET_ID": "files"}
"""What a guide writes for the ID of a connection, and that connection's type."""


@dataclass(frozen=True)
class Answer:
    """What the server said to a command."""

    command: Command
    status: int
    body: Any


@dataclass
class Walk:
    """Runs a guide's commands, putting in what a reader would: host, credentials, IDs, folders."""

    guide: str
    server: Server
    mariadb: MariaDb
    postgres: Postgres
    exports: Path
    curl_home: Path
    tell: Callable[[Answer], None] = lambda _: None
    store: ObjectStore | None = None
    connections: dict[str, str] = field(default_factory=dict)
    configs: dict[str, str] = field(default_factory=dict)
    done: list[Answer] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.commands = commands(self.guide)
        # The commands stay as they are; how curl reports comes from its own configuration file.
        self.curl_home.mkdir(exist_ok=True)
        (self.curl_home / ".curlrc").write_text('silent\nshow-error\nnoproxy = "*"\nwrite-out = "\\n%{http_code}"\n')

    def creations(self, call: str) -> list[Command]:
        """The commands that create connections or stream configs."""
        return [command for command in self.commands if command.call == call]

    def others(self) -> list[Command]:
        """The commands that are neither creations nor operations of a stream."""
        return [command for command in self.commands if command.call not in (*CREATIONS, *OPERATIONS)]

    def create(self, command: Command) -> Answer:
        """Run a creation, and keep the ID that it answers."""
        answer = self.run(command)
        if answer.status in (200, 201):
            name = command.body["name"]
            if command.call == CREATIONS[0]:
                self.connections.setdefault(command.body["type"], answer.body["id"])
            else:
                self.configs[name] = answer.body["id"]
        return answer

    def operate(self, operation: str, target: str) -> Answer:
        """Run the guide's command for an operation on a config (start) or a stream (the others)."""
        command = next(each for each in self.commands if OPERATIONS.get(each.call) == operation)
        return self.run(command, {"CONFIG_ID": target, "STREAM_ID": target})

    def start(self, name: str) -> str:
        """Start the stream config of that name; the stream's ID."""
        answer = self.operate("start", self.configs[name])
        assert answer.status in (200, 201, 202), answer
        return str(answer.body["id"])

    def wait_for(self, stream: str, *states: str, seconds: float = 90) -> dict[str, Any]:
        """Ask for stats, as the guide does, until the stream is in one of `states`."""
        last: dict[str, Any] = {}

        def there() -> bool:
            answer = self.operate("stats", stream)
            assert answer.status == 200, answer
            last.update(answer.body)
            assert answer.body["status"] in states or answer.body["status"] not in ("FAILED", "STOPPED"), answer.body
            return answer.body["status"] in states

        wait_until(there, seconds, f"stream {stream} to be {' or '.join(states)}")
        return last

    def client(self) -> httpx.Client:
        """A client of the server, for what a guide does not show."""
        account = self.server.account
        headers = {"X-API-Key": account["apiKey"], "X-Install-ID": account["installId"]}
        return httpx.Client(base_url=f"{self.server.url}/api/v1", headers=headers, timeout=60, trust_env=False)

    def run(self, command: Command, ids: dict[str, str] | None = None) -> Answer:
        """Run a command in bash as the guide writes it, but for what only the reader can know."""
        environment = {**os.environ, "CURL_HOME": str(self.curl_home)}
        text = self.filled_in(command, ids or {})
        done = subprocess.run(["bash", "-c", text], env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{command.title}: {done.stderr}"
        content, _, status = done.stdout.rpartition("\n")
        answer = Answer(command, int(status), _parsed(content))
        self.done.append(answer)
        self.tell(answer)
        return answer

    def filled_in(self, command: Command, ids: dict[str, str]) -> str:
        """The command's text with the reader's own values."""
        text = command.text.replace(ADDRESS, f"{self.server.url}/api/v1")
        text = text.replace("YOUR_API_KEY", self.server.account["apiKey"])
        text = text.replace("YOUR_INSTALL_ID", self.server.account["installId"])
        for placeholder, kind in PLACEHOLDERS.items():
            text = text.replace(placeholder, self.connections.get(kind, placeholder))
        for placeholder, value in ids.items():
            text = re.sub(rf"(?<![A-Z_]){placeholder}", value, text)
        for key, own in self._place(command).items():
            head, _, rest = text.partition(f'"{key}":')
            text = f'{head}"{key}": {json.dumps(own)}{_after_value(rest)}' if rest else text
        return text

    def _place(self, command: Command) -> dict[str, str | int]:
        kind = command.body.get("type") if isinstance(command.body, dict) else None
        if kind not in ("mysql", "postgresql"):
            return {"basePath": str(self.exports)}
        server = self.mariadb if kind == "mysql" else self.postgres
        return {"host": server.host, "port": server.port, "username": server.user, "password": server.password}


def _after_value(text: str) -> str:
    """What follows the JSON string or number that the text begins with."""
    return re.sub(r'^\s*("[^"]*"|\d+)', "", text, count=1)


def _parsed(content: str) -> Any:
    try:
        return json.loads(content)
    except ValueError:
        return content
