"""Changes of a table's columns on their way: carried to the target, or the stream's end, as the config says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

from rowferry.config.stream import DdlPolicy
from rowferry.connectors.base import PlannedTable, Source, Target
from rowferry.errors import SourceChanged
from rowferry.model.changes import TableAltered
from rowferry.model.findings import Finding, Severity
from rowferry.model.tables import Table
from rowferry.pipeline.job import Job
from rowferry.pipeline.notes import Notes
from rowferry.pipeline.plan import Plan, make_plan


class Alters(Protocol):
    """Whoever changes a table's columns at the target."""

    def alter(self, before: PlannedTable, after: PlannedTable, altered: TableAltered) -> None:
        """See `Applier.alter`."""


class Altering:
    """Carries changes of columns over."""

    def __init__(self, job: Job, source: Source, target: Target, note: Callable[[Sequence[Finding]], None]) -> None:
        self._job = job
        self._source = source
        self._target = target
        self._note = note

    def carry(self, writer: Alters, plan: Plan, notes: Notes, altered: TableAltered) -> tuple[Plan, Notes]:
        """The plan and the notes that hold from then on; SourceChanged where the config does not let it through."""
        ignoring = self._job.config.source.options.ddl_policy is DdlPolicy.IGNORE
        self._refuse(altered)
        tables = tuple(
            _altered(table, altered) if table.name == altered.before.name else table for table in notes.tables
        )
        name = altered.after.name
        notes = replace(notes, tables=tables)
        if ignoring:
            left = (*notes.ignored.get(str(name), ()), *altered.added)
            notes = replace(notes, ignored={**notes.ignored, str(name): left} if left else notes.ignored)
        after = make_plan(self._job, [self._source], self._target, prepared=True, tables=notes.planned())
        after.refuse_errors()
        for old, new in zip(plan.tables, after.tables, strict=True):
            if new.source.name == name and not ignoring:
                writer.alter(old, new, altered)
        where = "and the target stays as it is" if ignoring else "there and on the target"
        self._note([Finding(Severity.INFO, str(name), f"{name}: {_told(altered)}, {where}.")])
        return after, notes

    def _refuse(self, altered: TableAltered) -> None:
        policy = self._job.config.source.options.ddl_policy
        named_or_typed = altered.renamed or altered.retyped
        allowed = {
            None: not (altered.dropped or named_or_typed),
            DdlPolicy.APPLY: True,
            DdlPolicy.IGNORE: not named_or_typed,
            DdlPolicy.FAIL: False,
        }
        if allowed[policy]:
            return
        raise SourceChanged(
            f"At the source of {altered.before.name} {_told(altered)}, and source.options.ddlPolicy does not let that "
            "through: set it to apply and resume, or start a new stream."
        )


def _told(altered: TableAltered) -> str:
    parts = [
        *(f"the column {name} was added" for name in altered.added),
        *(f"the column {name} was dropped" for name in altered.dropped),
        *(f"the column {old} was renamed to {new}" for new, old in altered.renamed.items()),
        *(f"the column {name} got another type" for name in altered.retyped),
    ]
    return ", ".join(parts) or "columns changed their order"


def _altered(table: Table, altered: TableAltered) -> Table:
    """The table as its source describes it, after the change: what stays is described as before."""
    names = {old: new for new, old in altered.renamed.items()}
    kept = {names.get(column.name, column.name): column for column in table.columns}
    retyped = set(altered.retyped)
    columns = tuple(
        column if column.name in retyped or column.name not in kept else replace(kept[column.name], name=column.name)
        for column in altered.after.columns
    )
    return replace(
        table,
        columns=columns,
        primary_key=tuple(names.get(name, name) for name in table.primary_key),
        key=tuple(names.get(name, name) for name in table.key),
    )
