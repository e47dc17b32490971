"""Some of a planned table's columns, so that their values are sent as the whole table's are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import pyarrow as pa

from rowferry.connectors.base import PlannedTable
from rowferry.connectors.mysql.encode import fields_of
from rowferry.connectors.mysql.sql import quoted
from rowferry.connectors.mysql.types_write import WITH_CHARSET
from rowferry.model.tables import Column

_MOMENTS = frozenset({"timestamp", "datetime"})
_EXACT = ("_nopad_bin", "_0900_bin")


@dataclass(frozen=True)
class Part:
    """The columns `names` (the source's) of a table, in this order; `key` are those by which rows are told apart."""

    table: PlannedTable
    names: tuple[str, ...]
    key: tuple[str, ...] = ()

    @cached_property
    def planned(self) -> PlannedTable:
        """The table as if it had only these columns."""
        source, target = self.table.source, self.table.target
        places = {column.name: place for place, column in enumerate(source.columns)}
        chosen = [places[name] for name in self.names]
        return replace(
            self.table,
            source=replace(source, columns=tuple(source.columns[place] for place in chosen)),
            target=replace(target, columns=tuple(target.columns[place] for place in chosen)),
        )

    @cached_property
    def keys(self) -> list[Column]:
        """The key's columns on the target."""
        there = dict(zip(self.planned.source.column_names(), self.planned.target.columns, strict=True))
        return [there[name] for name in self.key]

    @cached_property
    def others(self) -> list[str]:
        """The target's names of the columns that are written and not in the key."""
        keys = {column.name for column in self.keys}
        return [field.name for field in fields_of(self.planned) if field.name not in keys]

    @cached_property
    def kept(self) -> list[str]:
        """Columns of the table that are not among these, and that the server might set to the time of an update."""
        mine = {column.name for column in self.planned.target.columns}
        return [
            column.name
            for column in self.table.target.columns
            if column.name not in mine and column.native.name in _MOMENTS and column.generated is None
        ]

    def of(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """These columns of a batch."""
        return batch if tuple(batch.schema.names) == self.names else batch.select(list(self.names))

    def same_key(self, left: str, right: str) -> str:
        """The condition under which rows of two tables have the same key, to the byte."""
        return " AND ".join(_same(column, left, right) for column in self.keys)


def is_exact(column: Column) -> bool:
    """Whether the column's own comparison tells all values apart."""
    native = column.native
    return native.name not in WITH_CHARSET or (native.collation or "").endswith(_EXACT)


def _same(column: Column, left: str, right: str) -> str:
    """By the index, and where that takes other texts for the same, also by their bytes."""
    one, other = f"{left}.{quoted(column.name)}", f"{right}.{quoted(column.name)}"
    equal = f"{one} = {other}"
    return equal if is_exact(column) else f"{equal} AND CAST({one} AS BINARY) = CAST({other} AS BINARY)"


def written(names: Iterable[str], kept: Sequence[str], value: str) -> str:
    """What stands behind SET: the columns get `value` with their names in it, those of `kept` stay as they are."""
    words = [f"t.{quoted(name)} = {value.format(quoted(name))}" for name in names]
    return ", ".join([*words, *(f"t.{quoted(name)} = t.{quoted(name)}" for name in kept)])
