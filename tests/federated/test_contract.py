"""What `base.Source` promises, kept by queries over several sources."""

from __future__ import annotations

import tempfile
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pytest
import sqlglot

from rowferry.config.stream import Consistency
from rowferry.connectors.base import Source, TableRequest
from rowferry.connectors.federated import engine
from rowferry.connectors.federated.conditions import conditions
from rowferry.connectors.federated.spill import NAME
from rowferry.errors import Cancelled, InvalidInput, MissingTable, ReadFailed, SourceChanged, UnsupportedType
from rowferry.model import types as t
from rowferry.model.chunks import Chunk
from rowferry.model.tables import Selection, Sort, Table
from tests.federated.conftest import WHOLE, World
from tests.servers import wait_until

JOIN = "SELECT f.id, f.title, s.amount FROM db1.{my}.film f JOIN pg1.public.sales s ON s.film = f.id"
ENDLESS = "SELECT a.range AS n FROM range(100000) a, range(100000) b, db1.{my}.film"


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Private folders are made here, so that a test sees what is left of them."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def begun(world: World, source: Source, query: str = ENDLESS) -> Iterator[Any]:
    """A read of the query."""
    table = world.table(query, source)
    return source.read(table, source.chunks(table, WHOLE)[0])


def test_the_dialect_is_one_that_sqlglot_knows(world: World) -> None:
    assert sqlglot.Dialect.get(world.open().dialect)


def test_a_query_is_a_table_of_one_chunk(world: World) -> None:
    source = world.open()
    table = world.table(JOIN, source)
    assert (str(table.name), table.key, table.primary_key) == ("q", (), ())
    assert [(one.name, one.type) for one in table.columns] == [
        ("id", t.Integer(32)), ("title", t.Text(40)), ("amount", t.Decimal(8, 2)),
    ]  # fmt: skip
    assert source.chunks(table, WHOLE) == [Chunk(table.name, 0)]
    assert source.tables([]) == []


def test_a_chunk_may_be_read_again_and_by_another_source(world: World) -> None:
    source = world.open()
    table = world.table(JOIN, source)
    reads = [list(one.read(table, Chunk(table.name, 0))) for one in (source, source, world.open())]
    rows = [Counter(str(row) for batch in batches for row in batch.to_pylist()) for batches in reads]
    assert rows[0].total() == 3
    assert rows[0] == rows[1] == rows[2]


def test_no_row_is_no_batch(world: World) -> None:
    assert list(begun(world, world.open(), JOIN + " WHERE f.id > 100")) == []


def test_a_table_is_read_as_often_as_it_is_named(world: World) -> None:
    query = (
        "WITH c AS NOT MATERIALIZED (SELECT id FROM db1.{my}.film) SELECT count(*) AS n FROM c a, c b, db1.{my}.film"
    )
    assert world.rows(query) == [(27,)]


def test_the_rows_come_in_the_order_of_the_query(world: World) -> None:
    query = "SELECT range AS n FROM range(100000) ORDER BY n DESC"
    assert [row[0] for row in world.rows(query)] == list(range(99_999, -1, -1))


def test_files_are_read_with_the_types_of_a_stream_of_them(world: World) -> None:
    query = "SELECT code, big FROM read_csv('codes.csv') c LEFT JOIN read_json_auto('more.jsonl') m USING (film)"
    source = world.open()
    assert sorted(world.rows(query, source), key=str) == [("007", 12345678901234567890), ("x", None)]
    both = "SELECT count(*) AS n FROM read_parquet(['shelves.parquet', 'shelves.parquet'])"
    assert world.rows(both) == [(2,)]


