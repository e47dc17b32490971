"""What `base.Source` promises, kept by every source."""

from __future__ import annotations

import random
from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any
from uuid import UUID

import pytest
import sqlglot

from rowferry.config.stream import Consistency
from rowferry.connectors.base import ChunkSize, Source, TableRequest
from rowferry.errors import Cancelled, InvalidInput, MissingTable, Refused, SourceChanged
from rowferry.model import types as t
from rowferry.model.chunks import Chunk
from rowferry.model.tables import Filter, FilterOperator, Selection, Sort, Table
from rowferry.typemap.arrow import arrow_schema
from tests.conformance.sources import Row, SourcePlace, as_read
from tests.servers import wait_until

WHOLE = ChunkSize(10**6, 1 << 40)
COLUMNS = {"id": "number", "word": "word", "mark": "uuid"}


def rows_of(count: int, first: int = 1) -> list[Row]:
    """Rows of `COLUMNS`; every third word is missing."""
    return [(n, None if n % 3 == 0 else f"w{n}", UUID(int=n << 64)) for n in range(first, first + count)]


def table_of(source: Source, name: str, **how: Any) -> Table:
    [table] = source.tables([TableRequest(name, **how)])
    return table


def read_chunk(source: Source, table: Table, chunk: Chunk) -> list[Row]:
    """The chunk's rows; each batch has the schema that is promised."""
    schema = arrow_schema(table.columns)
    rows: list[Row] = []
    for batch in source.read(table, chunk):
        assert batch.schema.equals(schema)
        batch.validate(full=True)
        rows += zip(*(values.to_pylist() for values in batch.columns), strict=True)
    return rows


def read_all(source: Source, table: Table, size: ChunkSize = WHOLE) -> list[Row]:
    return [row for chunk in source.chunks(table, size) for row in read_chunk(source, table, chunk)]


def test_the_dialect_is_one_that_sqlglot_knows(source_place: SourcePlace) -> None:
    assert sqlglot.Dialect.get(source_place.open().dialect)


def test_every_table_is_found_by_name_and_structure(source_place: SourcePlace) -> None:
    source = source_place.open()
    assert source.tables([]) == []
    source_place.create("b", COLUMNS, key=["word", "id"])
    source_place.create("a", {"n": "number"})
    a, b = source.tables([])
    assert (a.name.name, a.primary_key, a.key) == ("a", (), ())
    assert (b.name.name, b.primary_key) == ("b", ("word", "id"))
    assert b.key == (b.primary_key if source_place.answers else ())
    assert [(one.name, one.type, one.nullable) for one in b.columns] == [
        ("id", t.Integer(64), False), ("word", t.Text(20), False), ("mark", t.Uuid(), True),
    ]  # fmt: skip


def test_requested_tables_come_in_the_order_of_the_requests(source_place: SourcePlace) -> None:
    for name in ("a", "b", "c"):
        source_place.create(name, {"n": "number"})
    source = source_place.open()
    whole_name = str(table_of(source, "a").name)
    other = TableRequest("b2", query="SELECT * FROM b") if source_place.answers else TableRequest("b")
    found = source.tables([TableRequest("c"), other, TableRequest(whole_name), TableRequest("c")])
    assert [table.name.name for table in found] == ["c", other.name, "a", "c"]


def test_every_missing_table_is_named(source_place: SourcePlace) -> None:
    source_place.create("there", {"n": "number"})
    with pytest.raises(MissingTable, match=r"gone, lost") as caught:
        source_place.open().tables([TableRequest(name) for name in ("lost", "there", "gone")])
    assert "there," not in caught.value.message


@pytest.mark.parametrize(
    "selection",
    [
        Selection(columns=("id", "nope")),
        Selection(filters=(Filter("nope", FilterOperator.EQ, "1"),)),
        Selection(sorts=(Sort("nope"),)),
    ],
    ids=["selected", "filtered", "sorted"],
)
def test_a_column_that_is_not_there_is_named(source_place: SourcePlace, selection: Selection) -> None:
    source_place.create("t", COLUMNS)
    with pytest.raises(InvalidInput, match="nope"):
        source_place.open().tables([TableRequest("t", selection)])


def test_a_query_is_a_table(source_place: SourcePlace) -> None:
    rows = [row[:2] for row in rows_of(30)]
    source_place.create("t", {"id": "number", "word": "word"}, ["id"], rows)
    source = source_place.open()
    if not source_place.answers:
        with pytest.raises(InvalidInput):
            source.tables([TableRequest("q", query="SELECT * FROM t")])
        return
    table = table_of(source, "q", query="SELECT * FROM t")
    assert (table.name.name, list(table.column_names())) == ("q", ["id", "word"])
    [chunk] = source.chunks(table, ChunkSize(10, 1 << 20))
    assert Counter(read_chunk(source, table, chunk)) == Counter(rows)
    with pytest.raises(InvalidInput):
        source.tables([TableRequest("q", query="SELEC 1")])


