"""The load before a log is followed: the copy of what is there, and how far it has seen the log itself.

The log is kept from a position before the first read on. A row that is changed while it is copied is so seen twice, by
the copy and in the log, which comes out right where rows have a key: each change says what the row became, and the
last one counts. A table without a key has to be read at one moment of the log; what happened before it is left out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

from rowferry.connectors.base import PlannedTable
from rowferry.connectors.changes import ChangeSource
from rowferry.errors import ConnectionLost, ReadFailed, Refused
from rowferry.model.changes import Position
from rowferry.model.chunks import Committed
from rowferry.model.tables import Table

_AT_ONCE = (
    "Foreign keys with actions, such as ON DELETE CASCADE, do to rows what the source's log does not tell, so that all "
    "has to be copied at one moment."
)


def keyed_only(table: PlannedTable) -> PlannedTable:
    """The table with no more structure than its key, which is what may be there before changes have caught up.

    While a change may be of an earlier moment than the rows beside it, two rows can have the same unique value.
    """
    target = table.target
    kept = tuple(one for one in target.indexes if not target.primary_key and _is_key(one.columns, one.unique, target))
    return replace(table, target=replace(target, indexes=kept, checks=(), exclusions=(), foreign_keys=()))


def _is_key(columns: Sequence[str], unique: bool, table: Table) -> bool:
    return unique and tuple(columns) == table.key


def seen(log: ChangeSource, tables: Sequence[PlannedTable], committed: Iterable[Committed]) -> dict[str, Position]:
    """By the source table's name, how far the copy has seen the log: up to the earliest of its chunks' moments."""
    moments: dict[str, list[Position | None]] = defaultdict(list)
    for entry in committed:
        moments[entry.table].append(entry.at)
    found: dict[str, Position] = {}
    for table in tables:
        at = moments[str(table.target.name)]
        known = [one for one in at if one is not None]
        if known and len(known) == len(at):
            found[str(table.source.name)] = _earliest(log, known)
        if not table.source.key and (len(set(at)) != 1 or at[0] is None):
            raise ReadFailed(
                f"{table.source.name} has no key, and was not read at one known moment of the log: start a new stream."
            )
    return found


def seen_at_once(
    tables: Sequence[PlannedTable], committed: Iterable[Committed], moment: Position | None
) -> dict[str, Position]:
    """The same where foreign keys do to rows what the log does not tell: all tables were read at that one moment.

    Their foreign keys can then be there before the first change, and do on the target what they did at the source.
    ConnectionLost where the source lost the moment meanwhile: all has to be copied anew.
    """
    if moment is None or any(entry.at != moment for entry in committed):
        raise ConnectionLost(f"The source did not keep one moment for the whole copy. {_AT_ONCE}")
    return {str(table.source.name): moment for table in tables}


def check_emptying(tables: Sequence[PlannedTable]) -> None:
    """Whether a copy at one moment that was interrupted may be taken back: Refused where rows are not the stream's."""
    others = [str(one.target.name) for one in tables if one.existing]
    if others:
        raise Refused(
            f"{_AT_ONCE} It was interrupted, and what is in {', '.join(others)} may have been there before it: drop or "
            "empty what may go, and start a new stream."
        )


def _earliest(log: ChangeSource, positions: Sequence[Position]) -> Position:
    earliest = positions[0]
    for position in positions[1:]:
        if not log.reached(position, earliest):
            earliest = position
    return earliest
