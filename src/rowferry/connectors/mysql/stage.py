"""Tables of a session's own, in which rows wait for the statement that carries them over."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count

import pyarrow as pa

from rowferry.connectors.base import PlannedTable
from rowferry.connectors.mysql.names import quoted_list
from rowferry.connectors.mysql.sessions import Session
from rowferry.connectors.mysql.sql import quoted
from rowferry.connectors.mysql.write import Feed, Order, put

MOST = 64
"""How many are kept."""

_FEW = 1000
"""Rows that are sooner deleted than the table that holds them is made anew."""


@dataclass
class Stage:
    """A table of the session's own. `rows`: how many may be in it."""

    name: str
    order: Order
    rows: int = 0


@dataclass
class Stages:
    """The tables of one session; they stay for the next batch."""

    session: Session
    stream_id: str
    stopped: Callable[[], bool]
    _made: dict[tuple[object, ...], Stage] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=count)

    def put(self, planned: PlannedTable, batch: pa.RecordBatch) -> None:
        """Rows into the table itself; all of them, or an error."""
        order = Order(self.stream_id, planned, ())
        self._fill(order, order.place, batch)

    def filled(self, planned: PlannedTable, batch: pa.RecordBatch) -> str:
        """The name of a table that holds these rows and no others."""
        stage = self._empty(planned)
        stage.rows = batch.num_rows
        self._fill(stage.order, stage.name, batch)
        return stage.name

    def clear(self) -> None:
        """Drop them all: what was rolled back is in them again."""
        for stage in self._made.values():
            self._drop(stage)
        self._made.clear()

    def _fill(self, order: Order, place: str, batch: pa.RecordBatch) -> None:
        feed = Feed(iter([batch]), order, self.stopped)
        try:
            put(self.session, order, place, feed)
        except BaseException:
            if feed.failed is not None:
                raise feed.failed from feed.failed.__cause__
            raise

    def _empty(self, planned: PlannedTable) -> Stage:
        target = planned.target
        which = (target.name, *((column.name, column.native) for column in target.columns))
        stage = self._made.pop(which, None)
        if stage is None:
            if len(self._made) >= MOST:
                self._drop(self._made.pop(next(iter(self._made))))
            name = f"{quoted(target.name.schema)}.{quoted(f'rowferry_stage_{next(self._numbers)}')}"
            stage = Stage(name, Order(self.stream_id, planned, ()))
            self._make(stage)
        elif stage.rows > _FEW:
            self._drop(stage)
            self._make(stage)
        elif stage.rows:
            self.session.execute(f"DELETE FROM {stage.name}")
        self._made[which] = stage  # the one that was used last stands last
        stage.rows = 0
        return stage

    def _drop(self, stage: Stage) -> None:
        self.session.execute(f"DROP TEMPORARY TABLE {stage.name}")

    def _make(self, stage: Stage) -> None:
        """With the columns' own types and collations, so that a value is compared with its like."""
        order = stage.order
        self.session.execute(
            f"CREATE TEMPORARY TABLE {stage.name} ENGINE=InnoDB "
            f"SELECT {quoted_list(order.names)} FROM {order.place} LIMIT 0"
        )