_CHANCE = random.Random(7)
_WORDS = ["", "it's", "a\\b", "%", "_", "é", "中文", "\U0001f600", '"x"', *(f"word {n}" for n in range(30))]
_NUMBERS = [*range(-20, 20)]
KEYS: dict[str, tuple[dict[str, str], list[str], list[Row]]] = {
    "dense": ({"id": "number"}, ["id"], [(n,) for n in _NUMBERS]),
    "sparse": ({"id": "number"}, ["id"], [(n,) for n in (-(2**63), *(n * 10**15 for n in _NUMBERS), 2**63 - 1)]),
    "text": ({"word": "word"}, ["word"], [(word,) for word in _WORDS]),
    "uuid": ({"mark": "uuid"}, ["mark"], [(UUID(int=_CHANCE.getrandbits(128), version=4),) for _ in _NUMBERS]),
    "composite": (COLUMNS, ["word", "id"], [(n, f"w{n % 4}", None) for n in _NUMBERS]),
    "none": ({"id": "number"}, [], [(n % 5,) for n in _NUMBERS]),
}


@pytest.mark.parametrize("key", KEYS)
def test_chunks_hold_each_row_exactly_once(source_place: SourcePlace, key: str) -> None:
    columns, names, rows = KEYS[key]
    source_place.create("t", columns, names, rows)
    source = source_place.open()
    table = table_of(source, "t")
    for most in (3, 7, 1000):
        chunks = source.chunks(table, ChunkSize(most, 1 << 40))
        assert [(chunk.table, chunk.number) for chunk in chunks] == [(table.name, at) for at in range(len(chunks))]
        assert chunks[0].low is chunks[-1].high is None
        assert [chunk.high for chunk in chunks[:-1]] == [chunk.low for chunk in chunks[1:]]
        assert not any(chunk.low is None for chunk in chunks[1:])
        found = [read_chunk(source, table, chunk) for chunk in chunks]
        assert Counter(row for part in found for row in part) == Counter(map(as_read, rows))
        if table.key:
            assert max(map(len, found)) <= most
            assert len(chunks) > 1 or most == 1000


@pytest.mark.parametrize("key", [["id"], []], ids=["keyed", "keyless"])
def test_an_empty_table_is_one_chunk_without_rows(source_place: SourcePlace, key: list[str]) -> None:
    source_place.create("t", COLUMNS, key)
    source = source_place.open()
    table = table_of(source, "t")
    [chunk] = source.chunks(table, ChunkSize(10, 1 << 20))
    assert list(source.read(table, chunk)) == []


def test_rows_that_come_after_the_split_belong_to_a_chunk(source_place: SourcePlace) -> None:
    source_place.create("t", COLUMNS, ["id"], rows_of(20, first=100))
    source = source_place.open()
    table = table_of(source, "t")
    chunks = source.chunks(table, ChunkSize(10, 1 << 40))
    more = [*rows_of(5, first=1), *rows_of(5, first=500)]
    source_place.insert("t", more)
    if source_place.still:
        with pytest.raises(SourceChanged):
            list(source.read(table, chunks[0]))
        return
    found = [row for chunk in chunks for row in read_chunk(source, table, chunk)]
    assert Counter(found) == Counter(map(as_read, [*rows_of(20, first=100), *more]))


def test_a_chunk_may_be_read_again_and_by_another_source(source_place: SourcePlace) -> None:
    source_place.create("t", COLUMNS, ["id"], rows_of(25))
    source = source_place.open()
    table = table_of(source, "t")
    for chunk in source.chunks(table, ChunkSize(10, 1 << 40)):
        first = Counter(read_chunk(source, table, chunk))
        assert first
        assert Counter(read_chunk(source, table, chunk)) == first
        assert Counter(read_chunk(source_place.open(), table, chunk)) == first


def test_a_snapshot_is_of_one_moment(source_place: SourcePlace) -> None:
    source_place.create("t", COLUMNS, ["id"], rows_of(30))
    source = source_place.open()
    if not source_place.snapshots:
        with pytest.raises(Refused):
            source.hold(Consistency.SNAPSHOT, [], 2)
        return
    table = table_of(source, "t")
    source.hold(Consistency.SNAPSHOT, [table], 2)
    first, *rest = source.chunks(table, ChunkSize(10, 1 << 40))
    rows = read_chunk(source, table, first)
    source_place.insert("t", rows_of(5, first=100))
    if source_place.still:
        with pytest.raises(SourceChanged):
            list(source.read(table, rest[0]))
        return
    rows += [row for chunk in rest for row in read_chunk(source, table, chunk)]
    assert Counter(rows) == Counter(map(as_read, rows_of(30)))
    assert source.consistency().endswith(".")


@pytest.mark.parametrize("wish", [None, Consistency.CHUNK])
def test_what_is_held_by_itself_is_never_refused(source_place: SourcePlace, wish: Consistency | None) -> None:
    source_place.create("t", COLUMNS, ["id"], rows_of(3))
    source = source_place.open()
    table = table_of(source, "t")
    source.hold(wish, [table], 2)
    assert len(read_all(source, table)) == 3
    assert source.consistency().endswith(".")


