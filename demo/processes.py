"""The processes the demo starts: in sessions of their own, written down, and ended by whoever comes later."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

INTERRUPTIONS = (signal.SIGINT, signal.SIGTERM)


class DemoError(Exception):
    """The demo cannot go on; the message is for the person in front of it."""


class Started:
    """A process of ours. `stop` asks it kindly first, by `signal`, and kills it after `patience` seconds."""

    def __init__(self, process: subprocess.Popen[Any], stop_signal: signal.Signals, log: Path) -> None:
        self.process = process
        self.log = log
        self._signal = stop_signal

    def stop(self, patience: float = 20) -> None:
        """End the process; nothing to do when it has ended."""
        if self.process.poll() is None:
            self.process.send_signal(self._signal)
            try:
                self.process.wait(patience)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def record(self) -> dict[str, Any]:
        """What it takes to find the same process again, and no other that has got its number."""
        created = psutil.Process(self.process.pid).create_time()
        return {"pid": self.process.pid, "created": created, "signal": int(self._signal)}


@contextmanager
def undisturbed() -> Iterator[None]:
    """Let Ctrl-C or a kill wait until the block ends: what it starts must be known to whoever cleans up."""
    waiting: list[int] = []
    handlers = {number: signal.getsignal(number) for number in INTERRUPTIONS}
    for number in handlers:
        signal.signal(number, lambda number, _: waiting.append(number))
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        if waiting:
            signal.raise_signal(waiting[0])


def ignore_interruptions() -> None:
    """From here on nothing disturbs the clean-up."""
    for number in INTERRUPTIONS:
        signal.signal(number, signal.SIG_IGN)


def start(
    command: Sequence[str | Path],
    log: Path,
    *,
    stop_signal: signal.Signals = signal.SIGTERM,
    environment: Mapping[str, str] | None = None,
    user: Mapping[str, Any] | None = None,
) -> Started:
    """Start a process that does not hear the terminal's Ctrl-C; what it says goes to `log`."""
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd="/", env=environment,
            start_new_session=True, **(user or {}),
        )  # fmt: skip
    return Started(process, stop_signal, log)


def wait_for(ready: Callable[[], bool], started: Started, what: str, seconds: float = 60) -> None:
    """Return when `ready()`; DemoError, with the end of its log, when the process ends or takes too long."""
    deadline = time.monotonic() + seconds
    while not ready():
        if started.process.poll() is not None:
            raise DemoError(f"{what} ended at once. The end of its log ({started.log}):\n{tail(started.log)}")
        if time.monotonic() > deadline:
            raise DemoError(f"{what} was not ready within {seconds:.0f} s; its log is {started.log}")
        time.sleep(0.05)


def tail(log: Path, size: int = 2000) -> str:
    """The last characters of a log."""
    return log.read_text(errors="replace")[-size:].strip()


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def remember(file: Path, started: Sequence[Started]) -> None:
    """Write down what runs, in the order in which it must be stopped."""
    file.write_text(json.dumps([each.record() for each in started]))


def stop_remembered(file: Path) -> int:
    """Stop what an earlier demo left running; how many processes that were."""
    if not file.exists():
        return 0
    stopped = 0
    for record in json.loads(file.read_text()):
        process = _same_process(record)
        if process is not None:
            process.send_signal(record["signal"])
            _, alive = psutil.wait_procs([process], 20)
            for stubborn in alive:
                stubborn.kill()
            stopped += 1
    file.unlink()
    return stopped


def _same_process(record: Mapping[str, Any]) -> psutil.Process | None:
    try:
        process = psutil.Process(record["pid"])
    except psutil.NoSuchProcess:
        return None
    return process if abs(process.create_time() - record["created"]) < 1 else None
