"""How a run is told to end early, and how everything in it comes to know."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rowferry.errors import Cancelled, RowferryError
from rowferry.model.streams import StreamState

if TYPE_CHECKING:
    import pyarrow as pa

GRACE = {
    StreamState.PAUSED: 1.0,
    StreamState.TIME_LIMIT_REACHED: 0.2,
    StreamState.STOPPED: 0.0,
    StreamState.FAILED: 0.0,
}
"""Seconds that chunks under way are given to commit before they are rolled back; they are copied again later."""


class Signals:
    """The one word that ends a run early. The first ending wins; STOPPED wins over a pause."""

    def __init__(self) -> None:
        self._ending: StreamState | None = None
        self.cause: RowferryError | None = None
        self._ended = threading.Event()
        self._lock = threading.RLock()  # an interrupt's handler runs in a thread that may hold it
        self._timers: list[threading.Timer] = []
        self._breakers: list[Callable[[], None]] = []
        self._broken = False
        self._broken_at = 0.0
        self._least = 0.0

    def overdue(self, seconds: float) -> bool:
        """Whether work under way was cut off more than `seconds` ago."""
        return self._broken and time.monotonic() - self._broken_at > seconds

    @property
    def ending(self) -> StreamState | None:
        """The state the run shall end in, or None while it shall go on."""
        return self._ending

    def end(self, state: StreamState, cause: RowferryError | None = None) -> None:
        """Take no new chunk; what is under way may commit for `GRACE[state]` seconds, then it is cut off.

        `cause`: the error that ends the run, kept for when what is under way does not end in time.
        """
        with self._lock:
            if self._ending is not None and state is not StreamState.STOPPED:
                return
            self._ending = state
            self.cause = cause
        self._ended.set()
        grace = GRACE[state] if state is StreamState.FAILED else max(GRACE[state], self._least)
        if grace > 0:
            self._later(grace, self._break)
        else:
            self._break()

    def end_after(self, seconds: float, state: StreamState) -> None:
        """Call `end(state)` when `seconds` have passed."""
        self._later(max(seconds, 0.0), lambda: self.end(state))

    def on_break(self, breaker: Callable[[], None]) -> None:
        """Have `breaker` called when work under way must be cut off: it closes connections, from another thread."""
        with self._lock:
            self._breakers.append(breaker)
            broken = self._broken
        if broken:
            breaker()

    @contextmanager
    def breaking(self, breaker: Callable[[], None]) -> Iterator[None]:
        """`on_break` for as long as the block lasts."""
        self.on_break(breaker)
        try:
            yield
        finally:
            with self._lock:
                self._breakers.remove(breaker)

    @contextmanager
    def lasting(self, seconds: float) -> Iterator[None]:
        """For as long as the block lasts, what is under way is given so many seconds at the least to commit."""
        self._least = seconds
        try:
            yield
        finally:
            self._least = 0.0

    def wait(self, seconds: float) -> bool:
        """Sleep, but not longer than the run shall go on; whether it shall end."""
        return self._ended.wait(seconds)

    def check(self) -> None:
        """Cancelled when the run shall take nothing new."""
        if self._ending is not None:
            raise Cancelled(f"The run ends: {self._ending.value}.")

    def guard(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """The same batches, until work under way is cut off: then Cancelled."""
        for batch in batches:
            if self._broken:
                raise Cancelled("The chunk was cut off.")
            yield batch

    def close(self) -> None:
        """Forget timers that have not fired."""
        with self._lock:
            timers, self._timers = self._timers, []
        for timer in timers:
            timer.cancel()

    def _break(self) -> None:
        with self._lock:
            if not self._broken:
                self._broken_at = time.monotonic()
            self._broken = True
            breakers = list(self._breakers)
        for breaker in breakers:
            breaker()

    def _later(self, seconds: float, action: Callable[[], None]) -> None:
        timer = threading.Timer(seconds, action)
        timer.daemon = True
        with self._lock:
            self._timers.append(timer)
        timer.start()
