"""Which types texts have, told from a sample of them: text wherever there is a doubt.

| the texts | type |
|---|---|
| true, false | Boolean |
| whole numbers without leading zeros | Integer(64), or Decimal(38, 0) for longer ones |
| numbers with the same count of digits after the point | Decimal(38, that count) |
| other numbers, if a double keeps their digits | Float(64) |
| 2024-02-29, 23:59:59 | Date, Time |
| 2024-02-29T23:59:59, the same with Z or +02:00 | DateTime, Instant |
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from rowferry.connectors.files.parse import STRING, Misfit, parsed
from rowferry.model import types as t

DIGITS = 38
_MOST_SCALE = 18
_CLOCK = r"\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?"
_DAY = r"\d{4}-\d{2}-\d{2}"
_WHOLE = r"-?(0|[1-9]\d*)"

Guess = Callable[[pa.Array], t.NeutralType]


def _whole(texts: pa.Array) -> t.NeutralType:
    return t.Integer(64) if _holds(texts, t.Integer(64)) else t.Decimal(DIGITS, 0)


def _number(texts: pa.Array) -> t.NeutralType:
    fractions = pc.binary_length(pc.replace_substring_regex(texts, r"^[^.]*\.?", ""))
    least, most = (one.as_py() for one in pc.min_max(fractions).values())
    fixed = t.Decimal(DIGITS, most)
    return fixed if 0 < least == most <= _MOST_SCALE and _holds(texts, fixed) else t.Float(64)


_GUESSES: tuple[tuple[str, Guess], ...] = (
    (r"(true|false|TRUE|FALSE|True|False)", lambda _: t.Boolean()),
    (_WHOLE, _whole),
    (_WHOLE + r"(\.\d+)?", _number),
    (_WHOLE + r"(\.\d+)?([eE][+-]?\d+)?", lambda _: t.Float(64)),
    (_DAY, lambda _: t.Date()),
    (_DAY + "[ T]" + _CLOCK, lambda _: t.DateTime()),
    (_DAY + "[ T]" + _CLOCK + r"(Z|[+-]\d{2}(:?\d{2})?)", lambda _: t.Instant()),
    (r"\d{2}:\d{2}:\d{2}(\.\d{1,6})?", lambda _: t.Time()),
)


def type_of_texts(texts: pa.Array) -> t.NeutralType:
    """The type of a column of texts."""
    there = texts.filter(pc.fill_null(pc.not_equal(texts, pa.scalar("", texts.type)), False)).cast(STRING)
    if not len(there):
        return t.Text()
    for pattern, guess in _GUESSES:
        if pc.all(pc.match_substring_regex(there, f"^{pattern}$")).as_py():
            found = guess(there)
            return found if _holds(there, found) else t.Text()
    return t.Text()


def type_of_spans(spans: Sequence[str]) -> t.NeutralType:
    """The type of a column of JSON values as they are spelled; values of several kinds stay JSON."""
    kinds = {_KINDS.get(span[0], "number") for span in spans if span != "null"}
    if not kinds:
        return t.Text()
    if len(kinds) > 1:
        return t.Json()
    (kind,) = kinds
    if kind != "number":
        return _TYPES[kind]
    numbers = pa.array([span for span in spans if span != "null"], STRING)
    if pc.any(pc.match_substring_regex(numbers, "[.eE]")).as_py():
        return t.Float(64) if _holds(numbers, t.Float(64)) else t.Number()
    return next(one for one in (t.Integer(64), t.Decimal(DIGITS, 0), t.Number()) if _holds(numbers, one))


_KINDS = {'"': "text", "t": "boolean", "f": "boolean", "{": "document", "[": "document"}
_TYPES: dict[str, t.NeutralType] = {"text": t.Text(), "boolean": t.Boolean(), "document": t.Json()}


def _holds(texts: pa.Array, neutral: t.NeutralType) -> bool:
    try:
        parsed(texts, neutral, strict=True)
    except Misfit:
        return False
    return True
