"""Chunks hold each row exactly once, whatever the key."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.sql import SQL

from rowferry.connectors.base import ChunkSize
from rowferry.model.chunks import Chunk
from rowferry.model.tables import Filter, FilterOperator, Selection
from tests.postgres_source.conftest import Place

BIG = 10**12


def fill(place: Place, create: str, rows: Sequence[Sequence[Any]]) -> int:
    """A new table t with these rows, each key once; how many there are."""
    with place.server.connect(place.database) as session:
        session.execute("DROP TABLE IF EXISTS t")
        session.execute(create.encode())
        if rows:
            marks = SQL(", ").join([SQL("%s")] * len(rows[0]))
            session.cursor().executemany(SQL("INSERT INTO t VALUES ({}) ON CONFLICT DO NOTHING").format(marks), rows)
        ((count,),) = session.execute("SELECT count(*) FROM t").fetchall()
    return int(count)


def chunks_of(place: Place, size: ChunkSize, selection: Selection | None = None) -> tuple[list[Chunk], list[list[Any]]]:
    """The chunks, and the rows of each."""
    table = place.table("t", selection)
    source = place.source()
    chunks = source.chunks(table, size)
    return chunks, [
        [tuple(row.values()) for b in source.read(table, chunk) for row in b.to_pylist()] for chunk in chunks
    ]


def check(place: Place, size: int, wanted: int) -> list[Chunk]:
    chunks, rows = chunks_of(place, ChunkSize(size, BIG))
    assert [chunk.number for chunk in chunks] == list(range(len(chunks)))
    assert chunks[0].low is None
    assert chunks[-1].high is None
    assert [chunk.high for chunk in chunks[:-1]] == [chunk.low for chunk in chunks[1:]]
    everything = [row for part in rows for row in part]
    assert len(everything) == len(set(everything)) == wanted
    assert max(map(len, rows)) <= size
    return chunks


TEXTS = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=5)
KEYS: dict[str, tuple[str, st.SearchStrategy[tuple[Any, ...]]]] = {
    "text": ("a text PRIMARY KEY", st.tuples(TEXTS)),
    "collated": ('a text COLLATE "en-x-icu" PRIMARY KEY', st.tuples(TEXTS)),
    "padded": ("a char(5) PRIMARY KEY", st.tuples(TEXTS.map(str.strip))),
    "bytes": ("a bytea PRIMARY KEY", st.tuples(st.binary(max_size=4))),
    "float": ("a float8 PRIMARY KEY", st.tuples(st.floats())),
    "moment": ("a timestamptz PRIMARY KEY", st.tuples(st.datetimes(timezones=st.timezones()))),
    "composite": ("a int, b text, PRIMARY KEY (b, a)", st.tuples(st.integers(0, 3), TEXTS)),
    "unique": ("a int NOT NULL, b uuid NOT NULL, UNIQUE (a, b)", st.tuples(st.integers(0, 2), st.uuids())),
}


@pytest.mark.parametrize("kind", KEYS)
@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_keyed_chunks_hold_each_row_once(place: Place, kind: str, data: st.DataObject) -> None:
    columns, keys = KEYS[kind]
    rows = data.draw(st.lists(keys, max_size=40))
    count = fill(place, f"CREATE TABLE t ({columns})", rows)
    check(place, data.draw(st.integers(1, 15)), count)


def test_a_dense_key_is_cut_by_arithmetic(place: Place) -> None:
    fill(place, "CREATE TABLE t (id bigint PRIMARY KEY)", [(n,) for n in range(1, 101)])
    assert [chunk.high for chunk in check(place, 30, 100)] == [(30,), (60,), (90,), None]


def test_a_key_with_gaps_is_cut_by_rows(place: Place) -> None:
    rows = [(n * 10**12,) for n in range(1, 101)]
    fill(place, "CREATE TABLE t (id bigint PRIMARY KEY)", rows)
    assert [chunk.high for chunk in check(place, 30, 100)] == [(rows[29][0],), (rows[59][0],), (rows[89][0],), None]


@pytest.mark.parametrize("count", [0, 1, 10, 11])
def test_no_chunk_is_made_for_nothing(place: Place, count: int) -> None:
    fill(place, "CREATE TABLE t (id text PRIMARY KEY)", [(str(uuid.UUID(int=n)),) for n in range(count)])
    assert len(check(place, 10, count)) == max(1, -(-count // 10)) if count else True


def test_chunks_are_about_as_large_as_they_may_be(place: Place) -> None:
    fill(place, "CREATE TABLE t (id int PRIMARY KEY, v text)", [])
    place.run("INSERT INTO t SELECT g, repeat(md5(g::text), 30) FROM generate_series(1, 3000) g", "ANALYZE t")
    chunks, rows = chunks_of(place, ChunkSize(10**9, 300_000))
    assert 8 <= len(chunks) <= 14
    assert sum(map(len, rows)) == 3000


def test_a_table_without_key_is_cut_by_blocks(place: Place) -> None:
    fill(place, "CREATE TABLE t (v int)", [])
    place.run(
        "INSERT INTO t SELECT g FROM generate_series(1, 20000) g", "DELETE FROM t WHERE v % 7 = 0", "ANALYZE t",
        "INSERT INTO t SELECT g FROM generate_series(20001, 21000) g",
    )  # fmt: skip
    (wanted,) = place.run("SELECT count(*) FROM t")[0]
    chunks, rows = chunks_of(place, ChunkSize(2000, BIG))
    assert len(chunks) >= 8
    everything = [row for part in rows for row in part]
    assert len(everything) == len(set(everything)) == wanted
    assert chunks[0].low is None
    assert chunks[-1].high is None


@pytest.mark.parametrize("count", [0, 1, 300])
def test_small_tables_without_key(place: Place, count: int) -> None:
    fill(place, "CREATE TABLE t (v int)", [(n,) for n in range(count)])
    _, rows = chunks_of(place, ChunkSize(10, BIG))
    assert sorted(row for part in rows for row in part) == [(n,) for n in range(count)]


def test_partitions_are_read_with_their_parent_and_children_by_themselves(place: Place) -> None:
    place.run(
        "CREATE TABLE t (a int, b int) PARTITION BY RANGE (a)",
        "CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (0) TO (50)",
        "CREATE TABLE t2 (b int, a int)",
        "ALTER TABLE t ATTACH PARTITION t2 FOR VALUES FROM (50) TO (100)",
        "INSERT INTO t SELECT g, g * 2 FROM generate_series(0, 99) g",
        "CREATE TABLE base (a int)",
        "CREATE TABLE heir () INHERITS (base)",
        "INSERT INTO base VALUES (1)",
        "INSERT INTO heir VALUES (2)",
    )
    chunks, rows = chunks_of(place, ChunkSize(10, BIG))
    assert len(chunks) == 1
    assert sorted(rows[0]) == [(n, n * 2) for n in range(100)]
    assert place.rows(place.table("base")).to_pylist() == [{"a": 1}]
    assert place.rows(place.table("heir")).to_pylist() == [{"a": 2}]


def test_a_partitioned_table_with_a_key_is_cut_by_it(place: Place) -> None:
    place.run(
        "CREATE TABLE t (a int PRIMARY KEY) PARTITION BY HASH (a)",
        "CREATE TABLE t1 PARTITION OF t FOR VALUES WITH (MODULUS 2, REMAINDER 0)",
        "CREATE TABLE t2 PARTITION OF t FOR VALUES WITH (MODULUS 2, REMAINDER 1)",
        "INSERT INTO t SELECT g FROM generate_series(1, 95) g",
    )
    assert len(check(place, 10, 95)) == 10


F = FilterOperator


@pytest.mark.parametrize(
    ("operator", "column", "value", "wanted"),
    [
        (F.EQ, "a", "3", [3]),
        (F.NE, "a", "3", [1, 2, 4, 5]),
        (F.LT, "a", "2", [1]),
        (F.LE, "a", "2", [1, 2]),
        (F.GT, "a", "4", [5]),
        (F.GE, "a", "4", [4, 5]),
        (F.IN, "a", "1, 5", [1, 5]),
        (F.NOT_IN, "b", "Apple,it's", [3, 4]),
        (F.BETWEEN, "a", "2,4", [2, 3, 4]),
        (F.CONTAINS, "b", "%", [3]),
        (F.CONTAINS, "b", "PP", [1]),
        (F.NOT_CONTAINS, "b", "a", [2, 4]),
        (F.STARTS_WITH, "b", "app", [1]),
        (F.ENDS_WITH, "b", "'S", [2]),
        (F.ENDS_WITH, "b", "c\\d", [4]),
        (F.LIKE, "b", "a%", [1, 3]),
        (F.NOT_LIKE, "b", "_pple", [2, 3, 4]),
        (F.IS_NULL, "b", None, [5]),
        (F.IS_NOT_NULL, "b", None, [1, 2, 3, 4]),
        (F.EQ, "b", "' OR 1=1 --", []),
        (F.CONTAINS, "a", "3", [3]),
        (F.GT, "d", "2020-01-03", [4, 5]),
    ],
)
def test_filters(place: Place, operator: F, column: str, value: str | None, wanted: list[int]) -> None:
    texts = ["Apple", "it's", "a%b", "c\\d", None]
    rows = [(n, text, f"2020-01-0{n}") for n, text in enumerate(texts, 1)]
    fill(place, "CREATE TABLE t (a int PRIMARY KEY, b text, d date)", rows)
    _, found = chunks_of(place, ChunkSize(2, BIG), Selection(filters=(Filter(column, operator, value),)))
    assert sorted(row[0] for part in found for row in part) == wanted
