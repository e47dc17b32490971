"""PostgreSQL 18 as source and as target: what older servers do not have, and what must be as with them."""

from __future__ import annotations

from rowferry.control import oneshot
from rowferry.control.oneshot import job_from_urls
from rowferry.model.streams import StreamState
from rowferry.pipeline.job import Outcome
from rowferry.pipeline.signals import Signals
from tests.servers import MariaDb, Postgres
from tests.structure.legs import Silent, assert_equal, begin, expect, look

TABLES = (
    "CREATE EXTENSION btree_gist",
    "CREATE TABLE parent (id int PRIMARY KEY)",
    "INSERT INTO parent VALUES (1), (2)",
    "CREATE TABLE t (id int PRIMARY KEY, a int CONSTRAINT a_is_there NOT NULL, twice int GENERATED ALWAYS AS (a * 2), "
    "thrice int GENERATED ALWAYS AS (a * 3) STORED, made uuid DEFAULT uuidv7(), "
    "CONSTRAINT lax CHECK (a > 10) NOT ENFORCED)",
    "INSERT INTO t (id, a) VALUES (1, 1), (2, -2)",
    "CREATE TABLE stays (room int, span int4range, PRIMARY KEY (room, span WITHOUT OVERLAPS))",
    "INSERT INTO stays VALUES (1, '[1,5)'), (1, '[5,9)')",
)


def moved(source: str, target: str) -> Outcome:
    outcome = oneshot.run(job_from_urls(source, target), Silent(), Signals())
    assert outcome.state is StreamState.FINISHED, outcome.error and outcome.error.message
    return outcome


def test_what_is_new_in_18_goes_to_an_older_server(postgres18: Postgres, postgres: Postgres) -> None:
    there, here = postgres18.new_database(), postgres.new_database()
    postgres18.execute(*TABLES, database=there)
    source, target = postgres18.url(there), postgres.url(here)
    said = [finding.message for finding in moved(source, target).report]
    for part in (
        "public.t, column twice: is computed when it is read there; here it is stored.",
        "public.t: the constraint lax is enforced here, and not there.",
        "public.t: the check lax is left out, because",
        "public.t, column made: its default cannot be said in PostgreSQL and is left out.",
        "public.stays: the constraint stays_pkey looks at equal periods here, and at periods that overlap there.",
    ):
        assert any(line.startswith(part) for line in said), (part, said)
    rows = postgres.execute("SELECT id, a, twice, thrice FROM t ORDER BY id", database=here)
    assert rows == [(1, 1, 2, 3), (2, -2, -4, -6)]
    assert_equal(job_from_urls(source, target))


def test_an_older_server_goes_to_18(postgres18: Postgres, postgres: Postgres) -> None:
    there, here = postgres.new_database(), postgres18.new_database()
    postgres.execute(
        "CREATE TABLE parent (id bigserial PRIMARY KEY, word text NOT NULL UNIQUE)",
        "CREATE TABLE t (id int PRIMARY KEY, up int REFERENCES parent, n int CHECK (n > 0), "
        "s int GENERATED ALWAYS AS (n + 1) STORED)",
        "INSERT INTO parent (word) VALUES ('a'), ('b')",
        "INSERT INTO t VALUES (1, 2, 3), (2, NULL, NULL)",
        database=there,
    )
    assert not [finding for finding in moved(postgres.url(there), postgres18.url(here)).report if finding.item]
    constraints = (
        "SELECT string_agg(contype::text, '' ORDER BY contype) FROM pg_constraint WHERE conrelid = 't'::regclass"
    )
    assert postgres18.execute(constraints, database=here) == [("cfnp",)]
    assert postgres18.execute("SELECT id, up, n, s FROM t ORDER BY id", database=here) == [
        (1, 2, 3, 4),
        (2, None, None, None),
    ]
    assert_equal(job_from_urls(postgres.url(there), postgres18.url(here)))


def test_the_journey_is_the_same_with_18(mariadb: MariaDb, postgres18: Postgres) -> None:
    journey = begin(postgres18, "postgres.sql")
    journey.travel(mariadb)
    expect(journey.reports[0], "postgres-1-report.txt")
    journey.travel(postgres18)
    expect(journey.reports[1], "postgres-2-report.txt")
    expect(journey.difference(), "postgres-difference.txt")


def test_what_is_new_in_18_stays_in_18(postgres18: Postgres) -> None:
    there, here = postgres18.new_database(), postgres18.new_database()
    tables = (
        *TABLES[:3],
        "CREATE TABLE t (id int PRIMARY KEY, a int, CONSTRAINT lax CHECK (a > 10) NOT ENFORCED, "
        "CONSTRAINT far FOREIGN KEY (a) REFERENCES parent ON DELETE CASCADE NOT ENFORCED)",
        "INSERT INTO t (id, a) VALUES (1, 1), (2, -2)",
        "CREATE TABLE stays (room int, span int4range, PRIMARY KEY (room, span WITHOUT OVERLAPS))",
        "CREATE TABLE meals (room int, span int4range, UNIQUE (room, span WITHOUT OVERLAPS), "
        "CONSTRAINT within FOREIGN KEY (room, PERIOD span) REFERENCES stays)",
        "INSERT INTO stays VALUES (1, '[1,5)'), (1, '[5,9)')",
        "INSERT INTO meals VALUES (1, '[2,3)')",
    )
    postgres18.execute(*tables, database=there)
    postgres18.execute(TABLES[0], database=here)
    assert [f.message for f in moved(postgres18.url(there), postgres18.url(here)).report if f.item] == []
    assert look(postgres18, here) == look(postgres18, there)


def test_what_an_older_server_cannot_say_stays_said(postgres18: Postgres, postgres: Postgres) -> None:
    there, here = postgres18.new_database(), postgres.new_database()
    postgres18.execute(
        "CREATE TABLE parent (id int PRIMARY KEY)",
        "CREATE TABLE t (id int CONSTRAINT one PRIMARY KEY, a int CONSTRAINT far REFERENCES parent "
        "DEFERRABLE NOT ENFORCED, CONSTRAINT later UNIQUE (a) DEFERRABLE)",
        database=there,
    )
    report = moved(postgres18.url(there), postgres.url(here)).report
    assert [f.message for f in report if f.item] == [
        "public.t: the constraint far is enforced here, and not there.",
    ]
    assert [line for line in look(postgres, here) if line.startswith("constraint t")] == [
        "constraint t far FOREIGN KEY (a) REFERENCES parent(id) DEFERRABLE",
        "constraint t later UNIQUE (a) DEFERRABLE",
        "constraint t one PRIMARY KEY (id)",
    ]
