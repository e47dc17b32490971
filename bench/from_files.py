"""Files to databases: Parquet beside DuckDB, CSV beside the servers' own loading, JSON Lines beside DuckDB again."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

import duckdb

from bench.ground import Contestant, Ground
from bench.servers import SOURCE
from bench.tables import POSTGRES_PRODUCTS, check_copied, check_loaded, fill_postgres
from bench.timing import Series, Target, Verdict

MOST = 3
"""How often, at the most: the larger files take long."""

COPIES = 5
"""So many times the table products is the CSV file for PostgreSQL: 1 GB of three million rows."""

EXTENSION = "duckdb_extension_postgres"
NO_DUCKDB = f"the package {EXTENSION.replace('_', '-')} of DuckDB's version is not installed"

TOLD = "id bigint, name text, price numeric(38,2), weight double precision, created timestamp"
"""The columns that are told from the CSV file."""

LOADED = "id bigint, name longtext, price decimal(38,2), weight double, created datetime"
"""The same in MariaDB."""


def parquet(ground: Ground) -> None:
    """The table products, that Rowferry wrote as Parquet, to PostgreSQL with its key."""
    shutil.rmtree(ground.ferry.folder, ignore_errors=True)
    ground.ferry.run(ground.ferry.to_parquet())
    ours, duck = (
        "Rowferry, Parquet to PostgreSQL",
        "DuckDB, `INSERT … SELECT read_parquet` into PostgreSQL, with the key",
    )
    reading = f"read_parquet('{ground.ferry.folder}/products/*.parquet')"
    key = "ALTER TABLE products ADD PRIMARY KEY (id)"
    series = ground.turns([_ours(ground, ours, "products/"), *_duckdb(ground, duck, reading, key)])
    _beside(ground, "Parquet to PostgreSQL", series, ours, duck, 1.2)
    shutil.rmtree(ground.ferry.folder)


def csv(ground: Ground) -> None:
    """CSV files to PostgreSQL and to MariaDB, whose own clients load the same file."""
    _csv_to_postgres(ground)
    _csv_to_mariadb(ground)


def jsonl(ground: Ground) -> None:
    """JSON Lines to PostgreSQL, beside DuckDB."""
    file = ground.ferry.folder / "products.jsonl"
    with _written(ground, file, "SELECT row_to_json(p) FROM products p", ""):
        ours, duck = "Rowferry, JSON Lines to PostgreSQL", "DuckDB, `INSERT … SELECT read_json` into PostgreSQL"
        series = ground.turns([_ours(ground, ours, file.name), *_duckdb(ground, duck, f"read_json('{file}')")], MOST)
    _beside(ground, "JSON Lines to PostgreSQL", series, ours, duck, 2.0)


def _beside(ground: Ground, what: str, series: Mapping[str, Series], ours: str, other: str, most: float) -> None:
    """The verdict about Rowferry beside another, who may not have been there."""
    there = other in series
    figure = series[ours].median / series[other].median if there else None
    how = f"median of Rowferry / median of {other.partition(' into ')[0]}" if there else NO_DUCKDB
    ground.results.verdicts.append(Verdict(what, figure, Target(most, " times"), how))
    ground.servers.clear()


def _csv_to_postgres(ground: Ground) -> None:
    both, database = ground.servers, "by_copy"
    file = ground.ferry.folder / "products.csv"
    numbered = f"SELECT id + n * {ground.rows} AS id, name, price, weight, created"
    rows = f"{numbered} FROM generate_series(0, {COPIES - 1}) n, products"
    with _written(ground, file, rows, "(FORMAT csv, HEADER)"):
        size = f"{file.stat().st_size / 1e9:.1f} GB of CSV"
        ours, copy = f"Rowferry, {size} to PostgreSQL", f"`psql \\copy` of {size} into PostgreSQL"

        def prepare() -> None:
            both.fresh_database(database)
            both.postgres.execute(f"CREATE TABLE products ({TOLD})", database=database)

        def run() -> None:
            both.shell(f'{both.psql(database)} -c "\\copy products FROM {file} WITH (FORMAT csv, HEADER)"')

        loading = Contestant(copy, run, prepare, lambda: check_copied(both, database, COPIES * ground.rows))
        series = ground.turns([loading, _ours(ground, ours, file.name, COPIES)], MOST)
    _beside(ground, "CSV to PostgreSQL", series, ours, copy, 1.5)


def _csv_to_mariadb(ground: Ground) -> None:
    both, database = ground.servers, "by_load"
    file = ground.ferry.folder / "products.csv"
    with _written(ground, file, "SELECT * FROM products", "(FORMAT csv, HEADER)"):
        ours, load = "Rowferry, CSV to MariaDB", "`LOAD DATA LOCAL` of the same CSV into MariaDB"

        def prepare() -> None:
            both.fresh_mariadb(database)
            both.mariadb.execute(f"CREATE DATABASE {database}", f"CREATE TABLE {database}.products ({LOADED})")

        def run() -> None:
            loading = (
                f"LOAD DATA LOCAL INFILE '{file}' INTO TABLE products FIELDS TERMINATED BY ',' "
                "OPTIONALLY ENCLOSED BY '\\\"' ESCAPED BY '' IGNORE 1 LINES "
                "(id, name, price, @w, created) SET weight = NULLIF(@w, '')"
            )
            both.shell(f'{both.mariadb_client(database)} --local-infile=1 -e "{loading}"')

        config = ground.ferry.from_files(file.name, ("mariadb", "by_rowferry"))
        contestants = [
            Contestant(load, run, prepare, lambda: check_loaded(both, database, ground.rows)),
            Contestant(
                ours,
                lambda: ground.ferry.run(config),
                lambda: both.fresh_mariadb("by_rowferry"),
                lambda: check_loaded(both, "by_rowferry", ground.rows),
            ),
        ]
        series = ground.turns(contestants, MOST)
    _beside(ground, "CSV to MariaDB", series, ours, load, 1.1)


def _ours(ground: Ground, name: str, path: str, copies: int = 1) -> Contestant:
    """Rowferry, from files to PostgreSQL."""
    both, database = ground.servers, "by_rowferry"
    config = ground.ferry.from_files(path, ("postgres", database))
    return Contestant(
        name,
        lambda: ground.ferry.run(config),
        lambda: both.fresh_database(database),
        lambda: check_copied(both, database, ground.rows * copies),
    )


def _duckdb(ground: Ground, name: str, reading: str, *more: str) -> list[Contestant]:
    """DuckDB with its own extension for PostgreSQL, if that takes part; `more` is done at the end."""
    both, database = ground.servers, "by_duckdb"
    held = _extension()
    if held is None:
        return []
    library = ground.folder / "postgres_scanner.duckdb_extension"  # DuckDB tells the name from the file's
    library.unlink(missing_ok=True)
    library.symlink_to(held)

    def prepare() -> None:
        both.fresh_database(database)
        both.postgres.execute(f"CREATE TABLE products ({POSTGRES_PRODUCTS})", database=database)

    def run() -> None:
        server = both.postgres
        place = f"host={server.host} port={server.port} user={server.user} dbname={database}"
        with duckdb.connect() as session:
            session.execute(f"LOAD '{library}'")
            session.execute(f"ATTACH '{place} password={server.password}' AS pg (TYPE postgres)")
            session.execute(f"INSERT INTO pg.products SELECT * FROM {reading}")
        for command in more:
            both.shell(f'{both.psql(database)} -c "{command}"')

    return [Contestant(name, run, prepare, lambda: check_copied(both, database, ground.rows))]


def _extension() -> Path | None:
    """The file of DuckDB's extension, None where its package is not there."""
    if find_spec(EXTENSION) is None:
        return None
    place = files(EXTENSION) / "extensions" / f"v{version('duckdb')}" / "postgres.duckdb_extension"
    return Path(str(place)) if place.is_file() else None


@contextmanager
def _written(ground: Ground, file: Path, query: str, options: str) -> Iterator[None]:
    """A file with a query's rows, gone afterwards."""
    fill_postgres(ground.servers)
    file.parent.mkdir(parents=True, exist_ok=True)
    ground.servers.shell(f'{ground.servers.psql(SOURCE)} -c "COPY ({query}) TO STDOUT {options}" > {file}')
    try:
        yield
    finally:
        file.unlink()
