"""MariaDB to PostgreSQL: the pipe of the two command line clients, pgloader, Rowferry."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from bench.ferry import Ferry
from bench.report import Results
from bench.servers import SOURCE, Servers
from bench.tables import POSTGRES_PRODUCTS, check_products
from bench.timing import Series, Target, Verdict, timed


@dataclass
class Times:
    """Seconds of each contestant; the pipe in its two parts. `skipped` says why pgloader has none."""

    pipe: list[float] = field(default_factory=list)
    key: list[float] = field(default_factory=list)
    rowferry: list[float] = field(default_factory=list)
    pgloader: list[float] = field(default_factory=list)
    skipped: str = ""


def pipe(servers: Servers, rows: int, times: Times) -> None:
    """`mariadb | psql \\copy` into a table without a key, then the key."""
    servers.fresh_database("by_pipe")
    servers.postgres.execute(f"CREATE TABLE products ({POSTGRES_PRODUCTS})", database="by_pipe")
    copy = "\\copy products FROM STDIN WITH (NULL 'NULL')"
    command = f'{servers.mariadb_client(SOURCE)} -e "SELECT * FROM products" | {servers.psql("by_pipe")} -c "{copy}"'
    times.pipe.append(timed(lambda: servers.shell(command)))
    key = f'{servers.psql("by_pipe")} -c "ALTER TABLE products ADD PRIMARY KEY (id)"'
    times.key.append(timed(lambda: servers.shell(key)))
    check_products(servers, "by_pipe", rows)


def rowferry(servers: Servers, ferry: Ferry, config: str, rows: int, times: Times) -> None:
    """A stream into the database `by_rowferry`, its key included."""
    servers.fresh_database("by_rowferry")
    times.rowferry.append(ferry.run(config))
    check_products(servers, "by_rowferry", rows)


def pgloader(servers: Servers, rows: int, times: Times) -> None:
    """Pgloader with its own defaults, where it is installed."""
    if shutil.which("pgloader") is None:
        times.skipped = "pgloader is not installed (Debian: apt-get install pgloader)"
    if times.skipped:
        return
    servers.fresh_database("by_pgloader")
    urls = [servers.mariadb.url(SOURCE), servers.postgres.url("by_pgloader")]
    with tempfile.TemporaryDirectory() as folder:
        command = ["pgloader", "--root-dir", folder, *urls]
        try:
            times.pgloader.append(timed(lambda: subprocess.run(command, check=True, capture_output=True)))
            check_products(servers, "by_pgloader", rows)
        except (subprocess.CalledProcessError, RuntimeError, IndexError) as error:
            times.skipped = f"pgloader did not bring the rows ({type(error).__name__})"
        finally:
            shutil.rmtree(Path(folder), ignore_errors=True)


def judge(times: Times, results: Results) -> None:
    """Put the times, and their ratios, into the results."""
    both = Series(tuple(copy + key for copy, key in zip(times.pipe, times.key, strict=True)))
    ours = Series(tuple(times.rowferry))
    results.figures |= {
        "`mariadb --quick -BN` into `psql \\copy`, no key": Series(tuple(times.pipe)),
        "… then `ALTER TABLE ADD PRIMARY KEY`": Series(tuple(times.key)),
        "… both": both,
        "Rowferry, MariaDB to PostgreSQL": ours,
    }
    ratio = "median of Rowferry / median of the pipe with its key"
    results.verdicts.append(Verdict("MariaDB to PostgreSQL", ours.median / both.median, Target(1.0, " times"), ratio))
    loader = Series(tuple(times.pgloader)) if times.pgloader and not times.skipped else None
    if loader:
        results.figures["pgloader, its own defaults"] = loader
    results.verdicts.append(
        Verdict(
            "faster than pgloader",
            loader.median / ours.median if loader else None,
            Target(4.0, " times", least=True),
            times.skipped or "median of pgloader / median of Rowferry",
        )
    )
