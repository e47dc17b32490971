"""How much memory a server and its workers hold together while a stream runs."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import csv

from bench import follow
from bench.ferry import ferry
from bench.ground import Ground
from bench.report import Results
from bench.servers import POSTGRES_OPTIONS, SOURCE, Servers
from bench.tables import check_count, check_products, fill_postgres, fill_products
from bench.timing import Series, Target, Verdict
from tests.servers import mariadb_server, postgres_server

MIB = 1024 * 1024
GIGABYTE = 10**9
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
        _add(results, f"{rows:,} rows", watch.peak)
    if large:
        how = f"peak PSS with {sizes[-1]:,} rows / with {sizes[0]:,}"
        growth = peaks[-1].pss / peaks[0].pss
        results.verdicts.append(Verdict("memory does not grow", growth, Target(1.15, " times"), how))


def followed(ground: Ground, large: bool) -> None:
    """The peak while rows that one statement inserted are followed; with `large` as many more of them."""
    rows = min(follow.MOST, ground.rows) * (LARGE if large else 1)
    place = ground.folder / "followed"
    place.mkdir()
    with (
        mariadb_server(*follow.LOGGED) as mariadb,
        postgres_server(*POSTGRES_OPTIONS) as postgres,
        ferry(Servers(mariadb, postgres), place) as ours,
    ):
        mariadb.execute("CREATE DATABASE shop", "USE shop", follow.MARIADB_TABLE)
        postgres.execute("CREATE DATABASE shop")
        with follow.followed(ours, "mariadb", "postgres"), Watch(ours.server.started.process.pid) as watch:
            follow.inserted(
                lambda: mariadb.execute(follow.MARIADB_INSERTS.format(rows=rows), database="shop"),
                lambda: postgres.execute("SELECT count(*) FROM products", database="shop") == [(rows,)],
            )
    _add(ground.results, f"{rows:,} rows of one transaction followed", watch.peak)


def files(ground: Ground, large: bool) -> None:
    """Peaks while files move that are much larger: CSV, CSV in one piece of gzip, and Parquet of large row groups.

    They have a gigabyte, where the benchmark has a million rows or more.
    """
    fill_postgres(ground.servers)
    folder = ground.ferry.folder
    folder.mkdir(parents=True, exist_ok=True)
    text = folder / "part.txt"
    ground.servers.shell(f'{ground.servers.psql(SOURCE)} -c "COPY products TO STDOUT (FORMAT csv)" > {text}')
    size = (LARGE if large else 1) * GIGABYTE * min(follow.MOST, ground.rows) // follow.MOST
    times = -(-size // text.stat().st_size)
    for make in (_csv, _csv_gz, _parquet):
        file = make(ground, text, times)
        what = f"{file.stat().st_size / 1e9:.1f} GB of {file.name.partition('.')[2]}"
        config = ground.ferry.from_files(file.name, ("postgres", "by_memory"))
        ground.servers.fresh_database("by_memory")
        with Watch(ground.ferry.server.started.process.pid) as watch:
            ground.ferry.run(config)
        check_count(ground.servers, "by_memory", times * ground.rows)
        _add(ground.results, what, watch.peak)
        file.unlink()
    text.unlink()
    ground.servers.clear()


def _csv(ground: Ground, text: Path, times: int) -> Path:
    return _repeated(ground, text, times, "cat", text.with_name("products.csv"))


def _csv_gz(ground: Ground, text: Path, times: int) -> Path:
    return _repeated(ground, text, times, "gzip -1", text.with_name("products.csv.gz"))


def _repeated(ground: Ground, text: Path, times: int, packing: str, file: Path) -> Path:
    reading = f"for n in $(seq {times}); do cat {text}; done"
    ground.servers.shell(f"({reading}) | {packing} > {file}")
    return file


def _parquet(ground: Ground, text: Path, times: int) -> Path:
    """Row groups as large as Arrow makes them: of 64 million rows."""
    file = text.with_name("products.parquet")
    table = csv.read_csv(text, csv.ReadOptions(autogenerate_column_names=True))
    pq.write_table(pa.concat_tables([table] * times), file, compression="zstd", row_group_size=64 << 20)
    return file


def _add(results: Results, what: str, peak: Peak) -> None:
    results.figures[f"memory of server and workers, {what}, PSS"] = Series((peak.pss,), "MiB")
    results.figures[f"memory of server and workers, {what}, RSS"] = Series((peak.rss,), "MiB")
    how = "peak of the summed RSS; pages that the processes share count once for each"
    results.verdicts.append(Verdict(f"memory, {what}", peak.rss, Target(600, " MiB"), how))
