"""Cutting a table's files into chunks, and finding a chunk's files again.

A bound is a place in a file: its path, a byte (in Parquet a row group), and the file's size and version then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from rowferry.connectors.base import ChunkSize
from rowferry.connectors.files.describe import Shape, is_lines
from rowferry.connectors.files.inspection import compression_of
from rowferry.connectors.files.read_parquet import parquet_file
from rowferry.connectors.files.rows import Piece
from rowferry.connectors.files.store import Item, Store, changed, gone
from rowferry.model.chunks import Chunk, Key


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a file: from `start` on to `end` (None: the file's), bytes or row groups."""

    item: Item
    start: int = 0
    end: int | None = None


Places = Iterator[tuple[int | None, int]]
"""Where a file may be cut (None: its end), and how many bytes lie between that and the place before."""


def cut(store: Store, shape: Shape, size: ChunkSize) -> list[Chunk]:
    """The chunks, each of about the wanted size where the files can be cut so."""
    bounds: list[Key] = []
    held = 0
    for item in shape.found.files:
        if held >= size.size:
            bounds.append((item.path, 0, item.mark))
            held = 0
        for place, before in _PLACES[shape.found.format](store, shape, item, size):
            held += before
            if place is not None and held >= size.size:
                bounds.append((item.path, place, item.mark))
                held = 0
    lows: list[Key | None] = [None, *bounds]
    highs: list[Key | None] = [*bounds, None]
    name = shape.table.name
    return [Chunk(name, at, *ends) for at, ends in enumerate(zip(lows, highs, strict=True))]


def parts(shape: Shape, chunk: Chunk) -> Iterator[Part]:
    """The chunk's parts of files; SourceChanged when a file with one of its bounds is another than then."""
    known = {item.path: item for item in shape.found.files}
    for bound in (chunk.low, chunk.high):
        if bound is not None and bound[1]:
            path, _, mark = bound
            if path not in known:
                raise gone(Item(str(path), 0, ""))
            if known[str(path)].mark != mark:
                raise changed(known[str(path)])
    low: tuple[str, int] = ("", 0) if chunk.low is None else (str(chunk.low[0]), int(chunk.low[1]))
    high = None if chunk.high is None else (str(chunk.high[0]), int(chunk.high[1]))
    for item in shape.found.files:
        start = low[1] if item.path == low[0] else 0
        end = high[1] if high is not None and item.path == high[0] else None
        if item.path < low[0] or (high is not None and item.path > high[0]) or (end is not None and end <= start):
            continue
        yield Part(item, start, end)


def _row_groups(store: Store, shape: Shape, item: Item, size: ChunkSize) -> Places:
    """The row groups; one of many rows counts as if they were as wide as a full chunk's."""
    with parquet_file(store, item) as file:
        groups = [file.metadata.row_group(at) for at in range(file.num_row_groups)]
    for at, group in enumerate(groups, 1):
        weight = max(group.total_byte_size, -(-group.num_rows * size.size // size.rows))
        yield (None if at == len(groups) else at), weight


def _csv_places(store: Store, shape: Shape, item: Item, size: ChunkSize) -> Places:
    """The ends of records: a quote that is open at a line's end is known only to who has read all before it."""
    if compression_of(item.name) or item.size <= size.size or shape.csv is None:
        yield None, item.size
        return
    at = 0
    for block in Piece(store, item).blocks(shape.csv.dialect.end):
        at += len(block)
        yield (at if at < item.size else None), len(block)


def _line_places(store: Store, shape: Shape, item: Item, size: ChunkSize) -> Places:
    at = 0
    while is_lines(item) and not compression_of(item.name) and at + size.size < item.size:
        first = next(Piece(store, item, at + size.size).blocks(lambda data: data.find(b"\n") + 1, 1 << 16), b"")
        before, at = at, at + size.size + len(first)
        yield (at if at < item.size else None), at - before
    if at < item.size:
        yield None, item.size - at


_PLACES: dict[str, Callable[[Store, Shape, Item, ChunkSize], Places]] = {
    "parquet": _row_groups,
    "csv": _csv_places,
    "jsonl": _line_places,
}
