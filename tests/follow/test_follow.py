"""A stream that is followed, in memory: nothing is lost and nothing doubled, whatever breaks and wherever."""

from __future__ import annotations

import itertools
import random
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest

from rowferry.config.stream import StreamConfig
from rowferry.connectors.base import ChunkSize, PlannedTable
from rowferry.errors import ConnectionFailed, ConnectionLost, FencedOff, MomentLost, Refused, SourceChanged, WriteFailed
from rowferry.model.changes import Op, TableAltered, Truncated
from rowferry.model.findings import Finding, Severity
from rowferry.model.streams import StreamState
from rowferry.model.tables import ForeignKey, Table, TableName
from rowferry.model.types import Integer, Text
from rowferry.pipeline import follow as follow_module
from rowferry.pipeline import plan as plan_module
from rowferry.pipeline import run as run_module
from rowferry.pipeline.job import Job, Outcome
from rowferry.pipeline.run import Run
from rowferry.pipeline.signals import Signals
from tests.follow.changes import Change
from tests.follow.world import Fault, Followed, MemoryApplier, Origin, OriginLog, OriginSource, no_fault
from tests.pipeline.memory import Held, MemoryTarget, Store
from tests.pipeline.test_run import Silent
from tests.servers import wait_until
from tests.tables import column

ID = column("id", Integer(64), nullable=False)
ROW = (ID, column("step", Integer(64)), column("name", Text()))


def table(name: str, *, keyed: bool = True) -> Table:
    key = ("id",) if keyed else ()
    return Table(TableName("db", name), ROW, key, key)


def origin(rows: int = 40) -> Origin:
    held = [(number, 1, "x") for number in range(rows)]
    return Origin({"item": Held(table("item"), held), "log": Held(table("log", keyed=False), held[:5])})


