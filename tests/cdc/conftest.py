"""Servers with logs that can be followed, and a Rowferry that follows them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.servers import MariaDb, mariadb_server
from tests.serving import Rowferry, serving

LOGGED = ("--log-bin=log", "--server-id=7", "--binlog-format=ROW", "--sync-binlog=0", "--expire-logs-days=7")


@pytest.fixture(scope="session")
def logged() -> Iterator[MariaDb]:
    """A MariaDB with a binary log."""
    with mariadb_server(*LOGGED) as server:
        yield server


@pytest.fixture(scope="module")
def rowferry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rowferry]:
    """A server for the module's tests."""
    with serving(tmp_path_factory.mktemp("server") / "data") as server:
        yield server
