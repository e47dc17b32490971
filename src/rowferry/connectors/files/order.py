"""Rows in an order, in bounded memory: sorted in pieces, which lie in a nameless file until they are merged.

NULL counts as larger than every value: it is last in ascending order and first in descending. Rows that are equal stay
as they come.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import accumulate

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

MEMORY = 128 * 1024 * 1024
"""About how many bytes of rows are held at once."""

PIECE = 1024 * 1024
"""About how many bytes of each sorted piece are held while they are merged."""

_NUMBER = "number"
Rows = Iterator[tuple[pa.RecordBatch, Sequence[pa.Array]]]
"""Rows, and for each sort the arrays that compare as its column does."""


def ordered(
    rows: Rows, descending: Sequence[bool], limit: int | None, memory: int = MEMORY, piece: int = PIECE
) -> Iterator[pa.RecordBatch]:
    """The rows in their order, the first `limit` of them (None: all)."""
    if limit == 0:
        return
    with ExitStack() as stack:
        sorting = _Sorting(stack, descending, limit, memory, piece)
        for batch, keys in rows:
            sorting.add(batch, keys)
        yield from sorting.result()


class _Sorting:
    def __init__(
        self, stack: ExitStack, descending: Sequence[bool], limit: int | None, memory: int, piece: int
    ) -> None:
        self._stack = stack
        self._limit = limit
        self._memory = memory
        self._piece = piece
        self._order = [(f"{sign}{at}", way) for at, way in enumerate(map(_way, descending)) for sign in ("null", "key")]
        self._order.append((_NUMBER, "ascending"))
        self._schema: pa.Schema | None = None
        self._held: list[pa.Table] = []
        self._size = 0
        self._count = 0
        self._pieces: list[pa.RecordBatchReader] = []

    def add(self, batch: pa.RecordBatch, keys: Sequence[pa.Array]) -> None:
        """Take rows in."""
        self._schema = batch.schema
        signs = [array for key in keys for array in (key.is_null().cast(pa.uint8()), key)]
        numbers = pa.array(np.arange(self._count, self._count + batch.num_rows))
        names = [*map(str, range(batch.num_columns)), *(name for name, _ in self._order)]
        self._held.append(pa.Table.from_arrays([*batch.columns, *signs, numbers], names))
        self._size += self._held[-1].nbytes
        self._count += batch.num_rows
        if self._size > self._memory:
            self._settle()

    def result(self) -> Iterator[pa.RecordBatch]:
        """All rows, sorted."""
        left = self._limit
        for table in self._tables():
            shown = table if left is None else table.slice(0, left)
            left = left if left is None else left - shown.num_rows
            for batch in shown.to_batches(max_chunksize=_rows(shown, self._piece * 8)):
                if self._schema is not None and batch.num_rows:
                    yield pa.RecordBatch.from_arrays(batch.columns[: len(self._schema)], schema=self._schema)
            if left == 0:
                return

    def _tables(self) -> Iterator[pa.Table]:
        if not self._pieces:
            yield from [self._sorted(self._held)] if self._held else []
            return
        if self._held:
            self._put_aside(self._sorted(self._held))
        yield from self._merged()

    def _settle(self) -> None:
        """Keep the first rows alone where there is a limit; put them aside where they are still too many."""
        table = self._sorted(self._held)
        if self._limit is not None:
            table = pa.Table.from_batches(table.slice(0, self._limit).combine_chunks().to_batches(), table.schema)
        self._held, self._size = [table], table.get_total_buffer_size()
        if self._size > self._memory // 2:
            self._put_aside(table)
            self._held, self._size = [], 0

    def _sorted(self, tables: Sequence[pa.Table]) -> pa.Table:
        table = pa.concat_tables(tables).combine_chunks()
        return table.take(self._indices(table))

    def _indices(self, table: pa.Table) -> pa.Array:
        return pc.sort_indices(table, sort_keys=self._order)

    def _put_aside(self, table: pa.Table) -> None:
        file = self._stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115  closed with the stack
        with pa.ipc.new_stream(file, table.schema) as writer:
            writer.write_table(table, max_chunksize=_rows(table, self._piece))
        file.seek(0)
        self._pieces.append(self._stack.enter_context(pa.ipc.open_stream(file)))

    def _merged(self) -> Iterator[pa.Table]:
        """Rows up to the first end of what is held of a piece: no row that comes later can stand before that."""
        heads = [_next(reader) for reader in self._pieces]
        while any(head is not None for head in heads):
            live = [at for at, head in enumerate(heads) if head is not None]
            tables = [table for table in heads if table is not None]
            joined = pa.concat_tables(tables).combine_chunks()
            order = self._indices(joined).to_numpy()
            place = np.empty(len(order), np.int64)
            place[order] = np.arange(len(order))
            ends = list(accumulate(table.num_rows for table in tables))
            until = int(min(place[end - 1] for end in ends)) + 1
            yield joined.take(pa.array(order[:until]))
            taken = np.bincount(np.searchsorted(ends, order[:until], side="right"), minlength=len(ends))
            for at, table, count in zip(live, tables, taken, strict=True):
                heads[at] = table.slice(int(count)) if count < table.num_rows else _next(self._pieces[at])


def _way(descending: bool) -> str:
    return "descending" if descending else "ascending"


def _rows(table: pa.Table, size: int) -> int:
    rows: int = table.num_rows * size // max(table.nbytes, 1)
    return max(1, rows)


def _next(reader: pa.RecordBatchReader) -> pa.Table | None:
    for batch in reader:
        return pa.Table.from_batches([batch])
    return None
