"""MySQL's compressed transactions: one event that holds all the others, taken apart as they are asked for."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from rowferry.connectors.mysql.binlog.fields import packed
from rowferry.connectors.mysql.binlog.frames import HEADER, Event, Opener, Stretch
from rowferry.errors import ReadFailed

_END, _SIZE, _METHOD, _WHOLE = 0, 1, 2, 3
_ZSTD, _NONE = 0, 255
_PIECE = 1 << 20


def inside(event: Event) -> Iterator[Event]:
    """The events of the transaction; ReadFailed when they are not what the event says."""
    fields, at = _fields(event)
    payload = pa.py_buffer(event.data)[at : at + fields.get(_SIZE, 0)]
    stretch, opener = Stretch(), Opener(checked=False)
    whole = fields.get(_WHOLE, fields.get(_SIZE, 0))
    there = 0
    for piece in _pieces(payload, fields.get(_METHOD, _NONE)):
        there += len(piece)
        if there > whole:
            break
        yield from map(opener.open, stretch.feed(piece))
    if there != whole or at + fields.get(_SIZE, 0) != event.end:
        raise ReadFailed("The log holds a compressed transaction of another size than it says: it is damaged.")


def _pieces(payload: pa.Buffer, method: int) -> Iterator[bytes]:
    source: pa.NativeFile = pa.BufferReader(payload)
    if method == _ZSTD:
        source = pa.CompressedInputStream(source, "zstd")
    elif method != _NONE:
        raise ReadFailed(f"The log holds a transaction that is compressed by method {method}, which is not known here.")
    while True:
        try:
            piece = source.read(_PIECE)
        except (pa.ArrowException, OSError) as error:
            raise ReadFailed("The log holds a compressed transaction that cannot be read: it is damaged.") from error
        if not piece:
            return
        yield piece


def _fields(event: Event) -> tuple[dict[int, int], int]:
    """What stands before the compressed part, each field a number, a length and a value; and where that ends."""
    data, at = event.data, HEADER
    found: dict[int, int] = {}
    while at < event.end:
        kind, at = packed(data, at)
        if kind == _END:
            return found, at
        size, at = packed(data, at)
        found[kind] = packed(data, at)[0]
        at += size
    raise ReadFailed("The log holds a compressed transaction without an end to its fields: it is damaged.")
