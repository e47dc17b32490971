"""Which rows of files a selection takes: its filters, as a database would answer them.

A condition on NULL is never true but for IS NULL. LIKE and its kin look at a value as text, without regard to case;
`%` stands for any characters, `_` for one, and `\\` takes the next one as it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import reduce

import pyarrow as pa
import pyarrow.compute as pc

from rowferry.connectors.files.comparing import Bound, bound, form
from rowferry.connectors.files.text import texts
from rowferry.errors import InvalidInput
from rowferry.model import types as t
from rowferry.model.tables import Column, Filter, FilterOperator

Condition = Callable[[pa.Array], pa.Array]
"""Which values of a column fulfil it; what it says of NULL does not matter."""

_TIMES = (t.DateTime, t.Instant, t.Time, t.Duration)


def condition(one: Filter, column: Column) -> Condition:
    """A filter on `column`; InvalidInput when its value cannot be compared with the column's."""
    return _OPERATORS[one.operator](one.value or "", column)


def passing(conditions: Sequence[tuple[Condition, bool]], arrays: Sequence[pa.Array]) -> pa.Array | None:
    """Which rows fulfil all conditions, each on the array beside it; the flag says whether NULL may. None: all."""
    masks = [
        made if nulls else pc.and_(pc.fill_null(made, False), array.is_valid())
        for (one, nulls), array in zip(conditions, arrays, strict=True)
        for made in [one(array)]
    ]
    return reduce(pc.and_, masks) if masks else None


def takes_null(one: Filter) -> bool:
    """Whether NULL may fulfil the filter."""
    return one.operator is FilterOperator.IS_NULL


_Make = Callable[[str, Column], Condition]


def _compared(decide: Callable[[Bound, pa.Array], pa.Array]) -> _Make:
    def make(written: str, column: Column) -> Condition:
        limit = bound(written, column)
        return lambda array: decide(limit, form(array, column))

    return make


def _equal(limit: Bound, array: pa.Array) -> pa.Array:
    return pc.and_not(limit.at_most(array), limit.less(array))


def _listed(negated: bool) -> _Make:
    def make(written: str, column: Column) -> Condition:
        limits = [bound(part.strip(), column) for part in written.split(",")]

        def decide(array: pa.Array) -> pa.Array:
            formed = form(array, column)
            found = reduce(pc.or_, (_equal(limit, formed) for limit in limits))
            return pc.invert(found) if negated else found

        return decide

    return make


def _between(written: str, column: Column) -> Condition:
    low, high = (bound(part.strip(), column) for part in written.split(","))

    def decide(array: pa.Array) -> pa.Array:
        formed = form(array, column)
        return pc.and_not(high.at_most(formed), low.less(formed))

    return decide


def _alike(before: str, behind: str, negated: bool, pattern: bool = False) -> _Make:
    def make(written: str, column: Column) -> Condition:
        expression = f"(?s)\\A{before}{_expression(written, column) if pattern else _literal(written)}{behind}\\z"

        def decide(array: pa.Array) -> pa.Array:
            found = pc.match_substring_regex(_shown(array, column), expression, ignore_case=True)
            return pc.invert(found) if negated else found

        try:
            pc.match_substring_regex(pa.array([""]), expression, ignore_case=True)
        except pa.ArrowInvalid:
            raise InvalidInput(f"The pattern of the filter on {column.name} is too long: shorten it.") from None
        return decide

    return make


def _expression(pattern: str, column: Column) -> str:
    """A LIKE pattern as a regular expression."""
    if re.search(r"(?:\A|[^\\])(?:\\\\)*\\\Z", pattern):
        raise InvalidInput(
            f"The pattern of the filter on {column.name} ends with \\, which must stand before something."
        )
    signs = {"%": ".*", "_": "."}
    found = re.findall(r"\\?.", pattern, re.DOTALL)
    return "".join(signs.get(sign) or _literal(sign[-1]) for sign in found)


def _literal(words: str) -> str:
    return "".join(one if one.isalnum() or ord(one) > 127 else f"\\x{{{ord(one):x}}}" for one in words)


def _shown(array: pa.Array, column: Column) -> pa.Array:
    """Values as text: as the files have it, moments as databases show them."""
    shown = texts(array, column.type, pa.string())
    if not isinstance(column.type, _TIMES):
        return shown
    shown = pc.replace_substring(pc.replace_substring(shown, "T", " "), "Z", "")
    shown = pc.replace_substring_regex(shown, r"(\.\d*?)0+$", r"\1")
    shown = pc.replace_substring_regex(shown, r"\.$", "")
    return pc.binary_join_element_wise(shown, "+00", "") if isinstance(column.type, t.Instant) else shown


_OPERATORS: Mapping[FilterOperator, _Make] = {
    FilterOperator.EQ: _compared(_equal),
    FilterOperator.NE: _compared(lambda limit, array: pc.invert(_equal(limit, array))),
    FilterOperator.LT: _compared(Bound.less),
    FilterOperator.LE: _compared(Bound.at_most),
    FilterOperator.GT: _compared(lambda limit, array: pc.invert(limit.at_most(array))),
    FilterOperator.GE: _compared(lambda limit, array: pc.invert(limit.less(array))),
    FilterOperator.IN: _listed(negated=False),
    FilterOperator.NOT_IN: _listed(negated=True),
    FilterOperator.CONTAINS: _alike(".*", ".*", negated=False),
    FilterOperator.NOT_CONTAINS: _alike(".*", ".*", negated=True),
    FilterOperator.STARTS_WITH: _alike("", ".*", negated=False),
    FilterOperator.ENDS_WITH: _alike(".*", "", negated=False),
    FilterOperator.LIKE: _alike("", "", negated=False, pattern=True),
    FilterOperator.NOT_LIKE: _alike("", "", negated=True, pattern=True),
    FilterOperator.BETWEEN: _between,
    FilterOperator.IS_NULL: lambda _, __: lambda array: array.is_null(),
    FilterOperator.IS_NOT_NULL: lambda _, __: lambda array: array.is_valid(),
}
