"""Every type and value that PostgreSQL takes from either engine: changed, it is what a copy would have brought."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
import pytest

from rowferry.connectors.base import ChunkSize, PlannedTable, Source, SourceRequest, TableRequest
from rowferry.connectors.changes import Merge, RowChanges
from rowferry.connectors.postgres.apply import PostgresApplier, open_applier
from rowferry.connectors.registry import connector
from rowferry.model.changes import Op
from rowferry.model.chunks import Chunk
from rowferry.pipeline.crossing import Crossing
from rowferry.pipeline.treat import Wishes, shape
from tests.conformance.sources import connection_to
from tests.followed import standing
from tests.matrix.cases import Case, load
from tests.matrix.ends import MariaDbEnd, PostgresEnd
from tests.postgres_target.conftest import Place, prepared
from tests.servers import MariaDb, Postgres

MATRICES = {name: load(name) for name in ("mariadb", "postgresql")}
FAMILIES = [(name, family) for name, matrix in MATRICES.items() for family in matrix.families]
KEY = ("k",)

Shown = list[tuple[Any, ...]]


@dataclass(frozen=True)
class Loaded:
    """All tables of one source, loaded into a database: by case as they were planned, and their rows as they cross."""

    place: Place
    applier: PostgresApplier
    tables: dict[Case, tuple[PlannedTable, pa.RecordBatch]]

    def shown(self, planned: PlannedTable) -> Shown:
        """What the applier's own transaction sees."""
        query = f'SELECT k, v::text FROM "{planned.target.name.schema}"."{planned.target.name.name}" ORDER BY k'
        return self.applier._session.execute(query.encode()).fetchall()


def _load(place: Place, source: Source, cases: Sequence[Case]) -> dict[Case, tuple[PlannedTable, pa.RecordBatch]]:
    """Copy the tables of the cases, as a stream does."""
    target = place.target()
    holds = target.holds(source.dialect)
    tables = source.tables([TableRequest(case.table) for case in cases])
    shaped = [shape(table, source, holds, Wishes({}, {}, {}), {}) for table in tables]
    plan = prepared(target, *(one.planned for one in shaped), dialect=source.dialect)
    loaded = {}
    for case, one, drafted in zip(cases, shaped, plan.tables, strict=True):
        planned = one.of(drafted)
        [chunk] = source.chunks(planned.reading, ChunkSize(1_000_000, 1 << 40))
        batches = Crossing(planned, holds).take(source.read(planned.reading, chunk), chunk)
        [rows] = pa.Table.from_batches(batches).combine_chunks().to_batches()
        target.write(planned, Chunk(planned.source.name, 0), iter([rows]))
        target.finish_table(planned)
        loaded[case] = (planned, rows)
    return loaded


@pytest.fixture(scope="module", params=MATRICES)
def loaded(request: pytest.FixtureRequest, mariadb: MariaDb, postgres: Postgres) -> Iterator[Loaded]:
    """Everything that a source can give PostgreSQL as it is."""
    matrix = MATRICES[request.param]
    server: MariaDb | Postgres = mariadb if request.param == "mariadb" else postgres
    start = (
        MariaDbEnd(mariadb, mariadb.new_database())
        if request.param == "mariadb"
        else PostgresEnd(postgres, postgres.new_database())
    )
    if isinstance(start, PostgresEnd):
        postgres.execute(*matrix.setup, *matrix.types, database=start.database)
    cases = [case for case in matrix.equal("postgresql") if "{full}" not in case.declared]
    start.fill(cases)
    place = Place(postgres, postgres.new_database())
    postgres.execute(*MATRICES["postgresql"].setup, database=place.database)
    connection = connection_to(server, request.param)
    opener = connector(connection.engine).open_source
    assert opener is not None
    with closing(opener(SourceRequest(connection, start.database))) as source:
        tables = _load(place, source, cases)
    start.close()
    with closing(open_applier(place.request(), [planned for planned, _ in tables.values()])) as applier:
        yield Loaded(place, applier, tables)
    for target in place.targets:
        target.close()


def _updates(planned: PlannedTable, before: pa.RecordBatch, after: pa.RecordBatch, identity: tuple[str, ...]) -> Any:
    count = before.num_rows
    return RowChanges(
        planned.source,
        pa.array([int(Op.UPDATE)] * count, pa.uint8()),
        pa.array(range(count), pa.int64()),
        after,
        identity,
        before.select(list(identity)),
    )


def _others(planned: PlannedTable, rows: pa.RecordBatch, op: Op, identity: tuple[str, ...]) -> RowChanges:
    count = rows.num_rows
    nothing = pa.RecordBatch.from_arrays([pa.nulls(count, one.type) for one in rows.columns], rows.schema.names)
    return RowChanges(
        planned.source,
        pa.array([int(op)] * count, pa.uint8()),
        pa.array(range(count), pa.int64()),
        nothing if op is Op.DELETE else rows,
        identity,
        (rows if op is Op.DELETE else nothing).select(list(identity)),
    )


@pytest.mark.parametrize("number", range(12))
def test_values_stay_what_they_are(loaded: Loaded, number: int) -> None:
    """Each value goes, comes, and moves to the next row and back, in every way there is."""
    for case in list(loaded.tables)[number::12]:
        _walk(loaded, case)
        loaded.applier.commit(standing(case.table))


def _walk(loaded: Loaded, case: Case) -> None:
    applier = loaded.applier
    planned, rows = loaded.tables[case]
    bare = replace(planned, source=replace(planned.source, primary_key=(), key=()))
    turn = [*range(1, rows.num_rows), 0]
    if any(index.unique and index.columns == ("v",) for index in planned.source.indexes):
        turn = [*range(rows.num_rows)]
    turned = pa.RecordBatch.from_arrays([rows.column("k"), rows.column("v").take(pa.array(turn))], rows.schema.names)
    first = loaded.shown(planned)
    second = [(k, first[other][1]) for (k, _), other in zip(first, turn, strict=True)]
    both = ("k", "v")
    steps: list[tuple[Callable[[], None], Shown]] = [
        (lambda: applier.merge(Merge(planned, KEY, deletes=rows.select(["k"]))), []),
        (lambda: applier.merge(Merge(planned, KEY, upserts=rows, new=True)), first),
        (lambda: applier.merge(Merge(planned, KEY, upserts=turned)), second),
        (lambda: applier.merge(Merge(planned, KEY, updates=[rows])), first),
        (lambda: applier.replay(planned, _updates(planned, rows, turned, KEY), True), second),
        (lambda: applier.replay(bare, _updates(bare, turned, rows, both), False), first),
        (lambda: applier.replay(bare, _others(bare, rows, Op.DELETE, both), False), []),
        (lambda: applier.replay(planned, _others(planned, rows, Op.INSERT, KEY), False), first),
    ]
    for place, (step, expected) in enumerate(steps):
        step()
        assert loaded.shown(planned) == expected, (case.table, place)
