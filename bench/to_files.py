"""MariaDB to a file: the command line client writing text, Rowferry writing Parquet compressed by zstd."""

from __future__ import annotations

import shutil

import pyarrow.dataset as ds

from bench.ground import Contestant, Ground
from bench.servers import SOURCE
from bench.timing import Target, Verdict

TEXT = "`mariadb --quick -BN` into a text file"
OURS = "Rowferry, MariaDB to Parquet (zstd)"


def measure(ground: Ground) -> None:
    """The table products, by both."""
    both, text, place = ground.servers, ground.folder / "products.tsv", ground.ferry.folder
    config = ground.ferry.to_parquet()

    def check() -> None:
        found = ds.dataset(sorted(place.glob("products/*.parquet"))).count_rows()
        if found != ground.rows:
            raise RuntimeError(f"the Parquet files hold {found} rows of {ground.rows}")

    series = ground.turns(
        [
            Contestant(
                TEXT,
                lambda: both.shell(f'{both.mariadb_client(SOURCE)} -e "SELECT * FROM products" > {text}'),
                lambda: text.unlink(missing_ok=True),
            ),
            Contestant(OURS, lambda: ground.ferry.run(config), lambda: shutil.rmtree(place, ignore_errors=True), check),
        ]
    )
    how = "median of Rowferry / median of the text file"
    ratio = series[OURS].median / series[TEXT].median
    ground.results.verdicts.append(Verdict("MariaDB to Parquet", ratio, Target(1.0, " times"), how))
    size = sum(file.stat().st_size for file in place.glob("products/*.parquet"))
    sizes = f"{text.stat().st_size / 1e6:.0f} MB of text, {size / 1e6:.0f} MB of Parquet"
    ground.results.notes.append(f"The same rows are {sizes}.")
    text.unlink()
