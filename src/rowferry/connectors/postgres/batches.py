"""Values on their way out of PostgreSQL: what the server is asked to send, and how it becomes the neutral Arrow form.

The driver gives most types exactly as they are; the others the server writes as text, bytes or a wider number,
from which Arrow casts refuse to lose anything. The driver lets infinite and far-off times wrap around in
silence, to numbers that no real value of PostgreSQL has: those are found and refused, unless they go to another
PostgreSQL, where they wrap back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pyarrow as pa
import pyarrow.compute as pc
from psycopg.sql import SQL, Composable

from rowferry.connectors.postgres.selection import shown
from rowferry.connectors.postgres.types import base_type
from rowferry.errors import ReadFailed
from rowferry.model import types as t
from rowferry.model.chunks import Chunk
from rowferry.model.policies import OddValue, refused
from rowferry.model.tables import Column, TableName

_AS_IS = SQL("{}")
_AS_TEXT = SQL("{}::text")

_EXPRESSIONS: dict[type, SQL] = {
    t.Boolean: _AS_IS,
    t.Integer: _AS_IS,
    t.Float: _AS_IS,
    t.Text: _AS_IS,
    t.Binary: _AS_IS,
    t.Date: _AS_IS,
    t.Time: _AS_IS,
    t.DateTime: _AS_IS,
    t.Instant: _AS_IS,
    t.Uuid: SQL("uuid_send({})"),
    t.Inet: SQL("inet_out({})::text"),
    t.Geometry: SQL("decode({}::text, 'hex')"),
}
"""What the server is asked for, by neutral type; text for a type that is not here.

`inet::text` would add a netmask that the value's own form does not have; a number with digits is quicker as text.
"""

_BY_NAME: dict[str, SQL] = {
    "oid": SQL("{}::int8"),
    "name": _AS_TEXT,
    "money": SQL("{}::numeric::text"),
}
"""The same by the name of the base type, where it differs."""

_FIRST_DAY = -2_440_588
_FIRST_MICROSECOND = -210_866_803_200_000_000
_MICROSECONDS_A_DAY = 86_400_000_000


def expressions(columns: Sequence[Column]) -> Composable:
    """The list after SELECT, one expression a column."""
    return SQL(", ").join(SQL("{} AS {}").format(_expression(one), SQL(f"c{at}")) for at, one in enumerate(columns))


def _expression(column: Column) -> Composable:
    if isinstance(column.type, t.Text) and column.read_as is not None:
        return shown(column)
    template = _BY_NAME.get(base_type(column.native).name) or _EXPRESSIONS.get(type(column.type), _AS_TEXT)
    return template.format(shown(column))


def convert(batch: pa.RecordBatch, chunk: Chunk, columns: Sequence[Column], schema: pa.Schema) -> pa.RecordBatch:
    """The batch in the neutral form; ReadFailed, naming the column, where a value cannot be carried."""
    arrays = [
        converted(array, Place(chunk.table, column, str(chunk)), wanted)
        for array, column, wanted in zip(batch.columns, columns, schema, strict=True)
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


class Place:
    """A column of a table, in the words of its errors; `part`: of which part of the table values are."""

    def __init__(self, table: TableName, column: Column, part: str) -> None:
        self.column = column
        self._part = part
        self._name = f"{table}.{column.name} ({column.native.declared})"

    def refuse(self, why: str) -> ReadFailed:
        """The error that says why a value of this column does not cross."""
        return ReadFailed(f"{self._name} {why} ({self._part}).")

    def refuse_odd(self, kind: OddValue) -> ReadFailed:
        """The error for a value of a kind that a policy may treat."""
        return ReadFailed(refused(self._name, self._part, kind))


def converted(array: pa.Array, place: Place, wanted: pa.Field) -> pa.Array:
    """One column in the neutral form; ReadFailed where a value cannot be carried."""
    if array.null_count and not wanted.nullable:
        raise place.refuse("holds NULL, though it was declared NOT NULL")
    neutral = place.column.type
    check = _CHECKS.get(type(neutral))
    if check is not None and not (isinstance(neutral, t.Endless) and neutral.endless):
        check(array, place)
    if array.type == wanted.type:
        return array
    try:
        return array.cast(wanted.type)
    except pa.ArrowException:
        # Arrow's own message quotes the value.
        if isinstance(place.column.type, t.Decimal):
            raise place.refuse_odd(OddValue.NOT_FINITE) from None
        raise place.refuse("holds a value that does not fit the type") from None


def _date(array: pa.Array, place: Place) -> None:
    if _least(array.cast(pa.int32())) < _FIRST_DAY:
        raise place.refuse_odd(OddValue.FAR_DATE)


def _moment(array: pa.Array, place: Place) -> None:
    if _least(array.cast(pa.int64())) < _FIRST_MICROSECOND:
        raise place.refuse_odd(OddValue.FAR_DATE)


def _time(array: pa.Array, place: Place) -> None:
    latest = pc.max(array.cast(pa.int64())).as_py()
    if latest is not None and latest >= _MICROSECONDS_A_DAY:
        raise place.refuse_odd(OddValue.LATE_TIME)


def _least(array: pa.Array) -> int:
    least = pc.min(array).as_py()
    return 0 if least is None else int(least)


_CHECKS: dict[type, Callable[[pa.Array, Place], None]] = {
    t.Date: _date,
    t.DateTime: _moment,
    t.Instant: _moment,
    t.Time: _time,
}
"""Values that the driver gives wrongly, or that Arrow has no place for."""
