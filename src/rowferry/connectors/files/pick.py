"""What a selection takes of a table's rows: those that pass its filters, in its order, up to its limit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa

from rowferry.connectors.files.comparing import form
from rowferry.connectors.files.order import ordered
from rowferry.connectors.files.parse import STRING, parsed
from rowferry.connectors.files.where import condition, passing, takes_null
from rowferry.errors import InvalidInput
from rowferry.model.tables import Column, Selection, Table
from rowferry.typemap.arrow import arrow_schema, arrow_type


def check_selection(table: Table, selection: Selection) -> None:
    """InvalidInput for a column that the table has not, and for what cannot be compared with one that it has."""
    named = [*selection.columns, *(f.column for f in selection.filters), *(s.column for s in selection.sorts)]
    strangers = sorted(set(named).difference(table.column_names()))
    if strangers:
        raise InvalidInput(f"{table.name} has no column {', '.join(strangers)}, which its selection names.")
    for one in selection.filters:
        condition(one, table.column(one.column))
    for sort in selection.sorts:
        column = table.column(sort.column)
        form(pa.array([], arrow_type(column.type)), column)


class Pick:
    """A selection of the rows of `table`, of which `columns` are wanted in the types that these have.

    `reading` are the columns that must be read for it. A filter and a sort see the type that the source tells of, but
    where another one was asked for that the text is read as.
    """

    def __init__(self, table: Table, selection: Selection, columns: Sequence[Column]) -> None:
        named = [*(one.column for one in selection.filters), *(one.column for one in selection.sorts)]
        wanted = {one.name for one in columns}
        hidden = [table.column(name) for name in dict.fromkeys(named) if name not in wanted]
        self.reading = (*columns, *hidden)
        self._columns = columns
        self._selection = selection
        self._read = {one.name: one for one in self.reading}
        self._seen = {name: _seen(self._read[name], table.column(name)) for name in named}
        self._conditions = [(condition(one, self._seen[one.column]), takes_null(one)) for one in selection.filters]

    def rows(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """The rows that are taken, out of batches with the columns of `reading`."""
        selection = self._selection
        kept = (batch for batch in map(self._filtered, batches) if batch.num_rows)
        if selection.sorts:
            keyed = ((self._shown(batch), self._keys(batch)) for batch in kept)
            return ordered(keyed, [one.descending for one in selection.sorts], selection.limit)
        return _first(map(self._shown, kept), selection.limit)

    def _filtered(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        mask = passing(self._conditions, [self._array(batch, one.column) for one in self._selection.filters])
        return batch if mask is None else batch.filter(mask)

    def _keys(self, batch: pa.RecordBatch) -> list[pa.Array]:
        return [form(self._array(batch, one.column), self._seen[one.column]) for one in self._selection.sorts]

    def _array(self, batch: pa.RecordBatch, name: str) -> pa.Array:
        """A column in the type in which it is compared."""
        array, kind = batch.column(name), self._seen[name].type
        return array if self._read[name].type == kind else parsed(array.cast(STRING), kind)

    def _shown(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        return pa.RecordBatch.from_arrays(batch.columns[: len(self._columns)], schema=arrow_schema(self._columns))


def _seen(read: Column, own: Column) -> Column:
    return read if read.read_as == "asked" else own


def _first(batches: Iterator[pa.RecordBatch], limit: int | None) -> Iterator[pa.RecordBatch]:
    """The first rows, as they come; no batch is asked for when there are enough."""
    left = limit
    while left is None or left > 0:
        batch = next(batches, None)
        if batch is None:
            return
        shown = batch if left is None else batch.slice(0, left)
        left = left if left is None else left - shown.num_rows
        yield shown
