"""Slows down whoever guesses."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable

from rowferry.errors import Unauthenticated

FREE_FAILURES = 5
FIRST_WAIT = 15.0
LONGEST_WAIT = 900.0
_REMEMBERED = 10_000


class Throttle:
    """Counts failures by origin; after a few, each costs twice the wait of the one before. Thread-safe."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures: dict[str, tuple[int, float]] = {}
        self._lock = threading.Lock()

    def check(self, origin: str) -> None:
        """Return if the origin may try now; Unauthenticated, with the seconds to wait, if not."""
        with self._lock:
            _, until = self._failures.get(origin, (0, 0.0))
        wait = until - self._clock()
        if wait > 0:
            raise Unauthenticated(f"Too many wrong passwords: try again in {math.ceil(wait)} seconds.")

    def failed(self, origin: str) -> None:
        """The origin tried and was wrong."""
        with self._lock:
            count = self._failures.pop(origin, (0, 0.0))[0] + 1
            wait = (
                min(FIRST_WAIT * 2 ** min(count - FREE_FAILURES, 20), LONGEST_WAIT) if count >= FREE_FAILURES else 0.0
            )
            self._failures[origin] = (count, self._clock() + wait)
            if len(self._failures) > _REMEMBERED:
                del self._failures[next(iter(self._failures))]

    def succeeded(self, origin: str) -> None:
        """The origin was right; its failures are forgotten."""
        with self._lock:
            self._failures.pop(origin, None)


def _wait_after(failures: int) -> float:
    beyond = failures - FREE_FAILURES
    return min(FIRST_WAIT * 2.0 ** min(beyond, 10), LONGEST_WAIT) if beyond >= 0 else 0.0
