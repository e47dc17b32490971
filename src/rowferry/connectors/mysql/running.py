"""The reads of a source that are under way."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from rowferry.errors import Cancelled


@dataclass
class Running:
    """The reads that are under way, and how each is ended from another thread."""

    closed: bool = False
    ends: dict[str, Callable[[], None]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def check(self) -> None:
        """Cancelled once the source is closed."""
        if self.closed:
            raise Cancelled("The source was closed.")

    def begin(self, token: str, end: Callable[[], None]) -> None:
        """Note how the read `token` is ended; Cancelled when nothing may begin any more."""
        with self.lock:
            self.check()
            self.ends[token] = end

    def over(self, token: str) -> None:
        """The read has ended by itself."""
        with self.lock:
            self.ends.pop(token, None)

    def close(self) -> None:
        """End them all."""
        with self.lock:
            self.closed = True
            ends, self.ends = list(self.ends.values()), {}
        for end in ends:
            end()
