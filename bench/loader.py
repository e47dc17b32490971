"""pgloader, with its own defaults where they serve, from MariaDB to PostgreSQL."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Mapping

from bench.ground import Contestant, GaveUpError, Ground, Work
from bench.timing import Series, Target, Verdict

DATABASE = "by_pgloader"
GAVE_UP = "pgloader did not bring the rows"


def pgloader(ground: Ground, source: str, what: str, check: Work, *options: str) -> list[Contestant]:
    """Pgloader as a contestant, if it takes part."""
    if ground.no_loader:
        return []
    both = ground.servers

    def run() -> None:
        with tempfile.TemporaryDirectory() as folder:
            command = [
                "pgloader",
                "--root-dir",
                folder,
                *options,
                both.mariadb.url(source),
                both.postgres.url(DATABASE),
            ]
            try:
                subprocess.run(command, check=True, capture_output=True)
            except subprocess.CalledProcessError as error:
                raise GaveUpError(f"pgloader gave up ({error.returncode})") from error

    return [Contestant(f"pgloader, {what}", run, lambda: both.fresh_database(DATABASE), check)]


def faster(ground: Ground, series: Mapping[str, Series], what: str, ours: str, times: float) -> None:
    """The verdict about Rowferry beside it."""
    loader, own = series.get(f"pgloader, {what}"), series[ours]
    ground.results.verdicts.append(
        Verdict(
            f"faster than pgloader, {what}",
            loader.median / own.median if loader else None,
            Target(times, " times", least=True),
            ground.no_loader or (GAVE_UP if loader is None else "median of pgloader / median of Rowferry"),
        )
    )
