"""Values that one server has and another has not, and what a config may say shall become of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from rowferry.model.types import NeutralType


class OddValue(StrEnum):
    """A kind of value that some source has and some target has not; the names are those of `typePolicies`."""

    ZERO_DATE = "zeroDate"
    FAR_DATE = "farDate"
    LATE_TIME = "lateTime"
    NOT_FINITE = "notFinite"
    NEGATIVE_ZERO = "negativeZero"
    NUMBER = "number"
    NUL = "nulCharacter"
    EMPTY_ENUM = "emptyEnum"


class TypePolicy(StrEnum):
    """What becomes of such a value: the stream fails, or the column is text, or the value is another one."""

    ERROR = "error"
    TEXT = "text"
    NULL = "null"
    CLAMP = "clamp"
    EPOCH = "epoch"


@dataclass(frozen=True, slots=True)
class Instead:
    """What stands in the place of a column's values of one kind. `neutral`: the type that it has to become."""

    kind: OddValue
    policy: TypePolicy
    neutral: NeutralType


@dataclass(frozen=True, slots=True)
class Oddity:
    """One kind in words. `value` is what a column holds, `ways` what each policy makes of it, error left out."""

    value: str
    ways: Mapping[TypePolicy, str]

    def advice(self, kind: OddValue) -> str:
        """What to set, as the end of a sentence."""
        *most, last = (way.value for way in self.ways)
        listed = f"{', '.join(most)} or {last}" if most else last
        return f"correct it at the source, or set typePolicies.{kind.value} to {listed}"


_NULL = {TypePolicy.NULL: "is NULL"}
_TEXT = {TypePolicy.TEXT: "has its column written as text, as the source spells it"}
_EPOCH = {TypePolicy.EPOCH: "is 1970-01-01"}

ODDITIES: Mapping[OddValue, Oddity] = {
    OddValue.ZERO_DATE: Oddity(
        "a date without a year, month or day, such as 0000-00-00, or one that is in no calendar",
        {**_NULL, **_EPOCH, **_TEXT},
    ),
    OddValue.FAR_DATE: Oddity(
        "a date that is infinite, or before or after all that can be carried",
        {**_NULL, TypePolicy.CLAMP: "is the first or last date that can be carried", **_EPOCH, **_TEXT},
    ),
    OddValue.LATE_TIME: Oddity(
        "the time 24:00:00", {**_NULL, TypePolicy.CLAMP: "is the last moment before it", **_TEXT}
    ),
    OddValue.NOT_FINITE: Oddity("NaN or infinity", {**_NULL, **_TEXT}),
    OddValue.NEGATIVE_ZERO: Oddity("a zero below zero (-0.0)", {TypePolicy.CLAMP: "is 0", **_NULL, **_TEXT}),
    OddValue.NUMBER: Oddity(
        "a number with more digits than the target's column has",
        {**_NULL, TypePolicy.CLAMP: "is the nearest number that the column has", **_TEXT},
    ),
    OddValue.NUL: Oddity("a text with a NUL character", {**_NULL, TypePolicy.CLAMP: "loses its NUL characters"}),
    OddValue.EMPTY_ENUM: Oddity("an enum's empty value, which is no member", {**_NULL, **_TEXT}),
}
"""One row a kind."""


@dataclass(frozen=True, slots=True)
class Holds:
    """What the columns of a target hold, as far as some source has more.

    `lacks`: kinds of values that it has not. `own`: the source is of the same engine, so that a column's text crosses
    without loss. `first_day` and `last_day` (ISO) bound its dates; None: whatever crosses is held. `digits`: of its
    longest decimal, and how many of them after the point.
    """

    lacks: frozenset[OddValue] = frozenset()
    own: bool = False
    first_day: str | None = None
    last_day: str | None = None
    digits: tuple[int, int] | None = None


def refused(place: str, chunk: object, kind: OddValue) -> str:
    """The sentence for a value of that kind that was met; it never holds the value."""
    oddity = ODDITIES[kind]
    return f"{place} holds {oddity.value} ({chunk}): {oddity.advice(kind)}."
