"""A real object store and a real keeper of secrets, in private folders on free ports, for tests and benchmarks."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sysconfig
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import obstore
from obstore.store import S3Store

from rowferry.config.connection import Connection
from rowferry.connectors.s3.signed import SignedRequests
from tests.servers import folder_of_its_own, free_port, running

_numbers = count(1)
BUCKET = "shared"
"""A bucket that is there."""

WRITER, READER = "writer", "reader"
"""Access keys that may do less: one makes no buckets, the other writes nothing."""

_PORTS = tuple(f"{part}.port{kind}" for part in ("master", "volume", "filer", "s3") for kind in ("", ".grpc"))


@dataclass(frozen=True)
class ObjectStore:
    """A running SeaweedFS, an S3 store that anybody with `access_key` may do everything with.

    `stop` and `start` let it go away and come back, on the same port and with the same objects.
    """

    port: int
    stop: Callable[[], None]
    start: Callable[[], None]
    access_key: str = "ferry"
    secret_key: str = "ferry-secret"

    @property
    def endpoint(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def new_folder(self) -> str:
        """A prefix in `BUCKET` under which nothing lies yet."""
        return f"some/folder-{os.getpid()}-{next(_numbers)}"

    def new_bucket(self) -> str:
        """A fresh, empty bucket; the store takes a second to make room for it, so most tests share one."""
        name = f"bucket-{os.getpid()}-{next(_numbers)}"
        self.open(name).put(".keep", b"")
        obstore.delete(self.open(name), ".keep")
        return name

    def open(self, bucket: str) -> S3Store:
        """A client of the tests' own; the server makes buckets that are not there."""
        return S3Store(
            bucket, endpoint=self.endpoint, region="us-east-1", access_key_id=self.access_key,
            secret_access_key=self.secret_key, client_options={"allow_http": True},
        )  # fmt: skip

    def objects(self, bucket: str, prefix: str = "") -> dict[str, int]:
        """The keys under a prefix, with their sizes."""
        store = self.open(bucket)
        return {entry["path"]: entry["size"] for page in obstore.list(store, prefix or None) for entry in page}

    def get(self, bucket: str, key: str) -> bytes:
        """An object's bytes."""
        return bytes(obstore.get(self.open(bucket), key).bytes())

    def manifest(self, bucket: str, key: str) -> dict[str, Any]:
        """A manifest, or another JSON document."""
        return dict(json.loads(self.get(bucket, key)))

    def drop_bucket(self, bucket: str) -> None:
        """Remove a bucket with everything in it."""
        spec = Connection.model_validate(self.connection()).spec.s3
        assert spec is not None
        obstore.delete(self.open(bucket), list(self.objects(bucket)))
        SignedRequests(spec).ask("DELETE", bucket)

    def connection(self, bucket: str | None = None, prefix: str = "", who: str | None = None) -> dict[str, Any]:
        """A connection to it, as the API takes it; `who` is another access key."""
        credentials = {"accessKey": who or self.access_key, "secretKey": self.secret_key}
        spec: dict[str, Any] = {"region": "us-east-1", "endpoint": self.endpoint, "credentials": credentials}
        if bucket is not None:
            spec["scope"] = {"bucket": bucket, "prefix": prefix}
        return {"name": "store", "type": "s3", "spec": {"s3": spec}}


@dataclass(frozen=True)
class Vault:
    """A running OpenBao with a KV v2 engine under `secret/`; `token` may do everything."""

    address: str
    token: str

    def ask(self, method: str, path: str, document: Any = None, **headers: str) -> Any:
        """One request, which must succeed."""
        answer = httpx.request(
            method, f"{self.address}/v1/{path}", json=document, headers={"X-Vault-Token": self.token, **headers},
            trust_env=False, timeout=30,
        )  # fmt: skip
        assert answer.is_success, f"{path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def keep(self, path: str, fields: Mapping[str, Any]) -> None:
        """Write a secret; `path` is as in a reference, such as secret/data/db."""
        self.ask("POST", path, {"data": dict(fields)})

    @property
    def environment(self) -> dict[str, str]:
        """How a server is told of it."""
        return {"VAULT_ADDR": self.address, "VAULT_TOKEN": self.token}


@dataclass
class _Weed:
    """The process of a SeaweedFS, which may be ended and begun again."""

    folder: Path
    ports: Mapping[str, int]
    stack: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    def start(self) -> None:
        words = [f"-{name}={port}" for name, port in self.ports.items()]
        command = [_program("weed"), "server", "-s3", f"-dir={self.folder / 'data'}", "-ip=127.0.0.1"]
        command += [*words, f"-s3.config={self.folder / 's3.json'}", "-volume.max=200", "-master.volumeSizeLimitMB=64"]
        command += ["-s3.port.iceberg=0", "-s3.port.lance=0", "-master.electionTimeout=1s"]
        environment = {**os.environ, "HOME": str(self.folder)}
        self.stack.enter_context(
            running(command, self.folder / "log", self._answers, cwd=self.folder, env=environment, patience=0)
        )

    def stop(self) -> None:
        self.stack.close()

    def _answers(self) -> bool:
        """Whether it keeps bytes and gives them back; one without bytes it takes before its volumes are there."""
        try:
            store = ObjectStore(self.ports["s3.port"], self.stop, self.start).open(BUCKET)
            obstore.put(store, "ready", b"bytes")
            obstore.get(store, "ready").bytes()
        except (obstore.exceptions.BaseError, OSError):
            return False
        return True


@contextlib.contextmanager
def object_store() -> Iterator[ObjectStore]:
    """A SeaweedFS of its own, gone afterwards."""
    with folder_of_its_own() as folder:
        (folder / "data").mkdir()
        weed = _Weed(folder, _free_ports())
        server = ObjectStore(weed.ports["s3.port"], weed.stop, weed.start)
        identities = [
            _identity(server, server.access_key, "Admin", "Read", "Write", "List", "Tagging"),
            _identity(server, WRITER, "Read", "Write", "List", "Tagging"),
            _identity(server, READER, "Read", "List"),
        ]
        (folder / "s3.json").write_text(json.dumps({"identities": identities}))
        weed.start()
        try:
            yield server
        finally:
            weed.stop()


@contextlib.contextmanager
def vault_server() -> Iterator[Vault]:
    """An OpenBao of its own, gone afterwards; nothing of it is kept on disk."""
    with folder_of_its_own() as folder:
        address = f"127.0.0.1:{free_port()}"
        vault = Vault(f"http://{address}", "root-token")
        command = [
            _program("bao"), "server", "-dev", f"-dev-root-token-id={vault.token}", f"-dev-listen-address={address}",
        ]  # fmt: skip

        def answers() -> bool:
            try:
                return httpx.get(f"{vault.address}/v1/sys/health", trust_env=False).is_success
            except httpx.TransportError:
                return False

        with running(command, folder / "log", answers, cwd=folder, env={**os.environ, "HOME": str(folder)}):
            yield vault


def _free_ports() -> dict[str, int]:
    """A port for each part of the server: all of them are held until the last is known, so that no two are the same."""
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in _PORTS]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return {name: int(probe.getsockname()[1]) for name, probe in zip(_PORTS, probes, strict=True)}


def _identity(server: ObjectStore, name: str, *actions: str) -> dict[str, Any]:
    keys = [{"accessKey": name, "secretKey": server.secret_key}]
    return {"name": name, "credentials": keys, "actions": actions}


def _program(name: str) -> str:
    return str(Path(sysconfig.get_path("scripts"), name))
