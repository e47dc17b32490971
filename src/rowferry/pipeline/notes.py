"""What a followed stream keeps beside its position on the target, so that whoever goes on knows where it stood."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any

from rowferry.connectors.changes import Standing
from rowferry.model.changes import Position
from rowferry.model.documents import read_table, table_document
from rowferry.model.tables import Selection, Table, TableName
from rowferry.pipeline.plan import Plan

Counts = dict[str, tuple[int, int]]
"""By the target table's name, how many changes were applied, and their bytes."""


@dataclass(frozen=True)
class Notes:
    """`tables`: the source's tables as they are at the position, in the order of the plan.

    `loaded`: where the log stood when all rows that were there had been copied; until the position has reached it,
    changes may be of rows that were copied later. `known`: by the source table's name, how far the copy itself has
    seen the log. `finished`: indexes and foreign keys are there. `ignored`: by the source table's name, columns that
    came later and are left out.
    """

    tables: tuple[Table, ...]
    loaded: Position | None = None
    known: Mapping[str, Position] = field(default_factory=dict)
    finished: bool = False
    ignored: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @cached_property
    def document(self) -> Mapping[str, Any]:
        """All of it as JSON can hold it; always the same object."""
        return {**asdict(replace(self, tables=())), "tables": [table_document(table) for table in self.tables]}

    @classmethod
    def of(cls, standing: Standing) -> Notes:
        """What was committed as `document`."""
        kept: dict[str, Any] = dict(standing.notes)
        return cls(tuple(read_table(document) for document in kept.pop("tables")), **kept)

    def planned(self) -> list[Table]:
        """The tables without the columns that are left out."""
        return [
            table.with_selection(Selection(columns=tuple(name for name in table.column_names() if name not in left)))
            if (left := set(self.ignored.get(str(table.name), ())))
            else table
            for table in self.tables
        ]

    def marks(self, tables: Sequence[Table]) -> dict[TableName, Position]:
        """How far the copy has seen the log, by table."""
        return {table.name: self.known[str(table.name)] for table in tables if str(table.name) in self.known}


def counts_of(standing: Standing) -> Counts:
    """What was applied up to there."""
    return {name: (int(rows), int(size)) for name, (rows, size) in standing.counts.items()}


def logged(plan: Plan, notes: Notes) -> list[Table]:
    """The tables as their log tells them: each column as it is planned to be read, and those that are left out, too."""
    found = []
    for table, planned in zip(notes.tables, plan.tables, strict=True):
        read = {column.name: column for column in planned.reading.columns}
        columns = tuple(read.get(column.name, column) for column in table.columns)
        found.append(planned.reading if len(read) == len(columns) else replace(table, columns=columns))
    return found
