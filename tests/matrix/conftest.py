"""Sources that hold every value of the data files, and ends for them."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator

import pytest

from tests.matrix.cases import FILES, load
from tests.matrix.crossings import Crossings
from tests.matrix.ends import End, FilesEnd, MariaDbEnd, PostgresEnd
from tests.servers import MariaDb, Postgres

_PACKET = 64 * 1024 * 1024


@pytest.fixture(scope="module", autouse=True)
def _far_from_greenwich() -> Iterator[None]:
    """The machine is in a zone of its own, as the servers and the databases are."""
    before = os.environ.get("TZ")
    _set_zone("America/St_Johns")
    yield
    _set_zone(before)


def _set_zone(name: str | None) -> None:
    if name is None:
        del os.environ["TZ"]
    else:
        os.environ["TZ"] = name
    time.tzset()


@pytest.fixture(scope="module")
def large_packets(mariadb: MariaDb) -> Iterator[MariaDb]:
    """The server, which takes and gives rows of 16 MB."""
    ((before,),) = mariadb.execute("SELECT @@max_allowed_packet")
    mariadb.execute(f"SET GLOBAL max_allowed_packet = {_PACKET}")
    yield mariadb
    mariadb.execute(f"SET GLOBAL max_allowed_packet = {before}")


@pytest.fixture(scope="module")
def new_end(
    large_packets: MariaDb, postgres: Postgres, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], End]:
    """Makes a fresh target."""

    def made(target: str) -> End:
        if target in FILES:
            return FilesEnd(tmp_path_factory.mktemp(target) / "out", target)
        return databases[target]()

    databases: dict[str, Callable[[], End]] = {
        "mariadb": lambda: MariaDbEnd(large_packets, large_packets.new_database()),
        "postgresql": lambda: new_postgres(postgres),
    }
    return made


def new_postgres(postgres: Postgres) -> PostgresEnd:
    """A database that has the extensions and types that values from another PostgreSQL may need."""
    end = PostgresEnd(postgres, postgres.new_database())
    end.make_strange()
    postgres.execute(*load("postgresql").setup, database=end.database)
    return end


@pytest.fixture(scope="module")
def from_mariadb(large_packets: MariaDb, new_end: Callable[[str], End]) -> Iterator[Crossings]:
    """Everything that MariaDB holds, on its way to each target."""
    matrix = load("mariadb")
    start = MariaDbEnd(large_packets, large_packets.new_database())
    start.fill(matrix.cases)
    with contextlib.closing(Crossings(matrix, start, new_end)) as crossings:
        yield crossings


@pytest.fixture(scope="module")
def from_postgres(postgres: Postgres, new_end: Callable[[str], End]) -> Iterator[Crossings]:
    """Everything that PostgreSQL holds, on its way to each target."""
    matrix = load("postgresql")
    start = new_postgres(postgres)
    postgres.execute(*matrix.types, database=start.database)
    start.fill(matrix.cases)
    with contextlib.closing(Crossings(matrix, start, new_end)) as crossings:
        yield crossings
