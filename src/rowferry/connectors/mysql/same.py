"""How a statement finds a row by its values: each of them compared to the last bit, and NULL equal to NULL.

What stands for a value is a literal.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from rowferry.connectors.mysql.sql import quoted
from rowferry.connectors.mysql.types_write import WITH_CHARSET
from rowferry.model import types as t
from rowferry.model.tables import Column
from rowferry.model.types import NeutralType

_SHAPES = ("geometry", "point", "linestring", "polygon", "multipoint", "multilinestring", "multipolygon")
_COLLECTIONS = ("geometrycollection", "geomcollection")
_WHOLE = frozenset({"tinyint", "smallint", "mediumint", "int", "bigint", "year"})
_DIGITS = (t.Integer, t.Boolean, t.Year)

Pieces = tuple[str, ...]
"""What stands before, between and after the places of a literal."""


def comparison(column: Column, mariadb: bool) -> Pieces:
    """The condition that the target's column has a value, whose literal stands in it once or twice."""
    native = column.native
    if native.name in WITH_CHARSET or (native.name == "json" and mariadb):
        return _text(column)
    return _BY_NAME.get(native.name, _plain)(column)


def bare(neutral: NeutralType, column: Column) -> bool:
    """Whether the literal is digits without quotes, so that numbers are not compared by way of a double."""
    return isinstance(neutral, _DIGITS) and column.native.name in _WHOLE


def _plain(column: Column) -> Pieces:
    return f"{quoted(column.name)} <=> ", ""


def _text(column: Column) -> Pieces:
    """By an index if there is one, and by its bytes in the column's own charset."""
    name, charset = quoted(column.name), column.native.charset or "utf8mb4"
    exact = f" AND CAST({name} AS BINARY) <=> CAST(CONVERT("
    return f"({name} <=> ", exact, f" USING {charset}) AS BINARY))"


def _decimal(column: Column) -> Pieces:
    digits = re.search(r"\(\d+(,\d+)?\)", column.native.declared)
    return f"{quoted(column.name)} <=> CAST(", f" AS DECIMAL{digits[0] if digits else '(65,30)'})"


def _double(column: Column) -> Pieces:
    return f"{quoted(column.name)} <=> ", " + 0e0"


def _bits(column: Column) -> Pieces:
    return f"{quoted(column.name)} <=> ", " + 0"


def _shape(column: Column) -> Pieces:
    return f"CAST({quoted(column.name)} AS BINARY) <=> ", ""


def _json(column: Column) -> Pieces:
    """MySQL's; MariaDB's is text."""
    return f"{quoted(column.name)} <=> CAST(", " AS JSON)"


_BY_NAME: Mapping[str, Callable[[Column], Pieces]] = {
    "decimal": _decimal,
    "float": _double,
    "double": _double,
    "bit": _bits,
    "json": _json,
    **dict.fromkeys((*_SHAPES, *_COLLECTIONS), _shape),
}
"""By the name of the target's type."""
