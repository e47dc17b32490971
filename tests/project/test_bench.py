"""The benchmarks run, with hardly any rows, and say what was missed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bench import tables
from bench.__main__ import CASES, answers
from bench.ferry import ferry
from bench.ground import Contestant, GaveUpError, Ground
from bench.machine import describe
from bench.report import Results, page
from bench.servers import SOURCE, TINY, Servers
from bench.timing import Series, Target, Verdict
from tests.servers import MariaDb, Postgres

ROWS = 3000


@pytest.fixture(scope="module")
def ground(mariadb: MariaDb, postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """The test's servers in the place of the benchmark's, with its tables."""
    both, place = Servers(mariadb, postgres), tmp_path_factory.mktemp("bench")
    mariadb.execute(f"CREATE DATABASE {SOURCE}")
    tables.fill_products(both, ROWS)
    with ferry(both, place) as running:
        yield Ground(both, running, place, Results(ROWS, describe(both)), 1, tables=3, no_loader="not wanted here")
    both.clear()
    mariadb.execute(f"DROP DATABASE {SOURCE}", f"DROP DATABASE IF EXISTS {TINY}")
    postgres.execute(f"DROP DATABASE IF EXISTS {SOURCE} WITH (FORCE)")


def test_every_measurement(ground: Ground) -> None:
    """Each way is measured once, and the page has a line for each target."""
    for measure in CASES.values():
        measure(ground)
    answers(ground)
    written = page(ground.results)
    assert len(ground.results.verdicts) == 13
    assert "not measured | not wanted here" in written
    assert f"{ROWS:,} rows" in written


def test_who_gives_up_takes_no_further_part(ground: Ground) -> None:
    """The others go on, and there is no figure for it."""

    def give_up() -> None:
        raise GaveUpError

    others = [Contestant("one", lambda: 2.0), Contestant("two", give_up)]
    assert ground.turns(others) == {"one": Series((2.0,))}


def test_verdicts() -> None:
    """At most and at least; a missed target says so."""
    assert Verdict("", 1.0, Target(1.0), "").word == "met"
    assert Verdict("", 1.1, Target(1.0), "").word == "**missed**"
    assert Verdict("", 4.1, Target(4.0, least=True), "").word == "met"
    assert str(Series((3.0, 1.0, 2.0))) == "2.00 s (1.00 to 3.00, 3 runs)"
