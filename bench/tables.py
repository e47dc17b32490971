"""The tables that are moved, made by the server itself."""

from __future__ import annotations

from bench.servers import SOURCE, TINY, Servers

PRODUCTS = (
    "id int NOT NULL AUTO_INCREMENT PRIMARY KEY, name varchar(100) NOT NULL, price decimal(10,2) NOT NULL, "
    "weight double, created datetime NOT NULL"
)
POSTGRES_PRODUCTS = (
    "id integer NOT NULL, name varchar(100) NOT NULL, price numeric(10,2) NOT NULL, "
    "weight double precision, created timestamp NOT NULL"
)
TINY_TABLES = 50
TINY_ROWS = 20


def fill_products(servers: Servers, rows: int) -> None:
    """The table `products` with `rows` rows, every tenth weight unknown."""
    servers.mariadb.execute(
        f"CREATE OR REPLACE TABLE products ({PRODUCTS})",
        f"INSERT INTO products SELECT seq, concat('Product number ', seq), (seq % 100000) / 100, "
        f"if(seq % 10, seq / 7, NULL), '2020-01-01' + INTERVAL seq SECOND FROM seq_1_to_{rows}",
        "ANALYZE TABLE products",
        database=SOURCE,
    )


def fill_tiny(servers: Servers) -> None:
    """Many tables with hardly any rows, so that what a table costs shows."""
    for number in range(TINY_TABLES):
        name = f"tiny_{number:02}"
        servers.mariadb.execute(
            f"CREATE TABLE {name} (id int PRIMARY KEY, name varchar(40) NOT NULL, born date, KEY (name))",
            f"INSERT INTO {name} SELECT seq, concat('row ', seq), '2000-01-01' + INTERVAL seq DAY "
            f"FROM seq_1_to_{TINY_ROWS}",
            database=TINY,
        )


def check_products(servers: Servers, database: str, rows: int) -> None:
    """See that a contestant has really brought all rows, and a key with them."""
    schemas = servers.postgres.execute(
        "SELECT schemaname FROM pg_tables WHERE tablename = 'products'", database=database
    )
    ((found, highest),) = servers.postgres.execute(
        f"SELECT count(*), max(id) FROM {schemas[0][0]}.products", database=database
    )
    keys = servers.postgres.execute(
        f"SELECT 1 FROM pg_index WHERE indisprimary AND indrelid = '{schemas[0][0]}.products'::regclass",
        database=database,
    )
    if (found, highest, len(keys)) != (rows, rows, 1):
        raise RuntimeError(f"{database}: {found} rows up to {highest}, {len(keys)} primary keys; {rows} rows were sent")
