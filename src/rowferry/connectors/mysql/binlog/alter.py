"""A table after an ALTER TABLE."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from rowferry.connectors.mysql.binlog import ddl
from rowferry.connectors.mysql.binlog.declare import Manner, declared
from rowferry.connectors.mysql.binlog.plans import Followed
from rowferry.connectors.mysql.sql import quoted
from rowferry.errors import SourceChanged
from rowferry.model.tables import Column, Index, Table, TableName


@dataclass
class _Draft:
    """The table while it is being altered. `renamed`: by the new name, the old one. `keyed`: the new primary key."""

    name: TableName
    columns: list[Column]
    charset: str
    manner: Manner
    renamed: dict[str, str] = field(default_factory=dict)
    unkeyed: list[str] = field(default_factory=list)
    keyed: tuple[str, ...] | None = None

    def place(self, name: str) -> int:
        """Where the column stands, whatever the case of its name; SourceChanged when it is not there."""
        for number, column in enumerate(self.columns):
            if column.name.lower() == name.lower():
                return number
        raise SourceChanged(
            f"{self.name} was altered, and had a column {name} then that is not known: start a new stream, which "
            "plans anew."
        )

    def has(self, name: str) -> bool:
        """Whether there is such a column."""
        return any(column.name.lower() == name.lower() for column in self.columns)


def altered(followed: Followed, steps: Sequence[ddl.Step], manner: Manner) -> tuple[Followed, Mapping[str, str]]:
    """The table after these steps, and what its columns were called by their new names, where that is not the same.

    SourceChanged when it is no longer a table that can be followed as it was.
    """
    charset = next((step.charset for step in steps if isinstance(step, ddl.Charset)), followed.charset)
    draft = _Draft(followed.table.name, list(followed.whole), charset, manner)
    for step in steps:
        _STEPS[type(step)](draft, step)
    _refuse_unkeyed(draft, followed.table)
    table = _table(followed, draft)
    renamed = {new: old for new, old in draft.renamed.items() if new in set(table.column_names())}
    return replace(followed, table=table, whole=tuple(draft.columns), charset=draft.charset), renamed


def _put(draft: _Draft, step: ddl.Put) -> None:
    manner = replace(draft.manner, charset=draft.charset)
    if step.old is None:
        if step.lenient and draft.has(step.name):
            return
        at, new = len(draft.columns), declared(step.name, step.definition, manner)
    else:
        if step.lenient and not draft.has(step.old):
            return
        at = draft.place(step.old)
        old = draft.columns.pop(at)
        new = declared(step.name, step.definition, manner)
        if new.native.declared == old.native.declared and new.native.charset == old.native.charset:
            kept = _renamed(old, {old.name: new.name})
            new = replace(
                new, native=old.native, type=old.type, read_as=kept.read_as, instead=old.instead, wanted=old.wanted
            )
        _note(draft, old.name, new.name)
    if step.place == "FIRST":
        at = 0
    elif step.place == "AFTER":
        at = draft.place(step.after) + 1
    draft.columns.insert(at, new)


def _note(draft: _Draft, old: str, new: str) -> None:
    before = draft.renamed.pop(old, old)
    if before != new:
        draft.renamed[new] = before


def _drop(draft: _Draft, step: ddl.Drop) -> None:
    if not (step.lenient and not draft.has(step.name)):
        gone = draft.columns.pop(draft.place(step.name))
        draft.renamed.pop(gone.name, None)


def _rename(draft: _Draft, step: ddl.Rename) -> None:
    at = draft.place(step.old)
    _note(draft, draft.columns[at].name, step.new)
    draft.columns[at] = _renamed(draft.columns[at], {draft.columns[at].name: step.new})


def _charset(draft: _Draft, step: ddl.Charset) -> None:
    draft.charset = step.charset


def _convert(draft: _Draft, step: ddl.Convert) -> None:
    raise SourceChanged(
        f"{draft.name} was converted to the character set {step.charset}: start a new stream, which plans anew."
    )


def _unkeyed(draft: _Draft, step: ddl.Unkeyed) -> None:
    draft.unkeyed.append(step.name)


def _keyed(draft: _Draft, step: ddl.Keyed) -> None:
    draft.keyed = step.columns


def _gone(_: _Draft, step: ddl.Gone) -> None:
    raise SourceChanged(f"{step.table} {step.how}: start a new stream, which plans anew.")


_STEPS: Mapping[type, Callable[[_Draft, Any], None]] = {
    ddl.Put: _put,
    ddl.Drop: _drop,
    ddl.Rename: _rename,
    ddl.Charset: _charset,
    ddl.Convert: _convert,
    ddl.Unkeyed: _unkeyed,
    ddl.Keyed: _keyed,
    ddl.Gone: _gone,
}


def _refuse_unkeyed(draft: _Draft, table: Table) -> None:
    """SourceChanged when what tells rows apart is no longer what it was."""
    if not table.key:
        return
    names = {draft.renamed.get(column.name, column.name) for column in draft.columns}
    lost = not names.issuperset(table.key) or any(_is_key(table, name) for name in draft.unkeyed)
    if draft.keyed is not None and lost and names.issuperset(table.key):
        lost = tuple(draft.renamed.get(name, name) for name in draft.keyed) != table.key
    if lost:
        raise SourceChanged(f"{table.name} has lost its key: start a new stream, which plans anew.")


def _is_key(table: Table, index: str) -> bool:
    if table.primary_key:
        return index.upper() == "PRIMARY" and table.key == table.primary_key
    return any(one.name.lower() == index.lower() and one.columns == table.key for one in table.indexes)


def _table(followed: Followed, draft: _Draft) -> Table:
    """The table as it is read now: what has not changed is read as it was."""
    table = followed.table
    now = {old: new for new, old in draft.renamed.items()}
    read = {now.get(column.name, column.name): _renamed(column, now) for column in table.columns}
    before = {now.get(column.name, column.name): column for column in followed.whole}
    selected = tuple(now.get(name, name) for name in table.selection.columns)
    columns = []
    for column in draft.columns:
        if selected and column.name not in selected:
            continue
        same = column.name in read and _alike(before.get(column.name), column)
        columns.append(read[column.name] if same else column)
    if selected:
        columns.sort(key=lambda column: selected.index(column.name))
    there = {column.name for column in columns}
    return replace(
        table,
        columns=tuple(columns),
        key=_now(table.key, now),
        primary_key=_now(table.primary_key, now),
        indexes=tuple(_index(one, now) for one in table.indexes if set(_now(one.columns, now)) <= there),
        foreign_keys=tuple(
            replace(one, columns=_now(one.columns, now))
            for one in table.foreign_keys
            if set(_now(one.columns, now)) <= there
        ),
        selection=replace(table.selection, columns=tuple(name for name in selected if name in there)),
    )


def _alike(before: Column | None, after: Column) -> bool:
    return before is not None and _renamed(before, {before.name: after.name}) == after


def _renamed(column: Column, now: Mapping[str, str]) -> Column:
    new = now.get(column.name, column.name)
    if new == column.name:
        return column
    read_as = column.read_as and column.read_as.replace(quoted(column.name), quoted(new))
    return replace(column, name=new, read_as=read_as)


def _now(names: Sequence[str], now: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(now.get(name, name) for name in names)


def _index(index: Index, now: Mapping[str, str]) -> Index:
    named = tuple(replace(part, column=part.column and now.get(part.column, part.column)) for part in index.parts)
    return replace(index, parts=named)
