"""What goes wrong around a followed stream, and how it is made to."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pymysql

from tests.cdc.traffic import LOST, Server
from tests.relay import Relay
from tests.servers import Machine, MariaDb, wait_until
from tests.serving import Rowferry

PATIENCE = 180.0
"""Seconds within which a stream has gone on, on a machine that has much else to do."""


@dataclass
class Side:
    """A server, the way that Rowferry has to it, and the database there."""

    machine: Machine[Any]
    way: Relay
    database: str = ""

    @property
    def server(self) -> Server:
        """As its own clients see it."""
        server: Server = self.machine.server
        return server

    def ask(self, query: str) -> list[tuple[Any, ...]] | None:
        """Rows; None while that cannot be asked."""
        with contextlib.suppress(*LOST, psycopg.ProgrammingError, pymysql.err.ProgrammingError):
            return self.server.execute(query, database=self.database)
        return None


@dataclass
class Scene:
    """A stream that runs, and everything around it."""

    rowferry: Rowferry
    source: Side
    target: Side
    luck: random.Random
    stream: str = ""
    told: list[str] = field(default_factory=list)

    def standing(self) -> tuple[str | None, dict[str, Any]]:
        """The position that the target holds, and what is kept beside it."""
        query = f"SELECT position, notes FROM _rowferry.follows WHERE stream_id = '{self.stream}'"
        rows = self.target.ask(query)
        if not rows:
            return None, {}
        position, notes = rows[0]
        return position, notes if isinstance(notes, dict) else json.loads(notes or "{}")

    def phase(self) -> str:
        """`load`, `handoff` or `follow`."""
        _, notes = self.standing()
        return "follow" if notes.get("finished") else "handoff" if notes.get("loaded") else "load"

    def wait_for(self, *phases: str) -> None:
        """Return once it is there."""
        self.until(lambda: self.phase() in phases, " or ".join(phases))

    def until(self, condition: Callable[[], object], what: str) -> None:
        """Wait, but not for a stream that has failed."""

        def come() -> bool:
            found = bool(condition())
            if not found:
                stats = self.rowferry.stats(self.stream)
                assert stats["status"] != "FAILED", f"waiting for {what}: {stats['error']}"
            return found

        wait_until(come, PATIENCE, what)

    def moment(self, most: float) -> None:
        """Let some time go: the moment is what is tested, there is nothing to wait for."""
        time.sleep(self.luck.uniform(0.0, most))

    def moves(self) -> None:
        """Return once the target's position has moved."""
        if self.phase() != "load":
            before, _ = self.standing()
            self.until(lambda: self.standing()[0] not in (None, before), "changes to be applied")

    def worker(self) -> int:
        """The process of the stream's worker."""
        self.until(self.rowferry.workers, "a worker")
        return self.rowferry.workers()[0]


Fault = Callable[[Scene], None]


def kill_worker(scene: Scene) -> None:
    """kill -9 of the worker alone."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(scene.worker(), signal.SIGKILL)


def kill_server(scene: Scene) -> None:
    """kill -9 of the server, whose worker then ends; a new one is started at once."""
    scene.rowferry.kill()
    scene.rowferry.start()


def frozen_writer(scene: Scene) -> None:
    """A worker stands still while another one goes on, and wakes up when that one has written."""
    old = scene.worker()
    os.kill(old, signal.SIGSTOP)
    try:
        scene.rowferry.kill()
        scene.rowferry.start()
        scene.moves()
    finally:
        with contextlib.suppress(ProcessLookupError):  # a system may end it with the server that began it
            os.kill(old, signal.SIGCONT)
    wait_until(lambda: _is_gone(old), PATIENCE, "the older worker to end")


def all_but_source(scene: Scene) -> None:
    """Server and target die together, and the server is back before the target is."""
    _die_together(scene, scene.target)


def all_but_target(scene: Scene) -> None:
    """Server and source die together, and the server is back before the source is."""
    _die_together(scene, scene.source)


def _die_together(scene: Scene, side: Side) -> None:
    scene.rowferry.kill()
    side.machine.program.stop(side.machine.crash)
    scene.rowferry.start()
    wait_until(scene.rowferry.workers, PATIENCE, "a worker")
    scene.moment(3.0)
    side.machine.program.start()


def pause(scene: Scene) -> None:
    """Pause and resume."""
    scene.rowferry.post(f"/streams/{scene.stream}/pause")
    scene.moment(1.0)
    scene.rowferry.post(f"/streams/{scene.stream}/resume")


def restart_source(scene: Scene) -> None:
    """The source is restarted in order."""
    scene.source.machine.restart()


def restart_target(scene: Scene) -> None:
    """The target is restarted in order."""
    scene.target.machine.restart()


def crash_source(scene: Scene) -> None:
    """The source crashes, and comes back."""
    scene.source.machine.restart(scene.source.machine.crash)


def crash_target(scene: Scene) -> None:
    """The target crashes, and comes back."""
    scene.target.machine.restart(scene.target.machine.crash)


def cut_source(scene: Scene) -> None:
    """All connections to the source break."""
    scene.source.way.cut()


def cut_target(scene: Scene) -> None:
    """All connections to the target break."""
    scene.target.way.cut()


def no_way_to_target(scene: Scene) -> None:
    """The target cannot be reached for some seconds."""
    with scene.target.way.closed():
        scene.moment(4.0)


def stall_source(scene: Scene) -> None:
    """Nothing comes from the source for some seconds; then all of it does."""
    with scene.source.way.stalled():
        scene.moment(4.0)


def stall_target(scene: Scene) -> None:
    """Nothing gets to the target for some seconds; then all of it does."""
    with scene.target.way.stalled():
        scene.moment(4.0)


def stall_and_cut(scene: Scene) -> None:
    """Nothing gets to the target for a while, and then the connections break: what of a commit arrived is not known."""
    with scene.target.way.stalled():
        scene.moment(2.0)
        scene.target.way.cut()


def lock_target(scene: Scene) -> None:
    """Somebody locks a table of the target for some seconds."""
    with contextlib.closing(scene.target.server.connect(scene.target.database)) as session, session.cursor() as cursor:
        if isinstance(scene.target.server, MariaDb):
            cursor.execute("LOCK TABLES counter WRITE")
        else:
            cursor.execute("BEGIN")
            cursor.execute("LOCK TABLE counter IN ACCESS EXCLUSIVE MODE")
        scene.moment(4.0)
        cursor.execute("UNLOCK TABLES" if isinstance(scene.target.server, MariaDb) else "COMMIT")


KILLS: Mapping[str, Fault] = {"worker killed": kill_worker, "server killed": kill_server}
"""kill -9."""

OTHERS: Mapping[str, Fault] = {
    "older writer wakes up": frozen_writer,
    "server and source die together": all_but_target,
    "server and target die together": all_but_source,
    "paused and resumed": pause,
    "source restarted": restart_source,
    "target restarted": restart_target,
    "source crashed": crash_source,
    "target crashed": crash_target,
    "source cut off": cut_source,
    "target cut off": cut_target,
    "target out of reach": no_way_to_target,
    "source stalled": stall_source,
    "target stalled": stall_target,
    "target stalled, then cut off": stall_and_cut,
    "target table locked": lock_target,
}
"""Everything else."""


def _is_gone(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True
