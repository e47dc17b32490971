"""Columns that come, go, or change in the middle of a log, once whatever dies in between.

A statement that alters a table commits at once, and cannot commit together with the position. So before it the table's
columns are written down as they are, with what shall become of them (`follows.altering`), and whoever comes back to
the same event later looks whether they are still so. It is one statement for all of the event's columns, which the
servers do whole or not at all.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from rowferry.connectors.base import PlannedTable
from rowferry.connectors.mysql import ddl
from rowferry.connectors.mysql.connect import Variant
from rowferry.connectors.mysql.names import literal, place
from rowferry.connectors.mysql.sessions import Session
from rowferry.connectors.mysql.sql import quoted
from rowferry.errors import MissingTable, WriteFailed
from rowferry.model.changes import TableAltered
from rowferry.model.tables import Column, DefaultKind, TableName

Entry = dict[str, str]


def entry_of(session: Session, before: PlannedTable, after: PlannedTable) -> Entry:
    """What is to be done to which table, and how its columns are now."""
    wanted = [
        [(column.name, column.native.declared) for column in table.target.columns]
        + [column.name for column in table.source.columns]
        for table in (before, after)
    ]
    return {
        "table": str(before.target.name),
        "wanted": _digest(repr(wanted)),
        "columns": _columns(session, before.target.name),
    }


def done(entry: Entry, noted: Sequence[Entry]) -> bool:
    """Whether it was noted before, and the table has been altered since."""
    earlier = [one for one in noted if _task(one) == _task(entry)]
    return any(one["columns"] != entry["columns"] for one in earlier)


def noted_with(entry: Entry, noted: Sequence[Entry]) -> list[Entry]:
    """What is noted once this is, too."""
    return [*(one for one in noted if _task(one) != _task(entry)), entry]


def without(entries: Sequence[Entry], noted: Sequence[Entry]) -> list[Entry]:
    """What stays noted once these are behind us."""
    tasks = {_task(entry) for entry in entries}
    return [one for one in noted if _task(one) not in tasks]


def _task(entry: Entry) -> tuple[str, str]:
    return entry["table"], entry["wanted"]


def statement_for(session: Session, before: PlannedTable, after: PlannedTable, altered: TableAltered) -> str | None:
    """What does it; None where the target's table is not concerned."""
    words = [*_gone(session, before, after, altered), *_changed(session.variant, before, after, altered)]
    added = _pairs(after)
    words += [f"ADD COLUMN {ddl.column_words(added[name][1])}" for name in altered.added if name in added]
    return ddl.alter(before.target.name, words) if words else None


def check_rows(session: Session, after: PlannedTable, altered: TableAltered, early: bool) -> None:
    """WriteFailed when rows that are there get a new column whose values the log does not tell.

    `early`: rows are still to come that were written before the column was there.
    """
    pairs = _pairs(after)
    unknown = [name for name in altered.added if name in pairs and not _filled_alike(*pairs[name])]
    name = after.target.name
    if unknown and (early or session.rows(f"SELECT 1 FROM {place(name)} LIMIT 1")):
        raise WriteFailed(
            f"{after.source.name} got the column {unknown[0]}, whose values in the rows that were there are computed "
            "at the source and do not stand in its log: load the table again."
        )


def _filled_alike(source: Column, target: Column) -> bool:
    """Whether rows that are there get the same value on both sides."""
    if source.generated is not None:
        return target.generated is not None
    if source.identity:
        return False
    if source.default is None or source.default.value.upper() == "NULL":
        return True
    return source.default.kind is DefaultKind.LITERAL and target.default is not None


def _gone(session: Session, before: PlannedTable, after: PlannedTable, altered: TableAltered) -> list[str]:
    """Columns, and the indexes that are gone with them at the source; the servers would keep what is left of one."""
    pairs = _pairs(before)
    gone = [pairs[name][1].name for name in altered.dropped if name in pairs]
    kept = {index.name for index in after.target.indexes}
    indexes = [
        index.name for index in before.target.indexes if set(index.columns) & set(gone) and index.name not in kept
    ]
    there = _indexes(session, before.target.name) if indexes else set()
    words = [f"DROP INDEX {quoted(name)}" for name in indexes if name in there]
    return [*words, *(f"DROP COLUMN {quoted(name)}" for name in gone)]


def _changed(variant: Variant, before: PlannedTable, after: PlannedTable, altered: TableAltered) -> list[str]:
    """Columns that have another name or another type on the target; each with what it was, else."""
    old, new = _pairs(before), _pairs(after)
    words = []
    for name, (_, column) in new.items():
        was = old.get(altered.renamed.get(name, name))
        if was is None or name in altered.added:
            continue
        renamed, retyped = was[1].name != column.name, was[1].native.declared != column.native.declared
        if renamed and not retyped and _can_rename(variant):
            words.append(f"RENAME COLUMN {quoted(was[1].name)} TO {quoted(column.name)}")
        elif renamed or retyped:
            words.append(f"CHANGE COLUMN {quoted(was[1].name)} {ddl.column_words(column)}")
    return words


def _can_rename(variant: Variant) -> bool:
    return variant.version >= ((10, 5, 2) if variant.mariadb else (8,))


def _pairs(table: PlannedTable) -> Mapping[str, tuple[Column, Column]]:
    """The columns of both sides, by the source's name."""
    pairs = zip(table.source.columns, table.target.columns, strict=True)
    return {source.name: (source, target) for source, target in pairs}


def _columns(session: Session, name: TableName) -> str:
    found = session.rows(
        "SELECT COLUMN_NAME, ORDINAL_POSITION, COLUMN_TYPE, IS_NULLABLE, COLUMN_DEFAULT, COLLATION_NAME, EXTRA "
        f"FROM information_schema.COLUMNS WHERE {_is(name)} ORDER BY ORDINAL_POSITION"
    )
    if not found:
        raise MissingTable(f"The table {name} is no longer on the target.")
    return _digest(repr(found))


def _indexes(session: Session, name: TableName) -> set[str]:
    found = session.rows(f"SELECT DISTINCT INDEX_NAME FROM information_schema.STATISTICS WHERE {_is(name)}")
    return {str(index) for (index,) in found}


def _is(name: TableName) -> str:
    return f"TABLE_SCHEMA = {literal(name.schema)} AND TABLE_NAME = {literal(name.name)}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]
