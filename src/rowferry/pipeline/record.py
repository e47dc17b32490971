"""Keeping changes: every one of them, in order, as the target's files have room for them."""

from __future__ import annotations

from collections.abc import Callable

from rowferry.connectors.base import PlannedTable
from rowferry.connectors.changes import ChangeBatch, Recorder, RowChanges
from rowferry.model.changes import Truncated
from rowferry.pipeline.apply import Changer
from rowferry.pipeline.plan import Plan


class Recording:
    """`session.Writer` that keeps changes as they come."""

    def __init__(self, recorder: Recorder, changer: Callable[[Plan], Changer], plan: Plan) -> None:
        self._recorder, self._of = recorder, changer
        self._changer = changer(plan)
        self.patience = recorder.patience
        self.standing, self.alter = recorder.standing, recorder.alter
        self.commit, self.close = recorder.commit, recorder.close

    @property
    def full(self) -> bool:
        """See `Recorder.full`."""
        return self._recorder.full

    def take(self, batch: ChangeBatch, linked: bool) -> list[tuple[PlannedTable, RowChanges]]:
        """Keep the changes that are wanted; without any, a transaction under way may still have ended."""
        changes = [(self._changer.tables[one.table.name], one) for one in self._changer.wanted(batch)]
        if changes or batch.commits:
            self._recorder.append(changes, batch.commits)
        return changes

    def truncate(self, batch: ChangeBatch, event: Truncated) -> None:
        """Keep that tables were emptied."""
        self._recorder.truncate(self._changer.emptied(event), batch.commits)

    def undo(self) -> None:
        """See `Writer.undo`; of a log that is wanted as a `whole` nothing is given before it has committed."""
        raise RuntimeError("a recorder takes nothing back")

    def go_on(self, plan: Plan) -> None:
        """Changes are as this plan has the tables from here on."""
        self._changer = self._of(plan)
