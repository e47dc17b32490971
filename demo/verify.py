"""Rows compared where they lie: each side writes every row as the same text and folds it into one checksum.

The text of a value is chosen for each PostgreSQL type so that nothing is lost in it: a double by its bits, a time
by its microseconds. The rows are taken in the order of the primary key.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import duckdb

from demo.postgres import Postgres
from demo.processes import undisturbed

CANONICAL: dict[str, tuple[str, str]] = {
    "bytea": ("encode({0}, 'hex')", "lower(hex({0}))"),
    "double precision": ("('x' || encode(float8send({0}), 'hex'))::bit(64)::text", "{0}::BIT::VARCHAR"),
    "timestamp with time zone": ("(extract(epoch FROM {0}) * 1000000)::bigint::text", "epoch_us({0})::VARCHAR"),
    "timestamp without time zone": ("(extract(epoch FROM {0}) * 1000000)::bigint::text", "epoch_us({0})::VARCHAR"),
}
"""How PostgreSQL and DuckDB write a value of a type as text; the types that are not here they write alike."""

PLAIN = ("{0}::text", "{0}::VARCHAR")
NULL = "coalesce({0}, '<null>')"
SEPARATOR = "chr(31)"


@dataclass(frozen=True)
class Shape:
    """A table's columns as (name, PostgreSQL type), and its key."""

    name: str
    columns: tuple[tuple[str, str], ...]
    key: tuple[str, ...]


@dataclass(frozen=True)
class Sum:
    """How many rows there are, and the checksum over all of them."""

    rows: int
    checksum: str


def shapes(server: Postgres, database: str) -> list[Shape]:
    """The tables of a database's schema public, as the catalogue describes them."""
    with server.connect(database) as connection:
        found = connection.execute(
            "SELECT c.oid::regclass::text, "
            "(SELECT array_agg(attname::text || ':' || format_type(atttypid, NULL) ORDER BY attnum) "
            "   FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped), "
            "(SELECT array_agg(a.attname::text ORDER BY array_position(i.indkey::int2[], a.attnum)) "
            "   FROM pg_index i JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY (i.indkey) "
            "  WHERE i.indrelid = c.oid AND i.indisprimary) "
            "FROM pg_class c WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace ORDER BY 1"
        ).fetchall()
    return [Shape(name, tuple(_pair(column) for column in columns), tuple(key)) for name, columns, key in found]


def _pair(column: str) -> tuple[str, str]:
    name, _, kind = column.partition(":")
    return name, kind


def in_postgres(server: Postgres, database: str, shape: Shape) -> Sum:
    """The sum of a table as a PostgreSQL database holds it."""
    with server.connect(database) as connection:
        row = connection.execute(_query(shape, 0, shape.name).encode()).fetchone()
    return Sum(int(row[0]), str(row[1])) if row else Sum(0, "")


def in_parquet(folder: Path, shape: Shape) -> Sum:
    """The sum of a table as the Parquet files of its folder hold it; DuckDB reads them."""
    # DuckDB would make an error of its own out of Ctrl-C.
    with undisturbed(), duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        files = f"read_parquet('{folder}/**/*.parquet')"
        kinds = {name: kind for name, kind, *_ in connection.execute(f"DESCRIBE SELECT * FROM {files}").fetchall()}
        row = connection.execute(_query(shape, 1, files, kinds)).fetchone()
    return Sum(int(row[0]), str(row[1])) if row else Sum(0, "")


def _query(shape: Shape, side: int, place: str, kinds: dict[str, str] | None = None) -> str:
    values = [_text(name, kind, side, (kinds or {}).get(name)) for name, kind in shape.columns]
    row = f" || {SEPARATOR} || ".join(values)
    key = ", ".join(f'"{name}"' for name in shape.key)
    return f"SELECT count(*), md5(coalesce(string_agg(md5({row}), '' ORDER BY {key}), '')) FROM {place}"


def _text(name: str, kind: str, side: int, found: str | None) -> str:
    form = CANONICAL.get(kind, PLAIN)[side]
    if kind == "uuid" and found == "BLOB":
        # Sixteen bytes without Parquet's own UUID mark: written with the dashes that PostgreSQL shows.
        form = "regexp_replace(lower(hex({0})), '^(.{{8}})(.{{4}})(.{{4}})(.{{4}})', '\\1-\\2-\\3-\\4-')"
    return NULL.format(form.format(f'"{name}"'))
