"""Verification: MariaDB and PostgreSQL make checksums of the same rows, as a client of the REST API sees it."""

from __future__ import annotations

from bench.ground import Contestant, Ground
from bench.servers import SOURCE
from bench.timing import Target, Verdict

DATABASE = "by_verify"
OURS = "Rowferry, verifying MariaDB against PostgreSQL"
ROWS_A_SECOND = Target(2.0, " million rows/s", least=True)


def measure(ground: Ground) -> None:
    """The table products, moved once and then verified several times."""
    both, ferry = ground.servers, ground.ferry
    both.fresh_database(DATABASE)
    stream = ferry.moved(ferry.moving(("mariadb", SOURCE), ("postgres", DATABASE)))
    series = ground.turns([Contestant(OURS, lambda: ferry.verify(stream, 2 * ground.rows))])[OURS]
    rate = 2 * ground.rows / series.median / 1e6
    how = "rows of both sides together / median"
    ground.results.verdicts.append(Verdict("verification", rate, ROWS_A_SECOND, how))
    both.clear()
