"""PostgreSQL and MariaDB to MariaDB, beside LOAD DATA LOCAL of a file that is there already; all with the key."""

from __future__ import annotations

from bench.ground import Contestant, Ground
from bench.servers import SOURCE
from bench.tables import PRODUCTS, check_mariadb, fill_postgres
from bench.timing import Target, Verdict

MOST = 3
"""How often, at the most: loading takes long."""

LOAD = "`LOAD DATA LOCAL` of a ready file into MariaDB, with the key"
OURS = {
    "postgres": ("PostgreSQL to MariaDB", "Rowferry, PostgreSQL to MariaDB"),
    "mariadb": ("MariaDB to MariaDB", "Rowferry, MariaDB to MariaDB"),
}


def measure(ground: Ground) -> None:
    """The table products, by each of them, into a database of its own that is empty."""
    both, rows = ground.servers, ground.rows
    fill_postgres(both)
    file = ground.folder / "products.txt"
    both.shell(f'{both.psql(SOURCE)} -c "COPY products TO STDOUT" > {file}')

    def prepare() -> None:
        both.fresh_mariadb("by_load")
        both.mariadb.execute("CREATE DATABASE by_load", f"CREATE TABLE by_load.products ({PRODUCTS})")

    def load() -> None:
        loading = f"LOAD DATA LOCAL INFILE '{file}' INTO TABLE products"
        both.shell(f'{both.mariadb_client("by_load")} --local-infile=1 -e "{loading}"')

    def ours(engine: str, name: str) -> Contestant:
        config = ground.ferry.moving((engine, SOURCE), ("mariadb", "by_rowferry"))
        return Contestant(
            name,
            lambda: ground.ferry.run(config),
            lambda: both.fresh_mariadb("by_rowferry"),
            lambda: check_mariadb(both, "by_rowferry", rows),
        )

    contestants = [Contestant(LOAD, load, prepare, lambda: check_mariadb(both, "by_load", rows))]
    contestants += [ours(engine, name) for engine, (_, name) in OURS.items()]
    series = ground.turns(contestants, MOST)
    for what, name in OURS.values():
        ratio = series[name].median / series[LOAD].median
        how = "median of Rowferry / median of `LOAD DATA LOCAL`"
        ground.results.verdicts.append(Verdict(what, ratio, Target(1.1, " times"), how))
    file.unlink()
    both.clear()
