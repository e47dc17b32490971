"""PostgreSQL to PostgreSQL: COPY into COPY by the command line client, and Rowferry."""

from __future__ import annotations

from bench.ground import Contestant, Ground
from bench.servers import SOURCE
from bench.tables import POSTGRES_PRODUCTS, check_products, fill_postgres
from bench.timing import Target, Verdict

PIPE = "`psql COPY` into `psql COPY`, and the key"
OURS = "Rowferry, PostgreSQL to PostgreSQL"


def measure(ground: Ground) -> None:
    """The table products, by both, between two databases of one server."""
    both, rows = ground.servers, ground.rows
    fill_postgres(both)
    config = ground.ferry.moving(("postgres", SOURCE), ("postgres", "by_rowferry"))

    def prepare() -> None:
        both.fresh_database("by_pipe")
        both.postgres.execute(f"CREATE TABLE products ({POSTGRES_PRODUCTS})", database="by_pipe")

    def pipe() -> None:
        reading = f'{both.psql(SOURCE)} -c "COPY products TO STDOUT"'
        both.shell(f'{reading} | {both.psql("by_pipe")} -c "COPY products FROM STDIN"')
        both.shell(both.add_key("by_pipe"))

    series = ground.turns(
        [
            Contestant(PIPE, pipe, prepare, lambda: check_products(both, "by_pipe", rows)),
            Contestant(
                OURS,
                lambda: ground.ferry.run(config),
                lambda: both.fresh_database("by_rowferry"),
                lambda: check_products(both, "by_rowferry", rows),
            ),
        ]
    )
    how = "median of Rowferry / median of the pipe with its key"
    ratio = series[OURS].median / series[PIPE].median
    ground.results.verdicts.append(Verdict("PostgreSQL to PostgreSQL", ratio, Target(1.05, " times"), how))
    both.clear()
