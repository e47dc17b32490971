"""The chunks of a table hold each row exactly once, whatever its key."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rowferry.connectors.base import ChunkSize
from rowferry.connectors.mysql.keys import KeyColumn, bounds
from rowferry.errors import SourceChanged
from rowferry.model.chunks import Chunk
from rowferry.model.tables import NativeType
from tests.mysql.conftest import Place

# name, columns of the key, a strategy for one key
_LETTERS = st.text(alphabet="aAbBéÉßzZ \\'\"%_\U0001f600中", max_size=4)
_LATIN = st.text(alphabet="aAäÄßzZ' \\", max_size=4)
_DATES = st.dates().map(str)
_MOMENTS = st.integers(1, 10**9).map(lambda n: f"2024-01-01 00:00:{n % 60:02}.{n % 1000:03}")
KEYS = {
    "unsigned": ("k BIGINT UNSIGNED", ["k"], st.tuples(st.integers(0, 2**64 - 1))),
    "insensitive": ("k VARCHAR(9) COLLATE utf8mb4_unicode_ci", ["k"], st.tuples(_LETTERS)),
    "binary collation": ("k VARCHAR(9) COLLATE utf8mb4_bin", ["k"], st.tuples(_LETTERS)),
    "latin": ("k VARCHAR(9) CHARACTER SET latin1 COLLATE latin1_german2_ci", ["k"], st.tuples(_LATIN)),
    "utf16": ("k CHAR(9) CHARACTER SET utf16", ["k"], st.tuples(_LETTERS)),
    "bytes": ("k VARBINARY(4)", ["k"], st.tuples(st.binary(max_size=4))),
    "fixed bytes": ("k BINARY(3)", ["k"], st.tuples(st.binary(max_size=3))),
    "decimal": ("k DECIMAL(20,5)", ["k"], st.tuples(st.decimals(-(10**14), 10**14, places=5))),
    "date": ("k DATE", ["k"], st.tuples(_DATES)),
    "moment": ("k TIMESTAMP(3)", ["k"], st.tuples(_MOMENTS)),
    "time": ("k TIME", ["k"], st.tuples(st.integers(-838, 838).map(lambda hours: f"{hours:03}:00:00"))),
    "bits": ("k BIT(40)", ["k"], st.tuples(st.integers(0, 2**40 - 1))),
    "composite": ("a INT, b VARCHAR(4), c DATE", ["a", "b", "c"], st.tuples(st.integers(-2, 2), _LETTERS, _DATES)),
    "enum": ("k ENUM('z','a','m')", ["k"], st.tuples(st.sampled_from(["z", "a", "m"]))),
}  # fmt: skip


@pytest.mark.parametrize("case", KEYS)
def test_chunks_hold_each_row_once(place: Place, case: str) -> None:
    declared, names, strategy = KEYS[case]
    marks = ", ".join(["%s"] * len(names))
    columns = ", ".join(f"{part} NOT NULL" for part in declared.split(", "))
    place.run(f"CREATE TABLE t ({columns}, n INT AUTO_INCREMENT UNIQUE, PRIMARY KEY ({', '.join(names)}))")
    place.run("CREATE TABLE noise (n INT)")

    @settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(strategy, min_size=0, max_size=60), st.integers(1, 25))
    def check(keys: list[tuple[object, ...]], rows: int) -> None:
        place.run("TRUNCATE t")
        with place.server.connect(place.database) as session, session.cursor() as cursor:
            cursor.execute("SET time_zone='+00:00', sql_mode=''")
            cursor.executemany(f"INSERT IGNORE INTO t ({', '.join(names)}) VALUES ({marks})", keys)
        table = place.table("t")
        chunks = place.source.chunks(table, ChunkSize(rows, 1 << 30))
        assert [chunk.number for chunk in chunks] == list(range(len(chunks)))
        assert chunks[0].low is None
        assert chunks[-1].high is None
        found = [
            pa.Table.from_batches([*place.source.read(table, chunk)] or [_empty(table)])["n"].to_pylist()
            for chunk in chunks
        ]
        assert case == "enum" or all(len(numbers) <= rows for numbers in found)
        wanted = Counter(number for (number,) in place.run("SELECT n FROM t"))
        assert Counter(number for numbers in found for number in numbers) == wanted

    check()


def _empty(table: object) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist([], pa.schema([("n", pa.int32())]))


def test_a_dense_key_is_divided_without_a_walk(place: Place) -> None:
    place.run(
        "CREATE TABLE t (id INT UNSIGNED PRIMARY KEY)",
        "INSERT INTO t SELECT seq FROM seq_11_to_5010",
        "ANALYZE TABLE t",
    )
    chunks = place.source.chunks(place.table("t"), ChunkSize(1000, 1 << 30))
    assert [chunk.high for chunk in chunks] == [(1010,), (2010,), (3010,), (4010,), None]
    assert [chunk.low for chunk in chunks] == [None, (1010,), (2010,), (3010,), (4010,)]


def test_wide_rows_make_smaller_chunks_even_without_statistics(place: Place) -> None:
    place.run(
        "CREATE TABLE t (id INT PRIMARY KEY, b LONGBLOB)",
        "INSERT INTO t SELECT seq, REPEAT('x', 50000) FROM seq_1_to_60",
    )
    table = replace(place.table("t"), estimated_rows=0, estimated_bytes=0)
    chunks = place.source.chunks(table, ChunkSize(500_000, 500_000))
    assert 6 <= len(chunks) <= 8


def test_a_composite_key_is_read_by_its_index(place: Place) -> None:
    place.run("CREATE TABLE t (a INT, b INT, v TEXT, PRIMARY KEY (a, b))")
    place.run("INSERT INTO t SELECT seq DIV 10, seq, REPEAT('x', 500) FROM seq_1_to_5000", "ANALYZE TABLE t")
    key = [KeyColumn(name, NativeType("int", "int")) for name in ("a", "b")]
    conditions = " AND ".join(bounds(key, Chunk(place.table("t").name, 1, (100, 1005), (110, 1109))))
    plan = place.run(f"EXPLAIN SELECT v FROM t WHERE {conditions}")[0]
    assert plan[3:6] == ("range", "PRIMARY", "PRIMARY")
    assert place.run(f"SELECT COUNT(*) FROM t WHERE {conditions}") == [(104,)]


def test_a_key_that_went_away(place: Place) -> None:
    place.run("CREATE TABLE t (id INT PRIMARY KEY, n INT)")
    table = place.table("t")
    place.run("ALTER TABLE t DROP COLUMN id")
    with pytest.raises(SourceChanged, match="lost its key"):
        place.source.chunks(replace(table, estimated_rows=5000), ChunkSize(10, 1 << 20))
    with pytest.raises(SourceChanged, match="no column id any more"):
        place.read(table)
