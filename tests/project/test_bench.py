"""The benchmarks run, with hardly any rows, and say what was missed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bench import memory, tables, tiny, to_files, to_postgres, verify
from bench.ferry import Ferry, ferry
from bench.machine import describe
from bench.report import Results, page
from bench.servers import SOURCE, TINY, Servers
from bench.timing import Series, Target, Verdict
from tests.servers import MariaDb, Postgres

ROWS = 1000


@pytest.fixture(scope="module")
def both(mariadb: MariaDb, postgres: Postgres) -> Iterator[Servers]:
    """The test's servers in the place of the benchmark's, with its tables."""
    servers = Servers(mariadb, postgres)
    mariadb.execute(f"CREATE DATABASE {SOURCE}", f"CREATE DATABASE {TINY}")
    tables.fill_products(servers, ROWS)
    tables.fill_tiny(servers)
    yield servers
    mariadb.execute(f"DROP DATABASE {SOURCE}", f"DROP DATABASE {TINY}")
    for name in ("by_pipe", "by_rowferry", "by_tiny", "by_verify", "by_memory"):
        postgres.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


@pytest.fixture(scope="module")
def contestant(both: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ferry]:
    """A server with its connections."""
    with ferry(both, tmp_path_factory.mktemp("bench")) as running:
        yield running


def test_every_measurement(both: Servers, contestant: Ferry, tmp_path: Path) -> None:
    """Each way is measured once, and the page has a line for each target."""
    results = Results(ROWS, describe(both))
    databases, files = to_postgres.Times(skipped="not wanted here"), to_files.Times()
    to_postgres.pipe(both, ROWS, databases)
    to_postgres.rowferry(both, contestant, contestant.to_postgres("by_rowferry"), ROWS, databases)
    to_files.text(both, tmp_path, files)
    place = Path(contestant.server.started.log).parent
    to_files.parquet(contestant, contestant.to_parquet(), place, ROWS, files)
    to_postgres.judge(databases, results)
    to_files.judge(files, results)
    tiny.measure(both, contestant, results, 1)
    verify.measure(both, contestant, results, 1)
    memory.measure(both, contestant, results, large=False)
    written = page(results)
    assert len(results.verdicts) == 6
    assert "not measured | not wanted here" in written
    assert f"{ROWS:,} rows" in written


def test_verdicts() -> None:
    """At most and at least; a missed target says so."""
    assert Verdict("", 1.0, Target(1.0), "").word == "met"
    assert Verdict("", 1.1, Target(1.0), "").word == "**missed**"
    assert Verdict("", 4.1, Target(4.0, least=True), "").word == "met"
    assert str(Series((3.0, 1.0, 2.0))) == "2.00 s (1.00 to 3.00, 3 runs)"
