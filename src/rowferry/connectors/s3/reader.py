"""An object as a file that is read: what is read on and on is asked for ahead of its time, in large ranges."""

from __future__ import annotations

import io
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from threading import Event

from rowferry.errors import Cancelled

PIECE = 8 * 1024 * 1024
"""The largest range that is asked for at once; larger ones are asked for in pieces at the same time."""

AHEAD = 2 * PIECE
"""How far beyond what is wanted is read at the most."""

LEAST = 64 * 1024
"""The smallest range that is worth a request."""

_AT_ONCE = 3
_TICK = 0.2
"""Seconds between two looks at whether the reading was stopped."""

Fetch = Callable[[int, int], bytes]
"""Gets the bytes from one place up to another."""


class ObjectReader:
    """A file of `size` bytes in one thread's hands. Reading ahead ends at `until` (None: the end).

    The farther it was read without a jump, the farther it is read ahead. `stop` ends a read that waits with Cancelled.
    """

    def __init__(self, fetch: Fetch, size: int, until: int | None = None, stop: Event | None = None) -> None:
        self._fetch = fetch
        self._size = size
        self._until = size if until is None else min(until, size)
        self._stop = stop or Event()
        self._pool = ThreadPoolExecutor(_AT_ONCE, "object")
        self._coming: deque[tuple[int, int, Future[bytes]]] = deque()
        self._held, self._start = memoryview(b""), 0
        self._began = self._at = 0
        self.closed = False

    def read(self, size: int = -1) -> bytes:
        """So many bytes from here, fewer at the end of the file."""
        end = self._size if size is None or size < 0 else min(self._at + size, self._size)
        parts = []
        while self._at < end:
            part = self._from_here(end)
            parts.append(part)
            self._at += len(part)
        return bytes(parts[0]) if len(parts) == 1 else b"".join(parts)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to another place."""
        self._at = max(0, offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence])
        return self._at

    def tell(self) -> int:
        """The place that is read next."""
        return self._at

    def close(self) -> None:
        """Ask for nothing more."""
        self.closed = True
        self._forget()
        self._held = memoryview(b"")
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _from_here(self, end: int) -> memoryview:
        """Some bytes from the place that is read next, up to `end` at the most."""
        if not self._start <= self._at < self._start + len(self._held):
            self._turn_to(end)
        return self._held[self._at - self._start : end - self._start]

    def _turn_to(self, end: int) -> None:
        """Hold the bytes from the place that is read next, and have those behind them on their way."""
        if not (self._coming and self._coming[0][0] == self._at):
            self._forget()
            if self._at != self._start + len(self._held):
                self._began = self._at
        self._held = memoryview(b"")
        self._ask(max(end, min(self._at + self._reach(), self._until)))
        self._start, _, future = self._coming.popleft()
        self._held = memoryview(self._waited(future))

    def _reach(self) -> int:
        """How far it is worth reading: as far as was read already without a jump."""
        return max(LEAST, min(self._at - self._began, PIECE + AHEAD))

    def _ask(self, end: int) -> None:
        """See that everything from here to `end` is on its way."""
        at = self._coming[-1][1] if self._coming else self._at
        if self._coming and end - at < PIECE and end < self._until:
            return
        while at < end:
            stop = min(at + PIECE, end, self._size)
            self._coming.append((at, stop, self._pool.submit(self._fetch, at, stop)))
            at = stop

    def _waited(self, future: Future[bytes]) -> bytes:
        while not wait([future], _TICK).done:
            if self._stop.is_set():
                raise Cancelled("The reading was stopped.")
        return future.result()

    def _forget(self) -> None:
        for _, _, future in self._coming:
            future.cancel()
        self._coming.clear()
