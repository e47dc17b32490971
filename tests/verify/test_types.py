"""Every type: what a stream moved is equal, and a value that is off by as little as can be is found and named."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest

from rowferry.pipeline.job import Job
from tests.servers import MariaDb, Postgres
from tests.verify.conftest import compared_table, moved, named
from tests.verify.values import MARIADB, POSTGRES, Kind

ROWS = 10
"""More than any column has values; the first row holds the first values, the last one NULLs."""


def inserts(kinds: Mapping[str, Kind], quote: str) -> list[str]:
    columns = ", ".join(f"{quote}{name}{quote}" for name in kinds)
    made = []
    for number in range(ROWS):
        values = ["NULL" if number == ROWS - 1 else kind.values[number % len(kind.values)] for kind in kinds.values()]
        made.append(f"INSERT INTO kinds (id, {columns}) VALUES ({number}, {', '.join(values)})")
    return made


class Loaded:
    """A stream of all types that has been run, and its target."""

    def __init__(self, job: Job, postgres: Postgres, database: str) -> None:
        self.job = job
        self._postgres = postgres
        self._database = database
        self.run("CREATE SCHEMA spare", "CREATE TABLE spare.kinds AS SELECT * FROM public.kinds")

    def run(self, *statements: str) -> None:
        self._postgres.execute("SET timezone = 'UTC'", *statements, database=self._database)

    def put_back(self) -> None:
        """Undo what a test changed."""
        self.run("TRUNCATE public.kinds", "INSERT INTO public.kinds SELECT * FROM spare.kinds")


@pytest.fixture(scope="module")
def from_mariadb(mariadb: MariaDb, postgres: Postgres) -> Loaded:
    source, target = mariadb.new_database(), postgres.new_database()
    columns = ", ".join(f"`{name}` {kind.declared}" for name, kind in MARIADB.items())
    statements = [f"CREATE TABLE kinds (id INT PRIMARY KEY, {columns})", *inserts(MARIADB, "`")]
    mariadb.execute("SET time_zone = '+00:00', sql_mode = ''", *statements, database=source)
    return Loaded(moved(mariadb.url(source), postgres.url(target)), postgres, target)


@pytest.fixture(scope="module")
def from_postgres(postgres: Postgres) -> Loaded:
    source, target = postgres.new_database(), postgres.new_database()
    columns = ", ".join(f'"{name}" {kind.declared}' for name, kind in POSTGRES.items())
    statements = [f"CREATE TABLE kinds (id int PRIMARY KEY, {columns})", *inserts(POSTGRES, '"')]
    postgres.execute("SET timezone = 'UTC'", *statements, database=source)
    return Loaded(moved(postgres.url(source), postgres.url(target)), postgres, target)


@pytest.fixture(params=["from_mariadb", "from_postgres"])
def loaded(request: pytest.FixtureRequest) -> Iterator[Loaded]:
    found: Loaded = request.getfixturevalue(request.param)
    yield found
    found.put_back()


def test_all_types_are_equal(loaded: Loaded) -> None:
    found = compared_table(loaded.job)
    assert named(found) == []
    assert found.equal
    assert found.skipped == ()
    assert (found.source_rows, found.target_rows) == (ROWS, ROWS)


CASES = [("from_mariadb", name, kind) for name, kind in MARIADB.items()]
CASES += [("from_postgres", name, kind) for name, kind in POSTGRES.items()]


@pytest.mark.parametrize(("fixture", "name", "kind"), CASES, ids=[f"{case[0][5:]}-{case[1]}" for case in CASES])
def test_the_least_difference_is_found_and_named(
    request: pytest.FixtureRequest, fixture: str, name: str, kind: Kind
) -> None:
    loaded: Loaded = request.getfixturevalue(fixture)
    try:
        loaded.run(
            f'UPDATE kinds SET "{name}" = {kind.nudge} WHERE id = 0',
            f'UPDATE kinds SET "{name}" = NULL WHERE id = 1',
            f'UPDATE kinds SET "{name}" = (SELECT "{name}" FROM kinds WHERE id = 2) WHERE id = {ROWS - 1}',
        )
        found = compared_table(loaded.job)
    finally:
        loaded.put_back()
    assert named(found) == [("different", (str(number),), (name,)) for number in (0, 1, ROWS - 1)]
    assert not found.equal
    assert (found.missing, found.extra, found.different) == (0, 0, 3)
