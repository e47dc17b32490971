"""Applying batches: what of a batch is merged, what is replayed in its order, and what is left out."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc

from rowferry.connectors.base import PlannedTable
from rowferry.connectors.changes import Applier, ChangeBatch, RowChanges
from rowferry.errors import Clash
from rowferry.model.changes import Op, Truncated
from rowferry.model.chunks import Chunk
from rowferry.model.policies import Holds
from rowferry.model.tables import TableName
from rowferry.pipeline.collapse import collapse, only, runs
from rowferry.pipeline.crossing import Crossing
from rowferry.pipeline.plan import Plan


class Changer:
    """Applies batches to the tables of a plan. `kinds`: by table, which kinds of changes are wanted.

    `echoes`: what the source's foreign keys do to other rows stands in its log, too.
    """

    def __init__(
        self,
        tables: Sequence[PlannedTable],
        holds: Mapping[str, Holds],
        kinds: Mapping[TableName, Collection[Op]],
        *,
        echoes: bool,
    ) -> None:
        self.tables = {table.source.name: table for table in tables}
        self._crossings = {name: _Crossed(table, holds[str(table.target.name)]) for name, table in self.tables.items()}
        self._kinds = kinds
        linked = [key for table in tables for key in table.target.foreign_keys]
        self._linked = bool(linked)
        acting = {key.referenced for key in linked if key.actions} if not echoes else set()
        self._acting = {name for name, table in self.tables.items() if table.target.name in acting}

    def wanted(self, batch: ChangeBatch) -> list[RowChanges]:
        """The batch's changes that are wanted, as the target takes them."""
        found = [only(one, list(self._kinds[one.table.name])) for one in batch.rows]
        return [self._crossings[one.table.name].take(one) for one in found if one is not None]

    def apply(self, applier: Applier, changes: Sequence[RowChanges], linked: bool) -> None:
        """Apply the changes. `linked`: the target's foreign keys are there."""
        acts = linked and any(self._sets_off(one) for one in changes)
        if acts or (linked and self._linked and not applier.lenient):
            for run in runs(changes):
                applier.replay(self.tables[run.table.name], run, checked=acts)
            return
        for one in changes:
            self._merge(applier, one)

    def emptied(self, event: Truncated) -> list[PlannedTable]:
        """The followed ones among the tables, where deleting is wanted."""
        return [self.tables[name] for name in event.tables if Op.DELETE in self._kinds.get(name, ())]

    def _merge(self, applier: Applier, changes: RowChanges) -> None:
        table = self.tables[changes.table.name]
        inserts = Op.INSERT in self._kinds[changes.table.name]  # else an update must not bring a row that is not there
        merge = collapse(table, changes) if inserts else None
        if merge is not None:
            try:
                applier.merge(merge)
            except Clash:
                merge = None
        if merge is None:
            applier.replay(table, changes, checked=False)

    def _sets_off(self, changes: RowChanges) -> bool:
        """Whether a row that others refer to goes, or gets another key, at a source that does not say what follows."""
        if changes.table.name not in self._acting or changes.before is None:
            return False
        updates = pc.equal(changes.ops, int(Op.UPDATE))
        moved = pa.nulls(0)
        for name in changes.identity:
            differs = pc.fill_null(pc.not_equal(changes.before.column(name), changes.after.column(name)), True)
            moved = differs if not len(moved) else pc.or_(moved, differs)
        gone = pc.equal(changes.ops, int(Op.DELETE))
        return bool(pc.any(pc.or_(gone, pc.and_(updates, moved))).as_py())


class Applying:
    """`session.Writer` that applies changes to the target's tables, each batch at once."""

    patience = 0.0
    full = True

    def __init__(self, applier: Applier, changer: Callable[[Plan], Changer], plan: Plan) -> None:
        self._applier, self._of = applier, changer
        self._changer = changer(plan)
        self.standing, self.alter = applier.standing, applier.alter
        self.undo, self.commit, self.close = applier.undo, applier.commit, applier.close

    def take(self, batch: ChangeBatch, linked: bool) -> list[tuple[PlannedTable, RowChanges]]:
        """Apply the changes that are wanted."""
        changes = self._changer.wanted(batch)
        self._changer.apply(self._applier, changes, linked)
        return [(self._changer.tables[one.table.name], one) for one in changes]

    def truncate(self, batch: ChangeBatch, event: Truncated) -> None:
        """Empty tables."""
        tables = self._changer.emptied(event)
        if tables:
            self._applier.truncate(tables, event.restart)

    def go_on(self, plan: Plan) -> None:
        """Changes are as this plan has the tables from here on."""
        self._changer = self._of(plan)


class _Crossed:
    """Changes of one table on their way, both what rows became and what they were known by."""

    def __init__(self, table: PlannedTable, holds: Holds) -> None:
        self._table, self._holds = table, holds
        self._after = Crossing(table, holds)
        self._before: dict[tuple[str, ...], Crossing] = {}
        self._chunk = Chunk(table.source.name, 0)

    def take(self, changes: RowChanges) -> RowChanges:
        """As the target gets them; ReadFailed for a value that it cannot hold."""
        names = [*self._table.source.column_names()]
        before = changes.before
        if before is not None:
            told = tuple(name for name in before.schema.names if name in names)
            crossing = self._before.get(told)
            if crossing is None:
                crossing = self._before[told] = Crossing(narrowed(self._table, told), self._holds)
            (before,) = crossing.take([before.select(list(told))], self._chunk)
        known = changes.after if changes.after.schema.names == names else changes.after.select(names)
        (after,) = self._after.take([known], self._chunk)
        return replace(changes, after=after, before=before)


def narrowed(table: PlannedTable, names: Sequence[str]) -> PlannedTable:
    """The table with these columns of the source alone, in this order."""
    places = [[*table.source.column_names()].index(name) for name in names]
    read = table.reading
    return replace(
        table,
        source=replace(table.source, columns=tuple(table.source.columns[at] for at in places)),
        target=replace(table.target, columns=tuple(table.target.columns[at] for at in places)),
        read=replace(read, columns=tuple(read.columns[at] for at in places)),
    )
