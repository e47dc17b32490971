"""Cutting a table into chunks: by its key, or by its blocks on disk where it has none.

A chunk's bounds are values of the table's key, whole numbers as such and all else in PostgreSQL's own text.
For a table without key they are numbers of blocks, `(n,)`: the chunk holds the rows in the blocks after
`low` up to and with `high`. Rows that are updated between the reading of two such chunks may move from one
to the other, and then come twice or not at all: block chunks are exact for tables that rest while they are
read, or within one shared snapshot. Chunks by key are exact for every row whose key stays.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.sql import SQL, Composable, Literal

from rowferry.connectors.base import ChunkSize
from rowferry.connectors.postgres.selection import after, column, relation, where
from rowferry.model.chunks import Chunk, Key
from rowferry.model.tables import Table
from rowferry.model.types import Integer

Session = psycopg.Connection[tuple[Any, ...]]

MOST_GAPS = 4
"""Numbers for each row in a key's range, up to which ranges of equal width are good chunks."""


@dataclass(frozen=True, slots=True)
class Storage:
    """How a table lies on disk. `blocks` is 0 where a range of blocks cannot be read."""

    partitioned: bool
    blocks: int


def cut(connection: Session, table: Table, storage: Storage, size: ChunkSize) -> list[Chunk]:
    """The table's chunks: one for a query, or for a selection in an order or with a limit."""
    if table.query is not None or table.selection.ordered:
        return [Chunk(table.name, 0)]
    if not table.key:
        return _numbered(table, _blocks(table, storage, size))
    rows = _rows(table, size)
    return _numbered(table, _equal(connection, table, storage, rows) or _walked(connection, table, storage, rows))


def _rows(table: Table, size: ChunkSize) -> int:
    """How many rows a chunk may have, that it does not get larger than it may be."""
    if table.estimated_rows <= 0 or table.estimated_bytes <= 0:
        return max(1, size.rows)
    return max(1, min(size.rows, size.size * table.estimated_rows // table.estimated_bytes))


def _numbered(table: Table, bounds: Sequence[Key]) -> list[Chunk]:
    """Chunks with these bounds between them, the first and the last of them open."""
    lows, highs = (None, *bounds), (*bounds, None)
    return [Chunk(table.name, number, low, high) for number, (low, high) in enumerate(zip(lows, highs, strict=True))]


def _blocks(table: Table, storage: Storage, size: ChunkSize) -> list[Key]:
    if storage.blocks < 2:
        return []
    by_rows = size.rows * storage.blocks // max(1, table.estimated_rows)
    by_size = size.size * storage.blocks // max(1, table.estimated_bytes)
    step = max(1, min(by_rows, by_size))
    return [(block,) for block in range(step - 1, storage.blocks - 1, step)]


def _equal(connection: Session, table: Table, storage: Storage, rows: int) -> list[Key]:
    """Bounds of ranges of equal width, for one whole number as key without large gaps; else nothing."""
    if len(table.key) != 1 or not _whole(table, table.key[0]):
        return []
    name = column(table.key[0])
    query = SQL("SELECT min({}), max({}) FROM {}").format(name, name, relation(table, storage.partitioned))
    low, high = connection.execute(query).fetchone() or (None, None)
    if low is None or high - low + 1 > MOST_GAPS * max(table.estimated_rows, rows):
        return []
    return [(bound,) for bound in range(low + rows - 1, high, rows)]


def _whole(table: Table, name: str) -> bool:
    """Whether that key column is a whole number; one that is not selected counts as none."""
    return any(one.name == name and isinstance(one.type, Integer) for one in table.columns)


def _walked(connection: Session, table: Table, storage: Storage, rows: int) -> list[Key]:
    """Every `rows`-th key, found by going along the index."""
    return list(_walk(connection, table, relation(table, storage.partitioned), rows))


def _walk(connection: Session, table: Table, source: Composable, rows: int) -> Iterator[Key]:
    columns = [column(name) for name in table.key]
    shown = SQL(", ").join(SQL("{}::text").format(name) for name in columns)
    whole = [_whole(table, name) for name in table.key]
    last: Key | None = None
    while True:
        query = SQL("SELECT {} FROM {}{} ORDER BY {} OFFSET {} LIMIT 2").format(
            shown, source, where([after(table.key, last)] if last else []), SQL(", ").join(columns), Literal(rows - 1)
        )
        found = connection.execute(query).fetchall()
        if len(found) < 2:
            return
        last = tuple(int(text) if number else text for text, number in zip(found[0], whole, strict=True))
        yield last
