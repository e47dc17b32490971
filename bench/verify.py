"""Verification: MariaDB and PostgreSQL make checksums of the same rows, as a client of the REST API sees it."""

from __future__ import annotations

from bench.ferry import Ferry
from bench.report import Results
from bench.servers import Servers
from bench.timing import Series, Target, Verdict

TARGET = "by_verify"
ROWS_A_SECOND = Target(2.0, " million rows/s", least=True)


def measure(both: Servers, contestant: Ferry, results: Results, runs: int) -> None:
    """The table `products`, moved once and then verified several times."""
    both.fresh_database(TARGET)
    stream = contestant.moved(contestant.to_postgres(TARGET))
    times = [contestant.verify(stream, 2 * results.rows) for _ in range(runs)]
    series = Series(tuple(times))
    results.figures["Rowferry, verifying MariaDB against PostgreSQL"] = series
    rate = 2 * results.rows / series.median / 1e6
    how = "rows of both sides together / median"
    results.verdicts.append(Verdict("verification", rate, ROWS_A_SECOND, how))
