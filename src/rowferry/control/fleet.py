"""The workers of this server: launched for a job, listened to until they end."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import BinaryIO, Protocol

from rowferry.bus.local import LocalWorker, Pool
from rowferry.bus.messages import Assign, Down, Ended, Forget, Found, Logged, Progress
from rowferry.config.secrets import reveal
from rowferry.config.settings import Settings
from rowferry.errors import RowferryError, WorkerLost
from rowferry.pipeline.job import Job

LOG_FILE = "workers.log"

_UNCAUGHT = 1
"""The exit code of a Python process that ends by an exception: the next one would end so, too."""


class Listener(Protocol):
    """Who is told what a worker says; called from the assignment's own thread."""

    def progressed(self, stream_id: str, progress: Progress) -> None:
        """The run goes on."""

    def logged(self, stream_id: str, entry: Logged) -> None:
        """The run has something to tell."""

    def found(self, stream_id: str, found: Found) -> None:
        """The run has found something that belongs into its report."""

    def ended(self, stream_id: str, end: Ended) -> bool:
        """The run is over. True when that is recorded for good and the target's journal may go."""

    def forgotten(self, stream_id: str) -> None:
        """The target's journal is gone."""

    def lost(self, stream_id: str, error: RowferryError) -> None:
        """The worker ended without a word; the error's policy says whether another one may do better."""


class Assignment:
    """A job in the hands of a worker."""

    def __init__(self, worker: LocalWorker, job: Job, listener: Listener) -> None:
        self._worker = worker
        self._job = job
        self._listener = listener
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._attend, name=f"attend-{job.stream_id}", daemon=True)

    def begin(self) -> None:
        """Hand the job over; WorkerLost when the worker is gone."""
        self._worker.send(Assign(reveal(self._job)))
        self._thread.start()

    def tell(self, message: Down) -> None:
        """Say something to the worker; one that has ended need not hear it."""
        try:
            self._worker.send(message)
        except WorkerLost:
            return

    def wait(self, seconds: float) -> bool:
        """Whether the run's end (or the worker's death) was dealt with within `seconds`."""
        return self._over.wait(seconds)

    def kill(self) -> None:
        """End the worker at once, and wait until that was dealt with."""
        self._worker.kill()
        self._over.wait()

    def _attend(self) -> None:
        stream_id = self._job.stream_id
        ended = forget = False
        try:
            for message in self._worker.messages():
                if isinstance(message, Progress):
                    self._listener.progressed(stream_id, message)
                elif isinstance(message, Logged):
                    self._listener.logged(stream_id, message)
                elif isinstance(message, Found):
                    self._listener.found(stream_id, message)
                elif isinstance(message, Ended):
                    ended = True
                    forget = self._listener.ended(stream_id, message)
                    self._over.set()
                    self.tell(Forget()) if forget else self._worker.close_input()
        finally:
            code = self._worker.returncode if self._worker.wait(10) else None
            self._worker.close_input()
            if not ended:
                self._listener.lost(stream_id, _why(code))
            elif forget and code == 0:
                self._listener.forgotten(stream_id)
            self._over.set()


def _why(code: int | None) -> RowferryError:
    """What a worker's exit code says about its end."""
    if code == _UNCAUGHT:
        return RowferryError(f"Rowferry itself failed: {LOG_FILE} in the data directory has the details.")
    return WorkerLost(f"The stream's worker died: {LOG_FILE} in the data directory has what it said last.")


class Fleet:
    """Starts workers. What they print beside their messages goes to `workers.log` in the data directory."""

    def __init__(self, settings: Settings) -> None:
        self._log: BinaryIO = Path(settings.data_dir, LOG_FILE).open("ab")  # noqa: SIM115  closed with the fleet
        self._pool = Pool(lambda: LocalWorker(self._log), settings.warm_workers)

    def warm_up(self) -> None:
        """Start the workers that are kept ready."""
        self._pool.fill()

    def launch(self, job: Job, listener: Listener) -> Assignment:
        """Give the job to a worker."""
        while True:
            assignment = Assignment(self._pool.take(), job, listener)
            try:
                assignment.begin()
            except WorkerLost:
                continue
            return assignment

    def check(self) -> None:
        """Return when workers can be started; WorkerLost when none of those kept ready is alive."""
        self._pool.check()

    def close(self) -> None:
        """End the idle workers; those with a job end with their input."""
        self._pool.close()
        self._log.close()
