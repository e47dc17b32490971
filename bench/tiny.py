"""What a table costs: a stream of many tables with hardly a row."""

from __future__ import annotations

from bench.ferry import Ferry
from bench.report import Results
from bench.servers import TINY, Servers
from bench.tables import TINY_ROWS, TINY_TABLES
from bench.timing import Series, Target, Verdict


def measure(both: Servers, contestant: Ferry, results: Results, runs: int) -> None:
    """A database of many tables with hardly a row, several times."""
    config, times = contestant.to_postgres("by_tiny", TINY), []
    for _ in range(runs):
        both.fresh_database("by_tiny")
        times.append(contestant.run(config))
    series = Series(tuple(times))
    results.figures[f"Rowferry, {TINY_TABLES} tables of {TINY_ROWS} rows"] = series
    results.verdicts.append(Verdict(f"{TINY_TABLES} tiny tables", series.median, Target(3.0, " s"), "median"))
