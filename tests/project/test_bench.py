"""The benchmarks run, with hardly any rows, and say what was missed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bench import debezium, tables
from bench.__main__ import CASES, answers
from bench.ferry import ferry
from bench.follow import LOGGED, MARIADB_INSERTS, MARIADB_TABLE, POSTGRES_INSERTS, POSTGRES_TABLE
from bench.ground import Contestant, GaveUpError, Ground
from bench.machine import describe
from bench.report import Results, page
from bench.servers import SOURCE, TINY, Servers
from bench.timing import Series, Target, Verdict
from tests.servers import MariaDb, Postgres, mariadb_server

ROWS = 3000


@pytest.fixture(scope="module")
def ground(mariadb: MariaDb, postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """The test's servers in the place of the benchmark's, with its tables."""
    both, place = Servers(mariadb, postgres), tmp_path_factory.mktemp("bench")
    mariadb.execute(f"CREATE DATABASE {SOURCE}")
    tables.fill_products(both, ROWS)
    with ferry(both, place) as running:
        results, no = Results(ROWS, describe(both)), "not wanted here"
        yield Ground(both, running, place, results, 1, tables=3, no_loader=no, no_debezium=no)
    both.clear()
    mariadb.execute(f"DROP DATABASE {SOURCE}", f"DROP DATABASE IF EXISTS {TINY}")
    postgres.execute(f"DROP DATABASE IF EXISTS {SOURCE} WITH (FORCE)")


@pytest.mark.timeout(600)
def test_every_measurement(ground: Ground) -> None:
    """Each way is measured once, and the page has a line for each target."""
    verdicts = ground.results.verdicts
    for name, measure in CASES.items():
        before = len(verdicts)
        measure(ground)
        assert len(verdicts) > before, name
    answers(ground)
    written = page(ground.results)
    assert "not measured | not wanted here" in written
    engine = [verdict for verdict in verdicts if "Debezium" in verdict.what]
    assert [(verdict.figure, verdict.note) for verdict in engine] == [(None, "not wanted here")] * 2
    assert f"{ROWS:,} rows" in written


def test_who_gives_up_takes_no_further_part(ground: Ground) -> None:
    """The others go on, and there is no figure for it."""

    def give_up() -> None:
        raise GaveUpError

    others = [Contestant("one", lambda: 2.0), Contestant("two", give_up)]
    assert ground.turns(others) == {"one": Series((2.0,))}


@pytest.fixture
def alone(ground: Ground) -> Ground:
    """The ground with results of its own, where Debezium's engine may take part."""
    return replace(ground, no_debezium="", results=Results(ROWS, {}))


@pytest.fixture
def source(postgres: Postgres) -> debezium.Source:
    """What it reads."""
    return debezium.Source("PostgreSQL", postgres, POSTGRES_TABLE, POSTGRES_INSERTS)


def test_debezium_needs_java(
    ground: Ground, source: debezium.Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without it, or without the package, there is no figure, and the verdict says what to install."""
    monkeypatch.setenv("PATH", str(tmp_path))
    alone = replace(ground, no_debezium="", results=Results(ROWS, {}))
    debezium.beside(alone, source, ROWS, 1.0)
    (verdict,) = alone.results.verdicts
    assert verdict.word == "not measured"
    assert "is not installed" in verdict.note
    assert alone.results.figures == {}


@pytest.mark.timeout(600)
def test_debezium_reads_all_rows(alone: Ground, source: debezium.Source) -> None:
    """The verdicts have figures, and no slot is left behind on the source."""
    if alone.no_debezium:
        pytest.skip(alone.no_debezium)
    debezium.beside(alone, source, ROWS, 0.001)
    with mariadb_server(*LOGGED, *debezium.DISGUISE) as disguised:
        debezium.beside(alone, debezium.Source("MariaDB", disguised, MARIADB_TABLE, MARIADB_INSERTS), ROWS, 0.001)
    for verdict in alone.results.verdicts:
        assert verdict.figure is not None, verdict.what
        assert verdict.note == debezium.how()
    assert source.server.execute("SELECT FROM pg_replication_slots WHERE slot_name = 'by_debezium'") == []


def test_an_engine_that_dies_gives_up(ground: Ground, source: debezium.Source, tmp_path: Path) -> None:
    """There is no database for it to follow; where it is not installed it does not even start."""
    ground.servers.clear()
    with pytest.raises(GaveUpError, match="stopped at once"):
        debezium.reading(tmp_path, source, ROWS)


def test_the_counter_says_what_was_awaited(capsys: pytest.CaptureFixture[str]) -> None:
    """Each count once, also where one batch brings several of them."""
    counter = debezium.Counter([7, 3])
    counter.handleJsonBatch(["change"] * 2)
    assert capsys.readouterr().out == ""
    counter.handleJsonBatch(["change"] * 6)
    counter.handleJsonBatch(["change"])
    assert capsys.readouterr().out == "given 3\ngiven 7\n"


def test_verdicts() -> None:
    """At most and at least; a missed target says so."""
    assert Verdict("", 1.0, Target(1.0), "").word == "met"
    assert Verdict("", 1.1, Target(1.0), "").word == "**missed**"
    assert Verdict("", 4.1, Target(4.0, least=True), "").word == "met"
    assert str(Series((3.0, 1.0, 2.0))) == "2.00 s (1.00 to 3.00, 3 runs)"
