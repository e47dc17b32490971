"""A table's columns, found again in the log."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rowferry.connectors.mysql.binlog.layout import Width, width
from rowferry.connectors.mysql.binlog.position import Place
from rowferry.connectors.mysql.binlog.tablemap import LogColumn, TableMap, Type
from rowferry.connectors.mysql.binlog.treated import EXPRESSION, is_followed
from rowferry.connectors.mysql.binlog.values import fits
from rowferry.connectors.mysql.types import neutral_type
from rowferry.errors import SourceChanged, UnsupportedType
from rowferry.model import types as t
from rowferry.model.tables import Column, Table

PERIOD = ("row_start", "row_end")
"""The columns that MariaDB adds to a table that keeps its history, unless it has such of its own."""


@dataclass(frozen=True, slots=True)
class Slot:
    """A column of the log; `column` is the one that is wanted of it, if any."""

    width: Width
    log: LogColumn
    column: Column | None


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """How the rows of one table lie in the log for now. `identity` tells them apart: the key, or all columns.

    `row_end`: the place of the column that says when a row ended, in a table that keeps its history. `whole`: of rows
    as they were, all is wanted that is there.
    """

    table: Table
    slots: tuple[Slot, ...]
    identity: tuple[str, ...]
    row_end: int | None = None
    whole: bool = False

    @property
    def documents(self) -> tuple[int, ...]:
        """The places of columns with MySQL's own JSON, whether they are wanted or not."""
        return tuple(place for place, slot in enumerate(self.slots) if slot.log.type == Type.JSON)

    @property
    def others(self) -> tuple[str, ...]:
        """The wanted columns that are none of those."""
        wanted = (slot.column.name for slot in self.slots if slot.column and slot.log.type != Type.JSON)
        return tuple(wanted)


@dataclass(frozen=True, slots=True)
class Followed:
    """A table as it is at a place of the log: `table` as it is read, `whole` all of its columns in their order.

    `hidden`: columns that it has behind those and the catalogue does not show, "" for one without a name of its own.
    `row_end`: which column says when a row ended, if it keeps its history. `transactional`: its engine can roll back.
    `charset`: of text columns that say nothing else. `seen`: the place at which `whole` was looked up, where it says
    more than `table`.
    """

    table: Table
    whole: tuple[Column, ...]
    hidden: tuple[str, ...] = ()
    row_end: str | None = None
    transactional: bool = True
    charset: str = "utf8mb4"
    seen: Place | None = None


def plan(followed: Followed, map_: TableMap) -> Plan:
    """Where the table's columns stand in the log; SourceChanged when it is another table that stands there."""
    table = followed.table
    names = _names(followed, map_)
    wanted = {column.name: column for column in table.columns}
    known = {column.name: column for column in followed.whole}
    missing = [name for name in wanted if name not in names]
    if missing:
        raise SourceChanged(f"{table.name} has no column {missing[0]} at this place of its source's log. {WAY_OUT}")
    for name, log in zip(names, map_.columns, strict=True):
        column = wanted.get(name) or known.get(name)
        if column is not None and not fits(column, log):
            raise SourceChanged(
                f"{table.name}.{name} ({column.native.declared}) is of another type at this place of its source's "
                f"log. {WAY_OUT}"
            )
        if column is not None and _is_masked(column, log):
            raise UnsupportedType(f"{table.name}.{name}{MASKED}")
        if name in wanted and not is_followed(wanted[name]):
            raise UnsupportedType(f"{table.name}.{name}{EXPRESSION}")
    slots = tuple(Slot(width(log), log, wanted.get(name)) for name, log in zip(names, map_.columns, strict=True))
    row_end = None if followed.row_end is None else names.index(followed.row_end)
    return Plan(table, slots, table.key or tuple(table.column_names()), row_end)


MASKED = (
    " has a member that the catalogue shows with question marks, and the log as a number alone: set "
    "binlog_row_metadata=FULL at the source, or leave the column out by selectedColumns."
)
"""What is said of an enum or a set with characters beyond the basic plane; goes on from its name."""


def _is_masked(column: Column, log: LogColumn) -> bool:
    return is_masked(column) and log.members is None


def is_masked(column: Column) -> bool:
    """Whether its members are not known from the catalogue."""
    return bool(column.native.members) and isinstance(neutral_type(column.native), t.Text)


WAY_OUT = "Start a new stream, which loads the table anew; binlog_row_metadata=FULL keeps old parts of a log readable."


def _names(followed: Followed, map_: TableMap) -> Sequence[str]:
    """What the log's columns are called: as the log says, else as the table is known."""
    if map_.named:
        return [column.name or "" for column in map_.columns]
    known = [*(column.name for column in followed.whole), *followed.hidden]
    if len(map_.columns) != len(known):
        raise SourceChanged(
            f"{followed.table.name} has {len(map_.columns)} columns at this place of its source's log, and not "
            f"{len(known)}. {WAY_OUT}"
        )
    return known
