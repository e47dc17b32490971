"""What happens to rows between the source and the target: types that a config asks for, and values that are refused.

One place for all engines looks for what a target has not, so that no value is changed in silence.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rowferry.connectors.base import PlannedTable
from rowferry.errors import ReadFailed
from rowferry.model import types as t
from rowferry.model.chunks import Chunk
from rowferry.model.policies import ODDITIES, Holds, OddValue, refused
from rowferry.model.tables import Column
from rowferry.model.types import NeutralType
from rowferry.typemap.arrow import arrow_schema
from rowferry.typemap.recast import Unfit, recast
from rowferry.typemap.treatment import range_of

Search = Callable[[pa.Array], bool]
"""Whether a column's values hold one of a kind."""

_NUL = re.compile(b"\0")
_WORDS = (t.Text, t.Enum, t.Set, t.Json, t.Foreign)
_MOMENTS = (t.Date, t.DateTime, t.Instant)
_DAY = 86_400_000_000


@dataclass(frozen=True)
class _Step:
    """One column that is not simply passed on: as what it arrives, and what is searched for in it."""

    place: int
    read: Column
    sent: Column
    searches: tuple[tuple[OddValue, Search], ...]

    def take(self, array: pa.Array, chunk: Chunk) -> pa.Array:
        """The column as it is sent; ReadFailed, naming the way out, for a value that cannot be."""
        name = f"{chunk.table}.{self.read.name} ({self.read.native.declared})"
        for kind, found in self.searches:
            if found(array):
                raise ReadFailed(refused(name, chunk, kind))
        if self.read.type == self.sent.type:
            return array
        return self._recast(array, chunk, name)

    def _recast(self, array: pa.Array, chunk: Chunk, name: str) -> pa.Array:

        try:
            return recast(array, self.read.type, self.sent.type)
        except Unfit:
            wanted = "the longest decimal of the target" if self.sent.wanted is None else self.sent.wanted.declared
            advice = "or correct it at the source"
            if range_of(self.sent.type) is not None:
                advice = ODDITIES[OddValue.NUMBER].advice(OddValue.NUMBER)
            raise ReadFailed(
                f"{name} holds a value that does not fit {wanted}, which it has to become ({chunk}): choose another "
                f"type in typeOverrides, {advice}."
            ) from None


class Crossing:
    """A table's rows on their way."""

    def __init__(self, table: PlannedTable, holds: Holds) -> None:
        pairs = zip(table.reading.columns, table.source.columns, table.target.columns, strict=True)
        steps = [
            _Step(place, read, sent, tuple(_searches(read.type, holds)))
            for place, (read, sent, there) in enumerate(pairs)
            if there.generated is None
        ]
        self._table = table
        self._steps = [step for step in steps if step.searches or step.read.type != step.sent.type]

    def take(self, batches: Iterable[pa.RecordBatch], chunk: Chunk) -> Iterator[pa.RecordBatch]:
        """The batches as the target gets them."""
        if not self._steps:
            yield from batches
            return
        schema = arrow_schema(self._table.source.columns)
        for batch in batches:
            arrays = list(batch.columns)
            for step in self._steps:
                arrays[step.place] = step.take(arrays[step.place], chunk)
            yield pa.RecordBatch.from_arrays(arrays, schema=schema)


def _searches(neutral: NeutralType, holds: Holds) -> Iterator[tuple[OddValue, Search]]:
    """What has to be looked for in a column of that type."""
    if isinstance(neutral, _MOMENTS) and holds.first_day is not None and holds.last_day is not None:
        first, last = (date.fromisoformat(day).toordinal() - _EPOCH for day in (holds.first_day, holds.last_day))
        unit = 1 if isinstance(neutral, t.Date) else _DAY
        yield OddValue.FAR_DATE, partial(_outside, first * unit, (last + 1) * unit)
    if isinstance(neutral, t.Float):
        yield from ((kind, _FLOATS[kind]) for kind in _FLOATS if kind in holds.lacks)
    if isinstance(neutral, _WORDS) and OddValue.NUL in holds.lacks:
        yield OddValue.NUL, _has_nul
    if isinstance(neutral, t.Enum) and "" not in neutral.members and OddValue.EMPTY_ENUM in holds.lacks:
        yield OddValue.EMPTY_ENUM, _has_empty


_EPOCH = date(1970, 1, 1).toordinal()


def _outside(first: int, end: int, array: pa.Array) -> bool:
    counts = array.cast(pa.int32() if pa.types.is_date32(array.type) else pa.int64())
    least, most = (value.as_py() for value in pc.min_max(counts).values())
    return least is not None and (least < first or most >= end)


def _not_finite(array: pa.Array) -> bool:
    return pc.all(pc.is_finite(array)).as_py() is False


def _negative_zero(array: pa.Array) -> bool:
    values = np.asarray(pc.fill_null(array, 1.0))
    return bool(np.any(np.signbit(values) & (values == 0)))


_FLOATS: dict[OddValue, Search] = {OddValue.NOT_FINITE: _not_finite, OddValue.NEGATIVE_ZERO: _negative_zero}


def _has_nul(array: pa.Array) -> bool:
    """Whether any of the texts holds a NUL: one search through the bytes of all of them.

    Those may have something where a value is NULL, so what is found is looked for once more without these.
    """
    _, offsets, data = array.buffers()
    if data is None or not len(array):
        return False
    ends = np.frombuffer(offsets, np.int32, len(array) + 1, array.offset * 4)
    if _NUL.search(memoryview(data)[ends[0] : ends[-1]]) is None:
        return False
    return not array.null_count or _has_nul(array.drop_null())


def _has_empty(array: pa.Array) -> bool:
    return pc.any(pc.equal(array, "")).as_py() is True
