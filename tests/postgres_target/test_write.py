"""Each chunk exactly once, whatever happens; and errors that say what to do."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pyarrow as pa
import pytest

from rowferry.connectors.base import PlannedTable
from rowferry.errors import ConnectionLost, MissingTable, WriteFailed
from rowferry.model import types as t
from rowferry.model.chunks import Chunk
from rowferry.model.tables import Column, Table, TableName
from tests.postgres_target.conftest import Place, prepared, write
from tests.servers import wait_until
from tests.tables import batch, column, simple, table


def by_text(name: str = "item") -> Table:
    """As `simple`, but with a column that binary COPY cannot take."""
    plain = simple(name)
    return Table(plain.name, (*plain.columns, column("way", t.Inet())), plain.primary_key)


WAYS: list[tuple[Callable[[], Table], list[Any]]] = [(simple, []), (by_text, [None])]
both = pytest.mark.parametrize(("source", "rest"), WAYS, ids=["binary", "text"])


def chunk_of(planned: PlannedTable, number: int = 0) -> Chunk:
    return Chunk(planned.source.name, number)


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
        yield batch(planned.source.columns, [[1, "zombie", *rest]])

    with ThreadPoolExecutor(2) as threads:
        one = threads.submit(zombie.write, planned, chunk_of(planned), slow())
        assert inside.wait(30)
        two = threads.submit(
            second.write, planned, chunk_of(planned), iter([batch(planned.source.columns, [[1, "two", *rest]])])
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
    (column("c", t.Text(30)), "text UNIQUE", SECRET, "has the key"),
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
