"""Streams that are followed while everything around them dies, again and again: nothing is lost, nothing is doubled.

`python -m tests.cdc.campaign --kills 100` is what `make soak` runs; `test_faults` has a short one.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tests.cdc.conftest import LOGGED
from tests.cdc.faults import KILLS, OTHERS, Fault, Scene, Side
from tests.cdc.outcome import Outcome, page
from tests.cdc.traffic import COMPARED, STEPS, Traffic, make_tables
from tests.relay import relay
from tests.servers import Machine, MariaDb, Postgres, mariadb_machine, postgres_machine
from tests.serving import Rowferry, serving

WHOLE_PAGES = "--innodb-doublewrite=1"
"""A server that is killed may have written half a page."""

TRAIL = {
    "postgresql": (
        "CREATE TABLE trail (id bigint PRIMARY KEY, step int)",
        "CREATE TABLE backwards (id bigint, was int, became int)",
        """CREATE FUNCTION stepped() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        INSERT INTO public.backwards SELECT id, step, NEW.step FROM public.trail WHERE id = NEW.id AND step >= NEW.step;
        INSERT INTO public.trail VALUES (NEW.id, NEW.step) ON CONFLICT (id) DO UPDATE SET step = EXCLUDED.step;
        RETURN NULL; END $$""",
        "CREATE TRIGGER stepped AFTER INSERT OR UPDATE ON counter FOR EACH ROW EXECUTE FUNCTION stepped()",
        "ALTER TABLE counter ENABLE ALWAYS TRIGGER stepped",
    ),
    "mariadb": (
        "CREATE TABLE trail (id bigint PRIMARY KEY, step int)",
        "CREATE TABLE backwards (id bigint, was int, became int)",
        *(
            f"""CREATE TRIGGER stepped_{event} AFTER {event} ON counter FOR EACH ROW BEGIN
            INSERT INTO backwards SELECT id, step, NEW.step FROM trail WHERE id = NEW.id AND step >= NEW.step;
            INSERT INTO trail VALUES (NEW.id, NEW.step) ON DUPLICATE KEY UPDATE step = NEW.step; END"""
            for event in ("INSERT", "UPDATE")
        ),
    ),
}
"""What a target writes down of its counters: the last step that each had, and each that did not lead on."""


@dataclass(frozen=True)
class Size:
    """How much is written, and how often something dies. `stock`: rows that are there at first."""

    kills: int
    others: int
    stock: int = 30_000
    clients: int = 4
    bulk: int = 3000
    pause: float = 0.01


class Campaign:
    """Rounds between two servers, in one direction; each is a stream of its own into a database of its own."""

    def __init__(self, rowferry: Rowferry, source: Side, target: Side, luck: random.Random) -> None:
        self._rowferry, self._source, self._target, self._luck = rowferry, source, target, luck
        self.outcome = Outcome()

    def round(self, size: Size) -> None:
        """Load, hand over and follow, while clients write and things die; then compare."""
        source = replace(self._source, database=self._source.server.new_database())
        target = replace(self._target, database=self._target.server.new_database())
        make_tables(source.server, source.database, size.stock, size.clients)
        traffic = Traffic(
            source.server, source.database, clients=size.clients, stock=size.stock, bulk=size.bulk, pause=size.pause
        )
        begun = time.monotonic()
        scene = Scene(self._rowferry, source, target, self._luck)
        traffic.begin()
        try:
            scene.stream = self._begin(source, target)
            self._disturb(scene, traffic, size)
            self.outcome.counters += traffic.finish()
            self.outcome.transactions += traffic.transactions
            self._compare(scene)
        finally:
            traffic.stop()
        self._rowferry.post(f"/streams/{scene.stream}/stop")
        self.outcome.rounds += 1
        self.outcome.seconds += time.monotonic() - begun
        source.server.execute(f"DROP DATABASE {source.database}")
        target.server.execute(f"DROP DATABASE {target.database}")

    def _begin(self, source: Side, target: Side) -> str:
        ends = [self._connect(side) for side in (source, target)]
        spec = {"db": {"database": target.database}}
        options = {"options": {"dataBundleSize": 10}}
        return self._rowferry.begin(
            self._rowferry.configure(ends[0], source.database, ends[1], spec, mode="cdc", source=options)
        )

    def _connect(self, side: Side) -> str:
        server, port = side.server, side.way.port
        if isinstance(server, MariaDb):
            return self._rowferry.connect_mariadb(replace(server, port=port))
        return self._rowferry.connect_postgres(replace(server, port=port))

    def _disturb(self, scene: Scene, traffic: Traffic, size: Size) -> None:
        kills = [self._luck.choice([*KILLS.items()]) for _ in range(size.kills)]
        others = self._luck.sample([*OTHERS.items()], k=min(size.others, len(OTHERS)))
        early, late = [*kills[: size.kills // 4], *others[:1]], [*kills[size.kills // 4 + 1 :], *others[1:]]
        for fault in early:
            scene.until(lambda: scene.phase() != "load" or self._rowferry.workers(), "the load")
            scene.moment(1.0)
            self._let(scene, *fault)
        scene.wait_for("handoff", "follow")
        for fault in kills[size.kills // 4 : size.kills // 4 + 1]:
            self._let(scene, *fault)
        scene.wait_for("follow")
        scene.target.server.execute(*TRAIL[_kind(scene.target)], database=scene.target.database)
        self._luck.shuffle(late)
        for fault in late:
            self._let(scene, *fault)
            scene.moves()
            scene.moment(1.0)
            traffic.check()

    def _let(self, scene: Scene, name: str, fault: Fault) -> None:
        self.outcome.phases[scene.phase()] += 1
        self.outcome.faults[name] += 1
        print(f"  into {_kind(scene.target)}, {scene.phase()}: {name}", file=sys.stderr, flush=True)
        fault(scene)

    def _compare(self, scene: Scene) -> None:
        """Once a row that was written last has arrived, everything has."""
        scene.source.server.execute("INSERT INTO mark VALUES (1)", database=scene.source.database)
        scene.until(lambda: scene.target.ask("SELECT id FROM mark") == [(1,)], "the last change")
        for columns in COMPARED:
            here, there = (_rows(side, columns) for side in (scene.source, scene.target))
            assert here, columns
            self.outcome.rows += here.total()
            self.outcome.lost += (here - there).total()
            self.outcome.doubled += (there - here).total()
        self.outcome.backwards += _rows(scene.target, "id, was, became FROM backwards").total()
        assert _rows(scene.target, "id FROM trail"), "the target wrote no trail"
        _check_source(scene.source)


def _kind(side: Side) -> str:
    return "mariadb" if isinstance(side.server, MariaDb) else "postgresql"


def _rows(side: Side, columns: str) -> Counter[tuple[Any, ...]]:
    return Counter(side.server.execute(f"SELECT {columns}", database=side.database))


def _check_source(source: Side) -> None:
    """The clients did what they are there for: each counter is at its last step, and was at each once."""
    counters = _rows(source, "id, step FROM counter")
    assert {step for _, step in counters} == {STEPS[-1]}
    assert _rows(source, "id, step FROM audit") == Counter((row, step) for row, _ in counters for step in STEPS)


DIRECTIONS = (("mariadb", "postgresql"), ("postgresql", "mariadb"))


@contextlib.contextmanager
def campaign(direction: tuple[str, str], seed: int) -> Iterator[Campaign]:
    """Servers for one direction, a way to each, and a Rowferry."""
    with contextlib.ExitStack() as stack:
        source, target = (_side(stack, kind) for kind in direction)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rowferry-test-")))
        rowferry = stack.enter_context(serving(folder / "data", ROWFERRY_WARM_WORKERS="0"))
        yield Campaign(rowferry, source, target, random.Random(seed))


def _side(stack: contextlib.ExitStack, kind: str) -> Side:
    machine: Machine[MariaDb] | Machine[Postgres]
    if kind == "mariadb":
        machine = stack.enter_context(mariadb_machine(*LOGGED, WHOLE_PAGES))
    else:
        machine = stack.enter_context(postgres_machine("wal_level=logical", "logical_decoding_work_mem=64kB"))
    return Side(machine, stack.enter_context(relay(machine.server.port)))


@dataclass(frozen=True)
class Soak:
    """Rounds in all directions side by side; `write` is written anew after each of them."""

    size: Size
    rounds: int
    seed: int
    write: Path | None
    outcomes: dict[str, Outcome] = field(default_factory=dict)

    def run(self, directions: Sequence[tuple[str, str]]) -> None:
        """All of it."""
        self.outcomes.update({" to ".join(direction): Outcome() for direction in directions})
        with ThreadPoolExecutor() as pool:
            done = [pool.submit(self._run, direction) for direction in directions]
        for one in done:
            one.result()

    def page(self) -> str:
        """What has come of it so far."""
        return page(self.outcomes, self.seed)

    def _run(self, direction: tuple[str, str]) -> None:
        name = " to ".join(direction)
        with campaign(direction, self.seed) as running:
            for number in range(1, self.rounds + 1):
                print(f"{name}: round {number} of {self.rounds}", file=sys.stderr, flush=True)
                running.round(self.size)
                self.outcomes[name] = deepcopy(running.outcome)
                if self.write:
                    self.write.write_text(self.page())


def main(words: Sequence[str]) -> int:
    """Run it and show what came of it; 1 when anything was lost or doubled."""
    parser = argparse.ArgumentParser(prog="make soak")
    parser.add_argument("--kills", type=int, default=100, help="how often kill -9, in both directions together")
    parser.add_argument("--others", type=int, default=5, help="how many other faults in each round of ten kills")
    parser.add_argument("--into", choices=["mariadb", "postgresql"], help="only the direction with that target")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--write", type=Path, help="the page that the result is written to")
    said = parser.parse_args(words)
    directions = [direction for direction in DIRECTIONS if said.into in (None, direction[1])]
    per_round = min(10, said.kills // len(directions))
    size = Size(kills=per_round, others=said.others, stock=60_000)
    soak = Soak(size, said.kills // len(directions) // per_round, said.seed, said.write)
    soak.run(directions)
    print(soak.page())
    return int(any(outcome.wrong for outcome in soak.outcomes.values()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
