"""MariaDB as the target: all types are equal, and a value that is another row's is found."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from tests.servers import MariaDb, Postgres
from tests.verify.conftest import compared_table, moved, named
from tests.verify.test_types import ROWS, inserts
from tests.verify.values import MARIADB, MYSQL_FITS, Kind


@pytest.fixture(params=["mariadb", "postgresql"])
def source(request: pytest.FixtureRequest, mariadb: MariaDb, postgres: Postgres) -> tuple[str, Mapping[str, Kind]]:
    """A database with a table of all types, its address, and its columns."""
    if request.param == "mariadb":
        name = mariadb.new_database()
        columns = ", ".join(f"`{column}` {kind.declared}" for column, kind in MARIADB.items())
        table = f"CREATE TABLE kinds (id INT PRIMARY KEY, {columns})"
        settings = "SET time_zone = '+00:00', sql_mode = ''"
        mariadb.execute(settings, table, *inserts(MARIADB, "`"), database=name)
        return mariadb.url(name), MARIADB
    name = postgres.new_database()
    columns = ", ".join(f'"{column}" {kind.declared}' for column, kind in MYSQL_FITS.items())
    table = f"CREATE TABLE kinds (id int PRIMARY KEY, {columns})"
    postgres.execute("SET timezone = 'UTC'", table, *inserts(MYSQL_FITS, '"'), database=name)
    return postgres.url(name), MYSQL_FITS


def test_all_types_are_equal_and_differences_are_found(
    source: tuple[str, Mapping[str, Kind]], mariadb: MariaDb
) -> None:
    url, kinds = source
    target = mariadb.new_database()
    job = moved(url, mariadb.url(target))
    found = compared_table(job)
    assert named(found) == []
    assert found.equal
    assert found.skipped == ()
    assert (found.source_rows, found.target_rows) == (ROWS, ROWS)
    taken = ", ".join(f"k.`{column}` = o.`{column}`" for column in kinds)
    mariadb.execute(
        f"UPDATE kinds k JOIN (SELECT * FROM kinds WHERE id = 1) o SET {taken} WHERE k.id = 0",
        f"UPDATE kinds k JOIN (SELECT * FROM kinds WHERE id = {ROWS - 1}) o SET {taken} WHERE k.id = 2",
        database=target,
    )
    several = tuple(column for column, kind in kinds.items() if len(kind.values) > 1)
    assert named(compared_table(job)) == [("different", ("0",), several), ("different", ("2",), tuple(kinds))]
