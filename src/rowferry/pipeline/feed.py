"""What a source tells, read in a thread of its own, so that reading and writing go on side by side."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterator
from types import TracebackType
from typing import Self

from rowferry.connectors.changes import ChangeBatch

MOMENT = 0.2
"""Seconds without a batch after which whoever waits for one is let look around."""

AHEAD = 2
"""How many batches wait for the writer: enough for both to be busy, and memory stays bounded."""


class Feed:
    """The batches of `followed`, a little ahead of whoever takes them. What reading raises, taking raises."""

    def __init__(self, followed: Generator[ChangeBatch, None, None]) -> None:
        self._followed = followed
        self._waiting: queue.Queue[ChangeBatch | BaseException] = queue.Queue(AHEAD)
        self._left = threading.Event()
        self._thread = threading.Thread(target=self._read, name="follow", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Tell the reader to end. Closing the source is the caller's, and ends a read that waits for the log."""
        self._left.set()

    def __iter__(self) -> Iterator[ChangeBatch | None]:
        """Each batch once; None whenever there has been none for a moment, so that a wish to end is soon heard."""
        while True:
            try:
                found = self._waiting.get(timeout=MOMENT)
            except queue.Empty:
                yield None
                continue
            if isinstance(found, BaseException):
                raise found
            yield found

    def _read(self) -> None:
        try:
            for batch in self._followed:
                self._put(batch)
                if self._left.is_set():
                    return
            raise RuntimeError("a log has no end")
        except BaseException as error:  # whatever it is, whoever takes the batches must not wait for ever
            self._put(error)
        finally:
            self._followed.close()

    def _put(self, found: ChangeBatch | BaseException) -> None:
        while not self._left.is_set():
            try:
                self._waiting.put(found, timeout=0.2)
            except queue.Full:
                continue
            return
