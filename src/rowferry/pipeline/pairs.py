"""What is compared with what: a planned table's columns on both sides, and what tells its rows apart."""

from __future__ import annotations

from dataclasses import dataclass, replace

from rowferry.connectors.base import ChunkSize, Digests, PlannedTable
from rowferry.errors import Refused
from rowferry.model.digests import Compared, Form, Skipped, View
from rowferry.model.tables import Column, Selection, Table
from rowferry.typemap.spelling import spelling, width

CHUNK_ROWS = 50_000
CHUNK_BYTES = 6 * 1024 * 1024
"""How much a server puts together for one checksum; MariaDB's max_allowed_packet must hold it, by default 16 MiB."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Both sides' views of one table. `names` are the compared columns' names at the source."""

    source: View
    target: View
    names: tuple[str, ...]
    skipped: tuple[Skipped, ...]

    @property
    def key_names(self) -> tuple[str, ...]:
        """The names of the columns that tell rows apart."""
        return tuple(self.names[place] for place in self.source.key)

    @property
    def size(self) -> ChunkSize:
        """How large a chunk is compared at once."""
        widest = sum(1 + width(one.column.type, one.spelling) for one in self.source.columns)
        return ChunkSize(max(1, min(CHUNK_ROWS, CHUNK_BYTES // max(widest, 1))), 1 << 40)


def missing_columns(planned: PlannedTable, there: Table) -> list[str]:
    """The columns that the target should have and has not."""
    names = set(there.column_names())
    return [column.name for column in planned.target.columns if column.name not in names]


@dataclass(frozen=True, slots=True)
class Sides:
    """Both ends, as they are asked for one table."""

    source: Digests
    target: Digests
    same_engine: bool

    @property
    def ranges(self) -> bool:
        """Whether both can read ranges of a key."""
        return self.source.ranges and self.target.ranges


def pair(planned: PlannedTable, there: Table, sides: Sides) -> Pair:
    """The views of a planned table and of the table that is there.

    Refused where it cannot be known which rows are meant.
    """
    names, columns, others, skipped = [], [], [], []
    for source, target in zip(planned.comparing.columns, planned.target.columns, strict=True):
        other = there.column(target.name)
        found = _agreed(source, other, sides)
        if isinstance(found, Skipped):
            skipped.append(found)
            continue
        names.append(source.name)
        columns.append(Compared(source, found.spelling))
        others.append(Compared(other, found.spelling))
    if not columns:
        raise Refused(f"No column of {planned.source.name} can be compared: {skipped[0].reason}.")
    table = replace(planned.comparing, selection=_selection(planned.comparing))
    key = _key(table, names)
    ordered = sides.ranges and _ordered(table, there, columns, others, key)
    return Pair(
        View(table, tuple(columns), key, ordered),
        View(there, tuple(others), key, ordered),
        tuple(names),
        tuple(skipped),
    )


def _agreed(source: Column, target: Column, sides: Sides) -> Compared | Skipped:
    if target.generated is not None and source.generated is None:
        return Skipped(source.name, "the target computes it itself")
    found = spelling(source.type, target.type, sides.same_engine)
    if isinstance(found, str):
        return Skipped(source.name, found)
    return Compared(source, sides.target.agreed(target, found))


def _selection(table: Table) -> Selection:
    """What matters of the selection: an order only where a limit cuts it, and then it must be one without doubt."""
    selection = table.selection
    if selection.limit is None:
        return replace(selection, sorts=())
    sorted_by = {sort.column for sort in selection.sorts}
    if not table.key or not sorted_by.issuperset(table.key):
        raise Refused(
            f"{table.name} was read with a limit of {selection.limit} rows, and its sorts do not say which ones:"
            " add the columns of a key to them, or leave the limit out."
        )
    return selection


def _key(table: Table, names: list[str]) -> tuple[int, ...]:
    for key in (table.key, table.primary_key):
        if key and set(key) <= set(names):
            return tuple(names.index(name) for name in key)
    return ()


def _ordered(table: Table, there: Table, columns: list[Compared], others: list[Compared], key: tuple[int, ...]) -> bool:
    """Whether the key is whole numbers, by which both sides can be split in the same way."""
    if not key or table.query is not None or table.selection.limit is not None:
        return False
    if any(columns[place].spelling.form is not Form.WHOLE for place in key):
        return False
    if tuple(columns[place].column.name for place in key) != table.key:
        return False
    return tuple(others[place].column.name for place in key) == there.key
