"""Transactions that are told before they have ended: what is told of them is kept in files until they commit.

Since version 14 a walsender need not hold a large transaction until its end, nor write it to its disk: it tells it in
pieces, between which other transactions may come (the chapter "Streaming of Large Transactions for Logical Decoding"
of PostgreSQL's manual). Each message names the transaction or subtransaction that it belongs to.
"""

from __future__ import annotations

import tempfile
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np

from rowferry.connectors.postgres.replication.cells import HEADER, Places
from rowferry.errors import ReadFailed

ROWS = 5_000
SIZE = 1 << 20
"""Rows, and bytes of them, that are held before they are written."""

_NUMBER = slice(HEADER + 1, HEADER + 5)
"""Where the number of the transaction or subtransaction stands in a message."""

_LENGTH = np.dtype(np.uint32)
"""How the length of a message stands in the file."""


def plainly(message: bytes) -> bytes:
    """The message without its transaction's number: as it is told of one that has ended."""
    return message[: _NUMBER.start] + message[_NUMBER.stop :]


class Told(NamedTuple):
    """Messages, one behind the other, and their lengths. Either all are of `rows`, or it is one other message."""

    rows: bool
    data: bytes
    lengths: Places

    def cut(self, first: int, end: int) -> Told:
        """The messages from one number to before another."""
        ends = np.cumsum(self.lengths[:end])
        start = int(ends[first - 1]) if first else 0
        return Told(self.rows, self.data[start : int(ends[-1]) if end else 0], self.lengths[first:end])


class _Piece(NamedTuple):
    """Messages in the file, between `offset` and `end`: how many it `holds`, and how many came before the `first`."""

    first: int
    holds: int
    offset: int
    end: int
    rows: bool


class Unfinished:
    """What has been told of one transaction. `fresh`: rows of it that somebody takes as they come, unless None."""

    def __init__(self) -> None:
        with _room():
            self._file = tempfile.TemporaryFile(prefix="rowferry-")  # noqa: SIM115 - `close` closes it
        self.rows: list[bytes] = []
        self.fresh: list[Told] | None = None
        self._size = 0
        self._pieces: list[_Piece] = []
        self._parts: dict[int, int] = {}
        self._count = 0

    @property
    def waiting(self) -> tuple[int, int]:
        """How many rows wait to be taken as `fresh`, and their bytes."""
        fresh = self.fresh or ()
        rows = len(self.rows) + sum(len(one.lengths) for one in fresh)
        return rows, self._size + sum(len(one.data) for one in fresh)

    def took(self, size: int) -> None:
        """Messages of so many bytes were added to `rows`, which are not in the file yet."""
        self._size += size
        if len(self.rows) >= ROWS or self._size >= SIZE:
            self.flush()

    def add(self, message: bytes) -> None:
        """A message that is of no row: it stays between those before and those behind it."""
        self.flush()
        self._write([message], rows=False)

    def undo(self, part: int) -> None:
        """A subtransaction was rolled back: it, and all that was told since it began, which belongs to it."""
        self.flush()
        cut = self._parts.get(part)
        if cut is None:
            return
        while self._parts and next(reversed(self._parts.values())) >= cut:
            self._parts.popitem()
        at = bisect_right(self._pieces, cut, key=lambda piece: piece.first) - 1
        last = self._pieces[at]
        kept = self._read(last).cut(0, cut - last.first)
        del self._pieces[at:]
        self._count = last.first
        with _room():
            self._file.truncate(last.offset)
        if len(kept.lengths):
            self._put(kept)

    def told(self, most: int, size: int) -> Iterator[list[Told]]:
        """Everything in its order, as it is told of a transaction that has ended: rows, as many and as many bytes as
        are given at once at the most, or one other message."""
        self.flush()
        held: list[Told] = []
        rows = length = 0
        for piece in self._pieces:
            told, at = self._read(piece), 0
            if not told.rows:
                if held:
                    yield held
                yield [told]
                held, rows, length = [], 0, 0
            while told.rows and at < len(told.lengths):
                fits = int(np.searchsorted(np.cumsum(told.lengths[at:]), size - length)) + 1
                held.append(told.cut(at, at + min(fits, most - rows)))
                count = len(held[-1].lengths)
                at, rows, length = at + count, rows + count, length + len(held[-1].data)
                if rows >= most or length >= size:
                    yield held
                    held, rows, length = [], 0, 0
        if held:
            yield held

    def close(self) -> None:
        """Remove the file."""
        self._file.close()

    def flush(self) -> None:
        """Put `rows` into the file."""
        if self.rows:
            self._write(self.rows, rows=True)
            self.rows, self._size = [], 0

    def _write(self, messages: Sequence[bytes], rows: bool) -> None:
        """Put messages into the file without their transactions' numbers, of which it is noted where each begins."""
        plain = []
        part = b""
        for number, message in enumerate(messages, self._count):
            if message[_NUMBER] != part:
                part = message[_NUMBER]
                self._parts.setdefault(int.from_bytes(part), number)
            plain.append(plainly(message))
        told = Told(rows, b"".join(plain), np.fromiter(map(len, plain), np.int64, len(plain)))
        self._put(told)
        if rows and self.fresh is not None:
            self.fresh.append(told)

    def _put(self, told: Told) -> None:
        offset = self._pieces[-1].end if self._pieces else 0
        lengths = told.lengths.astype(_LENGTH).tobytes()
        with _room():
            self._file.seek(offset)
            self._file.write(lengths)
            self._file.write(told.data)
            self._file.flush()
        end = offset + len(lengths) + len(told.data)
        self._pieces.append(_Piece(self._count, len(told.lengths), offset, end, told.rows))
        self._count += len(told.lengths)

    def _read(self, piece: _Piece) -> Told:
        with _room():
            self._file.seek(piece.offset)
            lengths = np.frombuffer(self._file.read(piece.holds * _LENGTH.itemsize), _LENGTH).astype(np.int64)
            data = self._file.read(int(lengths.sum()))
        return Told(piece.rows, data, lengths)


@contextmanager
def _room() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ReadFailed(
            f"A large transaction of PostgreSQL's log is kept in a file in {tempfile.gettempdir()} until it ends: "
            f"{error.strerror}. Make room there, or set TMPDIR to a folder that has it."
        ) from error
