"""The tables that are moved, made by the server itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.servers import SOURCE, TINY, Servers

PRODUCTS = (
    "id int NOT NULL AUTO_INCREMENT PRIMARY KEY, name varchar(100) NOT NULL, price decimal(10,2) NOT NULL, "
    "weight double, created datetime NOT NULL"
)
POSTGRES_PRODUCTS = (
    "id integer NOT NULL, name varchar(100) NOT NULL, price numeric(10,2) NOT NULL, "
    "weight double precision, created timestamp NOT NULL"
)
WIDE, DOCUMENTS, MANY = "wide", "documents", "many"

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
    servers.mariadb.execute(f"CREATE DATABASE {TINY}")
    for number in range(TINY_TABLES):
        name = f"tiny_{number:02}"
        servers.mariadb.execute(
            f"CREATE TABLE {name} (id int PRIMARY KEY, name varchar(40) NOT NULL, born date, KEY (name))",
            f"INSERT INTO {name} SELECT seq, concat('row ', seq), '2000-01-01' + INTERVAL seq DAY "
            f"FROM seq_1_to_{TINY_ROWS}",
            database=TINY,
        )


def fill_postgres(servers: Servers) -> None:
    """The same table products in a PostgreSQL database of the same name, with its key, if it is not there yet."""
    if servers.postgres.execute(f"SELECT 1 FROM pg_database WHERE datname = '{SOURCE}'"):
        return
    servers.postgres.execute(f"CREATE DATABASE {SOURCE}")
    servers.postgres.execute(f"CREATE TABLE products ({POSTGRES_PRODUCTS})", database=SOURCE)
    copy = "\\copy products FROM STDIN WITH (NULL 'NULL')"
    reading = f'{servers.mariadb_client(SOURCE)} -e "SELECT * FROM products"'
    servers.shell(f'{reading} | {servers.psql(SOURCE)} -c "{copy}"')
    servers.shell(servers.add_key(SOURCE))
    servers.postgres.execute("VACUUM ANALYZE products", database=SOURCE)


_SORTS = (
    ("int", "seq * 7"),
    ("bigint", "seq * 1000003"),
    ("decimal(12,4)", "(seq % 1000000) / 16"),
    ("double", "seq / 7"),
    ("varchar(40)", "concat('word ', seq % 977)"),
    ("varchar(200)", "concat('A longer text, with a tab\\t and a quote\\' in it: ', seq)"),
    ("date", "'2000-01-01' + INTERVAL seq % 9000 DAY"),
    ("datetime", "'2010-01-01' + INTERVAL seq SECOND"),
    ("tinyint(1)", "seq % 2"),
    ("char(8)", "lpad(hex(seq), 8, '0')"),
)
"""Six columns of each: the type, and its values."""


def fill_wide(servers: Servers, rows: int) -> list[str]:
    """A table of sixty columns of ten types, a fifth of whose values are unknown; its name."""
    columns = [(f"c{number:02}", *_SORTS[number % len(_SORTS)]) for number in range(60)]
    types = ", ".join(f"{name} {kind}" for name, kind, _ in columns)
    values = ", ".join(f"if((seq + {number}) % 5, {value}, NULL)" for number, (_, _, value) in enumerate(columns))
    servers.mariadb.execute(
        f"CREATE DATABASE {WIDE}",
        f"CREATE TABLE {WIDE}.wide (id int NOT NULL PRIMARY KEY, {types})",
        f"INSERT INTO {WIDE}.wide SELECT seq, {values} FROM seq_1_to_{rows}",
        f"ANALYZE TABLE {WIDE}.wide",
        database=SOURCE,
    )
    return ["wide"]


def fill_documents(servers: Servers, rows: int) -> list[str]:
    """A table of JSON documents of about half a kilobyte; its name."""
    document = (
        "json_object('id', seq, 'name', concat('Customer ', seq), 'tags', json_array('new', 'seen', seq % 13), "
        "'address', json_object('street', concat(seq % 300, ' Long Street'), 'city', 'Springfield', 'zip', seq), "
        "'note', repeat(concat('text ', seq, ' '), 29))"
    )
    servers.mariadb.execute(
        f"CREATE DATABASE {DOCUMENTS}",
        f"CREATE TABLE {DOCUMENTS}.documents (id int NOT NULL PRIMARY KEY, document json NOT NULL)",
        f"INSERT INTO {DOCUMENTS}.documents SELECT seq, {document} FROM seq_1_to_{rows}",
        f"ANALYZE TABLE {DOCUMENTS}.documents",
        database=SOURCE,
    )
    return ["documents"]


def fill_many(servers: Servers, tables: int, rows: int) -> list[str]:
    """Many tables, all like products; their names."""
    names = [f"many_{number:03}" for number in range(tables)]
    servers.mariadb.execute(f"CREATE DATABASE {MANY}")
    for name in names:
        servers.mariadb.execute(
            f"CREATE TABLE {name} ({PRODUCTS})",
            f"INSERT INTO {name} SELECT seq, concat('Product number ', seq), (seq % 100000) / 100, "
            f"if(seq % 10, seq / 7, NULL), '2020-01-01' + INTERVAL seq SECOND FROM seq_1_to_{rows}",
            database=MANY,
        )
    return names


def check_counts(servers: Servers, database: str, counts: Mapping[str, int]) -> None:
    """See that a contestant has brought all rows of all tables."""
    found = {
        name: int(str(servers.postgres.execute(f"SELECT count(*) FROM {schema}.{name}", database=database)[0][0]))
        for schema, name in servers.postgres.execute(
            "SELECT schemaname, tablename FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')",
            database=database,
        )
        if schema != "_rowferry"
    }
    if found != counts:
        wrong = sorted({*found.items()} ^ {*counts.items()})
        raise RuntimeError(f"{database}: {len(wrong)} counts are wrong, such as {wrong[:2]}")


def check_mariadb(servers: Servers, database: str, rows: int) -> None:
    """See that a contestant has really brought all rows, and a key with them."""
    ((found, highest),) = servers.mariadb.execute("SELECT count(*), max(id) FROM products", database=database)
    keys = servers.mariadb.execute("SHOW KEYS FROM products WHERE Key_name = 'PRIMARY'", database=database)
    if (found, highest, len(keys)) != (rows, rows, 1):
        raise RuntimeError(f"{database}: {found} rows up to {highest}, {len(keys)} primary keys; {rows} rows were sent")


def check_copied(servers: Servers, database: str, rows: int) -> None:
    """See that a contestant has really brought all rows of files to PostgreSQL, whatever their types."""
    _check_sums(servers.postgres.execute(f"SELECT {_SUMS} FROM products", database=database), database, rows)


def check_loaded(servers: Servers, database: str, rows: int) -> None:
    """The same for MariaDB."""
    _check_sums(servers.mariadb.execute(f"SELECT {_SUMS} FROM products", database=database), database, rows)


def check_count(servers: Servers, database: str, rows: int) -> None:
    """See that PostgreSQL's table products has so many rows."""
    ((found,),) = servers.postgres.execute("SELECT count(*) FROM products", database=database)
    if found != rows:
        raise RuntimeError(f"{database}: {found} rows; {rows} were sent")


_SUMS = "count(*), max(id), count(name), count(weight)"


def _check_sums(found: Sequence[tuple[object, ...]], database: str, rows: int) -> None:
    if [int(str(one)) for one in found[0]] != [rows, rows, rows, rows - rows // 10]:
        raise RuntimeError(f"{database}: {found[0]} is not what {rows} rows have")


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
