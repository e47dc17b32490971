"""Changes that are left out after all: what was rolled back, and the history that a table keeps of itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rowferry.connectors.changes import RowChanges
from rowferry.connectors.mysql.binlog.cells import Octets
from rowferry.connectors.mysql.binlog.images import located
from rowferry.connectors.mysql.binlog.plans import Plan
from rowferry.errors import ReadFailed
from rowferry.model.changes import Op

_ENDS = np.array([0x7FFFFFFF, 0xFFFFFFFF])
"""The seconds that stand for no end, in the versions of MariaDB."""

_LAST_MICROSECOND = 999_999


def kept(changes: RowChanges, mask: Any) -> RowChanges:
    """Those of the changes for which `mask` is true."""
    which = pa.array(mask)
    return changes.taken(lambda column: column.filter(which))


def current(plan: Plan, octets: Octets, begins: Any, present: Sequence[int]) -> Any:
    """Which of the images are of rows that have not ended."""
    for found in located(plan, octets, begins, present):
        if found.place == plan.row_end:
            seconds, fraction = octets.big(found.at, 4), octets.big(found.at + 4, 3)
            return np.isin(seconds, _ENDS) & (fraction == _LAST_MICROSECOND)
    raise ReadFailed(
        f"The log does not tell which rows of {plan.table.name} are history: set binlog_row_image=FULL at the source, "
        "and start a new stream."
    )


def without_history(changes: RowChanges, before: Any, after: Any) -> RowChanges:
    """The changes of rows that are: one that ends is deleted, and what comes or goes as history is nothing.

    `before` and `after`: whether the row had not ended before the change, and has not after it.
    """
    ops = np.select([before & after, after, before], [int(Op.UPDATE), int(Op.INSERT), int(Op.DELETE)], 0)
    image = changes.image
    if image is not None:
        image = pc.if_else(pa.array(before & after), image, pa.scalar(-1, pa.int16()))
    told = replace(
        changes,
        ops=pa.array(ops.astype(np.uint8)),
        after=_only(changes.after, after),
        before=None if changes.before is None else _only(changes.before, before),
        image=image,
    )
    return kept(told, ops > 0)


def _only(batch: pa.RecordBatch, there: Any) -> pa.RecordBatch:
    """The rows that are `there`, NULL in the place of the others."""
    if there.all():
        return batch
    return batch.take(pa.array(np.arange(len(batch)), mask=~there))
