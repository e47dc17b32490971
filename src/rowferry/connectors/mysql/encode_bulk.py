"""Rows as the parameters of MariaDB's bulk execution (COM_STMT_BULK_EXECUTE): many rows for one prepared INSERT.

A row is a field after the other: a byte that says whether the value is there (0) or NULL (1), and where it is there
its bytes in the protocol's binary form, the lowest byte first. A text has its length before it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pymysql.constants import FIELD_TYPE

from rowferry.connectors.base import PlannedTable
from rowferry.connectors.mysql.encode import (
    LARGE,
    Form,
    OutOfRange,
    fields_of,
)
from rowferry.errors import WriteFailed
from rowferry.model import types as t
from rowferry.model.types import NeutralType
from rowferry.typemap.packing import Part, Pieces, packed, values, with_nulls

SLICE_BYTES = 1024 * 1024
"""About how much is sent at once."""

LONGEST = 8000
"""Characters that a column's values may have; a table with longer ones is loaded as text."""

_PLAIN_WIDTH = 90
"""More than any number, moment or address has."""

_UNSIGNED = 0x80
_THERE, _NULL = 0, 1
_SHORT, _TWO_BYTES = 251, 252
_FIRST_YEAR, _LAST_YEAR = 1, 9999

Encode = Callable[[pa.Array], Pieces]


@dataclass(frozen=True, slots=True)
class Parameter:
    """How a column's values are sent: the protocol's type and its flag, and what encodes them."""

    kind: int
    encode: Encode
    flag: int = 0


@dataclass(frozen=True, slots=True)
class Field:
    """One column: its place in the batch, its name on the target, what stands for it in VALUES, how it is sent.

    `known_as`: its name at the source.
    """

    place: int
    name: str
    word: str
    parameter: Parameter
    known_as: str


