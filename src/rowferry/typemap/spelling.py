"""How two columns are compared: the form in which both can spell their values, and what they have to agree on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rowferry.model import types as t
from rowferry.model.digests import Form, Spelling
from rowferry.model.types import NeutralType

LONGEST_PLAIN = 255
"""Texts and bytes that may have more characters than this stand in a row's spelling as their MD5."""

_FORMS: dict[type, tuple[Form, ...]] = {
    t.Boolean: (Form.WHOLE,),
    t.Integer: (Form.WHOLE, Form.DECIMAL),
    t.Year: (Form.WHOLE, Form.DECIMAL),
    t.Decimal: (Form.DECIMAL,),
    t.Number: (Form.DECIMAL, Form.TEXT),
    t.Float: (Form.FLOAT,),
    t.Text: (Form.TEXT,),
    t.Binary: (Form.BYTES,),
    t.Bits: (Form.TEXT,),
    t.Date: (Form.DATE,),
    t.Time: (Form.CLOCK,),
    t.DateTime: (Form.MOMENT,),
    t.Instant: (Form.INSTANT, Form.MOMENT),
    t.Duration: (Form.CLOCK,),
    t.Interval: (Form.CLOCK, Form.TEXT),
    t.Json: (Form.TEXT,),
    t.Enum: (Form.TEXT,),
    t.Set: (Form.TEXT,),
    t.Uuid: (Form.TEXT, Form.BYTES),
    t.Inet: (Form.BYTES, Form.TEXT),
    t.Geometry: (Form.BYTES,),
    t.Array: (Form.TEXT,),
    t.Foreign: (Form.TEXT,),
}
"""The forms in which an engine can spell a neutral type, the better one first."""

_LENGTHS: dict[type, Callable[[Any], int | None]] = {
    t.Text: lambda n: n.length,
    t.Binary: lambda n: n.length,
    t.Bits: lambda n: n.length,
    t.Enum: lambda n: max(map(len, n.members), default=0),
    t.Set: lambda n: len(",".join(n.members)),
    t.Uuid: lambda _: 36,
    t.Inet: lambda _: 50,
}
"""The most characters of a type's spelling as text or bytes; None, or not here: any number."""


def spelling(source: NeutralType, target: NeutralType, same_engine: bool) -> Spelling | str:
    """How values of a source's column are compared with those of a target's; or why they cannot be, in words."""
    if isinstance(target, t.Json) and target.normalised and not (same_engine and _normalised(source)):
        return "the target keeps the meaning of a JSON document, but spells it in its own way"
    common = [form for form in _FORMS.get(type(source), ()) if form in _FORMS.get(type(target), ())]
    if not common:
        return "the types of both sides have no form in common"
    form = common[0]
    return Spelling(
        form,
        hashed=form in (Form.TEXT, Form.BYTES) and is_long(source),
        trimmed=form is Form.DECIMAL and _scale(source) != _scale(target),
        stripped=_fixed(source) and _fixed(target),
        digits=3 if _coarser(source, target) else 6,
    )


def is_long(neutral: NeutralType) -> bool:
    """Whether the spelling of a value may be long."""
    length = _LENGTHS.get(type(neutral), lambda _: None)(neutral)
    return length is None or length > LONGEST_PLAIN


_WIDTHS = {Form.WHOLE: 12, Form.FLOAT: 19, Form.DATE: 11, Form.MOMENT: 27, Form.INSTANT: 30, Form.CLOCK: 20}
_HASH = 33


def width(neutral: NeutralType, spelled: Spelling) -> int:
    """About the most bytes that a value takes in a row's spelling."""
    if spelled.hashed:
        return _HASH
    if spelled.form is Form.DECIMAL:
        return neutral.precision + 3 if isinstance(neutral, t.Decimal) else 40
    if spelled.form in _WIDTHS:
        return _WIDTHS[spelled.form]
    length = _LENGTHS.get(type(neutral), lambda _: None)(neutral) or _HASH
    return 5 + 2 * length


def _normalised(neutral: NeutralType) -> bool:
    return isinstance(neutral, t.Json) and neutral.normalised


def _scale(neutral: NeutralType) -> int | None:
    if isinstance(neutral, t.Decimal):
        return neutral.scale
    return None if isinstance(neutral, t.Number) else 0


def _coarser(source: NeutralType, target: NeutralType) -> bool:
    """Whether the target was told to keep milliseconds alone."""
    moments = t.DateTime | t.Instant
    return isinstance(source, moments) and isinstance(target, moments) and source.precision > target.precision == 3


def _fixed(neutral: NeutralType) -> bool:
    return isinstance(neutral, t.Text) and neutral.fixed
