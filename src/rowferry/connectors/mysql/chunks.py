"""Splitting a table by its key, so that no chunk holds more rows than asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pymysql.connections import Connection as Session

from rowferry.connectors.base import ChunkSize
from rowferry.connectors.mysql.keys import KeyColumn, bounds, splits
from rowferry.connectors.mysql.sql import ROWS, order_by, quoted, where
from rowferry.model import types as t
from rowferry.model.chunks import Chunk, Key
from rowferry.model.tables import Column, Sort, Table, TableName

_TRUSTED_ROWS = 1000
"""From this many rows on, the server's average row length means something."""

_SAMPLE = 50
_SPARSE = 2
"""A key is sparse when computed ranges would make more than this many times the chunks that the rows need."""

_VALUE_BYTES = 16


def split(session: Session, table: Table, columns: Sequence[KeyColumn], size: ChunkSize) -> list[Chunk]:
    """The chunks of a table that has the key `columns`; a single one when it cannot be split."""
    if not splits(columns):
        return [Chunk(table.name, 0)]
    rows = rows_per_chunk(session, table, columns, size)
    if len(columns) == 1 and columns[0].numbered:
        computed = _computed(session, table, columns[0], rows)
        if computed is not None:
            return _between(table.name, computed)
    return _between(table.name, list(_walked(session, table.name, columns, rows)))


def fits_into_one(session: Session, table: Table, size: ChunkSize) -> bool:
    """Whether a table that is estimated to be small has so few rows; nothing else need be known of it then."""
    if table.estimated_rows >= _TRUSTED_ROWS or any(may_be_long(column) for column in table.columns):
        return False
    most = min(size.rows, _TRUSTED_ROWS, size.size // row_width(session, table, ()))
    with session.cursor() as cursor:
        cursor.execute(f"SELECT COUNT(*) FROM (SELECT 1 FROM {_place(table.name)} LIMIT {most + 1}) AS `s`")
        (found,) = cursor.fetchone() or (0,)
    return int(found) <= most


def rows_per_chunk(session: Session, table: Table, columns: Sequence[KeyColumn], size: ChunkSize) -> int:
    """How many rows fit into a chunk of that size."""
    return max(1, min(size.rows, size.size // row_width(session, table, columns)))


def row_width(session: Session, table: Table, columns: Sequence[KeyColumn]) -> int:
    """About how many bytes a row has, by the larger of the server's word and a sample; a query's are not sampled."""
    width = 1 + len(table.columns) * _VALUE_BYTES
    if table.estimated_rows >= _TRUSTED_ROWS:
        width = max(width, table.estimated_bytes // table.estimated_rows)
    wide = [column for column in table.columns if may_be_long(column)]
    if wide and table.query is None:
        width = max(width, _sampled_width(session, table.name, columns, wide))
    return width


def may_be_long(column: Column) -> bool:
    """Whether one value may be much longer than most."""
    if isinstance(column.type, t.Text | t.Binary):
        return column.type.length is None or column.type.length > 255
    return isinstance(column.type, t.Json | t.Geometry)


def _sampled_width(session: Session, name: TableName, columns: Sequence[KeyColumn], wide: Sequence[Column]) -> int:
    lengths = " + ".join(f"COALESCE(LENGTH({quoted(column.name)}), 0)" for column in wide)
    orders = [order_by([Sort(column.name, down) for column in columns]) for down in (False, True)]
    ends = " UNION ALL ".join(
        f"(SELECT {lengths} AS `n` FROM {_place(name)} AS {ROWS}{order} LIMIT {_SAMPLE})" for order in orders
    )
    with session.cursor() as cursor:
        cursor.execute(f"SELECT CAST(AVG(`n`) AS SIGNED) FROM ({ends}) AS `s`")
        found = cursor.fetchone()
    return int(found[0] or 0) if found else 0


def _computed(session: Session, table: Table, column: KeyColumn, rows: int) -> list[Key] | None:
    """Evenly spaced boundaries between the smallest and the largest key, or None when the keys lie too far apart."""
    with session.cursor() as cursor:
        cursor.execute(f"SELECT MIN({quoted(column.name)}), MAX({quoted(column.name)}) FROM {_place(table.name)}")
        found = cursor.fetchone()
    if not found or found[0] is None:
        return []
    low, high = int(found[0]), int(found[1])
    needed = -(-table.estimated_rows // rows) or 1
    if -(-(high - low + 1) // rows) > max(_SPARSE * needed, 1):
        return None
    return [(key,) for key in range(low + rows - 1, high, rows)]


def _walked(session: Session, name: TableName, columns: Sequence[KeyColumn], rows: int) -> Iterator[Key]:
    """Every `rows`-th key, found by the server in its index."""
    selected = ", ".join(column.selected for column in columns)
    order = ", ".join(quoted(column.name) for column in columns)
    last: Key | None = None
    while True:
        after = where(bounds(columns, Chunk(name, 0, low=last)))
        with session.cursor() as cursor:
            cursor.execute(f"SELECT {selected} FROM {_place(name)}{after} ORDER BY {order} LIMIT 2 OFFSET {rows - 1}")
            found = cursor.fetchall()
        if len(found) < 2:
            return
        last = tuple(_kept(value) for value in found[0])
        yield last


def _kept(value: object) -> int | str:
    if isinstance(value, int):
        return value
    return value.decode("ascii") if isinstance(value, bytes) else str(value)


def _between(name: TableName, boundaries: Sequence[Key]) -> list[Chunk]:
    lows: list[Key | None] = [None, *boundaries]
    highs: list[Key | None] = [*boundaries, None]
    return [Chunk(name, number, low, high) for number, (low, high) in enumerate(zip(lows, highs, strict=True))]


def _place(name: TableName) -> str:
    return f"{quoted(name.schema)}.{quoted(name.name)}"
