"""A run against a source and a target in memory: exactly once, limits, endings."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from rowferry.bus.messages import Progress
from rowferry.config.stream import StreamConfig
from rowferry.connectors.base import ChunkSize
from rowferry.errors import SourceChanged, WriteFailed
from rowferry.model.chunks import Chunk, Committed
from rowferry.model.findings import Finding
from rowferry.model.streams import StreamState
from rowferry.pipeline import run as run_module
from rowferry.pipeline.job import Job, Outcome
from rowferry.pipeline.run import Run
from rowferry.pipeline.signals import Signals
from tests.pipeline.memory import Entries, MemorySource, MemoryTarget, Store, counting, lose_connection_once

CHUNK_ROWS = 30


class Silent:
    """`Events` that keep what they are told."""

    def __init__(self) -> None:
        self.last: Progress | None = None
        self.lines: list[str] = []

    def progress(self, progress: Progress) -> None:
        self.last = progress

    def log(self, level: str, message: str, category: str = "general", **extra: object) -> None:
        self.lines.append(message)

    def found(self, findings: Sequence[Finding]) -> None:
        """The outcome has them, too."""


def execute(
    monkeypatch: pytest.MonkeyPatch,
    source: MemorySource,
    target: MemoryTarget,
    signals: Signals | None = None,
    consistency: str | None = None,
    **limits: float,
) -> tuple[Outcome, Silent]:
    document: dict[str, Any] = {
        "name": "test",
        "mode": "convert",
        "limits": limits,
        "source": {"connections": [{"connectionId": "s"}], "options": {"consistency": consistency}},
        "target": {"id": "t", "spec": {"db": {"database": "d"}}},
    }
    job = Job(stream_id="stream", config=StreamConfig.model_validate(document), connections={}, workers=3)
    small = type("Small", (), {"__call__": lambda _, rows, size: ChunkSize(min(rows, CHUNK_ROWS), size)})()
    monkeypatch.setattr(run_module, "ChunkSize", small)
    monkeypatch.setattr(run_module, "open_sources", lambda _: [source])
    monkeypatch.setattr(run_module, "open_target", lambda *_: target)
    events = Silent()
    with Run(job, events, signals or Signals()) as running:
        return running.execute(), events


def assert_complete(store: Store, sizes: dict[str, int]) -> None:
    for name, size in sizes.items():
        assert sorted(store.rows[f"db.{name}"]) == [(number,) for number in range(size)]


def test_every_row_arrives_once(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = {"a": 1000, "b": 0, "c": 7}
    store = Store()
    outcome, events = execute(monkeypatch, MemorySource(counting(sizes)), MemoryTarget(store))
    assert outcome.state is StreamState.FINISHED
    assert_complete(store, sizes)
    assert store.finished[-1] == "*"
    assert set(store.finished) == {"db.a", "db.b", "db.c", "*"}
    assert events.last is not None
    assert (events.last.read, events.last.written) == (1007, 1007)
    assert [table.status for table in events.last.tables] == ["FINISHED"] * 3


def test_a_lost_connection_is_tried_again_and_doubles_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rowferry.pipeline.copy.BACKOFF", (0.01, 0.01))
    sizes = {"a": 500}
    store = Store()
    source = MemorySource(counting(sizes), lose_connection_once({0, 3, 9}))
    outcome, events = execute(monkeypatch, source, MemoryTarget(store))
    assert outcome.state is StreamState.FINISHED
    assert_complete(store, sizes)
    assert events.last is not None
    assert events.last.read == 500


def test_a_failing_writer_ends_the_run_and_a_second_run_completes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = {"a": 500}
    store = Store()
    outcome, _ = execute(monkeypatch, MemorySource(counting(sizes)), MemoryTarget(store, fail_chunk(5)))
    assert outcome.state is StreamState.FAILED
    assert isinstance(outcome.error, WriteFailed)
    assert "*" not in store.finished
    outcome, events = execute(monkeypatch, MemorySource(counting(sizes)), MemoryTarget(store))
    assert outcome.state is StreamState.FINISHED
    assert store.prepared == 1
    assert_complete(store, sizes)
    assert events.last is not None
    assert events.last.written == 500


def test_the_second_run_says_that_its_snapshot_is_another(monkeypatch: pytest.MonkeyPatch) -> None:
    store, held = Store(), counting({"a": 500})
    told = "of an earlier moment than what it reads in its new snapshot"
    _, events = execute(monkeypatch, MemorySource(held), MemoryTarget(store, fail_chunk(5)), consistency="snapshot")
    assert not any(told in line for line in events.lines)
    outcome, events = execute(monkeypatch, MemorySource(held), MemoryTarget(store), consistency="snapshot")
    assert outcome.state is StreamState.FINISHED
    assert any(told in line for line in events.lines)


@pytest.mark.parametrize("keyed", [True, False])
def test_the_second_run_of_a_table_without_key_says_what_may_be_amiss(
    monkeypatch: pytest.MonkeyPatch, keyed: bool
) -> None:
    store, held = Store(), counting({"a": 500}, keyed)
    outcome, _ = execute(monkeypatch, MemorySource(held), MemoryTarget(store, fail_chunk(5)))
    assert outcome.state is StreamState.FAILED
    outcome, events = execute(monkeypatch, MemorySource(held), MemoryTarget(store))
    assert outcome.state is StreamState.FINISHED
    assert any("may be missing or double" in line for line in events.lines) is not keyed
    assert "Nothing changes here." in events.lines


def test_a_source_that_changed_is_not_resumed(monkeypatch: pytest.MonkeyPatch) -> None:
    done = {("db.a", 0): Committed("db.a", 0, 3, 24), ("db.gone", 0): Committed("db.gone", 0, 4, 32)}
    before = Entries({"db.a": "as it was", "db.gone": "x"}, committed=done)
    store = Store(rows={"db.a": []}, journals={"stream": before})
    outcome, events = execute(monkeypatch, MemorySource(counting({"a": 5})), MemoryTarget(store))
    assert outcome.state is StreamState.FAILED
    assert isinstance(outcome.error, SourceChanged)
    assert "the columns of db.a have changed; the table db.gone is no longer there" in outcome.error.message
    assert store.rows == {"db.a": []}
    assert events.last is not None
    assert events.last.written == 7  # what is on the target still counts


def test_a_table_that_appears_later_is_left_out_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store()
    execute(monkeypatch, MemorySource(counting({"a": 50})), MemoryTarget(store, fail_chunk(1)))
    outcome, _ = execute(monkeypatch, MemorySource(counting({"a": 50, "b": 7})), MemoryTarget(store))
    assert outcome.state is StreamState.FINISHED
    assert_complete(store, {"a": 50})
    assert [finding.table for finding in outcome.report if finding.table] == ["db.b"]
    assert "db.b" not in store.rows


def fail_chunk(number: int) -> Callable[[Chunk], None]:
    def fail(chunk: Chunk) -> None:
        if chunk.number == number:
            raise WriteFailed("The target does not take it.")

    return fail


@pytest.mark.parametrize("limit", [1, 9, 10, 29, 30, 31, 60, 99])
def test_the_limit_of_events_is_exact(monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    store = Store()
    outcome, _ = execute(monkeypatch, MemorySource(counting({"a": 100})), MemoryTarget(store), numberOfEvents=limit)
    assert outcome.state is StreamState.EVENT_LIMIT_REACHED
    assert len(store.rows["db.a"]) == limit
    assert store.finished == ["db.a"]


@pytest.mark.parametrize("limit", [100, 101])
def test_a_limit_that_leaves_no_row_out_is_not_reached(monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    store = Store()
    outcome, _ = execute(monkeypatch, MemorySource(counting({"a": 100})), MemoryTarget(store), numberOfEvents=limit)
    assert outcome.state is StreamState.FINISHED
    assert_complete(store, {"a": 100})


@pytest.mark.parametrize("state", [StreamState.PAUSED, StreamState.STOPPED])
def test_an_ending_from_outside_keeps_what_is_committed(monkeypatch: pytest.MonkeyPatch, state: StreamState) -> None:
    signals, store = Signals(), Store()

    def end_in_the_middle(chunk: Chunk) -> None:
        if chunk.number == 4:
            signals.end(state)

    sizes = {"a": 60_000}
    outcome, _ = execute(monkeypatch, MemorySource(counting(sizes)), MemoryTarget(store, end_in_the_middle), signals)
    assert outcome.state is state
    assert outcome.error is None
    committed = store.journals["stream"].committed.values()
    assert len(store.rows["db.a"]) == sum(entry.rows for entry in committed) < 60_000
    outcome, _ = execute(monkeypatch, MemorySource(counting(sizes)), MemoryTarget(store))
    assert outcome.state is StreamState.FINISHED
    assert_complete(store, sizes)


def test_the_time_limit_cuts_a_read_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    hanging = threading.Event()

    def hang(chunk: Chunk, batch: int) -> None:
        if chunk.number == 1:
            hanging.wait(30)

    source = MemorySource(counting({"a": 90}), hang)
    monkeypatch.setattr(source, "close", hanging.set)
    outcome, _ = execute(monkeypatch, source, MemoryTarget(Store()), elapsedTime=0.3)
    assert outcome.state is StreamState.TIME_LIMIT_REACHED
    assert 0.3 <= outcome.elapsed < 1.3
