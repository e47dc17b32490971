"""Which expressions every engine computes alike, to the last digit: what a computed column may be translated from.

Left out is whatever depends on a collation, a locale, a time zone or on rounding, and division, whose kinds and zeros
differ. A whole number is widened before it is added or multiplied, so that no engine's width shows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from rowferry.model import types as t
from rowferry.model.types import NeutralType

if TYPE_CHECKING:
    from sqlglot.expressions import Expression

MOST_DIGITS = 65
"""Digits that an exact number may have in every engine."""


class Kind(Enum):
    """What an expression gives."""

    NUMBER = "number"
    TEXT = "text"
    LOGICAL = "logical"
    NULL = "null"


_HOLDS: dict[type[Any], Kind] = {
    t.Integer: Kind.NUMBER,
    t.Decimal: Kind.NUMBER,
    t.Text: Kind.TEXT,
    t.Boolean: Kind.LOGICAL,
}


def kind_of(neutral: NeutralType) -> Kind | None:
    """What a column of that type takes of an expression, None where it is not sure to take it unchanged."""
    if isinstance(neutral, t.Text) and neutral.fixed:
        return None
    return _HOLDS.get(type(neutral))


def parsed(expression: str, dialect: str, columns: Mapping[str, NeutralType], wanted: NeutralType) -> Expression | None:
    """The expression's tree, if every engine computes the same from it and a column of type `wanted` takes it.

    `columns`: what it may be computed from. Casts of texts to texts are gone.
    """
    import sqlglot  # noqa: PLC0415 - few tables compute anything, and sqlglot is large
    from sqlglot import exp  # noqa: PLC0415 - as above
    from sqlglot.errors import ErrorLevel, SqlglotError  # noqa: PLC0415 - as above

    try:
        tree = sqlglot.parse_one(expression, read=dialect, into=exp.Condition, error_level=ErrorLevel.RAISE)
    except (SqlglotError, ValueError, RecursionError):
        return None
    look = _Look(columns, _rules(dialect))
    found = look.kind(tree)
    places = wanted.scale if isinstance(wanted, t.Decimal) else 0
    if found is None or found is not kind_of(wanted) or look.digits > MOST_DIGITS or look.places > places:
        return None
    return tree.transform(_without_casts)


def _without_casts(node: Expression) -> Expression:
    from sqlglot import exp  # noqa: PLC0415 - as above

    while isinstance(node, exp.Cast):
        node = node.this
    return node


@dataclass
class _Look:
    """A walk over a tree. `digits` and `places` are as many as its numbers can need together."""

    columns: Mapping[str, NeutralType]
    rules: Mapping[type[Any], Callable[[_Look, Any], Kind | None]]
    digits: int = 0
    places: int = 0

    def kind(self, node: Any) -> Kind | None:
        """What the node gives, None where engines may differ."""
        rule = self.rules.get(type(node))
        return None if rule is None else rule(self, node)

    def same(self, nodes: list[Any]) -> Kind | None:
        """What all of them give, NULL beside anything."""
        kinds = {self.kind(node) for node in nodes} - {Kind.NULL}
        return kinds.pop() if len(kinds) == 1 else None

    def all(self, wanted: Kind, nodes: list[Any], gives: Kind) -> Kind | None:
        """`gives`, if each of them gives `wanted`."""
        return gives if all(self.kind(node) is wanted for node in nodes) else None


def _column(look: _Look, node: Any) -> Kind | None:
    neutral = look.columns.get(node.name)
    if neutral is None:
        return None
    look.digits += neutral.precision if isinstance(neutral, t.Decimal) else 20
    look.places += neutral.scale if isinstance(neutral, t.Decimal) else 0
    return kind_of(neutral)


def _literal(look: _Look, node: Any) -> Kind | None:
    if node.is_string:
        return None if "\\" in node.this or "\x00" in node.this else Kind.TEXT
    whole, _, part = node.this.partition(".")
    if not (whole + part).isdigit():
        return None
    look.digits += len(whole + part)
    look.places += len(part)
    return Kind.NUMBER


def _cast(look: _Look, node: Any) -> Kind | None:
    """Between texts of no bound, and from a number to an exact one: that is how PostgreSQL spells an expression."""
    inner, to = look.kind(node.this), node.to.sql().upper()
    if inner is Kind.TEXT and to in ("TEXT", "VARCHAR"):
        return inner
    return inner if inner is Kind.NUMBER and to in ("DECIMAL", "NUMERIC") else None


def _case(look: _Look, node: Any) -> Kind | None:
    if node.args.get("this") is not None or any(look.kind(one.this) is not Kind.LOGICAL for one in node.args["ifs"]):
        return None
    last = node.args.get("default")
    return look.same([one.args["true"] for one in node.args["ifs"]] + ([last] if last is not None else []))


def _if(look: _Look, node: Any) -> Kind | None:
    if look.kind(node.this) is not Kind.LOGICAL or node.args.get("false") is None:
        return None
    return look.same([node.args["true"], node.args["false"]])


def _is_null(look: _Look, node: Any) -> Kind | None:
    known = look.kind(node.this) is not None and look.kind(node.expression) is Kind.NULL
    return Kind.LOGICAL if known else None


def _length(look: _Look, node: Any) -> Kind | None:
    return None if node.args.get("binary") else look.all(Kind.TEXT, [node.this], Kind.NUMBER)


def _in(look: _Look, node: Any) -> Kind | None:
    return look.all(Kind.NUMBER, [node.this, *node.expressions], Kind.LOGICAL) if node.expressions else None


def _rules(dialect: str) -> Mapping[type[Any], Callable[[_Look, Any], Kind | None]]:
    from sqlglot import exp  # noqa: PLC0415 - as above

    number, text, logical = Kind.NUMBER, Kind.TEXT, Kind.LOGICAL
    rules: dict[type[Any], Callable[[_Look, Any], Kind | None]] = {
        exp.Column: _column,
        exp.Literal: _literal,
        exp.Null: lambda _, __: Kind.NULL,
        exp.Boolean: lambda _, __: logical,
        exp.Paren: lambda look, node: look.kind(node.this),
        exp.Cast: _cast,
        exp.Case: _case,
        exp.If: _if,
        exp.Coalesce: lambda look, node: look.same([node.this, *node.expressions]),
        exp.Is: _is_null,
        exp.In: _in,
        exp.Length: _length,
        exp.Neg: lambda look, node: look.all(number, [node.this], number),
        exp.Not: lambda look, node: look.all(logical, [node.this], logical),
        # MySQL's own CONCAT is NULL when a part is; PostgreSQL's is not, but its || is.
        (exp.Concat if dialect == "mysql" else exp.DPipe): lambda look, node: look.all(
            text, list(node.expressions) or [node.left, node.right], text
        ),
    }
    for kinds, takes, gives in (
        ((exp.Add, exp.Sub, exp.Mul), number, number),
        ((exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE), number, logical),
        ((exp.And, exp.Or), logical, logical),
    ):
        for kind in kinds:
            rules[kind] = _pair(takes, gives)
    return rules


def _pair(takes: Kind, gives: Kind) -> Callable[[_Look, Any], Kind | None]:
    return lambda look, node: look.all(takes, [node.left, node.right], gives)
