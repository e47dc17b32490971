"""How much memory a server and its workers hold together while a stream runs."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from types import TracebackType

import psutil

from bench.ground import Ground
from bench.report import Results
from bench.servers import SOURCE
from bench.tables import check_products, fill_products
from bench.timing import Series, Target, Verdict

MIB = 1024 * 1024
LARGE = 10
"""How many times larger the large table is."""


@dataclass
class Peak:
    """The largest sums seen, in MiB. `rss` counts pages that processes share once for each of them, `pss` once."""

    rss: float = 0
    pss: float = 0


class Watch:
    """Watches a process and all its children while its block runs."""

    def __init__(self, pid: int, every: float = 0.1) -> None:
        self.peak = Peak()
        self._process = psutil.Process(pid)
        self._every = every
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(self._every):
            self._look()

    def _look(self) -> None:
        rss = pss = 0
        for process in [self._process, *self._process.children(recursive=True)]:
            try:
                memory = process.memory_full_info()
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
            rss += memory.rss
            pss += memory.pss
        self.peak.rss = max(self.peak.rss, rss / MIB)
        self.peak.pss = max(self.peak.pss, pss / MIB)


def measure(ground: Ground, large: bool) -> None:
    """Peaks while the table products moves, and again with a table `LARGE` times as large."""
    both, results = ground.servers, ground.results
    sizes = (results.rows, results.rows * LARGE) if large else (results.rows,)
    config = ground.ferry.moving(("mariadb", SOURCE), ("postgres", "by_memory"))
    peaks: list[Peak] = []
    for rows in sizes:
        if rows != results.rows:
            fill_products(both, rows)
        both.fresh_database("by_memory")
        with Watch(ground.ferry.server.started.process.pid) as watch:
            ground.ferry.run(config)
        check_products(both, "by_memory", rows)
        peaks.append(watch.peak)
        _add(results, rows, watch.peak)
    if large:
        how = f"peak PSS with {sizes[-1]:,} rows / with {sizes[0]:,}"
        growth = peaks[-1].pss / peaks[0].pss
        results.verdicts.append(Verdict("memory does not grow", growth, Target(1.15, " times"), how))


def _add(results: Results, rows: int, peak: Peak) -> None:
    results.figures[f"memory of server and workers, {rows:,} rows, PSS"] = Series((peak.pss,), "MiB")
    results.figures[f"memory of server and workers, {rows:,} rows, RSS"] = Series((peak.rss,), "MiB")
    how = "peak of the summed RSS; pages that the processes share count once for each"
    results.verdicts.append(Verdict(f"memory, {rows:,} rows", peak.rss, Target(600, " MiB"), how))
