"""The bus within one machine: a worker is a child process, its standard input and output carry the messages.

The pipe is also the lifeline. When the server dies, however it dies, the worker's standard input ends and
the worker stops at once; when the worker dies, its standard output ends and the server knows.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import BinaryIO, cast

from rowferry.bus.messages import Down, Ready, Up, decode, encode
from rowferry.errors import WorkerLost

ALLOCATION = {"MALLOC_MMAP_THRESHOLD_": str(32 << 20), "MALLOC_TRIM_THRESHOLD_": str(128 << 20)}
"""A worker takes and gives back blocks of some MB all the time: glibc keeps so much of what was given back, which the
system would else have to clear again and again."""


class LocalWorker:
    """A worker process, seen from the server.

    `command` starts the worker; `log` gets what it prints beside the messages (its standard error).
    """

    def __init__(self, log: BinaryIO | None = None, command: tuple[str, ...] = ()) -> None:
        self._process = subprocess.Popen(
            command or (sys.executable, "-m", "rowferry.worker"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log if log is not None else subprocess.DEVNULL,
            env={**ALLOCATION, **os.environ, "RUST_BACKTRACE": "0", "PYTHONUNBUFFERED": "1"},
            start_new_session=True,
        )
        self._input = cast(BinaryIO, self._process.stdin)
        self._output = cast(BinaryIO, self._process.stdout)
        self._sending = threading.Lock()

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process.poll() is None

    @property
    def returncode(self) -> int | None:
        """How the process ended, None while it runs."""
        return self._process.poll()

    def send(self, message: Down) -> None:
        """Say something to the worker; WorkerLost when it no longer listens."""
        with self._sending:
            try:
                self._input.write(encode(message))
                self._input.flush()
            except (OSError, ValueError) as error:
                raise WorkerLost(f"The worker process {self.pid} has ended.") from error

    def messages(self) -> Iterator[Up]:
        """What the worker says, until it ends. For one thread only."""
        for line in self._output:
            message = decode(line)
            if not isinstance(message, Ready):
                yield message  # type: ignore[misc]

    def close_input(self) -> None:
        """Let the worker know that nobody will speak to it again: an idle one ends, a busy one too."""
        with self._sending, contextlib.suppress(OSError):
            self._input.close()

    def wait(self, seconds: float) -> bool:
        """Whether the process ended within `seconds`."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def kill(self) -> None:
        """End the process at once. What it had not committed is rolled back by the databases."""
        self._process.kill()
        self._process.wait()


class Pool:
    """Workers kept warm: `take` hands one out, `fill` starts those that are missing.

    Loading the drivers takes most of a second, which a small stream should not wait for.
    """

    def __init__(self, start: Callable[[], LocalWorker], size: int) -> None:
        self._start = start
        self._size = size
        self._idle: list[LocalWorker] = []
        self._lock = threading.Lock()
        self._closed = False

    def fill(self) -> None:
        """Start workers until `size` are idle."""
        with self._lock:
            self._idle = [worker for worker in self._idle if worker.alive]
            while not self._closed and len(self._idle) < self._size:
                self._idle.append(self._start())

    def take(self) -> LocalWorker:
        """An idle worker, or a new one."""
        with self._lock:
            while self._idle:
                worker = self._idle.pop()
                if worker.alive:
                    return worker
        return self._start()

    def check(self) -> None:
        """WorkerLost when workers died while they waited: then something keeps them from starting."""
        with self._lock:
            dead = [worker.pid for worker in self._idle if not worker.alive]
        if dead:
            raise WorkerLost(f"{len(dead)} idle workers have died.")

    def close(self) -> None:
        """End the idle workers."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for worker in idle:
            worker.close_input()
        for worker in idle:
            if not worker.wait(2):
                worker.kill()
