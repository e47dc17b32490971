"""Whole streams into MariaDB over the API: from MariaDB, from PostgreSQL."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.servers import MariaDb, Postgres, knows, wait_until
from tests.serving import Rowferry
from tests.streams.conftest import ROWS


@pytest.fixture
def target(mariadb: MariaDb) -> str:
    """A fresh database."""
    return mariadb.new_database()


def test_mariadb_to_mariadb(rowferry: Rowferry, mariadb: MariaDb, big: str, target: str) -> None:
    ends = rowferry.connect_mariadb(mariadb), rowferry.connect_mariadb(mariadb)
    config = rowferry.configure(ends[0], big, ends[1], {"db": {"database": target}})
    report = rowferry.post(f"/stream-configs/{config}/validate")
    assert report["ok"], report
    stream = rowferry.begin(config)
    stats = rowferry.wait(stream)
    assert stats["status"] == "FINISHED", stats["error"]
    for table in ("items", "loose", "small"):
        checksums = mariadb.execute(f"CHECKSUM TABLE {big}.{table}, {target}.{table} EXTENDED")
        assert checksums[0][1] == checksums[1][1]
        made = [mariadb.execute(f"SHOW CREATE TABLE {place}.{table}")[0][1] for place in (big, target)]
        assert made[0] == made[1]
    assert mariadb.execute(f"SELECT COUNT(*) FROM {target}.items") == [(ROWS,)]
    wait_until(lambda: not knows(mariadb, target, stream))


def test_postgres_to_mariadb(rowferry: Rowferry, mariadb: MariaDb, postgres: Postgres, target: str) -> None:
    source = postgres.new_database()
    postgres.execute(
        "CREATE TYPE mood AS ENUM ('sad', 'ok')",
        "CREATE TABLE parent (id serial PRIMARY KEY, name text NOT NULL UNIQUE, feeling mood DEFAULT 'ok', "
        "made timestamptz DEFAULT now(), doc jsonb, raw bytea, flag boolean DEFAULT true, tags int[])",
        "INSERT INTO parent SELECT n, 'name ' || n, 'sad', '2020-01-01 00:00:00+02', '{\"a\": 1}', '\\x00ff', "
        "n % 2 = 0, '{1,NULL}' FROM generate_series(1, 1000) n",
        "CREATE TABLE child (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), "
        "parent int REFERENCES parent ON DELETE CASCADE, "
        "amount numeric(40,20) CHECK (amount >= 0), word varchar(20000))",
        "INSERT INTO child (parent, amount, word) SELECT n, n / 7.0, repeat('é', 300) FROM generate_series(1, 1000) n",
        "CREATE INDEX ON child (word)",
        database=source,
    )
    ends = rowferry.connect_postgres(postgres), rowferry.connect_mariadb(mariadb)
    config = rowferry.configure(ends[0], source, ends[1], {"db": {"database": target}})
    stats = rowferry.wait(rowferry.begin(config))
    assert stats["status"] == "FINISHED", stats["error"]
    rows = mariadb.execute(
        "SELECT COUNT(*), MIN(p.made), MIN(doc), MIN(HEX(raw)), SUM(flag), MIN(tags), MIN(feeling), "
        "MIN(c.word = REPEAT('é', 300)) "
        f"FROM {target}.parent p JOIN {target}.child c ON c.parent = p.id"
    )
    assert [str(value) for value in rows[0]] == [
        "1000", "2019-12-31 22:00:00", '{"a": 1}', "00FF", "500", "{1,NULL}", "sad", "1",
    ]  # fmt: skip
    made = str(mariadb.execute(f"SHOW CREATE TABLE {target}.child")[0][1])
    for words in (
        "FOREIGN KEY (`parent`) REFERENCES `parent` (`id`) ON DELETE CASCADE",
        "CHECK (",
        "uuid",
        "PRIMARY KEY",
    ):
        assert words in made


def test_long_rows_go_everywhere(rowferry: Rowferry, mariadb: MariaDb, postgres: Postgres, tmp_path: Path) -> None:
    """Values of more than 16 MiB, which is what MariaDB takes in one packet unless it is told otherwise."""
    first, back = postgres.new_database(), postgres.new_database()
    second, third = mariadb.new_database(), mariadb.new_database()
    postgres.execute(
        "CREATE TABLE long (id int PRIMARY KEY, words text, raw bytea)",
        "INSERT INTO long VALUES (1, repeat(E'é\\t', 3000000), decode(repeat('ff0a', 9000000), 'hex')), (2, '', NULL)",
        database=first,
    )
    ends = rowferry.connect_postgres(postgres), rowferry.connect_mariadb(mariadb), rowferry.connect_folder(tmp_path)
    ways = [
        (ends[0], first, ends[1], {"db": {"database": second}}),
        (ends[1], second, ends[1], {"db": {"database": third}}),
        (ends[1], third, ends[0], {"db": {"database": back, "schema": "public"}}),
        (ends[1], third, ends[2], {"files": {"fileFormat": "parquet"}}),
    ]
    for source, database, target, spec in ways:
        stats = rowferry.wait(rowferry.begin(rowferry.configure(source, database, target, spec)))
        assert stats["status"] == "FINISHED", stats["error"]
    rows = "SELECT id, md5(words), md5(raw), length(raw) FROM long ORDER BY id"
    assert postgres.execute(rows, database=back) == postgres.execute(rows, database=first)
    found = pq.read_table(tmp_path).sort_by("id")
    assert found["words"].to_pylist() == ["é\t" * 3_000_000, ""]
    assert found["raw"].to_pylist() == [b"\xff\n" * 9_000_000, None]
