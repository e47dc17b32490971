"""Samples of a table's rows: the beginnings of its files, and of large files pieces all over them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

import pyarrow as pa

from rowferry.connectors.files.discover import Found
from rowferry.connectors.files.inspection import compression_of
from rowferry.connectors.files.read_csv import BOM, CsvForm, CsvRows, head
from rowferry.connectors.files.read_json import Members, NoObject, documents, members
from rowferry.connectors.files.rows import Piece, pass_over
from rowferry.connectors.files.store import Item, Store
from rowferry.model import types as t
from rowferry.model.tables import Column, NativeType
from rowferry.typemap.arrow import arrow_schema

FIRST = 2 * 1024 * 1024
"""How much of a file's beginning is looked at."""

FILES = 16
"""Of how many files."""

_PIECES = 32
_PIECE = 64 * 1024
_DOCUMENTS = 20_000
_ROWS = 50_000
_TEXT = NativeType("text", "text")


def first_block(store: Store, item: Item, size: int = FIRST) -> tuple[bytes, bool]:
    """The file's first bytes, and whether they are all."""
    with Piece(store, item).stream() as stream:
        block = stream.read(size + 1)
        return block[:size], len(block) <= size


def spread(store: Store, item: Item) -> Iterator[bytes]:
    """Whole lines from all over a large file that is not compressed."""
    if compression_of(item.name) or item.size < 4 * FIRST:
        return
    with Piece(store, item).stream() as stream:
        for number in range(_PIECES):
            stream.seek(FIRST + (item.size - FIRST - _PIECE) * number // (_PIECES - 1))
            read = stream.read(_PIECE)
            yield read[read.find(b"\n") + 1 : read.rfind(b"\n") + 1]


def csv_columns(store: Store, files: Sequence[Item], form: CsvForm) -> tuple[list[pa.ChunkedArray], float]:
    """The sampled texts of each column, and how many bytes a row has."""
    columns = [Column(str(at), t.Text(), _TEXT) for at in range(len(form.names))]
    plain = CsvForm(form.dialect, tuple(one.name for one in columns))
    batches: list[pa.RecordBatch] = []
    size = 0
    for item in files[:FILES]:
        rows = CsvRows(Piece(store, item, refusal=pass_over), plain, columns, [False] * len(columns))
        block, whole = first_block(store, item)
        start = head(block, form.dialect)
        body = block[start:] if whole else block[start : max(form.dialect.end(block), start)]
        for piece in (body, *spread(store, item)):
            batches += rows.rows(piece, 0, last=True)
            size += len(piece)
    table = pa.Table.from_batches(batches, arrow_schema(columns))
    width = size / max(table.num_rows, 1)
    step = -(-table.num_rows // _ROWS)
    return (table.take(list(range(0, table.num_rows, step))) if step > 1 else table).columns, width


def json_objects(store: Store, found: Found, lines: bool) -> tuple[list[Members], float]:
    """The sampled objects, and how many bytes one has."""
    raws: list[bytes] = []
    for item in found.files[:FILES]:
        if not lines:
            raws += (raw for _, raw in islice(documents(Piece(store, item)), _DOCUMENTS))
            continue
        block, whole = first_block(store, item)
        raws += (block.removeprefix(BOM) if whole else block.removeprefix(BOM)[: block.rfind(b"\n") + 1]).split(b"\n")
        for piece in spread(store, item):
            raws += piece.split(b"\n")
    objects, size = [], 0
    for raw in raws:
        text = raw.decode("utf-8", "replace").strip()
        try:
            objects.append(members(text, 0)[0])
            size += len(raw) + 1
        except NoObject:
            continue
    return objects, size / max(len(objects), 1)
