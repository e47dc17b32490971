"""The walsender's end of a connection: it is told where to begin, gives messages, and is told how far we are.

psycopg's own connection does not speak both ways at once, libpq does; so a session of psycopg is opened, and from then
on its libpq connection is used. It stands for one thread at a time: whoever uses it holds `lock`.
"""

from __future__ import annotations

import os
import select
import time
from contextlib import suppress
from threading import Event, Lock, Thread

import psycopg
from psycopg import pq

from rowferry.connectors.postgres.catalog import Session
from rowferry.connectors.postgres.replication.messages import status
from rowferry.errors import ConnectionLost

BEAT = 10.0
"""Seconds after which the server hears of us at the latest."""

_SOON = 0.2
"""Seconds between two answers that only say that something was confirmed."""

_TLS_PATIENCE = 0.05
"""Seconds of waiting for a socket under TLS, of which some bytes may have been read already."""


class Feed:
    """The messages of one walsender. `confirmed` may be set from any thread; `asked`: the server waits for an answer.

    `heard`: when the server said something last. `received`: up to where it has told the log.
    """

    def __init__(self, session: Session, received: int) -> None:
        self._session = session
        self.raw = session.pgconn
        self.lock = Lock()
        self.received, self.confirmed = received, 0
        self.heard = time.monotonic()
        self.asked = False
        self._beat = BEAT
        self._answered, self._said = time.monotonic(), 0
        self._woken, self._waker = os.pipe()
        self._poll = select.poll()
        self._ended = Event()
        self._thread = Thread(target=self._beats, name="rowferry-walsender", daemon=True)

    def start(self, statement: str, patience: float | None) -> None:
        """Begin; `patience`: the server's wal_sender_timeout in seconds. An error of the driver when it refuses."""
        self.raw.nonblocking = 1
        self.raw.send_query(statement.encode())
        self._poll.register(self.raw.socket, select.POLLIN)
        self._poll.register(self._woken, select.POLLIN)
        while self.raw.is_busy() or self.raw.flush():
            self.wait(1.0)
            self.raw.consume_input()
        result = self.raw.get_result()
        if result is None or result.status != pq.ExecStatus.COPY_BOTH:
            raise self._failure(result)
        if patience:
            self._beat = min(BEAT, patience / 3)
        self._thread.start()

    def wait(self, seconds: float) -> None:
        """Return when there is something to read, when woken, or after so many seconds."""
        if self.raw.ssl_in_use:
            seconds = min(seconds, _TLS_PATIENCE)
        self._poll.poll(max(seconds, 0) * 1000)

    def wake(self) -> None:
        """End a `wait`, this one and all others."""
        with suppress(OSError):
            os.write(self._waker, b"!")

    def answer(self, *, ask: bool = False) -> None:
        """Tell the server how far we are, if it is time to; `ask` it for an answer."""
        now = time.monotonic()
        confirmed = self.confirmed
        since = now - self._answered
        news = confirmed != self._said and since >= _SOON
        if not (self.asked or ask or news or since >= self._beat):
            return
        self.raw.put_copy_data(status(max(self.received, confirmed), confirmed, time.time(), ask))
        self.raw.flush()
        self.asked, self._answered, self._said = False, now, confirmed

    def ended(self) -> Exception:
        """Why there are no more messages."""
        return self._failure(self.raw.get_result())

    def close(self) -> None:
        """Leave the server, once whoever reads is gone. May be called twice."""
        if self._ended.is_set():
            return
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()
        self._session.close()
        for descriptor in (self._woken, self._waker):
            with suppress(OSError):
                os.close(descriptor)

    def _beats(self) -> None:
        """Let the server hear of us while nobody reads, which is for as long as the target takes."""
        while not self._ended.wait(min(1.0, self._beat / 2)):
            if self.lock.acquire(blocking=False):
                try:
                    # A connection that is broken is told by whoever reads it.
                    with suppress(psycopg.Error):
                        self.answer()
                finally:
                    self.lock.release()

    def _failure(self, result: pq.abc.PGresult | None) -> Exception:
        if result is None or result.status in (pq.ExecStatus.COMMAND_OK, pq.ExecStatus.COPY_OUT):
            return ConnectionLost("PostgreSQL ended the log's connection, perhaps because it shuts down.")
        return psycopg.errors.error_from_result(result)