class World:
    """A source, a target, and runs of one stream between them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, source: Origin) -> None:
        self.origin, self.store, self.followed = source, Store(), Followed()
        self.fault: Fault = no_fault
        self.opening: Fault = no_fault
        self.lacks: list[Finding] = []
        self.untold: list[str] = []
        self.clashes = False
        self.before_batch: Callable[[Any, int], None] = lambda *_: None
        small = type("Small", (), {"__call__": lambda _, rows, size: ChunkSize(7, size)})()
        patches: list[tuple[object, str, object]] = [
            (follow_module, "ChunkSize", small),
            (follow_module, "open_changes", lambda *_: OriginLog(self.origin, self.fault, self.lacks, self.untold)),
            (follow_module, "open_applier", lambda *_: self.applier()),
            (follow_module, "records", lambda _: False),
            (plan_module, "records", lambda _: False),
            (run_module, "open_sources", lambda _: [OriginSource(self.origin, self.before_batch)]),
            (run_module, "open_target", lambda *_: MemoryTarget(self.store)),
            (follow_module, "echoes", lambda _: True),
        ]
        for place, name, value in patches:
            monkeypatch.setattr(place, name, value)
        monkeypatch.setattr("rowferry.pipeline.copy.BACKOFF", (0.001,) * 5)

    def applier(self) -> MemoryApplier:
        self.opening("opening")
        return MemoryApplier(self.store, self.followed, self.fault, self.clashes)

    def run(
        self, signals: Signals | None = None, limit: int = 0, before: dict[str, Any] | None = None, **options: Any
    ) -> tuple[Outcome, Silent]:
        document = {
            "name": "test", "mode": "cdc", "limits": {"numberOfEvents": limit},
            "source": {"connections": [{"connectionId": "s"}], "options": options},
            "target": {"id": "t", "spec": {"db": {"database": "d"}}},
        }  # fmt: skip
        config = StreamConfig.model_validate(document)
        job = Job(stream_id="stream", config=config, connections={}, workers=2, **(before or {}))
        events = Silent()
        with Run(job, events, signals or Signals()) as running:
            return running.execute(), events

    def in_step(self) -> bool:
        return all(
            sorted(self.store.rows.get(f"db.{name}", [])) == sorted(self.origin.rows(name)) for name in self.origin.held
        )

    def caught_up(self) -> bool:
        return self.followed.standing.position == str(len(self.origin.log)) and self.in_step()

    def run_until(self, condition: Callable[[], bool], **how: Any) -> Outcome:
        """One run, stopped by a pause once the condition holds."""
        signals, found = Signals(), list[Outcome]()
        thread = threading.Thread(target=lambda: found.append(self.run(signals, **how)[0]))
        thread.start()
        wait_until(lambda: condition() or not thread.is_alive(), 60)
        signals.end(StreamState.PAUSED)
        thread.join()
        return found[0]


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch, origin())


class Steps:
    """Steps that several threads may take."""

    def __init__(self, world: World, rounds: int) -> None:
        self._steps, self._lock = _steps(world, rounds), threading.Lock()

    def __iter__(self) -> Iterator[None]:
        return self

    def __next__(self) -> None:
        with self._lock:
            next(self._steps)


def steps(world: World, rounds: int) -> Iterator[None]:
    """Changes of both tables, a transaction at a time."""
    return Steps(world, rounds)


def _steps(world: World, rounds: int, seed: int = 1) -> Iterator[None]:
    """Changes of both tables, a transaction at a time."""
    chance, numbers = random.Random(seed), itertools.count(1000)
    for _ in range(rounds):
        changes: list[tuple[str, Change]] = []
        rows = world.origin.rows("item")
        for row in chance.sample(rows, min(len(rows), 3)):
            kind = chance.choice("updkk")
            if kind == "d":
                changes.append(("item", Change(Op.DELETE, row, None)))
            elif kind == "k":
                changes.append(("item", Change(Op.UPDATE, row, (next(numbers), row[1] + 1, row[2]))))
            else:
                changes.append(("item", Change(Op.UPDATE, row, (row[0], row[1] + 1, row[2]))))
        changes.append(("item", Change(Op.INSERT, None, (next(numbers), 1, None))))
        changes.append(("log", Change(Op.INSERT, None, (next(numbers), 1, "y"))))
        if logged := world.origin.rows("log"):
            changes.append(("log", Change(Op.UPDATE, logged[0], (logged[0][0], logged[0][1] + 1, "z"))))
        world.origin.commit(*changes)
        yield


def test_what_is_there_is_loaded_and_what_happens_follows(world: World) -> None:
    changes = steps(world, 30)

    def meanwhile(*_: object) -> None:
        next(changes, None)

    world.before_batch = meanwhile
    outcome = world.run_until(lambda: len(world.origin.log) > 5 and world.caught_up())
    assert outcome.state is StreamState.PAUSED
    assert world.in_step()
    assert "*" in world.store.finished
    for _ in changes:
        pass
    assert world.run_until(world.caught_up).state is StreamState.PAUSED
    assert world.in_step()


@pytest.mark.parametrize("place", ["reading", "merging", "replaying", "committing", "committed", "confirming"])
@pytest.mark.parametrize("error", [ConnectionLost, WriteFailed])
def test_whatever_breaks_nothing_is_lost_or_doubled(world: World, place: str, error: type[Exception]) -> None:
    changes = steps(world, 40)
    world.before_batch = lambda *_: next(changes, None)
    count = itertools.count()

    def fault(at: str) -> None:
        next(changes, None)
        if at == place and next(count) % 4 == 2:
            raise error(f"{place} broke.")

    world.fault = fault
    for _ in range(60):
        outcome = world.run_until(world.caught_up)
        if outcome.state is StreamState.PAUSED:
            break
        assert outcome.state is StreamState.FAILED
    assert world.caught_up()
    assert next(count) > 3


def away(place: str, times: int) -> Fault:
    """So often nobody answers there."""
    left = itertools.repeat(None, times)

    def fault(at: str) -> None:
        if at == place and next(left, left) is None:
            raise ConnectionFailed("Nothing listens there.")

    return fault


@pytest.mark.parametrize("place", ["reading", "committing"])
def test_a_server_that_is_away_for_a_while_is_waited_for(world: World, place: str) -> None:
    """Also when a change was applied since it was away last."""
    signals, found = Signals(), list[Outcome]()
    thread = threading.Thread(target=lambda: found.append(world.run(signals)[0]))
    thread.start()
    wait_until(world.caught_up)
    for number in range(3):
        world.origin.commit(("item", Change(Op.INSERT, None, (900 + number, 1, "more"))))
        wait_until(lambda: world.caught_up() or not thread.is_alive())
        world.fault = away(place, 3)
    world.origin.commit(("item", Change(Op.INSERT, None, (990, 1, "last"))))
    wait_until(lambda: world.caught_up() or not thread.is_alive())
    signals.end(StreamState.PAUSED)
    thread.join(60)
    assert found[0].state is StreamState.PAUSED, found[0].error


@pytest.mark.parametrize(
    ("before", "state"),
    [({}, StreamState.FAILED), ({"elapsed": 5.0}, StreamState.PAUSED), ({"again": True}, StreamState.PAUSED)],
    ids=["never", "for a while", "hardly"],
)
def test_a_stream_that_ran_before_waits_for_its_servers(
    world: World, before: dict[str, Any], state: StreamState
) -> None:
    """One that never did has an address or a password that is wrong, and says so at once."""
    assert world.run_until(world.caught_up).state is StreamState.PAUSED
    world.origin.commit(("item", Change(Op.INSERT, None, (900, 1, "more"))))
    world.opening = away("opening", 3)
    assert world.run_until(world.caught_up, before=before).state is state


def test_a_crash_during_the_load_goes_on_where_it_was(world: World) -> None:
    changes, count = steps(world, 20), itertools.count()

    def crash(*_: object) -> None:
        next(changes, None)
        if next(count) == 4:
            raise WriteFailed("The run dies.")

    world.before_batch = crash
    assert world.run()[0].state is StreamState.FAILED
    assert world.origin.kept
    assert world.run_until(world.caught_up).state is StreamState.PAUSED
    assert world.store.prepared == 1


def test_a_crash_while_foreign_keys_are_made_throws_no_copy_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as do to rows what the log does not tell: the copy is of one moment, and whole."""
    parent, free = table("item"), table("log", keyed=False)
    child = replace(free, foreign_keys=(ForeignKey("f", ("id",), parent.name, ("id",), on_delete="CASCADE"),))
    world = World(monkeypatch, Origin({"item": Held(parent, [(0, 1, "x")]), "log": Held(child, [(0, 1, "y")] * 9)}))
    monkeypatch.setattr(follow_module, "echoes", lambda _: False)
    whole, fails = MemoryTarget.finish, itertools.chain([True], itertools.repeat(False))

    def finish(target: MemoryTarget, tables: Sequence[PlannedTable]) -> list[Finding]:
        if next(fails):
            raise WriteFailed("The run dies.")
        return whole(target, tables)

    monkeypatch.setattr(MemoryTarget, "finish", finish)
    reads: list[int] = []
    world.before_batch = lambda _, number: reads.append(number)
    assert world.run()[0].state is StreamState.FAILED
    read = len(reads)
    assert world.run_until(lambda: "*" in world.store.finished).state is StreamState.PAUSED
    assert (len(reads), world.in_step()) == (read, True)


