"""How a source's columns look to a query: the Arrow form of each, which DuckDB takes over without changing a value.

Where DuckDB has no type for a column its values are text; a query that needs more of them casts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from rowferry.model import types as t
from rowferry.typemap.arrow import arrow_type

MOST_DIGITS = 38
"""Of DuckDB's longest decimal."""


def _same(array: pa.Array) -> pa.Array:
    return array


def _extended(kind: pa.DataType) -> Callable[[pa.Array], pa.Array]:
    return lambda array: pa.ExtensionArray.from_storage(kind, array)


def _plain(array: pa.Array) -> pa.Array:
    """Decimals in digits alone."""
    return pa.array([None if one is None else format(one, "f") for one in array.to_pylist()], pa.string())


@dataclass(frozen=True)
class Shown:
    """A column's type in a query, and how its values get it. `as_text`: DuckDB knows less about them than the source.

    `floats`: its values may be NaN, which Arrow compares otherwise than DuckDB.
    """

    type: pa.DataType
    convert: Callable[[pa.Array], pa.Array] = _same
    as_text: bool = False
    floats: bool = False


def _decimal(neutral: t.Decimal) -> Shown:
    if neutral.precision > MOST_DIGITS:
        return Shown(pa.string(), _plain, as_text=True)
    return Shown(arrow_type(neutral))


def _text(_: object) -> Shown:
    return Shown(pa.string(), as_text=True)


_FORMS: dict[type, Callable[[Any], Shown]] = {
    t.Decimal: _decimal,
    t.Float: lambda neutral: Shown(arrow_type(neutral), floats=True),
    t.Uuid: lambda _: Shown(pa.uuid(), _extended(pa.uuid())),
    t.Json: lambda _: Shown(pa.json_(), _extended(pa.json_())),
    t.Geometry: lambda _: Shown(pa.binary(), as_text=True),
    **dict.fromkeys((t.Number, t.Bits, t.Interval, t.Enum, t.Set, t.Inet, t.Array, t.Foreign, t.Unknown), _text),
}
"""What does not cross as it is in a record batch."""


def shown(neutral: t.NeutralType) -> Shown:
    """How a column of that type looks to a query."""
    form = _FORMS.get(type(neutral))
    return Shown(arrow_type(neutral)) if form is None else form(neutral)
