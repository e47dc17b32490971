"""MariaDB to PostgreSQL: the pipe of the two command line clients, pgloader, Rowferry."""

from __future__ import annotations

from bench.ground import Contestant, Ground
from bench.loader import faster, pgloader
from bench.servers import SOURCE
from bench.tables import POSTGRES_PRODUCTS, check_products
from bench.timing import Series, Target, Verdict, timed

OURS = "Rowferry, MariaDB to PostgreSQL"
PIPE = "`mariadb --quick -BN` into `psql \\copy`, and the key"
WHAT = "the table products"


def measure(ground: Ground) -> None:
    """The table products, by each of them."""
    both, rows = ground.servers, ground.rows
    config = ground.ferry.moving(("mariadb", SOURCE), ("postgres", "by_rowferry"))
    parts: dict[str, list[float]] = {"copy": [], "key": []}

    def prepare() -> None:
        both.fresh_database("by_pipe")
        both.postgres.execute(f"CREATE TABLE products ({POSTGRES_PRODUCTS})", database="by_pipe")

    def pipe() -> float:
        copy = "\\copy products FROM STDIN WITH (NULL 'NULL')"
        reading = f'{both.mariadb_client(SOURCE)} -e "SELECT * FROM products"'
        parts["copy"].append(timed(lambda: both.shell(f'{reading} | {both.psql("by_pipe")} -c "{copy}"')))
        parts["key"].append(timed(lambda: both.shell(both.add_key("by_pipe"))))
        return parts["copy"][-1] + parts["key"][-1]

    series = ground.turns(
        [
            Contestant(PIPE, pipe, prepare, lambda: check_products(both, "by_pipe", rows)),
            Contestant(
                OURS,
                lambda: ground.ferry.run(config),
                lambda: both.fresh_database("by_rowferry"),
                lambda: check_products(both, "by_rowferry", rows),
            ),
            *pgloader(ground, SOURCE, WHAT, lambda: check_products(both, "by_pgloader", rows)),
        ]
    )
    ground.results.figures["… of these the copy, no key"] = Series(tuple(parts["copy"]))
    ground.results.figures["… and `ALTER TABLE ADD PRIMARY KEY`"] = Series(tuple(parts["key"]))
    how = "median of Rowferry / median of the pipe with its key"
    ratio = series[OURS].median / series[PIPE].median
    ground.results.verdicts.append(Verdict("MariaDB to PostgreSQL", ratio, Target(1.0, " times"), how))
    faster(ground, series, WHAT, OURS, 4.0)
    both.clear()
