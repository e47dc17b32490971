"""Changes of rows: the words in which a source's log is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum

from rowferry.model.tables import Table, TableName

Position = str
"""A place between two transactions of a source's log, in the engine's own words. Only its source can compare two."""


class Op(IntEnum):
    """What became of a row."""

    INSERT = 1
    UPDATE = 2
    DELETE = 3


@dataclass(frozen=True, slots=True)
class Truncated:
    """Tables that were emptied, in one statement; what they had numbered goes on, or begins anew (`restart`)."""

    tables: tuple[TableName, ...]
    restart: bool = False


@dataclass(frozen=True, slots=True)
class TableAltered:
    """A table's columns as they are for every change that follows.

    `before` and `after` are the table in the source's words. `renamed`: by the new name, what a column was called.
    """

    before: Table
    after: Table
    renamed: Mapping[str, str] = field(default_factory=dict)

    @property
    def added(self) -> tuple[str, ...]:
        """Columns that are new."""
        old = set(self.before.column_names())
        return tuple(name for name in self.after.column_names() if name not in old and name not in self.renamed)

    @property
    def dropped(self) -> tuple[str, ...]:
        """Columns that are gone."""
        kept = (set(self.after.column_names()) - self.renamed.keys()) | set(self.renamed.values())
        return tuple(name for name in self.before.column_names() if name not in kept)

    @property
    def retyped(self) -> tuple[str, ...]:
        """Columns that are there as before, but declared otherwise; by their new names."""
        old = {column.name: column for column in self.before.columns}
        return tuple(
            column.name
            for column in self.after.columns
            if (there := old.get(self.renamed.get(column.name, column.name))) is not None
            and there.native.declared != column.native.declared
        )