def test_files_of_several_kinds_are_not_read_together(world: World) -> None:
    (world.base / "other.csv").write_text("film,color\n1,red\n")
    with pytest.raises(InvalidInput, match="UNION ALL"):
        world.table("SELECT * FROM read_csv(['codes.csv', 'other.csv'])")
    with pytest.raises(InvalidInput, match="read_parquet"):
        world.table("SELECT * FROM read_csv('shelves.parquet')")


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ("SELECT * FROM db1.{my}.gone", MissingTable),
        ("SELECT * FROM read_csv('gone.csv')", MissingTable),
        ("SELECT nope FROM db1.{my}.film", InvalidInput),
        ("SELECT f.id, g.id FROM db1.{my}.film f, db1.{my}.film g", InvalidInput),
        ("SELEC 1", InvalidInput),
    ],
)
def test_what_cannot_be_run_is_said_when_it_is_planned(world: World, query: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        world.table(query)


def test_a_selection_belongs_into_the_query(world: World) -> None:
    request = TableRequest("q", Selection(sorts=(Sort("id"),)), JOIN.replace("{my}", world.my))
    with pytest.raises(InvalidInput, match="into the query"):
        world.open().tables([request])
    with pytest.raises(MissingTable, match="film"):
        world.open().tables([TableRequest("film")])


def test_a_column_of_no_type_is_refused_only_where_it_is_read(world: World) -> None:
    world.in_postgres("CREATE TABLE IF NOT EXISTS odd (id int, v aclitem)")
    source = world.open()
    table = world.table("SELECT id FROM pg1.public.odd", source)
    own = world.members[1].open(world.members[1].request)
    with closing(own):
        [whole] = own.tables([TableRequest("public.odd")])
    if isinstance(whole.column("v").type, t.Unknown):
        with pytest.raises(UnsupportedType, match=r"pg1\.public\.odd, column v \(aclitem\)"):
            world.table("SELECT count(*) FROM pg1.public.odd WHERE v IS NOT NULL", source)
    assert list(source.read(table, Chunk(table.name, 0))) == []


def test_two_names_that_are_one_to_duckdb_are_refused(world: World) -> None:
    world.in_postgres('CREATE TABLE IF NOT EXISTS "Case" (a int)', 'CREATE TABLE IF NOT EXISTS "case" (a int, "A" int)')
    with pytest.raises(InvalidInput, match="one name"):
        world.table('SELECT * FROM pg1.public."case"')
    world.in_postgres('ALTER TABLE "case" DROP COLUMN "A"')
    with pytest.raises(InvalidInput, match="one name"):
        world.table('SELECT 1 FROM pg1.public."Case" x, pg1.public."case" y')


@pytest.mark.parametrize(
    "change",
    ["DROP TABLE passing", "ALTER TABLE passing DROP word", "ALTER TABLE passing ALTER word TYPE varchar(30)"],
)
def test_a_query_whose_table_changed_is_not_read(world: World, change: str) -> None:
    world.in_postgres("DROP TABLE IF EXISTS passing", "CREATE TABLE passing (id int PRIMARY KEY, word varchar(20))")
    source = world.open()
    table = world.table("SELECT p.*, f.title FROM pg1.public.passing p, db1.{my}.film f", source)
    world.in_postgres(change)
    for each in (source, world.open()):
        with pytest.raises(SourceChanged, match="q"):
            list(each.read(table, Chunk(table.name, 0)))


def test_a_snapshot_is_held_by_every_member(world: World) -> None:
    world.in_postgres(
        "CREATE TABLE IF NOT EXISTS held (id int PRIMARY KEY)", "TRUNCATE held", "INSERT INTO held VALUES (1)"
    )
    source = world.open()
    query = "SELECT h.id FROM pg1.public.held h JOIN db1.{my}.film f ON f.id <> 7 AND f.title = 'ACE'"
    table = world.table(query, source)
    source.hold(Consistency.SNAPSHOT, [table], 2)
    assert sum(len(batch) for batch in source.read(table, Chunk(table.name, 0))) == 1
    world.in_postgres("INSERT INTO held VALUES (2)")
    assert sum(len(batch) for batch in source.read(table, Chunk(table.name, 0))) == 1
    assert "db1: " in source.consistency()
    assert "pg1: " in source.consistency()


def test_closing_a_read_early_ends_it_and_leaves_nothing_behind(world: World, folders: Path) -> None:
    source = world.open()
    reading = begun(world, source)
    assert next(reading).num_rows
    assert list(folders.glob("rowferry-query-*"))
    reading.close()  # type: ignore[attr-defined]
    assert not list(folders.glob("rowferry-query-*"))
    assert world.rows("SELECT 1 AS one", source) == [(1,)]


def test_closing_the_source_ends_its_reads_and_no_others(world: World, folders: Path) -> None:
    source, other = world.open(), world.open()
    undisturbed = begun(world, other)
    next(undisturbed)
    with ThreadPoolExecutor(2) as threads:
        reads = [threads.submit(_read_until_cancelled, begun(world, source)) for _ in range(2)]
        wait_until(lambda: len(list(folders.glob("rowferry-query-*"))) >= 3, 60, "the reads to begin")
        source.close()
        for reading in reads:
            reading.result(30)
    assert next(undisturbed).num_rows
    undisturbed.close()  # type: ignore[attr-defined]


def _read_until_cancelled(reading: Any) -> None:
    with pytest.raises(Cancelled):
        deque(reading, maxlen=0)


def test_a_computation_without_rows_is_ended_too(world: World) -> None:
    """It gives no batch in between at which somebody could look whether to go on."""
    source = world.open()
    table = world.table("SELECT sum(n) AS n FROM (" + ENDLESS + ") q", source)
    with ThreadPoolExecutor(1) as threads:
        reading = threads.submit(_read_until_cancelled, source.read(table, Chunk(table.name, 0)))
        wait_until(reading.running, 10, "the read to begin")
        source.close()
        reading.result(30)


def test_a_closed_source_answers_no_more(world: World) -> None:
    source = world.open()
    table = world.table(JOIN, source)
    source.close()
    source.close()
    calls: list[Callable[[], object]] = [
        lambda: source.tables([]),
        lambda: source.chunks(table, WHOLE),
        lambda: list(source.read(table, Chunk(table.name, 0))),
    ]
    for call in calls:
        with pytest.raises(Cancelled):
            call()


def test_a_failure_of_a_member_keeps_its_own_words(world: World) -> None:
    world.in_postgres(
        "CREATE TABLE IF NOT EXISTS days (d date)", "TRUNCATE days", "INSERT INTO days VALUES ('infinity')"
    )
    with pytest.raises(ReadFailed, match=r"days\.d"):
        world.rows("SELECT d FROM pg1.public.days d JOIN db1.{my}.film f ON f.id = 1")


def test_more_than_fits_into_memory_goes_through_a_private_folder(
    world: World, folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(engine._CLOSED, "memory_limit", "64MiB")
    query = "SELECT n, repeat(md5(n::VARCHAR), 4) AS w FROM (SELECT range AS n FROM range(800000)) q ORDER BY w"
    source = world.open()
    table: Table = world.table(query, source)
    spilled, rows = 0, 0
    for batch in source.read(table, Chunk(table.name, 0)):
        rows += batch.num_rows
        spilled = max(spilled, sum(one.stat().st_size for one in folders.rglob("*") if one.is_file()))
    assert rows == 800_000
    assert spilled > 16 * 1024 * 1024
    assert not list(folders.iterdir())


def test_conditions_on_whole_numbers_are_looked_at_by_the_server(world: World) -> None:
    """What the server leaves out cannot fail on its way."""
    world.in_postgres(
        "CREATE TABLE IF NOT EXISTS far (id int PRIMARY KEY, d date)", "TRUNCATE far",
        "INSERT INTO far VALUES (1, 'infinity'), (2, '2020-01-01'), (3, '2020-01-03')",
    )  # fmt: skip
    with pytest.raises(ReadFailed):
        world.rows("SELECT id, d FROM pg1.public.far WHERE d > DATE '2020-01-02'")
    assert [row[0] for row in world.rows("SELECT id, d FROM pg1.public.far WHERE id = 2")] == [2]
    assert [
        row[0] for row in world.rows("SELECT id, d FROM pg1.public.far WHERE id > 1 AND d > DATE '2020-01-02'")
    ] == [3]
    assert len(world.rows("SELECT id FROM pg1.public.far WHERE id = 2 OR id = 1")) == 2


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        (pc.field("a") == 7, ["a = 7"]),
        ((pc.field("a") >= -1) & (pc.field("b") < 5), ["a >= -1", "b < 5"]),
        ((pc.field("a") > 1) & (pc.field("word") == "x) and (a == 9"), []),
        ((pc.field("a") > 1) & (pc.field("other") == 3), ["a > 1"]),
        ((pc.field("a") > 1) | (pc.field("b") == 3), []),
        (~(pc.field("a") == 1), []),
        (pc.field("a") != 1, []),
        (pc.field("a") == 1.5, []),
        (pc.field("a").isin([1, 2]), []),
        (pc.field("a").is_valid() & (pc.field("a") <= 3), ["a <= 3"]),
        (None, []),
    ],
)
def test_a_condition_is_only_asked_for_when_it_is_understood(expression: object, found: list[str]) -> None:
    said = conditions(expression, {"a": "a", "b": "b"})
    assert [f"{one.column} {one.operator.value} {one.value}" for one in said] == found


def test_what_a_killed_process_left_is_removed_and_nothing_else(world: World, folders: Path) -> None:
    left = folders / f"{NAME}left"
    (left / "spilled").mkdir(parents=True)
    (left / "spilled" / "rows").write_bytes(b"rows")
    other = folders / "rowferry-else"
    other.mkdir()
    reading = begun(world, world.open())
    next(reading)
    [own] = folders.glob(f"{NAME}*")
    assert own.name != left.name
    assert own.stat().st_mode & 0o077 == 0
    assert world.rows("SELECT 1 AS one") == [(1,)]
    assert own.exists()
    assert other.exists()
    reading.close()  # type: ignore[attr-defined]
