"""What reading any format does alike: bytes in pieces of whole records, and what becomes of a row that is malformed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

import pyarrow as pa

from rowferry.connectors.files.inspection import compression_of
from rowferry.connectors.files.parse import Misfit, parsed
from rowferry.connectors.files.store import Item, Store
from rowferry.errors import ReadFailed
from rowferry.model.tables import Column
from rowferry.typemap.arrow import arrow_schema

BLOCK = 4 * 1024 * 1024
"""About how many bytes of a file are read and parsed at once."""

LITTLE = 32 * 1024
"""So many bytes are read record by record at the most, where one of them is malformed."""

LONGEST = 256 * 1024 * 1024
"""No record may be longer, so that a quote that is never closed does not fill the memory."""

NULL_IN_KEY = "no value, though the column takes none that is NULL"


@dataclass(frozen=True, slots=True)
class Bad:
    """A row that cannot be read: which of the block's rows it is, the column (None: the row itself), and why."""

    at: int
    column: str | None
    reason: str


class Refusal(Protocol):
    """What is done with malformed rows."""

    def __call__(self, item: Item, line: int, bad: Bad, raw: bytes) -> None:
        """Keep the row aside and return, or raise ReadFailed."""


def refuse(item: Item, line: int, bad: Bad, raw: bytes) -> None:
    """A `Refusal` that always raises."""
    place = f", column {bad.column}" if bad.column else ""
    raise ReadFailed(
        f"{item.path}, line {line}{place}: {bad.reason}. Correct the file, or set source.options.malformedRows to skip"
        f"{', or give the column another type by typeOverrides' if bad.column else ''}."
    )


def pass_over(item: Item, line: int, bad: Bad, raw: bytes) -> None:
    """A `Refusal` that leaves the row out and keeps nothing."""


@dataclass(frozen=True)
class Piece:
    """A part of a file: from one byte on to another (None: its end), and what is done with malformed rows."""

    store: Store
    item: Item
    start: int = 0
    end: int | None = None
    refusal: Refusal = field(default=refuse)

    @contextmanager
    def stream(self) -> Iterator[pa.NativeFile]:
        """The bytes, without the compression; ReadFailed when they are damaged."""
        compression = compression_of(self.item.name)
        try:
            with self.store.open(self.item, None if compression else self.end) as file:
                if compression is None:
                    file.seek(self.start)
                    yield file
                    return
                with pa.CompressedInputStream(file, compression) as stream:
                    yield stream
        except (OSError, pa.ArrowException) as error:
            raise ReadFailed(f"The file {self.item.path} is damaged: its bytes cannot be read to the end.") from error

    def blocks(self, cut: Callable[[bytes], int], size: int = BLOCK) -> Iterator[bytes]:
        """The bytes in pieces of whole records; `cut` says where in some bytes the last whole record ends."""
        left = None if self.end is None else self.end - self.start
        rest = b""
        with self.stream() as stream:
            while True:
                wanted = max(size, len(rest))
                read = stream.read(wanted if left is None else min(wanted, left))
                if left is not None:
                    left -= len(read)
                if not read:
                    break
                data = rest + read
                at = cut(data)
                rest = data[at:]
                if at:
                    yield data[:at]
                elif len(rest) > LONGEST:
                    raise ReadFailed(
                        f"{self.item.path} holds a record of more than {LONGEST >> 20} MB: perhaps a quote or bracket "
                        "is never closed."
                    )
        if rest:
            yield rest

    def refuse(self, before: int, bad: Bad, raw: bytes) -> None:
        """Give a malformed row to the refusal; `before`: how many of the piece's line ends lie before it."""
        self.refusal(self.item, self._first_line + before, bad, raw)

    @cached_property
    def _first_line(self) -> int:
        """The number of the line with which the piece begins: all before it is read for that."""
        if self.start == 0:
            return 1
        before = Piece(self.store, self.item, 0, self.start)
        return 1 + sum(block.count(b"\n") for block in before.blocks(len))


def batch_of(texts: Sequence[pa.Array], columns: Sequence[Column], strict: Sequence[bool]) -> pa.RecordBatch | None:
    """The texts as rows with these columns; None when one of them does not fit."""
    arrays = []
    for array, column, one in zip(texts, columns, strict, strict=True):
        if array.null_count and not column.nullable:
            return None
        try:
            arrays.append(parsed(array, column.type, one))
        except Misfit:
            return None
    return pa.RecordBatch.from_arrays(arrays, schema=arrow_schema(columns))


def misfits(texts: Sequence[pa.Array], columns: Sequence[Column], strict: Sequence[bool]) -> list[Bad]:
    """The rows that do not fit their columns, in order, each with the first column that says so."""
    found: dict[int, Bad] = {}
    for array, column, one in zip(texts, columns, strict, strict=True):
        if not column.nullable:
            for at, valid in enumerate(array.is_valid().to_pylist()):
                if not valid:
                    found.setdefault(at, Bad(at, column.name, f"there is {NULL_IN_KEY}"))
        for at, what in _unfit(array, column, one, 0):
            found.setdefault(at, Bad(at, column.name, f"the value is no {what}"))
    return [found[at] for at in sorted(found)]


def _unfit(array: pa.Array, column: Column, strict: bool, first: int) -> Iterator[tuple[int, str]]:
    """The places of the texts that are no values, by halves."""
    try:
        parsed(array, column.type, strict)
    except Misfit as error:
        if len(array) == 1:
            yield first, str(error)
            return
        half = len(array) // 2
        yield from _unfit(array.slice(0, half), column, strict, first)
        yield from _unfit(array.slice(half), column, strict, first + half)
