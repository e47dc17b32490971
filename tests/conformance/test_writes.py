"""What `base.Target` promises of rows, kept by every target: each chunk exactly once, whatever happens."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import pytest

from rowferry.connectors.base import PlannedTable
from rowferry.errors import Cancelled, ConnectionLost, RowferryError
from rowferry.model.chunks import Committed
from tests.conformance.streams import batches, chunk, item, journal_of, prepared, untouched, write
from tests.conformance.targets import OTHER_WAYS, TARGETS, Row, TargetPlace
from tests.servers import wait_until

pytestmark = pytest.mark.parametrize("target_place", [*TARGETS, *OTHER_WAYS], indirect=True)

ROWS: list[Row] = [(1, "a"), (2, "it's"), (3, "\u00e9\\")]
MORE: list[Row] = [(4, "d"), (5, ""), (6, "\t")]
"""Rows of other keys, since a target may have the key from the beginning."""


def test_a_chunk_is_written_once(target_place: TargetPlace) -> None:
    target = target_place.open()
    [planned] = prepared(target, item(target_place))
    done = write(target, planned, ROWS)
    assert done == Committed(str(planned.target.name), 0, 3, done.size)
    assert done.size > 0
    for each in (target, target_place.open()):
        assert each.write(planned, chunk(planned), untouched()) == done
        assert list(journal_of(each).committed) == [done]
    assert target_place.rows(planned) == ROWS


def test_the_journal_tells_the_next_process(target_place: TargetPlace) -> None:
    target = target_place.open()
    one, two = prepared(target, item(target_place, "one"), item(target_place, "two"))
    target.begin(one, [chunk(one, number) for number in range(3)])
    done = [write(target, one, ROWS, 2), write(target, one, MORE[:1], 0), write(target, two, ROWS[:2], 0)]
    target.close()
    again = target_place.open()
    journal = journal_of(again)
    assert sorted(journal.committed, key=str) == sorted(done, key=str)
    assert write(again, one, MORE[1:], 1).rows == 2
    assert target_place.rows(one) == ROWS + MORE


@pytest.mark.parametrize("number", [0, 1])
def test_a_chunk_may_be_empty(target_place: TargetPlace, number: int) -> None:
    target = target_place.open()
    [planned] = prepared(target, item(target_place))
    done = target.write(planned, chunk(planned, number), iter([]))
    assert (done.number, done.rows) == (number, 0)
    assert list(journal_of(target).committed) == [done]
    assert target.write(planned, chunk(planned, number), untouched()) == done
    assert target_place.rows(planned) == []


def test_batches_may_be_slices_or_empty(target_place: TargetPlace) -> None:
    target = target_place.open()
    [planned] = prepared(target, item(target_place))
    [whole] = batches(planned.source, [(n, f"n{n}") for n in range(100)], size=100)
    parts = [whole.slice(0, 0), whole.slice(10, 5), whole.slice(50, 0), whole.slice(99, 1)]
    assert target.write(planned, chunk(planned), iter(parts)).rows == 6
    assert target_place.rows(planned) == [*((n, f"n{n}") for n in range(10, 15)), (99, "n99")]


def test_batches_are_asked_for_in_the_thread_of_the_caller(target_place: TargetPlace) -> None:
    target = target_place.open()
    [planned] = prepared(target, item(target_place))
    threads: list[int] = []

    def noted() -> Iterator[pa.RecordBatch]:
        for one in batches(planned.source, ROWS):
            threads.append(threading.get_ident())
            yield one

    assert target.write(planned, chunk(planned), noted()).rows == len(ROWS)
    assert threads == [threading.get_ident()] * len(ROWS)


class Odd(Exception):
    """Nothing that a driver raises."""


@pytest.mark.parametrize(
    "error",
    [ConnectionLost("The source broke."), Odd(), OSError(28, "the source's own"), pa.ArrowInvalid("the source's own")],
    ids=lambda error: type(error).__name__,
)
def test_an_exception_of_the_source_passes_unchanged_and_leaves_nothing(
    target_place: TargetPlace, error: Exception
) -> None:
    target = target_place.open()
    [planned] = prepared(target, item(target_place))

    def broken() -> Iterator[pa.RecordBatch]:
        yield from batches(planned.source, ROWS)
        raise error

    for _ in range(2):
        with pytest.raises(type(error)) as caught:
            target.write(planned, chunk(planned), broken())
        assert caught.value is error
        assert target_place.rows(planned) == []
        assert list(journal_of(target).committed) == []
    assert write(target, planned, ROWS[:1]).rows == 1
    assert target_place.rows(planned) == ROWS[:1]


@pytest.mark.parametrize("fails", [False, True], ids=["the first ends", "the first fails"])
def test_two_writers_of_one_chunk(target_place: TargetPlace, fails: bool) -> None:
    first, second = target_place.open(), target_place.open()
    [planned] = prepared(first, item(target_place))
    inside, go_on = threading.Event(), threading.Event()

    def slow() -> Iterator[pa.RecordBatch]:
        yield from batches(planned.source, [(1, "first")])
        inside.set()
        assert go_on.wait(30)
        if fails:
            raise Odd
        yield from batches(planned.source, [(2, "first")])

    with ThreadPoolExecutor(2) as threads:
        one = threads.submit(first.write, planned, chunk(planned), slow())
        assert inside.wait(30)
        two = threads.submit(write, second, planned, [(1, "second"), (2, "second"), (3, "second")])
        wait_until(lambda: two.done() or target_place.waiting(), 30, "the second to meet the first")
        go_on.set()
        entry = two.result(30)
        if fails:
            with pytest.raises(Odd):
                one.result(30)
        else:
            assert one.result(30) == entry
    written = target_place.rows(planned)
    assert len({name for _, name in written}) == 1
    assert len(written) == entry.rows
    assert list(journal_of(first).committed) == [entry]


def test_many_threads_share_a_target(target_place: TargetPlace) -> None:
    target = target_place.open()
    planned = prepared(target, item(target_place, "a"), item(target_place, "b"))

    def one(number: int) -> Committed:
        return write(target, planned[number % 2], [(number, "x")], number // 2)

    with ThreadPoolExecutor(4) as threads:
        done = list(threads.map(one, range(24)))
    assert sorted(journal_of(target).committed, key=str) == sorted(done, key=str)
    for at, table in enumerate(planned):
        assert target_place.rows(table) == [(number, "x") for number in range(at, 24, 2)]


def _endless(table: PlannedTable, inside: threading.Event) -> Iterator[pa.RecordBatch]:
    number = 0
    while True:
        number += 1
        yield from batches(table.source, [(number, "x")])
        inside.set()


def test_closing_breaks_a_write_and_leaves_nothing(target_place: TargetPlace) -> None:
    target = target_place.open()
    [planned] = prepared(target, item(target_place))
    inside = threading.Event()
    with ThreadPoolExecutor(1) as threads:
        writing = threads.submit(target.write, planned, chunk(planned), _endless(planned, inside))
        assert inside.wait(30)
        target.close()
        target.close()
        with pytest.raises(Cancelled):
            writing.result(10)
    before = target_place.seen()
    with pytest.raises(Cancelled):
        target.write(planned, chunk(planned), untouched())
    assert target_place.seen() == before
    other = target_place.open()
    assert list(journal_of(other).committed) == []
    assert target_place.rows(planned) == []
    assert write(other, planned, ROWS).rows == 3
    assert target_place.rows(planned) == ROWS


def test_closing_breaks_a_writer_that_waits_for_another(target_place: TargetPlace) -> None:
    first, second = target_place.open(), target_place.open()
    [planned] = prepared(first, item(target_place))
    inside, go_on = threading.Event(), threading.Event()

    def slow() -> Iterator[pa.RecordBatch]:
        inside.set()
        assert go_on.wait(30)
        yield from batches(planned.source, ROWS)

    with ThreadPoolExecutor(2) as threads:
        one = threads.submit(first.write, planned, chunk(planned), slow())
        assert inside.wait(30)
        two = threads.submit(write, second, planned, ROWS)
        wait_until(lambda: two.done() or target_place.waiting(), 30, "the second to meet the first")
        waited = not two.done()
        second.close()
        if waited:
            with pytest.raises(Cancelled):
                two.result(10)
        go_on.set()
        assert one.result(30).rows == len(ROWS)
    assert target_place.rows(planned) == ROWS


def test_closing_does_not_wait_for_the_end_of_the_batches(target_place: TargetPlace) -> None:
    """A write whose last batch is already in still leaves nothing."""
    target = target_place.open()
    [planned] = prepared(target, item(target_place))

    def closed_at_the_end() -> Iterator[pa.RecordBatch]:
        yield from batches(planned.source, ROWS)
        target.close()

    with pytest.raises(Cancelled):
        target.write(planned, chunk(planned), closed_at_the_end())
    assert list(journal_of(target_place.open()).committed) == []
    assert target_place.rows(planned) == []


def test_a_stream_that_is_forgotten_meanwhile_leaves_no_trace(target_place: TargetPlace) -> None:
    """The chunk is there as a whole or not at all."""
    target, other = target_place.open(), target_place.open()
    [planned] = prepared(target, item(target_place))
    inside, go_on = threading.Event(), threading.Event()

    def slow() -> Iterator[pa.RecordBatch]:
        yield from batches(planned.source, ROWS)
        inside.set()
        assert go_on.wait(30)

    with ThreadPoolExecutor(2) as threads:
        writing = threads.submit(target.write, planned, chunk(planned), slow())
        assert inside.wait(30)
        forgetting = threads.submit(other.forget)
        wait_until(lambda: forgetting.done() or target_place.waiting(), 30, "the end of the stream to meet the write")
        go_on.set()
        forgetting.result(30)
        error = writing.exception(30)
    assert error is None or isinstance(error, RowferryError)
    assert target_place.rows(planned) == ([] if error else ROWS)
    assert target_place.traces() == []
