"""From PostgreSQL to PostgreSQL: what every other target must leave out arrives in the server's own words."""

from __future__ import annotations

from tests.servers import Postgres
from tests.structure.legs import begin, expect


def test_a_whole_database_stays_what_it_is(postgres: Postgres) -> None:
    journey = begin(postgres, "postgres.sql")
    journey.travel(postgres)
    expect(journey.reports[0], "postgres-same-report.txt")
    expect(journey.difference(), "postgres-same-difference.txt")
