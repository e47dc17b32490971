"""Rows as CSV, which the server parses itself: for tables with a column that has no exact binary form of ours.

Such are arrays, inet, bit, `numeric` without digits and whatever else crosses as its text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from rowferry.connectors.base import PlannedTable
from rowferry.connectors.postgres.encode import Field, written
from rowferry.errors import WriteFailed
from rowferry.model import types as t
from rowferry.model.types import NeutralType
from rowferry.typemap.arrow import hex_digits

Encode = Callable[[pa.Array], pa.Array]


@dataclass(frozen=True, slots=True)
class CsvCopy:
    """A table's rows as CSV."""

    fields: Sequence[Field[Encode]]
    format = "csv"

    @property
    def names(self) -> tuple[str, ...]:
        """The columns that are sent, in their order."""
        return tuple(field.name for field in self.fields)

    def sent(self, batches: Iterable[pa.RecordBatch]) -> Iterator[bytes]:
        """A piece for each batch."""
        for batch in batches:
            try:
                arrays = [field.encode(batch.column(field.place)) for field in self.fields]
                yield _csv(pa.RecordBatch.from_arrays(arrays, names=list(self.names)))
            except pa.ArrowException as error:
                raise WriteFailed("A value does not fit the type that its column was planned with.") from error


def csv_copy(table: PlannedTable) -> CsvCopy:
    """How the table's rows are sent as CSV; there is no table for which they could not."""
    return CsvCopy([Field(place, target.name, _encoder(source.type)) for place, source, target in written(table)])


def _csv(batch: pa.RecordBatch) -> bytes:
    """NULL is nothing at all, text stands in quotes even when it is empty."""
    sink = BytesIO()
    with csv.CSVWriter(sink, batch.schema, write_options=csv.WriteOptions(include_header=False)) as writer:
        writer.write_batch(batch)
    return sink.getvalue()


def _same(array: pa.Array) -> pa.Array:
    return array


def _hex(prefix: str) -> Encode:
    return lambda array: pc.binary_join_element_wise(
        pa.scalar(prefix, pa.large_string()), hex_digits(array), pa.scalar("", pa.large_string())
    )


def _microseconds(array: pa.Array) -> pa.Array:
    return pc.binary_join_element_wise(array.cast(pa.int64()).cast(pa.string()), "microseconds", " ")


_DAY = 86_400_000_000
_EPOCH = 10_957
"""2000-01-01, in days."""

_YEAR_1 = -719_162
_YEAR_10000 = 2_932_897


def _counted(arrow: pa.DataType, day: int, spelled: Callable[[int], str]) -> Encode:
    """A date or moment, `day` counts of its type long; Arrow spells those that PostgreSQL reads alike."""

    def encode(array: pa.Array) -> pa.Array:
        counts = array.cast(arrow)
        if _plain(counts, _YEAR_1 * day, _YEAR_10000 * day):
            return array
        return pa.array([None if count is None else spelled(count) for count in counts.to_pylist()], pa.string())

    return encode


def _moment(zone: str) -> Encode:
    return _counted(pa.int64(), _DAY, lambda count: _spelled_moment(count, zone))


def _endless_moment(zone: str) -> Encode:
    return _counted(
        pa.int64(), _DAY, lambda count: _unwrapped(count, 64, _DAY, lambda true: _spelled_moment(true, zone))
    )


def _unwrapped(count: int, bits: int, day: int, spelled: Callable[[int], str]) -> str:
    """What only PostgreSQL has: its own count, from 2000 in so many bits, is wrapped back first."""
    half, epoch = 1 << (bits - 1), _EPOCH * day
    own = (count - epoch + half) % (2 * half) - half
    if own in (half - 1, -half):
        return "infinity" if own > 0 else "-infinity"
    return spelled(own + epoch)


def _clock(array: pa.Array) -> pa.Array:
    """A time of day, 24:00:00 included."""
    counts = array.cast(pa.int64())
    if _plain(counts, 0, _DAY):
        return array
    late = pc.equal(counts, _DAY)
    clock = pc.if_else(late, 0, counts).cast(array.type).cast(pa.string())
    return pc.if_else(late, pa.scalar("24:00:00"), clock)


def _plain(counts: pa.Array, first: int, end: int) -> bool:
    """Whether all lie within the years 1 to 9999, which Arrow spells as PostgreSQL reads them."""
    least, most = (value.as_py() for value in pc.min_max(counts).values())
    return least is None or (least >= first and most < end)


def _spelled_moment(count: int, zone: str) -> str:
    day, rest = divmod(count, _DAY)
    seconds, micro = divmod(rest, 1_000_000)
    clock = f" {seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{micro:06}{zone}"
    return _spelled(day, clock)


def _spelled(day: int, clock: str) -> str:
    """A day counted from 1970 in the Gregorian calendar as far back as one likes, as PostgreSQL spells it."""
    era, of_era = divmod(day + 719_468, 146_097)
    year_of_era = (of_era - of_era // 1460 + of_era // 36_524 - of_era // 146_096) // 365
    of_year = of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    month_from_march = (5 * of_year + 2) // 153
    day_of_month = of_year - (153 * month_from_march + 2) // 5 + 1
    month = month_from_march + 3 if month_from_march < 10 else month_from_march - 9
    year = year_of_era + era * 400 + (1 if month <= 2 else 0)
    shown = year if year > 0 else 1 - year
    return f"{shown:04}-{month:02}-{day_of_month:02}{clock}{'' if year > 0 else ' BC'}"


def _spelled_day(day: int) -> str:
    return _spelled(day, "")


TEXT: dict[type[Any], Encode] = {
    t.Binary: _hex("\\x"),
    t.Geometry: _hex("\\x"),
    t.Uuid: _hex(""),
    t.Duration: _microseconds,
    t.Date: _counted(pa.int32(), 1, _spelled_day),
    t.DateTime: _moment(""),
    t.Instant: _moment("Z"),
}
"""What is done to a column before Arrow spells it as CSV; all others it spells as PostgreSQL reads them."""

ENDLESS: dict[type[Any], Encode] = {
    t.Date: _counted(pa.int32(), 1, lambda count: _unwrapped(count, 32, 1, _spelled_day)),
    t.Time: _clock,
    t.DateTime: _endless_moment(""),
    t.Instant: _endless_moment("Z"),
}
"""The same for types that are endless."""


def _encoder(neutral: NeutralType) -> Encode:
    forms = ENDLESS if isinstance(neutral, t.Endless) and neutral.endless else TEXT
    return forms.get(type(neutral), _same)
