"""A database with every case of a structure goes to the other engine and back; reports and losses line by line."""

from __future__ import annotations

from tests.servers import MariaDb, Postgres
from tests.structure.legs import begin, expect


def test_from_mariadb_to_postgres_and_back(mariadb: MariaDb, postgres: Postgres) -> None:
    journey = begin(mariadb, "mariadb.sql")
    journey.travel(postgres)
    expect(journey.reports[0], "mariadb-1-report.txt")
    journey.travel(mariadb)
    expect(journey.reports[1], "mariadb-2-report.txt")
    expect(journey.difference(), "mariadb-difference.txt")


def test_from_postgres_to_mariadb_and_back(mariadb: MariaDb, postgres: Postgres) -> None:
    journey = begin(postgres, "postgres.sql")
    journey.travel(mariadb)
    expect(journey.reports[0], "postgres-1-report.txt")
    journey.travel(postgres)
    expect(journey.reports[1], "postgres-2-report.txt")
    expect(journey.difference(), "postgres-difference.txt")
