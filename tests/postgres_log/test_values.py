"""What the log says of a value is what a read says of it: every type of the matrix, in every kind of change."""

from __future__ import annotations

from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from rowferry.connectors.changes import ChangeBatch
from rowferry.errors import ReadFailed
from rowferry.model import types as t
from rowferry.model.changes import Op
from rowferry.model.tables import Table
from tests.matrix.cases import Case, load
from tests.matrix.ends import PostgresEnd
from tests.postgres_log.conftest import Follower, Log, following

MATRIX = load("postgresql")
ODD = [case for case in MATRIX.cases if set(case.refused.values()) & {"farDate", "lateTime", "notFinite"}]


def endless(table: Table) -> Table:
    """The table as it is read for another PostgreSQL, with all that only PostgreSQL has."""
    columns = [
        replace(column, type=replace(column.type, endless=True)) if isinstance(column.type, t.Endless) else column
        for column in table.columns
    ]
    return replace(table, columns=tuple(columns))


def bare(array: pa.Array | pa.ChunkedArray) -> pa.Array:
    """The values in a form in which NaN equals itself, and -0 is not 0."""
    if isinstance(array, pa.ChunkedArray):
        array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], array.type)
    as_bits = {pa.float32(): pa.int32(), pa.float64(): pa.int64()}
    return array.view(as_bits[array.type]) if array.type in as_bits else array


def prepared(log: Log, cases: list[Case]) -> Follower:
    """Follow the tables of these cases; they are empty at first, and have all of a row in the log."""
    for case in cases:
        create, *_ = case.statements
        log.run(create, f"ALTER TABLE {case.table} REPLICA IDENTITY FULL")
    follower = following(log, *(case.table for case in cases))
    follower.tables = [endless(replace(table, key=())) for table in follower.tables]
    return follower


def columns_by_kind(batches: list[ChangeBatch]) -> dict[tuple[str, int, str], list[pa.Array]]:
    """The column v by table, operation, and whether it is of the row before or after."""
    seen: dict[tuple[str, int, str], list[pa.Array]] = {}
    for one in (one for batch in batches for one in batch.rows):
        for op in Op:
            chosen = pc.equal(one.ops, pa.scalar(int(op), pa.uint8()))
            for part, rows in (("before", one.before), ("after", one.after)):
                if rows is not None:
                    seen.setdefault((one.table.name.name, op, part), []).append(rows.filter(chosen).column("v"))
    return seen


@pytest.mark.parametrize("family", MATRIX.families)
def test_values_are_those_of_a_read(log: Log, family: str) -> None:
    cases = [
        case for case in MATRIX.cases if case.family == family and not (case in ODD and "numeric" in case.declared)
    ]
    PostgresEnd(log.server, log.database).make_strange()
    log.run(*MATRIX.setup, *MATRIX.types)
    follower = prepared(log, cases)
    for case in cases:
        log.run("SET xmloption = content", case.statements[1])
    read = {table.name.name: log.read(table).sort_by("k") for table in follower.tables}
    for case in cases:
        log.run(f"UPDATE {case.table} SET k = k + 1000", f"DELETE FROM {case.table}")
    batches = follower.to_the_end()
    seen = columns_by_kind(batches)
    kinds = [(Op.INSERT, "after"), (Op.UPDATE, "before"), (Op.UPDATE, "after"), (Op.DELETE, "before")]
    for case in cases:
        expected = bare(read[case.table].column("v"))
        if case.declared == "xml":
            # The log leaves the declaration of a document out, which a read shows.
            expected = pa.array([text and text.replace('<?xml version="1.0"?>', "") for text in expected.to_pylist()])
        assert len(expected) == case.cells
        for op, part in kinds:
            came = bare(pa.concat_arrays(seen[case.table, op, part]))
            assert came.type == expected.type
            assert came.equals(expected), (case.table, op, part)


def test_what_policies_put_in_the_place_of_values(log: Log) -> None:
    log.run(
        'CREATE TABLE t (k int PRIMARY KEY, d date, f float8, "as %s" date, n numeric(5,2), m money, u uuid)',
        "ALTER TABLE t REPLICA IDENTITY FULL",
    )
    follower = following(log, "t")
    [table] = follower.tables
    sql: dict[str, tuple[t.NeutralType, str]] = {
        "d": (t.Date(), """CASE WHEN isfinite(t."d") THEN t."d" ELSE NULL END"""),
        "f": (t.Float(64), """CASE WHEN t."f" = 0 AND t."f"::text LIKE '-%' THEN 0 ELSE t."f" END"""),
        "as %s": (t.Text(), """t."as %s"::text"""),
        "n": (t.Decimal(5, 2), """CASE WHEN t."n" = 'NaN' THEN NULL ELSE t."n" END"""),
        "m": (t.Text(), """t."m"::text"""),
        "u": (t.Uuid(), """t."u\""""),
    }
    follower.tables = [
        replace(
            table,
            key=(),
            columns=tuple(
                replace(column, type=sql[column.name][0], read_as=sql[column.name][1]) if column.name in sql else column
                for column in table.columns
            ),
        )
    ]
    assert follower.changes.prerequisites(follower.tables) == []
    log.run(
        "INSERT INTO t VALUES (1, 'infinity', '-0', 'infinity', 'NaN', '-1.5', '0190a6f3-1111-7abc-8def-0123456789ab'),"
        " (2, '0044-03-15 BC', 1.5, '10000-01-01', 1.5, NULL, NULL), (3, NULL, NULL, NULL, NULL, NULL, NULL)"
    )
    read = log.read(follower.tables[0]).sort_by("k").combine_chunks()
    log.run("DELETE FROM t")
    came = [one for batch in follower.to_the_end() for one in batch.rows]
    after = pa.concat_arrays([one.after.to_struct_array() for one in came])[:3]
    before = pa.concat_arrays([one.before.to_struct_array() for one in came if one.before])[-3:]
    for name in read.schema.names:
        expected = bare(read.column(name))
        assert bare(after.field(name)).equals(expected), name
        assert bare(before.field(name)).equals(expected), name


@pytest.mark.parametrize("case", ODD, ids=str)
def test_a_value_that_cannot_cross_is_refused_as_by_a_read(log: Log, case: Case) -> None:
    follower = prepared(log, [case])
    follower.tables = log.tables(case.table)
    log.run(case.statements[1])
    refusal = None
    try:
        log.read(follower.tables[0])
    except ReadFailed as error:
        refusal = error.message
    if refusal is None:
        assert sum(batch.changes for batch in follower.to_the_end()) == case.cells
        return
    with pytest.raises(ReadFailed) as found:
        follower.to_the_end()
    assert found.value.message == refusal.replace(f"public.{case.table}, all rows", "in the log")
