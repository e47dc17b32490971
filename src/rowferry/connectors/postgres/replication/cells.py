"""Rows as pgoutput tells them: where the value of each column lies, found by numpy for all rows at once.

A row's message is `I relation N tuple`, `U relation [K tuple | O tuple] N tuple` or `D relation (K tuple | O tuple)`;
a tuple is the number of its columns and for each a letter: n (NULL), u (as it was, and not told), or t and b with a
length and the value as text or in binary. Numbers are big-endian. Nothing is copied before a column is converted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from rowferry.errors import ReadFailed
from rowferry.model.changes import Op

Places = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Letters = npt.NDArray[np.uint8]

HEADER = 25
"""Bytes of a message of the log before what the plugin says: w, two positions and a time."""

INSERT, UPDATE, DELETE = b"IUD"
NULL, UNCHANGED, TEXT, BINARY = b"nutb"
_NEW, _OLD_KEY, _OLD_ROW = b"NKO"

_OPS = np.zeros(256, np.uint8)
_OPS[[INSERT, UPDATE, DELETE]] = [Op.INSERT, Op.UPDATE, Op.DELETE]

_PADDING = bytes(64)
"""Behind the last message, so that looking a few bytes ahead is always right."""


class Joined:
    """Parts of these lengths, one behind the other: where each begins and ends. `pieces` are their bytes."""

    def __init__(self, pieces: Sequence[bytes], lengths: Places) -> None:
        self.data = b"".join((*pieces, _PADDING))
        self.bytes: Letters = np.frombuffer(self.data, np.uint8)
        ends = np.cumsum(lengths, dtype=np.int64)
        self.ends: Places = ends
        self.starts: Places = np.concatenate(([0], ends[:-1])).astype(np.int64)

    @classmethod
    def of(cls, parts: Sequence[bytes]) -> Self:
        """Parts that are told one by one."""
        return cls(parts, np.fromiter(map(len, parts), np.int64, len(parts)))


class Block(Joined):
    """Messages about rows. `kinds`: the letter of each, `relations`: the oid that it names."""

    def __init__(self, pieces: Sequence[bytes], lengths: Places) -> None:
        super().__init__(pieces, lengths)
        self.kinds: Letters = self.bytes[self.starts + HEADER]
        self.relations: Places = self.int32(self.starts + HEADER + 1) & 0xFFFFFFFF

    def number(self, at: Places, kind: str) -> npt.NDArray[np.generic]:
        """The big-endian numbers of that kind of numpy that begin at these places."""
        size = np.dtype(kind).itemsize
        anywhere: npt.NDArray[np.generic] = np.ndarray((len(self.data) - size + 1,), kind, self.data, strides=(1,))
        return anywhere[at]

    def int32(self, at: Places) -> Places:
        """The same for lengths and oids, in a type that adds up."""
        return self.number(at, ">i4").astype(np.int64)


@dataclass(frozen=True, slots=True)
class Cells:
    """A column of some rows: the letter of each, and between which places of the block its value lies.

    Of a value that is not there both places are the same, and inside of its row.
    """

    letters: Letters
    starts: Places
    ends: Places

    @property
    def missing(self) -> Flags:
        """Where there is no value."""
        missing: Flags = (self.letters != TEXT) & (self.letters != BINARY)
        return missing

    def where(self, wanted: Flags, other: Cells) -> Cells:
        """These cells where `wanted`, else the other ones."""
        return Cells(
            np.where(wanted, self.letters, other.letters),
            np.where(wanted, self.starts, other.starts),
            np.where(wanted, self.ends, other.ends),
        )

    @classmethod
    def empty(cls, at: Places) -> Cells:
        """NULL for each row."""
        return cls(np.full(len(at), NULL, np.uint8), at, at)

    def spread(self, rows: Flags, at: Places) -> Cells:
        """Cells of all rows, of which these are those of `rows`; the others are NULL."""
        letters, starts, ends = np.full(len(at), NULL, np.uint8), at.copy(), at.copy()
        letters[rows], starts[rows], ends[rows] = self.letters, self.starts, self.ends
        return Cells(letters, starts, ends)

    def texts(self, block: Joined, kind: pa.DataType, skip: int = 0, cut: int = 0) -> pa.Array:
        """The values as they stand there, without `skip` bytes before and `cut` behind; NULL where there is none.

        Arrow sees one array over the whole block, in which values and what lies between them alternate, and takes
        every other one.
        """
        offsets = np.empty(2 * len(self.starts), np.int32)
        offsets[0::2], offsets[1::2] = self.starts, self.ends
        missing = self.missing
        if skip or cut:
            offsets[0::2] += np.where(missing, 0, skip).astype(np.int32)
            offsets[1::2] -= np.where(missing, 0, cut).astype(np.int32)
        whole = pa.Array.from_buffers(
            kind, len(offsets) - 1, [None, pa.py_buffer(offsets), pa.py_buffer(block.data)], null_count=0
        )
        wanted = np.arange(0, len(offsets), 2, dtype=np.int32)
        return whole.take(pa.array(wanted, mask=missing if missing.any() else None))


def values_as_cells(values: Sequence[bytes | None]) -> tuple[Joined, Cells]:
    """A column of values that come from elsewhere, as if the log had told them."""
    joined = Joined.of([value or b"" for value in values])
    missing = np.fromiter((value is None for value in values), np.bool_, len(values))
    return joined, Cells(np.where(missing, NULL, TEXT).astype(np.uint8), joined.starts, joined.ends)


@dataclass(frozen=True, slots=True)
class Rows:
    """The changes of one relation in a block, one after another; `after` and `before` by column of the relation.

    `told`: which rows have a `before`. `whole`: of which of them it is the whole row, not only its identity.
    """

    block: Block
    ops: Letters
    at: Places
    after: list[Cells] = field(default_factory=list)
    before: list[Cells] = field(default_factory=list)
    told: Flags = field(default_factory=lambda: np.zeros(0, np.bool_))
    whole: Flags = field(default_factory=lambda: np.zeros(0, np.bool_))


def read_rows(block: Block, which: Places, columns: int) -> Rows:
    """The changes `which` (numbers of messages) of a relation with so many columns."""
    starts = block.starts[which]
    ops = _OPS[block.kinds[which]]
    at = starts + HEADER + 5
    tag = block.bytes[at]
    whole = tag == _OLD_ROW
    told = whole | (tag == _OLD_KEY)
    ends = at.copy()
    before: list[Cells] = []
    if told.any():
        old, after_old = _tuples(block, at[told] + 1, columns)
        before = [cells.spread(told, at) for cells in old]
        ends[told] = after_old
    changed = ops != Op.DELETE
    new_at = ends[changed]
    if (block.bytes[new_at] != _NEW).any() or not (told | changed).all():
        raise _not_understood()
    new, ends[changed] = _tuples(block, new_at + 1, columns)
    after = new if changed.all() else [cells.spread(changed, at) for cells in new]
    if (ends != block.ends[which]).any():
        raise _not_understood()
    return Rows(block, ops, at, after, before, told, whole)


def _tuples(block: Block, at: Places, columns: int) -> tuple[list[Cells], Places]:
    """The cells of the tuples that begin there, and where each ends."""
    if (block.number(at, ">i2") != columns).any():
        raise _not_understood()
    at = at + 2
    found: list[Cells] = []
    for _ in range(columns):
        letters = block.bytes[at]
        valued = (letters == TEXT) | (letters == BINARY)
        if valued.all():
            starts = at + 5
            ends = starts + block.int32(at + 1)
        else:
            if ((letters != NULL) & (letters != UNCHANGED) & ~valued).any():
                raise _not_understood()
            starts = at + np.where(valued, 5, 1)
            ends = starts + np.where(valued, block.int32(at + 1), 0)
        if (ends < starts).any() or (ends > len(block.bytes) - len(_PADDING)).any():
            raise _not_understood()
        found.append(Cells(letters, starts, ends))
        at = ends
    return found, at


def _not_understood() -> ReadFailed:
    return ReadFailed("A row in PostgreSQL's log does not have the columns that the log said before.")
