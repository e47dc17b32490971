"""Each chunk exactly once, whatever happens; and errors that say what to do."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pyarrow as pa
import pytest

from rowferry.connectors.base import PlannedTable
from rowferry.connectors.postgres.target import PostgresTarget
from rowferry.errors import Cancelled, Conflict, ConnectionLost, MissingTable, RowferryError, WriteFailed
from rowferry.model import types as t
from rowferry.model.chunks import Chunk, Committed
from rowferry.model.tables import Column, Table, TableName
from tests.postgres_target.conftest import Place, batch, column, prepared, simple, table, write
from tests.servers import wait_until


def by_text(name: str = "item") -> Table:
    """As `simple`, but with a column that binary COPY cannot take."""
    plain = simple(name)
    return Table(plain.name, (*plain.columns, column("way", t.Inet())), plain.primary_key)


WAYS: list[tuple[Callable[[], Table], list[Any]]] = [(simple, []), (by_text, [None])]
both = pytest.mark.parametrize(("source", "rest"), WAYS, ids=["binary", "text"])


def chunk_of(planned: PlannedTable, number: int = 0) -> Chunk:
    return Chunk(planned.source.name, number)


@both
def test_a_chunk_is_written_once(place: Place, source: Callable[[], Table], rest: list[Any]) -> None:
    target = place.target()
    [planned] = prepared(target, source()).tables
    first = write(target, planned, [[1, "a", *rest], [2, "b", *rest]])
    assert (first.table, first.number, first.rows) == ("public.item", 0, 2)
    assert first.size > 0

    def untouched() -> Iterator[pa.RecordBatch]:
        raise AssertionError("a chunk that is done is not read")
        yield

    assert target.write(planned, chunk_of(planned), untouched()) == first
    assert place.target().write(planned, chunk_of(planned), untouched()) == first
    assert place.run("SELECT count(*) FROM item") == [(2,)]


@both
def test_an_exception_of_the_source_passes_unchanged_and_leaves_nothing(
    place: Place, source: Callable[[], Table], rest: list[Any]
) -> None:
    target = place.target()
    [planned] = prepared(target, source()).tables
    broken = RowferryError("the source broke")

    def batches() -> Iterator[pa.RecordBatch]:
        yield batch(planned.source, [[1, "a", *rest]])
        raise broken

    for _ in range(2):
        with pytest.raises(RowferryError) as caught:
            target.write(planned, chunk_of(planned), batches())
        assert caught.value is broken
        assert place.run("SELECT count(*) FROM item") == [(0,)]
    journal = target.journal()
    assert journal is not None
    assert list(journal.committed) == []
    assert write(target, planned, [[1, "a", *rest]]).rows == 1


@both
def test_batches_are_consumed_one_at_a_time(place: Place, source: Callable[[], Table], rest: list[Any]) -> None:
    target = place.target()
    [planned] = prepared(target, source()).tables
    assert target.write(planned, chunk_of(planned, 0), iter([])).rows == 0
    parts = [batch(planned.source, [[at, "x", *rest]]) for at in range(20)]
    sliced = [part.slice(0, 0) for part in parts[:2]] + parts
    assert target.write(planned, chunk_of(planned, 1), iter(sliced)).rows == 20
    whole = batch(planned.source, [[at, f"n{at}", *rest] for at in range(100, 200)])
    assert target.write(planned, chunk_of(planned, 2), iter([whole.slice(10, 5)])).rows == 5
    assert place.run("SELECT id, name FROM item WHERE id >= 100 ORDER BY id LIMIT 1") == [(110, "n110")]


@both
def test_two_writers_of_one_chunk(place: Place, source: Callable[[], Table], rest: list[Any]) -> None:
    """The second waits for the first, then finds the chunk done."""
    first, second = place.target(), place.target()
    [planned] = prepared(first, source()).tables
    inside, go_on = threading.Event(), threading.Event()

    def slow() -> Iterator[pa.RecordBatch]:
        inside.set()
        assert go_on.wait(30)
        yield batch(planned.source, [[1, "first", *rest]])

    with ThreadPoolExecutor(2) as threads:
        one = threads.submit(first.write, planned, chunk_of(planned), slow())
        assert inside.wait(30)
        two = threads.submit(
            second.write, planned, chunk_of(planned), iter([batch(planned.source, [[1, "two", *rest]])])
        )
        waiting = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        wait_until(lambda: place.run(waiting))
        assert not two.done()
        go_on.set()
        assert one.result(30) == two.result(30)
    assert place.run("SELECT name FROM item") == [("first",)]


@both
def test_the_waiting_writer_takes_over_when_the_first_dies(
    place: Place, source: Callable[[], Table], rest: list[Any]
) -> None:
    zombie, second = place.target(), place.target()
    [planned] = prepared(zombie, source()).tables
    inside, go_on = threading.Event(), threading.Event()

    def slow() -> Iterator[pa.RecordBatch]:
        inside.set()
        assert go_on.wait(30)
        yield batch(planned.source, [[1, "zombie", *rest]])

    with ThreadPoolExecutor(2) as threads:
        one = threads.submit(zombie.write, planned, chunk_of(planned), slow())
        assert inside.wait(30)
        two = threads.submit(
            second.write, planned, chunk_of(planned), iter([batch(planned.source, [[1, "two", *rest]])])
        )
        waiting = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        wait_until(lambda: place.run(waiting))
        place.run(
            "SELECT pg_terminate_backend(b) FROM pg_stat_activity, unnest(pg_blocking_pids(pid)) b "
            "WHERE datname = current_database()"
        )
        assert two.result(30).rows == 1
        go_on.set()
        with pytest.raises(ConnectionLost):
            one.result(30)
    assert place.run("SELECT name FROM item") == [("two",)]
    assert write(zombie, planned, [[2, "next", *rest]], number=1).rows == 1


def test_a_writer_of_a_forgotten_stream_writes_nothing(place: Place) -> None:
    zombie, other = place.target("s1"), place.target("s2", "create_missing_only")
    [planned] = prepared(zombie, simple()).tables
    prepared(other, simple("other"))
    place.target("s1").forget()
    with pytest.raises(WriteFailed):
        write(zombie, planned, [[1, "late"]])
    assert place.run("SELECT count(*) FROM item") == [(0,)]
    other.forget()
    with pytest.raises(RowferryError):
        write(zombie, planned, [[1, "late"]])


def test_many_threads_share_the_target(place: Place) -> None:
    target = place.target()
    planned = prepared(target, simple("a"), by_text("b")).tables
    with ThreadPoolExecutor(4) as threads:
        jobs = [threads.submit(write, target, planned[0], [[n, "x"]], n) for n in range(20)]
        jobs += [threads.submit(write, target, planned[1], [[n, "x", None]], n) for n in range(20)]
        assert sum(job.result(60).rows for job in jobs) == 40
    assert place.run("SELECT (SELECT count(*) FROM a), (SELECT count(*) FROM b)") == [(20, 20)]


def test_the_journal_is_there_for_the_next_process(place: Place) -> None:
    source = simple()
    target = place.target()
    assert target.journal() is None
    [planned] = prepared(target, source).tables
    chunks = [Chunk(source.name, 0, None, (2**63, "k'")), Chunk(source.name, 1, (2**63, "k'"), None)]
    target.begin(planned, chunks)
    done = write(target, planned, [[1, "a"]], number=1)
    target.close()
    again = place.target()
    journal = again.journal()
    assert journal is not None
    assert dict(journal.fingerprints) == {"public.item": "mark"}
    assert {name: list(entries) for name, entries in journal.chunks.items()} == {"public.item": chunks}
    assert list(journal.committed) == [done] == [Committed("public.item", 1, 1, done.size)]
    plan = again.plan([source], "mysql", prepared=True)
    assert plan.tables[0].target == planned.target
    assert not plan.tables[0].existing
    again.begin(planned, chunks)
    with pytest.raises(Conflict):
        again.begin(planned, chunks[:1])


def test_preparing_twice_destroys_nothing(place: Place) -> None:
    place.run("CREATE TABLE item (x int)")
    target = place.target(policy="drop_and_recreate")
    plan = target.plan([simple()], "mysql", prepared=False)
    target.prepare(plan, {})
    write(target, plan.tables[0], [[1, "a"]])
    place.target(policy="drop_and_recreate").prepare(plan, {})
    assert place.run("SELECT * FROM item") == [(1, "a")]


def test_a_table_kept_is_still_kept_after_a_crash(place: Place) -> None:
    place.run("CREATE TABLE item (id int, name text)")
    target = place.target(policy="create_missing_only")
    prepared(target, simple(), simple("new"))
    plan = place.target(policy="create_missing_only").plan([simple(), simple("new")], "mysql", prepared=True)
    assert [planned.existing for planned in plan.tables] == [True, False]


def test_forget_removes_the_schema_with_the_last_stream(place: Place) -> None:
    one, two = place.target("s1"), place.target("s2")
    prepared(one, simple("a"))
    prepared(two, simple("b"))
    there = "SELECT count(*) FROM pg_namespace WHERE nspname = '_rowferry'"
    one.forget()
    one.forget()
    assert place.run(there) == [(1,)]
    assert two.journal() is not None
    two.forget()
    assert place.run(there) == [(0,)]
    assert two.journal() is None


def test_streams_that_come_and_go_at_once(place: Place) -> None:
    def whole(number: int) -> None:
        target = place.target(f"s{number}")
        [planned] = prepared(target, simple(f"t{number}")).tables
        write(target, planned, [[1, "a"]])
        target.finish_table(planned)
        target.finish([planned])
        target.forget()
        target.close()

    with ThreadPoolExecutor(6) as threads:
        for done in [threads.submit(whole, number) for number in range(12)]:
            done.result(60)
    last = place.target("last")
    prepared(last, simple("last"))
    last.forget()
    assert place.run("SELECT count(*) FROM pg_namespace WHERE nspname = '_rowferry'") == [(0,)]


def test_a_stream_prepares_while_the_last_one_drops_the_journal(place: Place) -> None:
    prepared(place.target("before"), simple("before"))
    target = place.target("after")
    with ThreadPoolExecutor(1) as thread, place.connect() as dropping:
        with dropping.transaction():
            dropping.execute("DROP SCHEMA _rowferry CASCADE")
            preparing = thread.submit(prepared, target, simple("after"))
            wait_until(lambda: place.run("SELECT 1 FROM pg_locks WHERE NOT granted AND relation IS NOT NULL"))
        preparing.result(60)
    assert place.run("SELECT stream_id FROM _rowferry.streams") == [("after",)]


def test_a_journal_that_somebody_looks_at_is_left(place: Place) -> None:
    target = place.target("s1")
    prepared(target, simple("a"))
    with place.connect() as reader, reader.transaction():
        reader.execute("SELECT * FROM _rowferry.streams")
        target.forget()
    assert target.journal() is None
    assert place.run("SELECT count(*) FROM _rowferry.streams") == [(0,)]


SECRET = "top-secret-value"

FAILURES: list[tuple[Column, str, Any, str]] = [
    (column("c", t.Text()), "text", f"{SECRET}\0", "NUL"),
    (column("c", t.Text(30)), "varchar(3)", SECRET, "longer than its column"),
    (column("c", t.Text(30)), "text CHECK (c <> 'top-secret-value')", SECRET, "check"),
    (column("c", t.Text(30)), "text UNIQUE", SECRET, "same key"),
    (column("c", t.Json()), "json", SECRET, "type|JSON|PostgreSQL"),
    (column("c", t.Text(30)), "text NOT NULL", None, "NULL"),
]


@pytest.mark.parametrize("way", ["binary", "text"])
def test_failures_name_the_place_and_no_value(place: Place, way: str) -> None:
    extra = [column("way", t.Inet())] if way == "text" else []
    for at, (cell, declared, value, words) in enumerate(FAILURES):
        target = place.target(f"s{at}")
        [planned] = prepared(target, table(f"t{at}", cell, *extra)).tables
        place.run(f"ALTER TABLE t{at} DROP COLUMN c", f"ALTER TABLE t{at} ADD COLUMN c {declared}")
        with pytest.raises(WriteFailed, match=words) as caught:
            write(target, planned, [[value, *([None] * len(extra))]] * 2, number=3)
        assert SECRET not in caught.value.message
        assert f"chunk 3 of public.t{at}" in caught.value.message
        assert place.run(f"SELECT count(*) FROM t{at}") == [(0,)]
        place.run(f"ALTER TABLE t{at} DROP COLUMN c", f"ALTER TABLE t{at} ADD COLUMN c text")
        if cell.type == t.Text(30):
            assert write(target, planned, [["ok", *([None] * len(extra))]], number=3).rows == 1


@both
def test_a_dropped_table_is_named(place: Place, source: Callable[[], Table], rest: list[Any]) -> None:
    target = place.target()
    [planned] = prepared(target, source()).tables
    place.run("DROP TABLE item")
    with pytest.raises(MissingTable, match=r"chunk 0 of public\.item"):
        write(target, planned, [[1, "a", *rest]])


@both
def test_closing_ends_a_write(place: Place, source: Callable[[], Table], rest: list[Any]) -> None:
    target: PostgresTarget = place.target()
    [planned] = prepared(target, source()).tables
    inside = threading.Event()

    def endless() -> Iterator[pa.RecordBatch]:
        number = 0
        while True:
            number += 1
            yield batch(planned.source, [[number, "x", *rest]])
            inside.set()

    with ThreadPoolExecutor(1) as threads:
        writing = threads.submit(target.write, planned, chunk_of(planned), endless())
        assert inside.wait(30)
        target.close()
        target.close()
        with pytest.raises(Cancelled):
            writing.result(30)
    assert place.run("SELECT count(*) FROM item") == [(0,)]
    with pytest.raises(Cancelled):
        write(target, planned, [[1, "x", *rest]], number=1)


def test_names_survive(place: Place) -> None:
    odd = 'We "ird; DROP\\ \U0001f600 {}%s'
    long = "n" * 62 + "é"
    source = Table(
        TableName("shop", odd),
        (column(odd, t.Integer(32), nullable=False), column(long, t.Text(5)), column("xmin", t.Inet())),
        primary_key=(odd,),
    )
    target = place.target(schema=odd)
    [planned] = prepared(target, source).tables
    names = [cell.name for cell in planned.target.columns]
    assert names[0] == odd
    assert names[1] != long
    assert len(names[1].encode()) <= 63
    assert names[2] == "xmin_"
    write(target, planned, [[1, "a", "::1"]])
    assert target.finish_table(planned) == []
    [(stored,)] = place.run(f"""SELECT array_agg(attname::text ORDER BY attnum) FROM pg_attribute
        WHERE attrelid = (SELECT oid FROM pg_class WHERE relname = '{odd}') AND attnum > 0""")
    assert stored == names
