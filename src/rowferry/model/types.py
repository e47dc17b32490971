"""Neutral types: what a value *is*, whichever engine holds it.

Every native type of an engine maps to exactly one of these (or is refused by name), and every one of
these says how its values cross in Arrow (`rowferry.typemap.arrow`). Engines know only neutral types,
never each other.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Boolean:
    """True or false."""


@dataclass(frozen=True, slots=True)
class Integer:
    """A whole number of `bits` (8, 16, 24, 32 or 64) bits."""

    bits: int
    signed: bool = True


@dataclass(frozen=True, slots=True)
class Decimal:
    """An exact number with at most `precision` digits (1 to 76), `scale` of them after the point (0 to 76)."""

    precision: int
    scale: int


@dataclass(frozen=True, slots=True)
class Number:
    """An exact number of any length, NaN and infinities included; crosses as text."""


@dataclass(frozen=True, slots=True)
class Float:
    """A binary floating point number of 32 or 64 bits."""

    bits: int


@dataclass(frozen=True, slots=True)
class Text:
    """Characters. `length` is the largest number of characters (None: no limit); `fixed` pads with blanks."""

    length: int | None = None
    fixed: bool = False


@dataclass(frozen=True, slots=True)
class Binary:
    """Bytes. `length` is the largest number of bytes (None: no limit); `fixed`: always that many."""

    length: int | None = None
    fixed: bool = False


@dataclass(frozen=True, slots=True)
class Bits:
    """A string of bits, crosses as text of 0 and 1. `varying`: at most `length` (None: no limit), else exactly."""

    length: int | None
    varying: bool = False


@dataclass(frozen=True, slots=True)
class Date:
    """A calendar day.

    `endless`, here and of the times below: values also stand for what only their own engine has, such as infinity; as
    counts they are wrapped around to numbers that mean nothing else. Only a target of that engine takes them.
    """

    endless: bool = False


@dataclass(frozen=True, slots=True)
class Time:
    """A time of day with `precision` digits (0 to 6) of a second."""

    precision: int = 6
    endless: bool = False


@dataclass(frozen=True, slots=True)
class DateTime:
    """A day and a time of day, without a zone."""

    precision: int = 6
    endless: bool = False


@dataclass(frozen=True, slots=True)
class Instant:
    """A point in time; crosses in UTC."""

    precision: int = 6
    endless: bool = False


@dataclass(frozen=True, slots=True)
class Duration:
    """A signed span of time in microseconds (MySQL's TIME, up to 838:59:59)."""

    precision: int = 6


@dataclass(frozen=True, slots=True)
class Interval:
    """Months, days and microseconds, kept apart; crosses as text."""


@dataclass(frozen=True, slots=True)
class Year:
    """A year, 1901 to 2155, or 0."""


@dataclass(frozen=True, slots=True)
class Json:
    """A JSON document; crosses as text. `normalised`: the server keeps its meaning, not its spelling (jsonb)."""

    normalised: bool = False


@dataclass(frozen=True, slots=True)
class Enum:
    """One of `members`. `name` is the type's own name where the engine gives it one (PostgreSQL)."""

    members: tuple[str, ...]
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Set:
    """Any of `members`, crosses as their names joined by commas."""

    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Uuid:
    """A UUID."""


@dataclass(frozen=True, slots=True)
class Inet:
    """An IP address, crosses as text. `version` is 4 or 6, or None where both may stand."""

    version: int | None = None


@dataclass(frozen=True, slots=True)
class Geometry:
    """A shape, crosses as EWKB (WKB with its SRID). `shape` is the declared kind ("point"), or "geometry"."""

    shape: str = "geometry"
    srid: int | None = None


@dataclass(frozen=True, slots=True)
class Array:
    """A list of values of one type; `declared` is its owner's spelling. Crosses as the engine's text."""

    element: NeutralType
    engine: str
    declared: str


@dataclass(frozen=True, slots=True)
class Foreign:
    """A type only `engine` knows, spelled `declared`; crosses as that engine's text form, exact for itself."""

    engine: str
    declared: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """A type that no rule carries exactly; every target refuses it by name."""

    engine: str
    declared: str


Endless = Date | Time | DateTime | Instant
"""The types that may be endless."""

NeutralType = (
    Boolean
    | Integer
    | Decimal
    | Number
    | Float
    | Text
    | Binary
    | Bits
    | Date
    | Time
    | DateTime
    | Instant
    | Duration
    | Interval
    | Year
    | Json
    | Enum
    | Set
    | Uuid
    | Inet
    | Geometry
    | Array
    | Foreign
    | Unknown
)