def test_a_selection_is_read_by_a_key_outside_it(source_place: SourcePlace) -> None:
    source_place.create("t", COLUMNS, ["id"], rows_of(30))
    source = source_place.open()
    selection = Selection(columns=("mark", "word"), filters=(Filter("id", FilterOperator.GT, "20"),))
    table = table_of(source, "t", selection=selection)
    assert [column.name for column in table.columns] == ["mark", "word"]
    assert len(source.chunks(table, ChunkSize(10, 1 << 40))) > 1
    wanted = [as_read((mark, word)) for _, word, mark in rows_of(10, first=21)]
    assert Counter(read_all(source, table, ChunkSize(10, 1 << 40))) == Counter(wanted)


def test_an_ordered_selection_is_one_chunk_in_its_order(source_place: SourcePlace) -> None:
    source_place.create("t", COLUMNS, ["id"], rows_of(30))
    source = source_place.open()
    selection = Selection(columns=("id",), sorts=(Sort("id", descending=True),), limit=12)
    table = table_of(source, "t", selection=selection)
    [chunk] = source.chunks(table, ChunkSize(5, 1 << 40))
    assert read_chunk(source, table, chunk) == [(n,) for n in range(30, 18, -1)]


def test_chunks_are_read_in_several_threads(source_place: SourcePlace) -> None:
    source_place.create("t", COLUMNS, ["id"], rows_of(200))
    source = source_place.open()
    table = table_of(source, "t")
    chunks = source.chunks(table, ChunkSize(20, 1 << 40))
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda chunk: read_chunk(source, table, chunk), chunks))
    assert Counter(row for part in found for row in part) == Counter(map(as_read, rows_of(200)))


Change = Callable[[SourcePlace], None]


@pytest.mark.parametrize(
    "change",
    [lambda place: place.drop("t"), lambda place: place.drop("t", "word"), lambda place: place.retype("t", "word")],
    ids=["table dropped", "column dropped", "column of another type"],
)
@pytest.mark.parametrize("key", [["id"], []], ids=["keyed", "keyless"])
def test_a_table_that_changed_is_not_read(source_place: SourcePlace, key: list[str], change: Change) -> None:
    source_place.create("t", COLUMNS, key, rows_of(5))
    source = source_place.open()
    table = table_of(source, "t")
    [chunk] = source.chunks(table, WHOLE)
    change(source_place)
    for each in (source, source_place.open()):
        with pytest.raises(SourceChanged, match=f"{table.name}"):
            list(each.read(table, chunk))


def test_a_query_whose_table_went_is_not_read(source_place: SourcePlace) -> None:
    if not source_place.answers:
        return
    source_place.create("t", COLUMNS, rows=rows_of(5))
    source = source_place.open()
    table = table_of(source, "q", query="SELECT * FROM t")
    [chunk] = source.chunks(table, WHOLE)
    source_place.drop("t")
    with pytest.raises(SourceChanged, match="q"):
        list(source.read(table, chunk))


def endless(place: SourcePlace, source: Source) -> tuple[Table, Chunk]:
    [table] = source.tables([place.endless()])
    [chunk] = source.chunks(table, WHOLE)
    return table, chunk


def test_closing_a_read_early_ends_it(source_place: SourcePlace) -> None:
    source = source_place.open()
    table, chunk = endless(source_place, source)
    reading = source.read(table, chunk)
    assert next(reading).num_rows
    assert source_place.reads() == 1
    reading.close()
    wait_until(lambda: source_place.reads() == 0, 10, "the read to end")
    assert source.tables([])


def test_closing_the_source_ends_its_reads_and_no_others(source_place: SourcePlace) -> None:
    source, other = source_place.open(), source_place.open()
    table, chunk = endless(source_place, source)
    with closing(other.read(table, chunk)) as undisturbed, ThreadPoolExecutor(2) as threads:
        next(undisturbed)
        reads = [threads.submit(_read_until_cancelled, source.read(table, chunk)) for _ in range(2)]
        wait_until(lambda: source_place.reads() == 3, 30, "the reads to begin")
        source.close()
        for reading in reads:
            reading.result(10)
        wait_until(lambda: source_place.reads() == 1, 10, "the reads to end")
        assert next(undisturbed).num_rows


def _read_until_cancelled(reading: Any) -> None:
    with pytest.raises(Cancelled):
        deque(reading, maxlen=0)


def test_a_batch_that_is_there_already_does_not_come_out_after_the_end(source_place: SourcePlace) -> None:
    source_place.create("t", COLUMNS, ["id"], rows_of(5))
    source = source_place.open()
    table = table_of(source, "t")
    reading = source.read(table, source.chunks(table, WHOLE)[0])
    next(reading)
    source.close()
    with pytest.raises(Cancelled):
        next(reading)


def test_a_closed_source_answers_no_more(source_place: SourcePlace) -> None:
    source_place.create("t", COLUMNS, ["id"], rows_of(5))
    source = source_place.open()
    table = table_of(source, "t")
    [chunk] = source.chunks(table, WHOLE)
    source.close()
    source.close()
    calls: list[Callable[[], object]] = [
        lambda: source.tables([]),
        lambda: source.chunks(table, WHOLE),
        lambda: list(source.read(table, chunk)),
    ]
    for call in calls:
        with pytest.raises(Cancelled):
            call()
