"""Messages of rows that wait until they make a batch, and how far the log has come with them."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from rowferry.connectors.changes import ChangeBatch, Commit, RowChanges
from rowferry.connectors.postgres.replication.cells import Block, Places
from rowferry.connectors.postgres.replication.messages import Begin
from rowferry.connectors.postgres.replication.positions import number, position
from rowferry.connectors.postgres.replication.relations import Relations
from rowferry.connectors.postgres.replication.rows import row_changes
from rowferry.connectors.postgres.replication.unfinished import Told
from rowferry.model.changes import Position, TableAltered, Truncated
from rowferry.model.tables import TableName


class _Whole(NamedTuple):
    """How many of the messages that are held are of transactions that are there as a whole, and their bytes."""

    messages: int
    size: int
    committed_at: float | None


class Gathering:
    """What has been told and is not given yet.

    `known`: by table, up to where its rows show what happened, which is left out. `ends`: where each transaction ended
    is told. `at`: where the log stands, between two transactions. `open`: a transaction is being told. `owed`: changes
    were given, and no position behind them. `begun`: since when something waits, as `time.monotonic` counts. `ready`:
    the batches that are made.
    """

    def __init__(self, relations: Relations, known: Mapping[TableName, Position], at: int, *, ends: bool) -> None:
        self._relations = relations
        self._marks = {name: number(mark) for name, mark in known.items()}
        self._ends = ends
        self.at = at
        self.open = self.owed = False
        self.begun: float | None = None
        self.ready: deque[ChangeBatch] = deque()
        self.messages: list[bytes] = []
        self.size = 0
        self._final, self._committed_at = 0, None
        self._transactions: list[tuple[int, int]] = []
        self._whole = _Whole(0, 0, None)
        self._commits: list[Commit] = []

    _committed_at: float | None

    def begin(self, begin: Begin) -> None:
        """What comes is of a transaction that has committed; one before it has a position of its own."""
        if self.owed and not self.open:
            self.give()
        self.open, self._final, self._committed_at = True, begin.final, begin.at
        if self._marks:
            self._transactions.append((len(self.messages), begin.final))

    def end(self, at: int) -> None:
        """It has been told; the log goes on there."""
        self.open = False
        self.at = at
        self._whole = _Whole(len(self.messages), self.size, self._committed_at)
        if self._ends:
            self._commits.append(Commit(len(self.messages), position(at), self._committed_at))

    def passed(self, at: int) -> None:
        """The log has come that far, which says nothing of a transaction that is being told."""
        self.at = self.at if self.open else max(self.at, at)

    @property
    def may_go_ahead(self) -> bool:
        """Whether what comes may be given before its end: no table's rows show it, and nobody asks for ends."""
        return not self._ends and all(mark <= self.at for mark in self._marks.values())

    def go_ahead(self) -> None:
        """What comes is of a transaction that is under way; everything before it is given, so that it can be undone."""
        while self.messages or self.owed:
            self.give()
        self._marks.clear()
        self.open, self._committed_at = True, None

    def fall_back(self) -> None:
        """It shall count no more."""
        self.open = False
        if self.owed:
            self.ready.append(ChangeBatch(undone=True))
            self.owed = False

    def is_behind(self, name: TableName) -> bool:
        """Whether the table was read after the transaction that is being told."""
        return self._final < self._marks.get(name, 0)

    def give_all(self) -> None:
        """Make batches of everything that waits."""
        while self.messages:
            self.give()

    def event(self, event: Truncated | TableAltered) -> None:
        """Make a batch of it, behind what came before."""
        self.give_all()
        self.ready.append(ChangeBatch(event=event, committed_at=self._committed_at))
        self.owed = True

    def told(self, told: Sequence[Told]) -> None:
        """Make a batch of these rows, which are not all of their transaction."""
        block = Block([one.data for one in told], np.concatenate([one.lengths for one in told]))
        size = int(block.ends[-1])
        self.ready.append(ChangeBatch(self._rows(block), None, None, self._committed_at, size))
        self.owed = True

    def give(self) -> None:
        """Make a batch of the transactions that are there as a whole; only when there are none, of a part of one."""
        whole = self._whole
        if self.open and not whole.messages:
            place, whole = None, _Whole(len(self.messages), self.size, self._committed_at)
        else:
            place = position(self.at)
        held = self.messages[: whole.messages]
        rows = self._rows(Block.of(held)) if held else []
        commits, self._commits = self._commits, []
        self.ready.append(ChangeBatch(rows, None, place, whole.committed_at, whole.size, commits))
        self.owed = place is None
        self.messages = self.messages[whole.messages :]
        self.size -= whole.size
        self.begun = None
        self._forget(whole.messages)
        self._whole = _Whole(0, 0, None)

    def _forget(self, given: int) -> None:
        """Keep of the transactions only what is about messages that are held or come."""
        if not self.messages:
            self._marks = {name: mark for name, mark in self._marks.items() if self._final < mark}
        kept = [(max(first - given, 0), final) for first, final in self._transactions]
        self._transactions = kept[-1:] if not self.messages else kept

    def _rows(self, block: Block) -> list[RowChanges]:
        made = []
        for oid in np.unique(block.relations).tolist():
            shape = self._relations.shape(oid)
            if shape is None:
                continue
            which = self._not_behind(shape.table.name, np.flatnonzero(block.relations == oid))
            if len(which):
                made.append(row_changes(block, which, shape))
        return made

    def _not_behind(self, name: TableName, which: Places) -> Places:
        """Of these messages those of transactions that the table's rows do not show yet."""
        mark = self._marks.get(name)
        if mark is None:
            return which
        firsts, finals = np.array(self._transactions, np.int64).T
        kept: Places = which[finals[np.searchsorted(firsts, which, side="right") - 1] >= mark]
        return kept