def test_a_moment_that_is_lost_during_the_load_is_told_and_taken_anew_by_the_next_run(world: World) -> None:
    count = itertools.count()

    def lost(*_: object) -> None:
        if next(count) == 2:
            raise MomentLost("The connections that held the moment were lost.")

    world.before_batch = lost
    outcome = world.run_until(world.caught_up)
    assert outcome.state is StreamState.FAILED
    assert isinstance(outcome.error, MomentLost)
    assert world.run_until(world.caught_up).state is StreamState.PAUSED
    assert next(count) > 3


def test_only_one_writer_goes_on(world: World) -> None:
    signals = Signals()
    found: list[Outcome] = []
    thread = threading.Thread(target=lambda: found.append(world.run(signals)[0]))
    thread.start()
    wait_until(lambda: "*" in world.store.finished and world.caught_up())
    world.applier()
    world.origin.commit(("item", Change(Op.INSERT, None, (99, 1, "late"))))
    thread.join(60)
    assert found[0].state is StreamState.FAILED
    assert isinstance(found[0].error, FencedOff)
    assert (99, 1, "late") not in world.store.rows["db.item"]
    assert world.run_until(world.caught_up).state is StreamState.PAUSED


def test_a_clash_is_replayed(world: World) -> None:
    world.clashes = True
    changes = steps(world, 10)
    world.run_until(lambda: next(changes, "over") == "over" and world.caught_up())
    assert world.in_step()


def test_the_limit_of_events_ends_the_stream(world: World) -> None:
    world.run_until(world.caught_up)
    for number in range(100, 110):
        world.origin.commit(("item", Change(Op.INSERT, None, (number, 1, None))))
    outcome, events = world.run(limit=4)
    assert outcome.state is StreamState.EVENT_LIMIT_REACHED
    assert sum(row[0] >= 100 for row in world.store.rows["db.item"]) == 4
    assert events.last is not None
    assert events.last.position == world.followed.standing.position


def test_a_table_is_emptied(world: World) -> None:
    world.run_until(world.caught_up)
    insert = ("item", Change(Op.INSERT, None, (500, 1, None)))
    world.origin.commit(("item", Truncated((world.origin.held["item"].table.name,))), insert)
    world.run_until(world.caught_up)
    assert world.store.rows["db.item"] == [(500, 1, None)]


