"""What a batch came to for one table, carried over by a few statements: deletes, then updates, then whole rows.

Each part is copied into a stage first. A statement that meets another unique key, or a reference, undoes all of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import psycopg
import pyarrow as pa

from rowferry.connectors.changes import Merge
from rowferry.connectors.postgres.names import literal, quoted, quoted_list
from rowferry.connectors.postgres.shape import NEW, THERE, Cut, Shape, cut, matching, named_there
from rowferry.connectors.postgres.stage import Stage, Stages, send
from rowferry.errors import Clash

Session = psycopg.Connection[tuple[Any, ...]]

CLASHES = (
    psycopg.errors.UniqueViolation,
    psycopg.errors.ForeignKeyViolation,
    psycopg.errors.RestrictViolation,
    psycopg.errors.ExclusionViolation,
    psycopg.errors.CardinalityViolation,
)
"""What comes of the order of changes, and may not come when they are done in their own."""


@dataclass(frozen=True)
class _Step:
    """Rows and where they are sent to; then `statements` carry them over."""

    cut: Cut
    batch: pa.RecordBatch
    stage: Stage
    statements: tuple[str, ...]

    @property
    def rows(self) -> pa.RecordBatch:
        """The columns that are sent."""
        return self.batch.select(self.cut.sources)

    def run(self, session: Session) -> None:
        """Send, and carry over."""
        self.stage.fill(session, self.cut.encoding, self.rows)
        for statement in self.statements:
            session.execute(statement.encode(), prepare=False)


@dataclass(frozen=True)
class Merger:
    """One session's way to merge."""

    session: Session
    stages: Stages

    def merge(self, shape: Shape, merge: Merge) -> None:
        """All of the merge, or nothing of it and Clash."""
        key = named_there(merge.table, merge.key)
        steps = [*self._deletes(shape, merge, key), *self._updates(shape, merge, key)]
        rows = merge.upserts if merge.upserts is not None and merge.upserts.num_rows else None
        upsert = None if rows is None else self._upsert(shape, merge, key, rows)
        try:
            with self.session.transaction():
                for step in steps:
                    step.run(self.session)
                if upsert is not None and not (merge.new and self._is_new(shape, upsert)):
                    upsert.run(self.session)
        except CLASHES as error:
            where = f" ({error.diag.constraint_name})" if error.diag.constraint_name else ""
            raise Clash(
                f"Changes of {shape.name} meet other rows' unique keys or references{where} when they are merged."
            ) from error

    def _deletes(self, shape: Shape, merge: Merge, key: tuple[str, ...]) -> list[_Step]:
        if merge.deletes is None or not merge.deletes.num_rows:
            return []
        statement = "DELETE FROM {place} AS {there} USING {stage} AS {new} WHERE {match}"
        return [
            self._step(
                cut(merge.table, merge.key),
                merge.deletes,
                lambda stage: (
                    statement.format(place=shape.place, there=THERE, stage=stage, new=NEW, match=matching(key)),
                ),
            )
        ]

    def _updates(self, shape: Shape, merge: Merge, key: tuple[str, ...]) -> list[_Step]:
        steps = []
        for batch in merge.updates:
            part = cut(merge.table, batch.schema.names)
            values = {name: f"{NEW}.{quoted(name)}" for name in part.names if name not in key}
            if batch.num_rows and values:
                steps.append(self._step(part, batch, _updating(shape, values, key)))
        return steps

    def _upsert(self, shape: Shape, merge: Merge, key: tuple[str, ...], rows: pa.RecordBatch) -> _Step:
        part = cut(merge.table, rows.schema.names)
        columns = quoted_list(part.names)
        if shape.upserts(part.names, key):
            return self._step(
                part, rows, lambda stage: (shape.upsert(part.names, f"SELECT {columns} FROM {stage}", key),)
            )
        values = {name: f"{NEW}.{quoted(name)}" for name in part.names if name not in key}

        def apart(stage: str) -> tuple[str, ...]:
            missing = f"NOT EXISTS (SELECT FROM {shape.place} AS {THERE} WHERE {matching(key)})"
            inserted = shape.insert(part.names, f"SELECT {columns} FROM {stage} AS {NEW} WHERE {missing}")
            return (*(_updating(shape, values, key)(stage) if values else ()), inserted)

        return self._step(part, rows, apart)

    def _is_new(self, shape: Shape, step: _Step) -> bool:
        """Whether the rows could be copied straight into the table, having no key that is there."""
        try:
            with self.session.transaction():
                send(self.session, shape.place, step.cut.encoding, step.rows)
        except psycopg.errors.UniqueViolation:
            return False
        return True

    def _step(self, part: Cut, batch: pa.RecordBatch, statements: Callable[[str], tuple[str, ...]]) -> _Step:
        stage = self.stages.ready(part.table.target.name, [quoted(name) for name in part.names])
        return _Step(part, batch, stage, statements(stage.name))


def _updating(shape: Shape, values: dict[str, str], key: tuple[str, ...]) -> Callable[[str], tuple[str, ...]]:
    """What updates the rows that are there from those of a stage."""

    def statements(stage: str) -> tuple[str, ...]:
        rows = (values, matching(key), f"{stage} AS {NEW}")
        update = shape.update(*rows)
        found = [update] if update else []
        if shape.rewrites(values):
            block = f"BEGIN {shape.refuse_rewrite(*rows)} END" if shape.acting else ""
            found.insert(0, f"DO {literal(block)}" if block else shape.rewrite(*rows))
        return tuple(found)

    return statements
