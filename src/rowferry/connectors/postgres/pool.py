"""Sessions that are opened when they are wanted, lent to one borrower at a time, and given back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Lock
from typing import Generic, Protocol, TypeVar

from rowferry.errors import Cancelled

IDLE = 4
"""How many sessions wait for the next borrower."""


class _Closable(Protocol):
    def close(self) -> None: ...


S = TypeVar("S", bound=_Closable)


class Sessions(Generic[S]):
    """The sessions of one source or target, of one driver. Any thread may borrow.

    `open_one` makes a session; `cancel` tells the server to stop what a session does, from whichever thread. `idle`:
    how many wait for the next borrower.
    """

    def __init__(self, open_one: Callable[[], S], cancel: Callable[[S], object], idle: int = IDLE) -> None:
        self._open_one, self._cancel_one, self._most = open_one, cancel, idle
        self._lock = Lock()
        self._idle: list[S] = []
        self._lent: list[S] = []
        self.closed = False

    @contextmanager
    def borrowed(self) -> Iterator[S]:
        """A session that nobody else uses; Cancelled once `close` was called.

        Left by an exception (GeneratorExit is one), the session is cancelled and closed; else it waits for the next.
        """
        session = self._borrow()
        clean = False
        try:
            yield session
            clean = True
        finally:
            self._give_back(session, clean)

    def check_open(self) -> None:
        """Cancelled once `close` was called."""
        if self.closed:
            raise Cancelled("The stream's sessions were closed.")

    def close(self) -> None:
        """Close what is idle and cancel what is lent; the borrowers find out and give back."""
        with self._lock:
            self.closed = True
            idle, self._idle = self._idle, []
            lent = list(self._lent)
        for session in idle:
            _close(session)
        for session in lent:
            self._cancel(session)

    def _borrow(self) -> S:
        with self._lock:
            self.check_open()
            session = self._idle.pop() if self._idle else None
            if session is not None:
                self._lent.append(session)
                return session
        session = self._open_one()
        with self._lock:
            if not self.closed:
                self._lent.append(session)
                return session
        _close(session)
        raise Cancelled("The stream's sessions were closed.")

    def _give_back(self, session: S, clean: bool) -> None:
        with self._lock:
            self._lent = [one for one in self._lent if one is not session]
            if clean and not self.closed and len(self._idle) < self._most:
                self._idle.append(session)
                return
            # What broke this one may have broken those that wait.
            spoilt, self._idle = ([], self._idle) if clean else (self._idle, [])
        if not clean:
            self._cancel(session)
        for one in (session, *spoilt):
            _close(one)

    def _cancel(self, session: S) -> None:
        """A session that does nothing, or is gone, does not mind."""
        with suppress(Exception):
            self._cancel_one(session)


def _close(session: _Closable) -> None:
    """A session that is broken cannot be closed in order, and need not be."""
    with suppress(Exception):
        session.close()
