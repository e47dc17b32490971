"""MariaDB to a file: the command line client writing text, Rowferry writing Parquet compressed by zstd."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow.dataset as ds

from bench.ferry import Ferry
from bench.report import Results
from bench.servers import SOURCE, Servers
from bench.timing import Series, Target, Verdict, timed


@dataclass
class Times:
    """Seconds of both, and the sizes of what they wrote, in bytes."""

    text: list[float] = field(default_factory=list)
    parquet: list[float] = field(default_factory=list)
    text_size: int = 0
    parquet_size: int = 0


def text(servers: Servers, folder: Path, times: Times) -> None:
    """The client writes the table as tab-separated text."""
    file = folder / "products.tsv"
    command = f'{servers.mariadb_client(SOURCE)} -e "SELECT * FROM products" > {file}'
    times.text.append(timed(lambda: servers.shell(command)))
    times.text_size = file.stat().st_size
    file.unlink()


def parquet(ferry: Ferry, config: str, folder: Path, rows: int, times: Times) -> None:
    """A stream writes Parquet files."""
    place = folder / "parquet"
    shutil.rmtree(place, ignore_errors=True)
    times.parquet.append(ferry.run(config))
    files = sorted(place.glob("products/*.parquet"))
    if (found := ds.dataset(files).count_rows()) != rows:
        raise RuntimeError(f"the Parquet files hold {found} rows of {rows}")
    times.parquet_size = sum(file.stat().st_size for file in files)


def judge(times: Times, results: Results) -> None:
    """Put the times, and their ratio, into the results."""
    text, parquet = Series(tuple(times.text)), Series(tuple(times.parquet))
    results.figures |= {"`mariadb --quick -BN` into a text file": text, "Rowferry, MariaDB to Parquet (zstd)": parquet}
    how = "median of Rowferry / median of the text file"
    results.verdicts.append(Verdict("MariaDB to Parquet", parquet.median / text.median, Target(1.0, " times"), how))
    sizes = f"{times.text_size / 1e6:.0f} MB of text, {times.parquet_size / 1e6:.0f} MB of Parquet"
    results.notes.append(f"The same rows are {sizes}.")
