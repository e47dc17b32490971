"""Whether a stream brought what its config asked for: names, counts and every value of the smaller tables."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow.dataset as ds

from tests.guide.world import tables
from tests.servers import MariaDb, Postgres

SMALL = 10_000
"""Tables of up to so many rows are compared value by value, larger ones by their counts and key sums."""


def wanted(mariadb: MariaDb, config: dict[str, Any]) -> tuple[str, list[str]]:
    """The database and the tables that a config means."""
    source = config["source"]["connections"][0]
    named = sorted(table["name"] for table in source.get("tables", ()))
    return source["database"], named or tables(mariadb, source["database"])


def assert_in_postgres(mariadb: MariaDb, postgres: Postgres, config: dict[str, Any], others: set[str]) -> None:
    """The config's tables, and beside `others` no more, are in its target database, equal to the source."""
    database, names = wanted(mariadb, config)
    target = config["target"]["spec"]["db"]["database"]
    listed = postgres.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'", database=target)
    assert {str(name) for (name,) in listed} - others == set(names)
    for name in names:
        source = mariadb.execute(f"SELECT * FROM {name} ORDER BY 1 LIMIT {SMALL + 1}", database=database)
        if len(source) > SMALL:
            sums = "SELECT count(*), sum({key}) FROM {name}".format(key="id", name=name)
            assert _plain(mariadb.execute(sums, database=database)) == _plain(postgres.execute(sums, database=target))
        else:
            copy = postgres.execute(
                "SET timezone = 'Asia/Kathmandu'", f"SELECT * FROM {name} ORDER BY 1", database=target
            )
            assert _plain(copy) == _plain(source), name


def assert_in_parquet(mariadb: MariaDb, folder: Path, config: dict[str, Any]) -> None:
    """The config's tables, and no more, lie in Parquet files under the folder, equal to the source."""
    database, names = wanted(mariadb, config)
    # The journal beside the tables goes a moment after the stream has ended.
    assert {path.name for path in folder.iterdir() if not path.name.startswith(".")} == set(names)
    for name in names:
        parts = sorted((folder / name).glob("*.parquet"))
        rows = [tuple(row.values()) for row in ds.dataset(parts).to_table().to_pylist()]
        source = mariadb.execute("SET time_zone = '+00:00'", f"SELECT * FROM {name} ORDER BY 1", database=database)
        assert sorted(_plain(rows), key=lambda row: row[0]) == _plain(source), name


def _plain(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Rows in Python's plainest values, so that what two drivers make of one value can be compared."""
    return [tuple(_value(value) for value in row) for row in rows]


def _value(value: Any) -> Any:
    if isinstance(value, dt.datetime):
        return value.replace(tzinfo=None)
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, Decimal):
        return value.normalize()
    return value
