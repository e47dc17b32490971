"""Columns as the bytes of rows, a slice of a batch at a time and never value by value.

What is equally wide in every row of a slice becomes one numpy record, what is not an Arrow array of bytes, and Arrow
joins these pieces row by row.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

_EMPTY = pa.scalar(b"", pa.large_binary())


@dataclass(frozen=True, slots=True)
class Part:
    """Something of one width in every row: `form` is its numpy type, `values` one for each row or one for all."""

    form: str
    values: NDArray[Any] | int


Pieces = list[Part | pa.Array]


def packed(pieces: Iterable[Part | pa.Array], count: int) -> memoryview:
    """The bytes of `count` rows, each of which is its pieces one after the other; an array's NULL is nothing."""
    joined: list[pa.Array] = []
    parts: list[Part] = []
    for piece in pieces:
        if isinstance(piece, Part):
            parts.append(piece)
            continue
        if parts:
            joined.append(_equally_wide(parts, count))
            parts = []
        joined.append(piece)
    if parts:
        joined.append(_equally_wide(parts, count))
    rows = pc.binary_join_element_wise(*joined, _EMPTY, null_handling="replace", null_replacement="")
    _, offsets, data = rows.buffers()
    return memoryview(data)[: np.frombuffer(offsets, np.int64)[count]]


def with_nulls(parts: Sequence[Part], array: pa.Array, absent: int) -> Pieces:
    """The parts of a field; where `array` is NULL, nothing but the first of them with the value `absent`."""
    if not array.null_count:
        return list(parts)
    there = valid(array)
    head, *rest = parts
    record = _record([Part(head.form, np.where(there, head.values, absent)), *rest], len(array))
    width = np.dtype(head.form).itemsize
    kept = np.ones(record.shape, np.bool_)
    kept[:, width:] = there[:, None]
    ends = np.zeros(len(array) + 1, np.int64)
    np.cumsum(np.where(there, record.shape[1], width), out=ends[1:])
    return [_bytes_array(ends, record[kept])]


def valid(array: pa.Array) -> NDArray[np.bool_]:
    """Where the array is not NULL."""
    return np.asarray(pc.is_valid(array).cast(pa.uint8())).view(np.bool_)


def values(array: pa.Array, form: str) -> NDArray[Any]:
    """The array's values as they lie in memory; where it is NULL, anything."""
    width = np.dtype(form).itemsize
    return np.frombuffer(array.buffers()[1], form, len(array), array.offset * width)


def _record(parts: Sequence[Part], count: int) -> NDArray[np.uint8]:
    """The parts side by side, as bytes: a line for each row."""
    form = np.dtype([(f"f{at}", part.form) for at, part in enumerate(parts)])
    record = np.empty(count, form)
    for at, part in enumerate(parts):
        record[f"f{at}"] = part.values
    return record.view(np.uint8).reshape(count, form.itemsize)


def _bytes_array(ends: NDArray[np.int64], data: NDArray[np.uint8]) -> pa.Array:
    """An Arrow array of `len(ends) - 1` values; each begins where the one before it ends."""
    return pa.Array.from_buffers(pa.large_binary(), len(ends) - 1, [None, pa.py_buffer(ends), pa.py_buffer(data)])


def _equally_wide(parts: Sequence[Part], count: int) -> pa.Array:
    record = _record(parts, count)
    return _bytes_array(np.arange(count + 1, dtype=np.int64) * record.shape[1], record)
