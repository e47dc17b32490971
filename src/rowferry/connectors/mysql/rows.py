"""Rows as the server sends them, as Arrow: a block of them at a time, each column's values found by numpy.

A read holds the server back while nobody takes its rows, and holds one block in memory, or one row where that is
longer. It reads rows of any length, and ends in order: the session is as good afterwards as it was before.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator
from contextlib import suppress
from struct import Struct
from typing import Any

import numpy as np
import pyarrow as pa
import pymysql
from pymysql.connections import Connection as Session
from pymysql.constants import CR

Batches = Generator[pa.RecordBatch, None, None]

BLOCK = 2 << 20
"""Bytes of rows that become one batch; a single row may be longer."""

_PIECE = 256 << 10
_MOST = 0xFFFFFF
"""The length of a packet that another one continues."""

_LONG = 200
"""From so many bytes a value on, copying them one by one is quicker than by an index for every byte."""

_END, _ERROR, _NULL = 0xFE, 0xFF, 0xFB
_SHORTEST_ROW_OF_LONG_TEXT = 9
_WIDTHS = ((0xFC, 2), (0xFD, 3), (0xFE, 8))
"""How many bytes hold the length of a value, by the byte before them."""

_header = Struct("<I").unpack_from


class Result:
    """The rows of one query on a session, of which nothing else can be asked until they are over.

    Every value is the server's text, or bytes where it has no charset. Errors are the driver's.
    """

    def __init__(self, session: Session, sql: str) -> None:
        wire: Any = session
        wire.query(sql, unbuffered=True)
        self._result, self._file = wire._result, wire._rfile
        self._names = [str(item[0]) for item in self._result.description]
        self._kinds = [pa.large_binary() if code is None else pa.large_string() for code, _ in self._result.converters]
        self._block, self._at = bytearray(), 0
        self.over = False

    def batches(self) -> Batches:
        """The rows."""
        for block, starts in self.blocks():
            yield pa.RecordBatch.from_arrays(_columns(block, starts, self._kinds), self._names)

    def drain(self) -> None:
        """Take what the server still sends, an error included."""
        with suppress(pymysql.Error):
            deque(self.blocks(), maxlen=0)

    def blocks(self) -> Iterator[tuple[bytearray, list[int]]]:
        """Bytes, and where in them each row begins; a row that has more than one packet comes alone."""
        starts: list[int] = []
        while not self.over:
            long = self._scan(starts)
            if starts and (self.over or long or self._at >= BLOCK):
                yield self._cut(), starts
                starts = []
            if long:
                yield self._long_row(), [0]
            elif not self.over:
                self._more()

    def _scan(self, starts: list[int]) -> bool:
        """Note the rows that are here; whether one of several packets follows."""
        block, at, end = self._block, self._at, len(self._block)
        try:
            while end - at > 4:
                size = _header(block, at)[0] & _MOST
                first = block[at + 4]
                if size == _MOST:
                    return True
                if at + 4 + size > end:
                    return False
                if first >= _END and (first == _ERROR or size < _SHORTEST_ROW_OF_LONG_TEXT):
                    self._end(bytes(block[at + 4 : at + 4 + size]))
                    return False
                starts.append(at + 4)
                at += 4 + size
            return False
        finally:
            self._at = at

    def _end(self, packet: bytes) -> None:
        """The server has said its last word about this query."""
        self.over = True
        self._result.unbuffered_active = False
        self._result.connection = None
        if packet[0] == _ERROR:
            pymysql.err.raise_mysql_exception(packet)

    def _cut(self) -> bytearray:
        """What was scanned; what follows it becomes the next block."""
        block = self._block
        self._block, self._at = block[self._at :], 0
        return block

    def _long_row(self) -> bytearray:
        row = bytearray()
        size = _MOST
        while size == _MOST:
            size = _header(self._taken(4))[0] & _MOST
            row += self._taken(size)
        self._cut()
        return row

    def _taken(self, size: int) -> bytes:
        here = bytes(self._block[self._at : self._at + size])
        self._at += len(here)
        rest = self._file.read(size - len(here)) if len(here) < size else b""
        if len(here) + len(rest) < size:
            raise _lost()
        return here + rest if here else bytes(rest)

    def _more(self) -> None:
        piece = self._file.read1(_PIECE)
        if not piece:
            raise _lost()
        self._block += piece


def _lost() -> pymysql.Error:
    return pymysql.OperationalError(CR.CR_SERVER_LOST, "Lost connection to MySQL server during query")


def _columns(block: bytearray, starts: list[int], kinds: list[pa.DataType]) -> list[pa.Array]:
    octets = np.frombuffer(block, np.uint8)
    at = np.array(starts, np.int64)
    found = []
    for kind in kinds:
        lengths, null = _lengths(octets, at)
        found.append(slices(block, octets, at, lengths, null).cast(kind))
        at += lengths
    return found


def _lengths(octets: Any, at: Any) -> tuple[Any, Any]:
    """How long the values are whose lengths stand `at` these places, which move on to the values; which are NULL."""
    first = octets[at]
    lengths = first.astype(np.int64)
    at += 1
    null = first == _NULL
    lengths[null] = 0
    for mark, width in _WIDTHS:
        rows = np.flatnonzero(first == mark)
        if len(rows):
            places = at[rows]
            lengths[rows] = sum(octets[places + byte].astype(np.int64) << (8 * byte) for byte in range(width))
            at[rows] += width
    return lengths, null


def slices(block: bytes | bytearray, octets: Any, at: Any, lengths: Any, null: Any) -> pa.Array:
    """The bytes of the block that begin at these places, as an array; `octets` is the block as numpy sees it."""
    offsets = np.zeros(len(at) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    total = int(offsets[-1])
    if len(at) == 1:
        values = pa.py_buffer(block).slice(int(at[0]), total)
    elif total > _LONG * len(at):
        view = memoryview(block)
        values = pa.py_buffer(b"".join([view[a : a + n] for a, n in zip(at.tolist(), lengths.tolist(), strict=True)]))
    else:
        index = np.repeat((at - offsets[:-1]).astype(np.int32), lengths)
        index += np.arange(total, dtype=np.int32)
        values = pa.py_buffer(octets[index])
    valid = pa.py_buffer(np.packbits(~null, bitorder="little")) if null.any() else None
    return pa.Array.from_buffers(pa.large_binary(), len(at), [valid, pa.py_buffer(offsets), values])
