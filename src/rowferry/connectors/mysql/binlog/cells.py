"""Values of one column in many rows, as numpy sees them: where each begins, how long it is, which are NULL."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from rowferry.connectors.mysql.binlog.tablemap import LogColumn
from rowferry.connectors.mysql.rows import slices
from rowferry.model.tables import Column

SPARE = 64
"""Bytes that a block must have behind its last row: what stands in the place of a NULL is read as well."""


class Octets:
    """A block of bytes that is read at many places at once."""

    def __init__(self, block: bytes) -> None:
        self.block = block
        self.bytes = np.frombuffer(block, np.uint8)

    def read(self, at: Any, kind: str) -> Any:
        """What lies at these places as numbers of numpy's type `kind`, wherever they begin."""
        size = np.dtype(kind).itemsize
        windows = np.ndarray((len(self.block) - size + 1,), kind, self.block, 0, (1,))
        return windows[at]

    def little(self, at: Any, size: int) -> Any:
        """Whole numbers of so many bytes, the lowest first."""
        if size == 1:
            return self.bytes[at].astype(np.int64)
        if size in (2, 4):
            return self.read(at, f"<u{size}").astype(np.int64)
        return (self.read(at, "<u8") & np.uint64((1 << 8 * size) - 1)).astype(np.int64)

    def big(self, at: Any, size: int) -> Any:
        """Whole numbers of up to seven bytes, the highest first."""
        return (self.read(at, ">u8").astype(np.uint64) >> np.uint64(64 - 8 * size)).astype(np.int64)


@dataclass(frozen=True, slots=True)
class Cells:
    """The values of `column`. What lies where `null` is true means nothing, but may be read.

    `at` is where a value begins, behind its length where it has one; `lengths` is None where all have one width.
    """

    octets: Octets
    at: Any
    lengths: Any
    null: Any
    column: Column
    log: LogColumn

    def __len__(self) -> int:
        return len(self.at)

    def any(self, odd: Any) -> bool:
        """Whether any of the values that are there is one of the `odd` ones."""
        return bool(odd.any() if self.null is None else (odd & ~self.null).any())

    def array(self, values: Any) -> pa.Array:
        """The values as they are, with the NULLs among them."""
        return pa.array(values, mask=self.null)

    def buffers(self, kind: pa.DataType, values: Any) -> pa.Array:
        """An array of fixed width whose bytes are `values`."""
        return pa.Array.from_buffers(kind, len(self), [self.valid(), pa.py_buffer(np.ascontiguousarray(values))])

    def valid(self) -> pa.Buffer | None:
        """Arrow's bitmap of what is there; None where all is."""
        return None if self.null is None else pa.py_buffer(np.packbits(~self.null, bitorder="little"))

    def bytes(self) -> pa.Array:
        """The values as bytes."""
        null = np.zeros(len(self), np.bool_) if self.null is None else self.null
        lengths = np.full(len(self), self.log.first, np.int64) if self.lengths is None else self.lengths
        return slices(self.octets.block, self.octets.bytes, self.at, lengths, null)

    def digits(self, letters: Any) -> pa.Array:
        """Text of one length from a matrix with a row of letters for each value."""
        count, width = letters.shape
        ends = np.arange(count + 1, dtype=np.int32) * width
        parts = [self.valid(), pa.py_buffer(ends), pa.py_buffer(np.ascontiguousarray(letters))]
        return pa.Array.from_buffers(pa.string(), count, parts)