@pytest.mark.parametrize(
    ("operations", "kept"),
    [
        (["insert"], {(0, 1, "x"), (9, 1, None)}),
        (["insert", "update"], {(0, 2, "x"), (9, 3, None)}),
        (["update"], {(0, 2, "x")}),
        (["delete"], set()),
    ],
)
def test_only_some_operations(monkeypatch: pytest.MonkeyPatch, operations: list[str], kept: set[Any]) -> None:
    world = World(monkeypatch, Origin({"item": Held(table("item"), [(0, 1, "x")])}))
    loaded = world.run_until(world.caught_up, operations=operations)
    assert (loaded.state, loaded.error) == (StreamState.PAUSED, None)
    world.origin.commit(("item", Change(Op.UPDATE, (0, 1, "x"), (0, 2, "x"))))
    world.origin.commit(("item", Change(Op.INSERT, None, (9, 1, None))))
    world.origin.commit(("item", Change(Op.UPDATE, (9, 1, None), (9, 3, None))))
    world.origin.commit(("item", Change(Op.DELETE, (0, 2, "x"), None)))
    there = len(world.origin.log)
    world.run_until(lambda: world.followed.standing.position == str(there), operations=operations)
    assert set(world.store.rows["db.item"]) == kept


def test_changes_of_a_table_without_a_key_need_its_inserts(world: World) -> None:
    outcome, _ = world.run(operations=["update", "delete"])
    assert isinstance(outcome.error, Refused)
    assert "db.log has no key" in outcome.error.message
    assert world.store.prepared == 0


def test_without_a_load_only_what_happens_arrives(world: World) -> None:
    signals = Signals()
    thread = threading.Thread(target=lambda: world.run(signals, initialLoad=False))
    thread.start()
    wait_until(lambda: world.followed.standing.position is not None)
    world.origin.commit(("item", Change(Op.INSERT, None, (500, 1, None))))
    wait_until(lambda: world.store.rows["db.item"] == [(500, 1, None)])
    signals.end(StreamState.STOPPED)
    thread.join()


def test_everything_that_is_missing_is_said_before_anything_is_written(world: World) -> None:
    world.lacks = [Finding(Severity.ERROR, "", "First."), Finding(Severity.ERROR, "db.item", "Second.")]
    outcome, _ = world.run()
    assert isinstance(outcome.error, Refused)
    assert outcome.error.message == "First. Second."
    assert world.store.prepared == 0
    assert not world.origin.kept


def test_a_column_that_neither_the_log_tells_nor_the_target_computes_is_refused(world: World) -> None:
    world.untold = ["name"]
    outcome, _ = world.run()
    assert isinstance(outcome.error, Refused)
    assert "db.item.name is computed by the source" in outcome.error.message
    assert world.store.prepared == 0


def altered(
    world: World, policy: str | None, *, rename: bool = False, until: Callable[[], bool] | None = None
) -> Outcome:
    """A column comes (or is called otherwise) between two inserts."""
    world.run_until(world.caught_up, ddlPolicy=policy)
    before = world.origin.held["item"].table
    columns = (ID, ROW[1], column("title", Text())) if rename else (*ROW, column("more", Text()))
    after = replace(before, columns=columns)
    event = TableAltered(before, after, {"title": "name"} if rename else {})
    world.origin.log.append([("item", event)])
    rows = world.origin.rows("item")
    world.origin.held["item"] = Held(after, rows if rename else [(*row, None) for row in rows])
    world.origin.commit(("item", Change(Op.INSERT, None, (777, 1, "a") if rename else (777, 1, "a", "b"))))
    return world.run_until(until or world.caught_up, ddlPolicy=policy)


@pytest.mark.parametrize(("policy", "rename"), [(None, False), ("apply", False), ("apply", True)])
def test_a_change_of_columns_is_carried_over(world: World, policy: str | None, rename: bool) -> None:
    assert altered(world, policy, rename=rename).state is StreamState.PAUSED
    assert world.in_step()
    world.origin.commit(("item", Change(Op.INSERT, None, (778, 1, "a") if rename else (778, 1, "a", "b"))))
    assert world.run_until(world.caught_up, ddlPolicy=policy).state is StreamState.PAUSED


def test_an_added_column_is_left_out_where_it_is_to_be_ignored(world: World) -> None:
    assert altered(world, "ignore", until=lambda: len(world.store.rows["db.item"]) == 41).state is StreamState.PAUSED
    assert (777, 1, "a") in world.store.rows["db.item"]
    world.origin.commit(("item", Change(Op.INSERT, None, (778, 1, "a", "b"))))
    world.run_until(lambda: (778, 1, "a") in world.store.rows["db.item"], ddlPolicy="ignore")


@pytest.mark.parametrize(("policy", "rename"), [("fail", False), (None, True), ("ignore", True)])
def test_a_change_of_columns_ends_the_stream_where_the_config_says_so(
    world: World, policy: str | None, rename: bool
) -> None:
    outcome = altered(world, policy, rename=rename)
    assert outcome.state is StreamState.FAILED
    assert isinstance(outcome.error, SourceChanged)
    assert "ddlPolicy" in outcome.error.message
    assert len(world.store.rows["db.item"]) == 40