@dataclass(frozen=True, slots=True)
class BulkRows:
    """A table's rows as parameters. `widest`: the most bytes that a row may have."""

    fields: Sequence[Field]
    widest: int

    @property
    def types(self) -> bytes:
        """The parameters' types, as an execution names them."""
        return b"".join(bytes((field.parameter.kind, field.parameter.flag)) for field in self.fields)

    @property
    def words(self) -> str:
        """What stands in VALUES."""
        return ", ".join(field.word for field in self.fields)

    def sent(self, batch: pa.RecordBatch, largest: int) -> Iterator[memoryview]:
        """The batch's rows in slices of no more than `largest` bytes; `widest` must not be more."""
        wanted = min(SLICE_BYTES, largest)
        count = max(1, min(batch.num_rows, wanted * batch.num_rows // max(batch.nbytes, 1)))
        for first in range(0, batch.num_rows, count):
            yield from self._slices(batch.slice(first, count), largest)

    def _slices(self, part: pa.RecordBatch, largest: int) -> Iterator[memoryview]:
        pieces = chain.from_iterable(_encoded(field, part) for field in self.fields)
        rows = packed(pieces, part.num_rows)
        if len(rows) <= largest:
            yield rows
            return
        half = part.num_rows // 2
        yield from self._slices(part.slice(0, half), largest)
        yield from self._slices(part.slice(half), largest)


def bulk_rows(table: PlannedTable) -> BulkRows | None:
    """How the table's rows are sent so, or None where one of its columns may hold long values."""
    kinds = [column.type for column in table.source.columns]
    fields = []
    for one in fields_of(table):
        parameter = _parameter(kinds[one.place], one.form)
        if parameter is None:
            return None
        # Bytes are sent as they are; what the server turns back are the texts of other forms.
        word = "?" if parameter.kind == FIELD_TYPE.BLOB else one.form.loaded.format("?")
        fields.append(Field(one.place, one.name, word, parameter, one.known_as))
    return BulkRows(fields, sum(_width(kinds[field.place]) + 4 for field in fields))


def _is_written_date(neutral: NeutralType) -> bool:
    """Whether it is a date that crosses as its text, so that one of zeros does too."""
    return isinstance(neutral, t.Foreign) and neutral.declared.partition("(")[0] in ("date", "datetime", "timestamp")


def _width(neutral: NeutralType) -> int:
    """The most bytes that a value may have; a character has up to four."""
    if isinstance(neutral, t.Text | t.Bits | t.Binary):
        return 4 * (neutral.length or 0)
    if isinstance(neutral, t.Enum | t.Set):
        return 4 * len(",".join(neutral.members))
    return _PLAIN_WIDTH


def _parameter(neutral: NeutralType, form: Form) -> Parameter | None:
    if isinstance(neutral, t.Text | t.Binary | t.Bits) and (neutral.length is None or neutral.length > LONGEST):
        return None
    if isinstance(neutral, t.Integer):
        return _whole(neutral)
    if type(neutral) in _AS_TEXT or _is_written_date(neutral):
        return Parameter(FIELD_TYPE.VAR_STRING, lambda array: _text(form.encode(array)))
    return _PARAMETERS.get(type(neutral))


def _encoded(field: Field, batch: pa.RecordBatch) -> Pieces:
    try:
        return field.parameter.encode(batch.column(field.place))
    except OutOfRange as error:
        raise WriteFailed(f"{field.known_as} holds {error}.") from None
    except OverflowError as error:
        raise WriteFailed(f"A date in column {field.name} is before the year 1 or after 9999.") from error


def _field(array: pa.Array, *parts: Part) -> Pieces:
    return with_nulls([Part("u1", _THERE), *parts], array, _NULL)


def _number(arrow: pa.DataType, form: str) -> Encode:
    return lambda array: _field(array, Part(form, values(array.cast(arrow), form)))


_LONG = Parameter(FIELD_TYPE.LONG, _number(pa.int32(), "<i4"))
_LONGLONG = Parameter(FIELD_TYPE.LONGLONG, _number(pa.int64(), "<i8"))
_UNSIGNED_LONGLONG = Parameter(FIELD_TYPE.LONGLONG, _number(pa.uint64(), "<u8"), _UNSIGNED)


def _whole(neutral: t.Integer) -> Parameter:
    if neutral.bits < 32 or (neutral.bits == 32 and neutral.signed):
        return _LONG
    return _UNSIGNED_LONGLONG if neutral.bits == 64 and not neutral.signed else _LONGLONG


def _double(array: pa.Array) -> Pieces:
    """A negative zero becomes zero, as these servers read it from a text."""
    return _field(array, Part("<f8", values(array.cast(pa.float64()), "<f8") + 0.0))


def _text(array: pa.Array) -> Pieces:
    data = array.cast(pa.large_binary())
    lengths = np.asarray(pc.fill_null(pc.binary_length(data), 0))
    if not len(lengths) or lengths.max() < _SHORT:
        return [*_field(array, Part("u1", lengths)), data]
    return [*_field(array, Part("u1", _TWO_BYTES), Part("<u2", lengths)), data]


def _decimal(array: pa.Array) -> Pieces:
    return _text(array.cast(LARGE))


def _days(days: pa.Array) -> list[Part]:
    """Year, month and day; OverflowError for a year that these servers do not have."""
    years = np.asarray(pc.fill_null(pc.year(days), _FIRST_YEAR))
    if len(years) and (years.min() < _FIRST_YEAR or years.max() > _LAST_YEAR):
        raise OverflowError
    others = [Part("u1", np.asarray(pc.fill_null(of(days), 0))) for of in (pc.month, pc.day)]
    return [Part("<u2", years), *others]


def _date(array: pa.Array) -> Pieces:
    return _field(array, Part("u1", 4), *_days(array))


_SECOND = 1_000_000


def _moment(array: pa.Array) -> Pieces:
    """Four bytes less where no value has a part of a second."""
    moments = array.cast(pa.timestamp("us"))
    counts = values(moments.cast(pa.int64()), "<i8")
    seconds, part = np.divmod(counts, _SECOND)
    rest = seconds % 86_400
    clock = [Part("u1", rest // 3600), Part("u1", rest // 60 % 60), Part("u1", rest % 60)]
    days = _days(moments)
    if not part.any():
        return _field(array, Part("u1", 7), *days, *clock)
    return _field(array, Part("u1", 11), *days, *clock, Part("<u4", part))


_MOMENT = Parameter(FIELD_TYPE.DATETIME, _moment)

_PARAMETERS: dict[type, Parameter] = {
    t.Boolean: _LONG,
    t.Decimal: Parameter(FIELD_TYPE.NEWDECIMAL, _decimal),
    t.Float: Parameter(FIELD_TYPE.DOUBLE, _double),
    t.Binary: Parameter(FIELD_TYPE.BLOB, _text),
    t.Date: Parameter(FIELD_TYPE.DATE, _date),
    t.DateTime: _MOMENT,
    t.Instant: _MOMENT,
}
"""By neutral type."""

_AS_TEXT = frozenset({t.Text, t.Bits, t.Time, t.Duration, t.Year, t.Enum, t.Set, t.Uuid, t.Inet})
"""What is sent as the text that LOAD DATA would read. Values of a type that is in neither may be long."""
