"""Changes done one by one, in their order, by the server itself: they are copied into a stage, and a block of PL/pgSQL
goes through it.

What has a key is found by it, and a change of it brings the table to what the source had then, whatever a load that
overlapped had read already: an insert replaces, and a row that moves to another key replaces what is there. What has
none is found by all of its columns, and must be there; of several equal rows one is taken.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import psycopg
import pyarrow as pa

from rowferry.connectors.base import PlannedTable
from rowferry.connectors.changes import RowChanges
from rowferry.connectors.postgres.names import Names, literal, quoted
from rowferry.connectors.postgres.shape import THERE, Cut, Shape, cut, cut_of, named_there
from rowferry.connectors.postgres.stage import Stages, send
from rowferry.connectors.postgres.types_write import native_type
from rowferry.model import types as t
from rowferry.model.changes import Op
from rowferry.model.tables import Column

Session = psycopg.Connection[tuple[Any, ...]]

RUN = 500
"""So many inserts in a row are worth a COPY of their own."""

NOT_FOUND = "RF404"
"""An SQLSTATE of our own: a row that should be there is not."""

_EXACT = frozenset({"bool", "int2", "int4", "int8", "oid", "date", "time", "timestamp", "timestamptz", "uuid", "bytea"})
"""Types of which two values are equal only if nothing tells them apart. All others are compared as they are spelled."""

_CHANGE = "rowferry_change"

_BLOCK = """
#variable_conflict use_column
DECLARE
    {change} record;
    rowferry_ctid tid;
    rowferry_tableoid oid;
BEGIN
    FOR {change} IN SELECT * FROM {stage} ORDER BY {order} LOOP
        CASE {change}.{op} WHEN {inserting} THEN {insert} ELSE
            {look}
            CASE {change}.{op} WHEN {deleting} THEN {delete} ELSE {update} END CASE;
        END CASE;
    END LOOP;
END
"""

_LOOK = """
SELECT {there}.ctid, {there}.tableoid INTO rowferry_ctid, rowferry_tableoid
FROM {place} AS {there} WHERE {alike} LIMIT 1;
IF NOT FOUND THEN RAISE SQLSTATE '{missing}'; END IF;
"""


@dataclass(frozen=True)
class Replayer:
    """One session's way to replay."""

    session: Session
    stages: Stages

    def replay(self, shape: Shape, table: PlannedTable, changes: RowChanges) -> None:
        """All changes, or an error; none of them is undone here."""
        plan = _Plan(shape, table, changes)
        for first, last, inserts in _parts(np.asarray(changes.ops)):
            if not (inserts and self._copied(plan, first, last)):
                self._step_through(plan, first, last)

    def _copied(self, plan: _Plan, first: int, last: int) -> bool:
        """Whether a run of inserts could be copied straight into the table."""
        rows = plan.changes.after.slice(first, last - first).select(plan.after.sources)
        try:
            with self.session.transaction():
                send(self.session, plan.shape.place, plan.after.encoding, rows)
        except psycopg.errors.UniqueViolation:
            if plan.key:
                return False
            raise
        return True

    def _step_through(self, plan: _Plan, first: int, last: int) -> None:
        stage = self.stages.ready(plan.shape.name, plan.stage_columns)
        stage.fill(self.session, plan.staged.encoding, plan.rows(first, last))
        self.session.execute(plan.block(stage.name).encode(), prepare=False)


def _parts(ops: Any) -> Iterator[tuple[int, int, bool]]:
    """Where runs of inserts and what lies between them begin and end, and whether it is a run."""
    inserts = ops == Op.INSERT
    edges = np.flatnonzero(np.diff(inserts.astype(np.int8), prepend=0, append=0))
    begin = 0
    for first, last in zip(edges[::2], edges[1::2], strict=True):
        if last - first >= RUN:
            if begin < first:
                yield begin, int(first), False
            yield int(first), int(last), True
            begin = int(last)
    if begin < len(ops):
        yield begin, len(ops), False


