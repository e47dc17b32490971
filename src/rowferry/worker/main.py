"""The worker's life: load the drivers, say Ready, take one assignment, run it, end.

Standard input is the lifeline: when it ends before the run does, nobody is there any more who could record
the run's end, so the process leaves at once and the databases roll back what it had not committed.
"""

from __future__ import annotations

import os
import queue
import signal
import sys
import threading
from collections.abc import Sequence
from dataclasses import asdict
from importlib import import_module
from typing import BinaryIO

from rowferry.bus.messages import (
    Assign,
    Down,
    Drain,
    Ended,
    Forget,
    Found,
    Halt,
    Logged,
    Message,
    Progress,
    Ready,
    decode,
    encode,
)
from rowferry.model.findings import Finding
from rowferry.model.streams import StreamState
from rowferry.pipeline.job import Job, Outcome
from rowferry.pipeline.run import Run
from rowferry.pipeline.signals import Signals

PRELOADED = (
    "pyarrow.compute",
    "connectorx",
    "adbc_driver_postgresql.dbapi",
    "rowferry.connectors.mysql.source",
    "rowferry.connectors.postgres.source",
    "rowferry.connectors.postgres.target",
    "rowferry.connectors.postgres.write",
    "rowferry.connectors.files.source",
    "rowferry.connectors.files.target",
    "rowferry.connectors.files.write",
    "rowferry.connectors.s3.source",
    "rowferry.connectors.s3.target",
)
"""What most runs need; loaded before the assignment comes, so that a stream starts at once."""


class Line:
    """The worker's end of the bus."""

    def __init__(self, source: BinaryIO, sink: BinaryIO) -> None:
        self._source = source
        self._sink = sink
        self._sending = threading.Lock()
        self._forget: queue.Queue[bool] = queue.Queue()
        self.signals = Signals()

    def send(self, message: Message) -> None:
        """Say something to the server; the process ends when nobody listens."""
        with self._sending:
            try:
                self._sink.write(encode(message))
                self._sink.flush()
            except OSError:
                os._exit(0)

    def receive(self) -> Down | None:
        """The next message, or None when the server is gone."""
        line = self._source.readline()
        return decode(line) if line else None  # type: ignore[return-value]

    def obey(self) -> None:
        """Follow what the server says until it is gone; then end the process."""
        while (message := self.receive()) is not None:
            if isinstance(message, Drain):
                self.signals.end(StreamState.PAUSED)
            elif isinstance(message, Halt):
                self.signals.end(StreamState.STOPPED)
            elif isinstance(message, Forget):
                self._forget.put(True)
        os._exit(0)

    def wait_forget(self) -> None:
        """Return when the server has recorded the end."""
        self._forget.get()

    def progress(self, progress: Progress) -> None:
        """`Events.progress`."""
        self.send(progress)

    def log(self, level: str, message: str, category: str = "general", **extra: object) -> None:
        """`Events.log`."""
        self.send(Logged(level, message, "source", category, extra))

    def found(self, findings: Sequence[Finding]) -> None:
        """`Events.found`."""
        self.send(Found(tuple(asdict(finding) for finding in findings)))


def main() -> None:
    """Live as a worker on standard input and output, and leave without waiting for threads that a driver holds."""
    live()
    os._exit(0)


def live() -> None:
    """Take one assignment and run it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    line = Line(sys.stdin.buffer, _private_stdout())
    for module in PRELOADED:
        import_module(module)
    line.send(Ready(os.getpid()))
    message = line.receive()
    if not isinstance(message, Assign):
        return
    job = Job.model_validate(message.job)
    threading.Thread(target=line.obey, name="bus", daemon=True).start()
    run = Run(job, line, line.signals)
    if job.forget_only:
        run.forget()
        line.send(Ended(StreamState.STOPPED.value, job.elapsed))
        return
    outcome = run.execute()
    line.send(_ended(outcome))
    if outcome.state not in (StreamState.PAUSED, StreamState.FAILED) and not job.verify_only:
        line.wait_forget()
        run.forget()


def _ended(outcome: Outcome) -> Ended:
    error = None if outcome.error is None else outcome.error.document()
    comparison = None if outcome.comparison is None else outcome.comparison.document()
    return Ended(outcome.state.value, outcome.elapsed, error, comparison)


def _private_stdout() -> BinaryIO:
    """The real standard output for messages alone: what a library prints goes to standard error."""
    messages = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return messages
