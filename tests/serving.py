"""A real Rowferry server as a child process, and a client that speaks to it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import httpx
import orjson

from tests.servers import MariaDb, Postgres, free_port, wait_until

ENDED = {"FINISHED", "FAILED", "STOPPED", "TIME_LIMIT_REACHED", "EVENT_LIMIT_REACHED"}


class Rowferry:
    """A server over a data directory; it may be killed and started again."""

    def __init__(self, data_dir: Path, **environment: str) -> None:
        self._data_dir = data_dir
        roots = os.pathsep.join((tempfile.gettempdir(), str(data_dir)))
        given = {"ROWFERRY_FILE_ROOTS": roots, "ROWFERRY_SECRET_ROOTS": tempfile.gettempdir()}
        self._environment = {**os.environ, **given, **environment}
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()
        keys = orjson.loads(self.command("account", "connect", "--email", "test@example.com", "--json"))
        self.headers = {"X-API-Key": keys["apiKey"], "X-Install-ID": keys["installId"]}
        self.client = httpx.Client(
            base_url=f"http://127.0.0.1:{self.port}/api/v1", headers=self.headers, timeout=60, trust_env=False
        )

    def command(self, *words: str) -> bytes:
        """Run a command of the command line in this data directory; what it prints."""
        line = [sys.executable, "-m", "rowferry", *words, "--data-dir", str(self._data_dir)]
        return subprocess.run(line, check=True, capture_output=True, env=self._environment).stdout

    def start(self) -> None:
        """Start, and return when it says that it is ready."""
        line = [sys.executable, "-m", "rowferry", "serve", "--port", str(self.port), "--data-dir", str(self._data_dir)]
        with Path(self._data_dir, "server.log").open("ab") as log:
            self._process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=log, env=self._environment)
        assert self._process.stdout is not None
        ready = self._process.stdout.readline().decode()
        assert ready == f"Rowferry is ready at http://127.0.0.1:{self.port}\n", self.log()

    def log(self) -> str:
        """What the server said on standard error."""
        return Path(self._data_dir, "server.log").read_text(errors="replace")[-5000:]

    def kill(self) -> None:
        """As `kill -9` does."""
        self._end(signal.SIGKILL)

    def terminate(self) -> None:
        """As an operator does."""
        self._end(signal.SIGTERM)

    def close(self) -> None:
        """End whatever is left."""
        if self._process is not None:
            self.terminate()
        self.client.close()

    def workers(self) -> list[int]:
        """The processes that it has begun."""
        if self._process is None:
            return []
        own = str(self._process.pid)
        found = []
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                state, parent, *_ = stat.read_text().rpartition(")")[2].split()
                if parent == own and state != "Z":
                    found.append(int(stat.parent.name))
        return found

    def _end(self, how: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(how)
        self._process.wait(20)
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._process = None

    def post(self, path: str, document: Any = None) -> dict[str, Any]:
        """POST and expect success."""
        answer = self.client.post(path, json=document)
        assert answer.is_success, f"{path}: {answer.status_code} {answer.text}"
        return dict(answer.json()) if answer.content else {}

    def get(self, path: str) -> dict[str, Any]:
        """GET and expect success."""
        answer = self.client.get(path)
        assert answer.is_success, f"{path}: {answer.status_code} {answer.text}"
        return dict(answer.json())

    def connect_mariadb(self, server: MariaDb) -> str:
        """A connection to that server; its id."""
        return self._connect(
            "mariadb", host=server.host, port=server.port, username=server.user, password=server.password
        )

    def connect_postgres(self, server: Postgres) -> str:
        """A connection to that server; its id."""
        return self._connect(
            "postgresql", host=server.host, port=server.port, username=server.user, password=server.password
        )

    def connect_folder(self, folder: Path) -> str:
        """A connection to that folder; its id."""
        return self._connect("files", spec={"files": {"basePath": str(folder)}})

    def _connect(self, kind: str, **fields: Any) -> str:
        return str(self.post("/connections", {"name": kind, "type": kind, **fields})["id"])

    def configure(self, source: str, database: str, target: str, spec: dict[str, Any], /, **more: Any) -> str:
        """A stream config; its id. `more` are other fields of the document; `part`: of its source connection."""
        part = {"connectionId": source, "database": database, **more.pop("part", {})}
        document = {
            "name": "test", "mode": "convert", "source": {"connections": [part], **more.pop("source", {})},
            "target": {"id": target, "spec": spec}, **more,
        }  # fmt: skip
        return str(self.post("/stream-configs", document)["id"])

    def begin(self, config_id: str) -> str:
        """Start a stream; its id."""
        return str(self.post(f"/stream-configs/{config_id}/start")["id"])

    def stats(self, stream_id: str) -> dict[str, Any]:
        """The stream's numbers."""
        return self.get(f"/streams/{stream_id}/stats")

    def wait(self, stream_id: str, states: Collection[str] = ENDED, seconds: float = 120) -> dict[str, Any]:
        """The stream's numbers once it is in one of the states."""
        wait_until(lambda: self.stats(stream_id)["status"] in states, seconds, f"{stream_id} in {sorted(states)}")
        return self.stats(stream_id)

    def wait_for_rows(self, stream_id: str, before: int) -> dict[str, Any]:
        """The stream's numbers once it has written more than `before` rows, or has ended."""

        def moved() -> bool:
            stats = self.stats(stream_id)
            return stats["target"]["counter"] > before or stats["status"] in ENDED

        wait_until(moved, 60, f"rows of {stream_id}")
        return self.stats(stream_id)


@contextlib.contextmanager
def serving(data_dir: Path, **environment: str) -> Iterator[Rowferry]:
    """A server that runs, ended afterwards."""
    data_dir.mkdir(parents=True, exist_ok=True)
    rowferry = Rowferry(data_dir, **environment)
    try:
        rowferry.start()
        yield rowferry
    finally:
        rowferry.close()