@dataclass(frozen=True)
class _Plan:
    """The changes of one table, and the statements for them."""

    shape: Shape
    table: PlannedTable
    changes: RowChanges

    @property
    def keyless(self) -> bool:
        """Whether rows are known by all of their columns."""
        known = (self.table.source.primary_key, self.table.source.key)
        return set(self.changes.identity) not in [set(key) for key in known if key]

    @cached_property
    def after(self) -> Cut:
        """Rows as they became."""
        return cut(self.table, self.changes.after.schema.names)

    @cached_property
    def identity(self) -> Cut:
        """What rows are known by."""
        return cut(self.table, self.changes.identity)

    @cached_property
    def key(self) -> tuple[str, ...]:
        """The columns of the key on the target; () where there is none."""
        return () if self.keyless else self.identity.names

    @cached_property
    def _names(self) -> tuple[list[str], str, str, str]:
        """What the stage's further columns are called: the identity as it was, the operation, the image, the order."""
        names = Names(set(self.after.names))
        before = [names.take(f"rowferry_old_{place}") for place in range(len(self.identity.names))]
        return before, names.take("rowferry_op"), names.take("rowferry_image"), names.take("rowferry_order")

    @property
    def stage_columns(self) -> list[str]:
        """The stage's columns, as expressions over the table."""
        before, op, image, order = self._names
        old = [f"{quoted(name)} AS {quoted(other)}" for name, other in zip(self.identity.names, before, strict=True)]
        control = [f"NULL::int2 AS {quoted(op)}", f"NULL::int2 AS {quoted(image)}", f"NULL::int8 AS {quoted(order)}"]
        return [*map(quoted, self.after.names), *old, *control]

    @cached_property
    def staged(self) -> Cut:
        """The stage's columns as they are sent."""
        before, op, image, order = self._names
        now, old = self.after.table, self.identity.table
        small, wide = (native_type(name) for name in ("smallint", "bigint"))
        control = [Column(op, t.Integer(16), small), Column(image, t.Integer(16), small)]
        control.append(Column(order, t.Integer(64), wide))
        renamed = [
            Column(name, column.type, column.native) for name, column in zip(before, old.target.columns, strict=True)
        ]
        return cut_of(
            self.table,
            [*now.source.columns, *old.source.columns, *control],
            [*now.target.columns, *renamed, *control],
        )

    def rows(self, first: int, last: int) -> pa.RecordBatch:
        """Some of the changes as they are sent."""
        count, changes = last - first, self.changes
        after = changes.after.slice(first, count).select(self.after.sources)
        schema = [self.changes.after.schema.field(name) for name in self.identity.sources]
        before = [pa.nulls(count, field.type) for field in schema]
        if changes.before is not None:
            before = changes.before.slice(first, count).select(self.identity.sources).columns
        image = pa.nulls(count, pa.int16()).fill_null(-1)
        if changes.image is not None:
            image = changes.image.slice(first, count)
        control = [
            changes.ops.slice(first, count).cast(pa.int16()),
            image,
            pa.array(np.arange(first, last), pa.int64()),
        ]
        arrays = [*after.columns, *before, *control]
        return pa.RecordBatch.from_arrays(arrays, names=[str(place) for place in range(len(arrays))])

    def block(self, stage: str) -> str:
        """The block that goes through the stage."""
        _, op, _, order = self._names
        place = self.shape.place
        found = _BY_PLACE if self.keyless else self._same_key(self._old)
        look = _LOOK.format(there=THERE, place=place, alike=self._alike, missing=NOT_FOUND) if self.keyless else ""
        body = _BLOCK.format(
            change=_CHANGE, stage=stage, op=quoted(op), order=quoted(order), look=look,
            inserting=int(Op.INSERT), insert=self._insert,
            deleting=int(Op.DELETE), delete=f"DELETE FROM {place} AS {THERE} WHERE {found};",
            update=self._updates(found),
        )  # fmt: skip
        return f"DO {literal(body)}"

    @property
    def _old(self) -> list[str]:
        """The identity's values as they were."""
        return [_sent(name) for name in self._names[0]]

    @property
    def _insert(self) -> str:
        names = self.after.names
        values = f"VALUES ({', '.join(map(_sent, names))})"
        insert = f"{self.shape.insert(names, values)};"
        if self.keyless:
            return insert
        if self.shape.upserts(names, self.key):
            return f"{self.shape.upsert(names, values, self.key)};"
        match = self._same_key([_sent(name) for name in self.key])
        others = {name: _sent(name) for name in names if name not in self.key}
        update = self._set(others, match) if others else "NULL;"
        return f"PERFORM FROM {self.shape.place} AS {THERE} WHERE {match}; IF FOUND THEN {update} ELSE {insert} END IF;"

    def _same_key(self, values: Sequence[str]) -> str:
        pairs = zip(self.key, values, strict=True)
        return " AND ".join(f"{THERE}.{quoted(name)} = {value}" for name, value in pairs)

    @property
    def _alike(self) -> str:
        """That a row has all the values that the changed one had."""
        pairs = zip(self.identity.table.target.columns, self._old, strict=True)
        return " AND ".join(_equal(column, f"{THERE}.{quoted(column.name)}", old) for column, old in pairs)

    def _updates(self, found: str) -> str:
        """A statement for each image that there is."""
        if self.changes.image is None:
            return self._update(found, self.after.sources)
        used = sorted(set(self.changes.image.to_pylist()))
        arms = [(number, self.after.sources if number < 0 else self.changes.images[number]) for number in used]
        cases = " ".join(f"WHEN {number} THEN {self._update(found, known)}" for number, known in arms)
        return f"CASE {_CHANGE}.{quoted(self._names[2])} {cases} END CASE;"

    def _update(self, found: str, known: Collection[str]) -> str:
        names = named_there(self.table, [name for name in self.after.sources if name in known])
        values = {name: _sent(name) for name in names}
        if self.keyless:
            return self._set(values, found) if values else "NULL;"
        rest = {name: value for name, value in values.items() if name not in self.key}
        stay = self._set(rest, found) if rest else "NULL;"
        columns = zip(self.identity.table.target.columns, self._old, strict=True)
        same = [_equal(column, _sent(column.name), old) for column, old in columns if column.name in names]
        return f"IF {' AND '.join(same)} THEN {stay} ELSE {self._move(values, found)} END IF;" if same else stay

    def _move(self, values: Mapping[str, str], found: str) -> str:
        """The row goes to another key, and takes the place of what is there."""
        place = self.shape.place
        there = [values.get(name, old) for name, old in zip(self.key, self._old, strict=True)]
        return (
            f"PERFORM FROM {place} AS {THERE} WHERE {found}; IF FOUND THEN "
            f"DELETE FROM {place} AS {THERE} WHERE {self._same_key(there)} AND NOT ({found}); "
            f"{self._set(values, found)} END IF;"
        )

    def _set(self, values: Mapping[str, str], found: str) -> str:
        update = self.shape.update(values, found)
        statements = [f"{update};"] if update else []
        if self.shape.rewrites(values):
            refuse = self.shape.refuse_rewrite(values, found) if self.shape.acting else ""
            statements.insert(0, refuse or f"{self.shape.rewrite(values, found)};")
        return " ".join(statements)


_BY_PLACE = f"{THERE}.ctid = rowferry_ctid AND {THERE}.tableoid = rowferry_tableoid"


def _sent(name: str) -> str:
    """A column of the change."""
    return f"{_CHANGE}.{quoted(name)}"


def _equal(column: Column, one: str, other: str) -> str:
    """That two values of the column are the same, NULL included. What is exact is asked so that an index can help."""
    if column.native.name in _EXACT:
        return f"({one} = {other} OR ({one} IS NULL AND {other} IS NULL))"
    return f'({one}::text COLLATE "C" IS NOT DISTINCT FROM {other}::text COLLATE "C")'
