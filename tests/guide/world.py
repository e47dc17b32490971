"""The databases that the guides speak of, with rows of our own, made by the servers themselves."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

from tests.servers import MariaDb, Postgres
from tests.stores import ObjectStore, Vault

LONG = 1_500_000
"""Rows of the table that keeps a stream busy for long enough to be paused."""

_LONG_TABLE = (
    "CREATE TABLE {name} (id int PRIMARY KEY, label varchar(60) NOT NULL, amount decimal(12,3), "
    "seen datetime NOT NULL)",
    f"INSERT INTO {{name}} SELECT seq, concat('label ', seq, ' ', md5(seq)), seq / 8, "
    f"'2024-01-01' + INTERVAL seq SECOND FROM seq_1_to_{LONG}",
)

SOURCE_DATABASES: dict[str, tuple[str, ...]] = {
    "source_db": (
        "CREATE TABLE suppliers (id int AUTO_INCREMENT PRIMARY KEY, name varchar(80) NOT NULL UNIQUE, since date)",
        "INSERT INTO suppliers SELECT seq, concat('Supplier ', seq), '2001-02-03' + INTERVAL seq DAY FROM seq_1_to_700",
        "CREATE TABLE parts (id int AUTO_INCREMENT PRIMARY KEY, supplier_id int NOT NULL, price decimal(10,2), "
        "note text, KEY (supplier_id), FOREIGN KEY (supplier_id) REFERENCES suppliers (id))",
        "INSERT INTO parts SELECT seq, 1 + seq % 700, seq / 4, nullif(repeat('é', seq % 5), '') FROM seq_1_to_4000",
        *(statement.format(name="events") for statement in _LONG_TABLE),
    ),
    "sakila": (
        "CREATE TABLE actor (actor_id smallint unsigned AUTO_INCREMENT PRIMARY KEY, first_name varchar(45) NOT NULL, "
        "last_name varchar(45) NOT NULL, last_update timestamp NOT NULL DEFAULT current_timestamp, KEY (last_name))",
        "INSERT INTO actor SELECT seq, concat('First', seq), concat('Last', seq % 90), "
        "'2020-05-06 07:08:09' + INTERVAL seq HOUR FROM seq_1_to_300",
        "CREATE TABLE film (film_id smallint unsigned AUTO_INCREMENT PRIMARY KEY, title varchar(128) NOT NULL, "
        "description text, release_year year, length smallint unsigned, cost decimal(5,2) NOT NULL DEFAULT 4.99, "
        "rating enum('G','PG','R') DEFAULT 'G', star smallint unsigned, KEY (title), "
        "FOREIGN KEY (star) REFERENCES actor (actor_id))",
        "INSERT INTO film SELECT seq, concat('Film ', seq), if(seq % 6, concat('About ', seq), NULL), "
        "1950 + seq % 70, 60 + seq % 120, seq / 100, elt(1 + seq % 3, 'G', 'PG', 'R'), 1 + seq % 300 FROM seq_1_to_900",
        "CREATE TABLE customer (customer_id int AUTO_INCREMENT PRIMARY KEY, email varchar(50), "
        "active tinyint(1) NOT NULL DEFAULT 1, balance double, created datetime(3) NOT NULL)",
        "INSERT INTO customer SELECT seq, concat('c', seq, '@example.com'), seq % 2, seq / 3, "
        "'2022-01-01 00:00:00.125' + INTERVAL seq MINUTE FROM seq_1_to_1200",
        "CREATE TABLE rental (rental_id int PRIMARY KEY)",
        "INSERT INTO rental SELECT seq FROM seq_1_to_10",
    ),
    "shop": (
        "CREATE TABLE customers (id int AUTO_INCREMENT PRIMARY KEY, name varchar(80) NOT NULL, born date, "
        "vip boolean NOT NULL DEFAULT false)",
        "INSERT INTO customers SELECT seq, concat('Customer ', seq), '1950-01-01' + INTERVAL seq DAY, seq % 7 = 0 "
        "FROM seq_1_to_2000",
        "CREATE TABLE orders (id bigint AUTO_INCREMENT PRIMARY KEY, customer_id int NOT NULL, "
        "total decimal(12,2) NOT NULL, placed datetime NOT NULL, KEY (placed), "
        "FOREIGN KEY (customer_id) REFERENCES customers (id))",
        "INSERT INTO orders SELECT seq, 1 + seq % 2000, seq / 16, '2025-01-01' + INTERVAL seq MINUTE "
        "FROM seq_1_to_5000",
        *(statement.format(name="visits") for statement in _LONG_TABLE),
    ),
}
"""MariaDB's databases, by name, each with the statements that make it."""

TARGET_DATABASES = ("target_db", "warehouse")


@contextmanager
def databases(mariadb: MariaDb, postgres: Postgres) -> Iterator[None]:
    """The databases, while the block runs."""
    try:
        for name, statements in SOURCE_DATABASES.items():
            mariadb.execute(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
            mariadb.execute(*statements, database=name)
        for name in TARGET_DATABASES:
            postgres.execute(f"CREATE DATABASE {name}")
        yield
    finally:
        for name in SOURCE_DATABASES:
            mariadb.execute(f"DROP DATABASE IF EXISTS {name}")
        for name in TARGET_DATABASES:
            postgres.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


BUCKET = "my-bucket"
"""The bucket that the guides speak of."""


@contextmanager
def storage(store: ObjectStore, vault: Vault) -> Iterator[None]:
    """The bucket, its keys where the guides say that they are kept, and the variables that lead a server there."""
    store.open(BUCKET).put("exports/.keep", b"")
    vault.keep("secret/data/aws/my-bucket", {"access_key": store.access_key, "secret_key": store.secret_key})
    with patch.dict(os.environ, {**vault.environment, "AWS_ENDPOINT_URL": store.endpoint}):
        yield


def tables(mariadb: MariaDb, database: str) -> list[str]:
    """The tables of one of MariaDB's databases."""
    return sorted(str(name) for (name,) in mariadb.execute("SHOW TABLES", database=database))
