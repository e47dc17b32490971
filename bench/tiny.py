"""What a table costs: a stream of many tables with hardly a row."""

from __future__ import annotations

from bench.ground import Contestant, Ground
from bench.servers import TINY
from bench.tables import TINY_ROWS, TINY_TABLES, fill_tiny
from bench.timing import Target, Verdict

OURS = f"Rowferry, {TINY_TABLES} tables of {TINY_ROWS} rows"


def measure(ground: Ground) -> None:
    """A database of many tables with hardly a row, several times."""
    fill_tiny(ground.servers)
    config = ground.ferry.moving(("mariadb", TINY), ("postgres", "by_tiny"))
    run = Contestant(OURS, lambda: ground.ferry.run(config), lambda: ground.servers.fresh_database("by_tiny"))
    series = ground.turns([run])[OURS]
    ground.results.verdicts.append(Verdict(f"{TINY_TABLES} tiny tables", series.median, Target(3.0, " s"), "median"))
