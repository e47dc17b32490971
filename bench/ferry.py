"""Rowferry as a contestant: a stream through the REST API, from POST start until it is FINISHED."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from bench.servers import SOURCE, Servers
from demo.server import Server, start_server
from tests.servers import MariaDb, Postgres

Place = tuple[str, str]
"""A connection's name, and a database."""

PARQUET = {"fileFormat": "parquet", "format": {"compression": "zstd"}}

QUIET = 0.03
"""Seconds of processor time within a quarter of a second, below which a server rests."""

POLL = 0.1
"""Seconds between two looks at the stream; a time is too long by so much at the most."""


@dataclass
class Ferry:
    """A server with its connections by name. `answers` collects the seconds that each call for stats took."""

    server: Server
    connections: Mapping[str, str]
    folder: Path
    answers: list[float] = field(default_factory=list)

    def moving(self, source: Place, target: Place) -> str:
        """A stream config that moves a whole database into another; its ID."""
        engine, database = target
        return self._config(source, {"id": self.connections[engine], "spec": {"db": {"database": database}}})

    def to_parquet(self) -> str:
        """A stream config that writes zstd-compressed Parquet into `folder`; its ID."""
        return self._config(("mariadb", SOURCE), {"id": self.connections["files"], "spec": {"files": PARQUET}})

    def to_bucket(self, connection: dict[str, Any]) -> str:
        """A stream config that writes the same into the bucket to which the connection leads; its ID."""
        made = self.server.create("connections", connection)
        return self._config(("mariadb", SOURCE), {"id": made, "spec": {"files": PARQUET}})

    def from_files(self, path: str, target: Place) -> str:
        """A stream config that moves the files of this path below `folder` into a database; its ID."""
        engine, database = target
        named = {"files": {"basePath": str(self.folder), "paths": [path]}}
        source = {"connections": [{"connectionId": self.connections["files"], **named}]}
        return self._made(path, source, {"id": self.connections[engine], "spec": {"db": {"database": database}}})

    def run(self, config: str) -> float:
        """Run a stream to its end; its seconds, as a client sees them. It starts on a server that has come to rest."""
        self._settle()
        began = time.perf_counter()
        return self._followed(self.server.start_stream(config), began)

    def moved(self, config: str) -> str:
        """Run a stream to its end; its ID."""
        stream = self.server.start_stream(config)
        self._followed(stream, time.perf_counter())
        return stream

    def verify(self, stream: str, rows: int) -> float:
        """Verify a stream, whose both sides must be equal and have so many rows together; the seconds as above."""
        self._settle()
        began = time.perf_counter()
        made = self.server.call("POST", f"/streams/{stream}/verify")
        while made["status"] == "RUNNING":
            time.sleep(POLL)
            made = self.server.call("GET", f"/streams/{stream}/verifications/{made['id']}")
        seconds = time.perf_counter() - began
        if made["status"] != "EQUAL" or made["comparison"]["rows"] != rows:
            raise RuntimeError(f"the verification ended as {made['status']}: {made['error'] or made['comparison']}")
        return seconds

    def _followed(self, stream: str, began: float) -> float:
        while True:
            asked = time.perf_counter()
            stats = self.server.stats(stream)
            now = time.perf_counter()
            self.answers.append(now - asked)
            if stats["status"] == "FINISHED":
                return now - began
            if stats["status"] not in ("READY", "RUNNING"):
                raise RuntimeError(f"the stream ended as {stats['status']}: {stats['error']}")
            time.sleep(POLL)

    def _settle(self, seconds: float = 15) -> None:
        deadline = time.monotonic() + seconds
        before, now = -1.0, self._busy()
        while now - before > QUIET and time.monotonic() < deadline:
            time.sleep(0.25)
            before, now = now, self._busy()

    def _busy(self) -> float:
        """Seconds of processor time that the server and its workers have used."""
        used = 0.0
        server = psutil.Process(self.server.started.process.pid)
        for process in [server, *server.children(recursive=True)]:
            with suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                used += times.user + times.system
        return used

    def _config(self, place: Place, target: dict[str, Any]) -> str:
        engine, database = place
        source = {"connections": [{"connectionId": self.connections[engine], "database": database}]}
        return self._made(database, source, target)

    def _made(self, name: str, source: dict[str, Any], target: dict[str, Any]) -> str:
        document = {"name": f"bench {name}", "mode": "convert", "source": source, "target": target}
        return self.server.create("stream-configs", document)


@contextmanager
def ferry(servers: Servers, folder: Path) -> Iterator[Ferry]:
    """A server with its settings as they come, its state and its files in `folder`."""
    server = start_server(folder / "state", folder / "server.log")
    place = folder / "parquet"
    documents = {
        "mariadb": _database("mariadb", servers.mariadb),
        "postgres": _database("postgresql", servers.postgres),
        "files": {"name": "files", "type": "files", "spec": {"files": {"basePath": str(place)}}},
    }
    try:
        made = {name: server.create("connections", document) for name, document in documents.items()}
        yield Ferry(server, made, place)
    finally:
        server.close()


def _database(kind: str, of: MariaDb | Postgres) -> dict[str, Any]:
    return {
        "name": kind, "type": kind, "host": of.host, "port": of.port, "username": of.user, "password": of.password
    }  # fmt: skip
