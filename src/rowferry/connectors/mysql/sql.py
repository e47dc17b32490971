"""Pieces of SQL that hold names and values: nothing a user wrote stands in a statement as it came."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from rowferry.errors import InvalidInput
from rowferry.model import types as t
from rowferry.model.tables import Column, Filter, FilterOperator, Sort

O = FilterOperator  # noqa: E741 - the table below names it on every line

ROWS = "`rows`"
"""The alias of the table or query whose rows are read."""

SYSTEM_DATABASES = frozenset({"information_schema", "mysql", "performance_schema", "sys"})
"""What belongs to the server, in lower case."""

_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?\Z")
_NUMERIC = (t.Integer, t.Decimal, t.Float, t.Year)
_HIGHEST = 18446744073709551615


def quoted(name: str) -> str:
    """An identifier."""
    return "`" + name.replace("`", "``") + "`"


def text(value: str) -> str:
    """A string, whatever sql_mode says about quotes and backslashes."""
    return f"_utf8mb4 x'{value.encode().hex()}'" if value else "''"


def number(value: str, column: str) -> str:
    """A number; InvalidInput when it is none."""
    bare = value.strip()
    if not _NUMBER.match(bare):
        raise InvalidInput(f"The filter on {column} compares a number with a value that is none: write digits.")
    return f"({bare})"


def value(written: str, column: Column) -> str:
    """A filter's value, as the column's type needs it."""
    if isinstance(column.type, _NUMERIC):
        return number(written, column.name)
    if isinstance(column.type, t.Bits):
        if not written or set(written) - {"0", "1"}:
            raise InvalidInput(f"The filter on {column.name} compares bits with a value that is none: write 0 and 1.")
        return f"b'{written}'"
    if isinstance(column.type, t.Binary):
        return f"x'{written.encode().hex()}'"
    return text(written)


def ewkb(name: str) -> str:
    """A shape as EWKB, which has the SRID inside and a flag that says so; the server's own form is SRID, then WKB."""
    own = f"CAST({name} AS BINARY)"
    with_srid = f"CONCAT(SUBSTR({own}, 5, 4), x'20', SUBSTR({own}, 1, 4), SUBSTR({own}, 10))"
    return f"IF(SUBSTR({own}, 1, 4) = x'00000000', SUBSTR({own}, 5), {with_srid})"


def odd_date(name: str) -> str:
    """Whether a date is one that no other engine has."""
    parts = [f"{part}({name}) = 0" for part in ("YEAR", "MONTH", "DAYOFMONTH")]
    return f"({' OR '.join([*parts, f'DAYOFMONTH({name}) > DAYOFMONTH(LAST_DAY({name}))'])})"


def _pattern(written: str) -> str:
    return re.sub(r"([|%_])", r"|\1", written)


def _compare(operator: str) -> Callable[[str, str, Column], str]:
    return lambda name, written, column: f"{name} {operator} {value(written, column)}"


def _listed(operator: str) -> Callable[[str, str, Column], str]:
    def condition(name: str, written: str, column: Column) -> str:
        parts = [value(part.strip(), column) for part in written.split(",")]
        return f"{name} {operator} ({', '.join(parts)})"

    return condition


def _between(name: str, written: str, column: Column) -> str:
    low, _, high = written.partition(",")
    return f"{name} BETWEEN {value(low.strip(), column)} AND {value(high.strip(), column)}"


def _part_of_text(operator: str, before: str, after: str) -> Callable[[str, str, Column], str]:
    return lambda name, written, _: f"{name} {operator} {text(before + _pattern(written) + after)} ESCAPE '|'"


def _like(operator: str) -> Callable[[str, str, Column], str]:
    return lambda name, written, _: f"{name} {operator} {text(written)}"


_CONDITIONS: Mapping[FilterOperator, Callable[[str, str, Column], str]] = {
    O.EQ: _compare("="),
    O.NE: _compare("<>"),
    O.LT: _compare("<"),
    O.LE: _compare("<="),
    O.GT: _compare(">"),
    O.GE: _compare(">="),
    O.IN: _listed("IN"),
    O.NOT_IN: _listed("NOT IN"),
    O.CONTAINS: _part_of_text("LIKE", "%", "%"),
    O.NOT_CONTAINS: _part_of_text("NOT LIKE", "%", "%"),
    O.STARTS_WITH: _part_of_text("LIKE", "", "%"),
    O.ENDS_WITH: _part_of_text("LIKE", "%", ""),
    O.LIKE: _like("LIKE"),
    O.NOT_LIKE: _like("NOT LIKE"),
    O.BETWEEN: _between,
    O.IS_NULL: lambda name, _, __: f"{name} IS NULL",
    O.IS_NOT_NULL: lambda name, _, __: f"{name} IS NOT NULL",
}


def condition(one: Filter, column: Column) -> str:
    """A filter on `column`."""
    return _CONDITIONS[one.operator](quoted(column.name), one.value or "", column)


def where(conditions: Sequence[str]) -> str:
    """A WHERE of all of them, or nothing."""
    return f" WHERE {' AND '.join(f'({one})' for one in conditions)}" if conditions else ""


def order_by(sorts: Sequence[Sort]) -> str:
    """An ORDER BY, or nothing."""
    parts = [f"{ROWS}.{quoted(sort.column)}" + (" DESC" if sort.descending else "") for sort in sorts]
    return f" ORDER BY {', '.join(parts)}" if parts else ""


def limit(rows: int | None) -> str:
    """A LIMIT, or nothing."""
    return "" if rows is None else f" LIMIT {min(rows, _HIGHEST)}"
