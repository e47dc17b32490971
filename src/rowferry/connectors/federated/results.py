"""What a query results in: DuckDB's types as neutral ones, and its values in their Arrow form.

| DuckDB | neutral |
|---|---|
| what has a range of whole numbers | the whole number of that size; beyond 64 bits a decimal of 39 digits |
| DECIMAL, FLOAT, DOUBLE, BOOLEAN, VARCHAR, BLOB, DATE, TIME, UUID, JSON, BIT, ENUM | the same |
| TIMESTAMP, TIMESTAMP_S, TIMESTAMP_MS · TIMESTAMP WITH TIME ZONE | moments without a zone · in UTC |
| BIGNUM · INTERVAL | a number of any length · as PostgreSQL spells it |
| LIST, ARRAY, STRUCT, MAP, UNION, VARIANT, GEOMETRY, TIMESTAMP_NS, TIME_NS, TIME WITH TIME ZONE | none: refused |

A column that a query only passes on has the type of its source instead.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from rowferry.connectors.federated.engine import quoted
from rowferry.errors import ReadFailed
from rowferry.model import types as t
from rowferry.model.tables import Column, NativeType
from rowferry.typemap.arrow import arrow_type

_TEXT = "CAST({} AS VARCHAR)"
_AS_IS = "{}"


@dataclass(frozen=True)
class Result:
    """A column of a result, and the SQL in which its values leave DuckDB. `source`: the source's column that it is."""

    column: Column
    sql: str
    source: Column | None = None

    @classmethod
    def of(cls, name: str, native: Any, source: Column | None) -> Result:
        """The column of DuckDB's type, or as it is at its `source`; its `extra` says which type DuckDB gives it."""
        found = _carried(native)
        neutral = t.Unknown("duckdb", str(native)) if found is None else found[0]
        sql = _AS_IS if found is None else found[1]
        column = Column(name, neutral, NativeType(str(native.id), str(native)), extra=str(native))
        if source is not None:
            column = replace(column, type=source.type, native=source.native)
            sql = _MICROSECONDS if isinstance(source.type, t.Duration) else sql
        return cls(column, sql.format(quoted(name)), source)


Carried = tuple[t.NeutralType, str]
"""A neutral type, and the SQL in which its values leave DuckDB."""

_MICROSECONDS = "epoch_us({})"


def _fixed(neutral: t.NeutralType, sql: str = _AS_IS) -> Callable[[Any], Carried]:
    return lambda _: (neutral, sql)


def _decimal(native: Any) -> Carried:
    size = dict(native.children)
    return t.Decimal(size["precision"], size["scale"]), _AS_IS


def _enum(native: Any) -> Carried:
    return t.Enum(tuple(dict(native.children)["values"])), _TEXT


def _words(native: Any) -> Carried:
    return t.Json() if str(native) == "JSON" else t.Text(), _TEXT


_WHOLES = (("tinyint", 8), ("smallint", 16), ("integer", 32), ("bigint", 64))
_RULES: dict[str, Callable[[Any], Carried]] = {
    "boolean": _fixed(t.Boolean()),
    **{name: _fixed(t.Integer(bits)) for name, bits in _WHOLES},
    **{f"u{name}": _fixed(t.Integer(bits, signed=False)) for name, bits in _WHOLES},
    **dict.fromkeys(("hugeint", "uhugeint"), _fixed(t.Decimal(39, 0), _TEXT)),
    "bignum": _fixed(t.Number(), _TEXT),
    "decimal": _decimal,
    "float": _fixed(t.Float(32)),
    "double": _fixed(t.Float(64)),
    "varchar": _words,
    "blob": _fixed(t.Binary()),
    "bit": _fixed(t.Bits(None, varying=True), _TEXT),
    "date": _fixed(t.Date()),
    "time": _fixed(t.Time()),
    "timestamp": _fixed(t.DateTime()),
    "timestamp_s": _fixed(t.DateTime(0), "CAST({} AS TIMESTAMP)"),
    "timestamp_ms": _fixed(t.DateTime(3), "CAST({} AS TIMESTAMP)"),
    "timestamp with time zone": _fixed(t.Instant()),
    "interval": _fixed(t.Interval(), "replace(CAST({} AS VARCHAR), 'month', 'mon')"),
    "uuid": _fixed(t.Uuid(), "unhex(replace(CAST({} AS VARCHAR), '-', ''))"),
    "enum": _enum,
}
"""By the name that DuckDB's own Python types have; what is not in here crosses in no way."""


def _carried(native: Any) -> Carried | None:
    rule = _RULES.get(str(native.id))
    return None if rule is None else rule(native)


_DAY = 86_400_000_000
_INFINITE = {
    pa.date32(): (2**31 - 1, pa.int32()),
    pa.timestamp("us"): (2**63 - 1, pa.int64()),
    pa.timestamp("us", tz="UTC"): (2**63 - 1, pa.int64()),
}
"""The counts by which DuckDB means infinity, and as what they are counted."""


def arrived(array: pa.Array, column: Column, place: str) -> pa.Array:
    """The values in the column's Arrow form; ReadFailed for one that only DuckDB knows."""
    if array.type in _INFINITE:
        end, counts = _INFINITE[array.type]
        least, most = (value.as_py() for value in pc.min_max(array.cast(counts)).values())
        if least is not None and (most == end or least == -end):
            raise ReadFailed(
                f"{place}.{column.name} holds an infinite date, which cannot cross: leave it out by WHERE."
            )
    if isinstance(column.type, t.Time) and pa.types.is_time(array.type):
        most = pc.max(array.cast(pa.int64())).as_py()
        if most is not None and most >= _DAY:
            raise ReadFailed(
                f"{place}.{column.name} holds the time 24:00:00, which cannot cross: leave it out by WHERE."
            )
    return array.cast(arrow_type(column.type))
