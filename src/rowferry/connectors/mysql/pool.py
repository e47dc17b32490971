"""Sessions that are kept between uses, each used by one thread at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Generic, Protocol, TypeVar

from rowferry.errors import Cancelled


class Pooled(Protocol):
    """A session. `broken`: it is of no use any more."""

    broken: bool

    def cancel(self) -> None:
        """Break off what the server is doing; from any thread."""

    def close(self) -> None:
        """Leave the server."""


S = TypeVar("S", bound=Pooled)


class Pool(Generic[S]):
    """As many sessions as there are threads at the same time. `what` they belong to, for messages."""

    def __init__(self, opener: Callable[[], S], what: str) -> None:
        self._open = opener
        self._what = what
        self._lock = Lock()
        self._idle: list[S] = []
        self._busy: set[S] = set()
        self._closed = False

    @property
    def closed(self) -> bool:
        """Whether it was told to end."""
        return self._closed

    @contextmanager
    def lease(self) -> Iterator[S]:
        """A session of one's own. It must be given back outside of a transaction and of a result, or broken."""
        session = self._take()
        try:
            yield session
        finally:
            self._give(session)

    def close(self) -> None:
        """Leave with the idle sessions; break off the busy ones, whose threads then leave with them."""
        with self._lock:
            self._closed = True
            idle, busy, self._idle = self._idle, list(self._busy), []
        for session in idle:
            session.close()
        for session in busy:
            session.cancel()

    def _take(self) -> S:
        with self._lock:
            self._check()
            session = self._idle.pop() if self._idle else None
        session = session or self._open()
        with self._lock:
            if not self._closed:
                self._busy.add(session)
                return session
        session.close()
        raise Cancelled(f"The {self._what} was closed.")

    def _check(self) -> None:
        if self._closed:
            raise Cancelled(f"The {self._what} was closed.")

    def _give(self, session: S) -> None:
        with self._lock:
            self._busy.discard(session)
            keep = not (self._closed or session.broken)
            if keep:
                self._idle.append(session)
        if not keep:
            session.close()
