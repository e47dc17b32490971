"""Whole streams into MariaDB over the API: from MariaDB, from PostgreSQL."""

from __future__ import annotations

import pytest

from tests.servers import MariaDb, Postgres, wait_until
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
    stats = rowferry.wait(rowferry.begin(config))
    assert stats["status"] == "FINISHED", stats["error"]
    for table in ("items", "loose", "small"):
        checksums = mariadb.execute(f"CHECKSUM TABLE {big}.{table}, {target}.{table} EXTENDED")
        assert checksums[0][1] == checksums[1][1]
        made = [mariadb.execute(f"SHOW CREATE TABLE {place}.{table}")[0][1] for place in (big, target)]
        assert made[0] == made[1]
    assert mariadb.execute(f"SELECT COUNT(*) FROM {target}.items") == [(ROWS,)]
    wait_until(lambda: mariadb.execute("SHOW DATABASES LIKE '\\_rowferry'") == [])


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
