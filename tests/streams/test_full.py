"""A target without room: the stream fails and says so; once there is room, it goes on and every row is there once."""

from __future__ import annotations

import os
import pwd
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import duckdb
import pytest

from tests.disks import Disk, small_disk
from tests.servers import MariaDb, Postgres, wait_until
from tests.serving import Rowferry

ROWS = 100_000
SMALL_CHUNKS = {"options": {"dataBundleSize": 10}}
FORMATS = {"csv": "read_csv('{}/*.csv')", "parquet": "'{}/*.parquet'"}


@pytest.fixture
def make_disk() -> Iterator[Callable[[str], Disk]]:
    """Makes a file system in memory, where others may come, too."""
    with ExitStack() as stack:
        yield lambda size: stack.enter_context(small_disk(size))


@pytest.fixture(scope="module")
def source(mariadb: MariaDb) -> str:
    """Two tables in several chunks."""
    database = mariadb.new_database()
    mariadb.execute(
        "CREATE TABLE a (id INT PRIMARY KEY, word CHAR(32) NOT NULL)",
        f"INSERT INTO a SELECT seq, MD5(seq) FROM seq_1_to_{ROWS}",
        "CREATE TABLE b AS SELECT * FROM a",
        "ALTER TABLE b ADD PRIMARY KEY (id)",
        database=database,
    )
    return database


def assert_resumable(rowferry: Rowferry, stream: str, disk: Disk, least: int) -> None:
    """It failed for want of room; with room it finishes."""
    stats = rowferry.wait(stream)
    assert stats["status"] == "FAILED"
    assert stats["error"]["code"] == "target_full"
    assert "resume the stream" in stats["error"]["advice"]
    before = stats["target"]["counter"]
    assert least <= before < 2 * ROWS
    rowferry.post(f"/streams/{stream}/resume")
    again = rowferry.wait(stream)
    assert again["error"]["code"] == "target_full"
    assert again["target"]["counter"] >= before
    disk.room("200m")
    rowferry.post(f"/streams/{stream}/resume")
    stats = rowferry.wait(stream)
    assert stats["status"] == "FINISHED", stats["error"]
    assert stats["target"]["counter"] == 2 * ROWS


@pytest.mark.parametrize(("file_format", "size", "least"), [("csv", "5m", 1), ("parquet", "5m", 1), ("csv", "4k", 0)])
def test_a_folder(
    rowferry: Rowferry,
    mariadb: MariaDb,
    source: str,
    make_disk: Callable[[str], Disk],
    file_format: str,
    size: str,
    least: int,
) -> None:
    disk = make_disk(size)
    spec = {"files": {"fileFormat": file_format, "format": {"compression": "none"}}}
    start, end = rowferry.connect_mariadb(mariadb), rowferry.connect_folder(disk.folder)
    config = rowferry.configure(start, source, end, spec, source=SMALL_CHUNKS)
    assert_resumable(rowferry, rowferry.begin(config), disk, least)
    with duckdb.connect() as connection:
        for table in ("a", "b"):
            files = FORMATS[file_format].format(disk.folder / table)
            query = f"SELECT count(*), count(DISTINCT id), min(id), max(id) FROM {files}"
            assert connection.execute(query).fetchall() == [(ROWS, ROWS, 1, ROWS)]
    wait_until(lambda: not (disk.folder / ".rowferry").exists() or not any((disk.folder / ".rowferry").iterdir()))


@pytest.mark.parametrize(("size", "least"), [("300k", 0), ("8m", 1)])
def test_a_tablespace(
    rowferry: Rowferry,
    mariadb: MariaDb,
    postgres: Postgres,
    source: str,
    make_disk: Callable[[str], Disk],
    size: str,
    least: int,
) -> None:
    disk = make_disk(size)
    owner = pwd.getpwnam("postgres")
    os.chown(disk.folder, owner.pw_uid, owner.pw_gid)
    database = postgres.new_database()
    space = f"space_{database}"
    postgres.execute(f"CREATE TABLESPACE {space} LOCATION '{disk.folder}'")
    postgres.execute(f"ALTER DATABASE {database} SET default_tablespace = '{space}'")
    try:
        start, end = rowferry.connect_mariadb(mariadb), rowferry.connect_postgres(postgres)
        config = rowferry.configure(start, source, end, {"db": {"database": database}}, source=SMALL_CHUNKS)
        assert_resumable(rowferry, rowferry.begin(config), disk, least)
        for table in ("a", "b"):
            found = postgres.execute(f"SELECT count(*), count(DISTINCT id) FROM {table}", database=database)
            assert found == [(ROWS, ROWS)]
    finally:
        postgres.execute(f"DROP DATABASE {database} WITH (FORCE)", f"DROP TABLESPACE {space}")
