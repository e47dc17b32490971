"""Changes and what they come to, out of whole rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rowferry.connectors.base import PlannedTable
from rowferry.connectors.changes import Merge
from rowferry.model.changes import Op
from rowferry.model.tables import Table
from tests.followed import Change, Row, rows_of


def change(before: Row | None, after: Row | None, known: frozenset[str] | None = None) -> Change:
    """What happened to a row that was one thing and became another; None: it was not there, or is not any more."""
    if before is None:
        return Change(Op.INSERT, None, after)
    return Change(Op.DELETE, before) if after is None else Change(Op.UPDATE, before, after, known)


def merged(
    planned: PlannedTable,
    key: Sequence[str],
    deletes: Sequence[Row] = (),
    upserts: Sequence[Row] = (),
    updates: Mapping[tuple[str, ...], Sequence[Row]] | None = None,
    new: bool = False,
) -> Merge:
    """What a batch came to; `updates` are by the columns that are changed."""
    source = planned.source
    return Merge(
        planned,
        tuple(key),
        rows_of(source, _parts(source, key, deletes), key) if deletes else None,
        rows_of(source, upserts) if upserts else None,
        [
            rows_of(source, _parts(source, [*key, *names], rows), [*key, *names])
            for names, rows in (updates or {}).items()
        ],
        new,
    )


def _parts(table: Table, names: Sequence[str], rows: Sequence[Row]) -> list[Row]:
    """These columns of whole rows."""
    places = [list(table.column_names()).index(name) for name in names]
    return [tuple(row[place] for place in places) for row in rows]
