"""Conditions that a source's server may look at before a row crosses: whole numbers, compared with whole numbers.

DuckDB hands them over as an expression of Arrow's, whose text is all that can be seen of it. What is understood is
asked of the source. All of it holds for the rows afterwards in any case, so what is not understood costs only time.
About whole numbers every engine thinks alike, which cannot be said of texts, floats and dates.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from rowferry.model.tables import Filter, FilterOperator

_OPERATORS = {
    "==": FilterOperator.EQ,
    ">": FilterOperator.GT,
    ">=": FilterOperator.GE,
    "<": FilterOperator.LT,
    "<=": FilterOperator.LE,
}
_ONE = re.compile(r"(\w+) (==|>=|<=|>|<) (-?\d+)\Z")
_BEYOND = re.compile(r"[^\w\s()=<>-]")
"""What only stands in expressions that are not taken apart here, such as those with functions or texts."""


def conditions(expression: Any, wholes: Mapping[str, str]) -> tuple[Filter, ...]:
    """The conditions that are joined by AND; `wholes` are the source's columns by their names in the expression."""
    text = "" if expression is None else str(expression)
    if _BEYOND.search(text) or re.search(r"\b(?:or|invert|if_else)\b", text):
        return ()
    parts = (_ONE.match(part.strip("() ")) for part in re.split(r"\band\b", text))
    return tuple(
        Filter(wholes[part[1]], _OPERATORS[part[2]], part[3])
        for part in parts
        if part is not None and part[1] in wholes
    )
