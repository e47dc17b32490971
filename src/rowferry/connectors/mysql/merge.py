"""What a batch came to for a table, brought there by few statements over all of its rows.

The rows go into tables of the session's own first, and from there to where they belong. A clash with a unique key that
is not the one the rows are told apart by must be an error; so rows are joined by that key, and no statement is used
that would put one row in another's place.
"""

from __future__ import annotations

import pyarrow as pa

from rowferry.connectors.base import PlannedTable
from rowferry.connectors.changes import Merge
from rowferry.connectors.mysql.failures import error_code
from rowferry.connectors.mysql.names import quoted_list
from rowferry.connectors.mysql.refusals import DriverErrors
from rowferry.connectors.mysql.sessions import Session
from rowferry.connectors.mysql.shape import Part, written
from rowferry.connectors.mysql.sql import quoted
from rowferry.connectors.mysql.stage import Stages
from rowferry.connectors.mysql.write import Order
from rowferry.errors import Clash

CLASHES = frozenset({1062, 1169, 1586, 1216, 1217, 1451, 1452, 1761, 1762})
"""Another unique key, or a reference."""

DOUBLES = frozenset({1062, 1169, 1586})


def merge(stages: Stages, what: Merge) -> None:
    """Do all of it, or none and raise Clash."""
    session = stages.session
    session.execute("SAVEPOINT rowferry_merge")
    try:
        _merge(stages, what)
    except DriverErrors as error:
        if error_code(error) not in CLASHES:
            raise
        session.execute("ROLLBACK TO SAVEPOINT rowferry_merge")
        raise Clash(f"Changes of {what.table.target.name} meet another unique key, or a reference.") from error


def _merge(stages: Stages, what: Merge) -> None:
    place = Order(stages.stream_id, what.table, ()).place
    if what.deletes is not None and what.deletes.num_rows:
        _delete(stages, Part(what.table, what.key, what.key), place, what.deletes)
    for some in what.updates:
        if some.num_rows:
            part = Part(what.table, tuple(some.schema.names), what.key)
            stage = stages.filled(part.planned, some)
            _update(stages.session, part, place, stage)
    if what.upserts is not None and what.upserts.num_rows:
        _upsert(stages, Part(what.table, tuple(what.upserts.schema.names), what.key), place, what.upserts, what.new)


def _delete(stages: Stages, part: Part, place: str, keys: pa.RecordBatch) -> None:
    stage = stages.filled(part.planned, part.of(keys))
    stages.session.store(f"DELETE t FROM {stage} s STRAIGHT_JOIN {place} t ON {part.same_key('t', 's')}")


def _update(session: Session, part: Part, place: str, stage: str) -> int:
    """The rows that are there; the staged rows are looked at first, and the others found by the key's index.

    How many there were, as far as they were looked for.
    """
    if not part.others:
        return 0
    words = written(part.others, part.kept, "s.{}")
    return session.store(f"UPDATE {stage} s STRAIGHT_JOIN {place} t ON {part.same_key('t', 's')} SET {words}")


def _upsert(stages: Stages, part: Part, place: str, rows: pa.RecordBatch, new: bool) -> None:
    if new and _came_in(stages, part.planned, rows):
        return
    session = stages.session
    stage = stages.filled(part.planned, rows)
    found = _update(session, part, place, stage)
    keys = [column.name for column in part.keys]
    if found == rows.num_rows and set(keys) == set(part.table.target.key):
        return
    names = [*keys, *part.others]
    columns = ", ".join(f"s.{quoted(name)}" for name in names)
    session.store(
        f"INSERT INTO {place} ({quoted_list(names)}) SELECT {columns} FROM {stage} s "
        f"LEFT JOIN {place} t ON {part.same_key('t', 's')} WHERE t.{quoted(keys[0])} IS NULL"
    )


def _came_in(stages: Stages, planned: PlannedTable, rows: pa.RecordBatch) -> bool:
    """Whether rows that should be new were; if not, none of them is there."""
    session = stages.session
    session.execute("SAVEPOINT rowferry_new")
    try:
        stages.put(planned, rows)
    except DriverErrors as error:
        if error_code(error) not in DOUBLES:
            raise
        session.execute("ROLLBACK TO SAVEPOINT rowferry_new")
        return False
    return True
