"""Fixtures that every test may use: real servers, started once for each test process."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.matrix.tally import pytest_terminal_summary
from tests.servers import MariaDb, Postgres, embedded, mariadb_server, postgres_server
from tests.stores import ObjectStore, Vault, object_store, vault_server

__all__ = ["pytest_terminal_summary"]


@pytest.fixture(scope="session")
def mariadb() -> Iterator[MariaDb]:
    """A MariaDB, its session time zone not UTC."""
    with mariadb_server() as server:
        yield server


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL, its session time zone not UTC: the system's, or with ROWFERRY_TEST_POSTGRES=18 that version, which
    tells of all but the smallest transactions while they are under way."""
    if os.environ.get("ROWFERRY_TEST_POSTGRES") == "18":
        with postgres_server("wal_level=logical", "logical_decoding_work_mem=64kB", programs=embedded) as server:
            yield server
        return
    with postgres_server("wal_level=logical") as server:
        yield server


@pytest.fixture(scope="session")
def postgres18() -> Iterator[Postgres]:
    """A PostgreSQL 18, out of a package."""
    with postgres_server("wal_level=logical", programs=embedded) as server:
        yield server


@pytest.fixture(scope="session")
def store_of_objects() -> Iterator[ObjectStore]:
    """An S3 store."""
    with object_store() as server:
        yield server


@pytest.fixture(scope="session")
def vault() -> Iterator[Vault]:
    """A keeper of secrets."""
    with vault_server() as server:
        yield server


@pytest.fixture(scope="session")
def _kept_database(postgres: Postgres) -> str:
    return postgres.new_database()


@pytest.fixture
def postgres_database(postgres: Postgres, _kept_database: str) -> Iterator[str]:
    """The name of an empty database of that PostgreSQL."""
    yield _kept_database
    postgres.empty(_kept_database)
