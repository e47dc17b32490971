"""Neutral types as PostgreSQL declares them, and which declared types hold a neutral type exactly."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from rowferry.model import types as t
from rowferry.model.tables import NativeType
from rowferry.model.types import NeutralType
from rowferry.typemap.rules import WriteRule, first_write

ENGINE = "postgresql"
DIALECT = "postgres"
"""The name under which a source of the same engine presents its SQL."""

LONGEST_TEXT = 10_485_760
LONGEST_BITS = 83_886_080
MOST_DIGITS = 1000

INTEGERS = {
    (8, True): "smallint",
    (8, False): "smallint",
    (16, True): "smallint",
    (16, False): "integer",
    (24, True): "integer",
    (24, False): "integer",
    (32, True): "integer",
    (32, False): "bigint",
    (64, True): "bigint",
    (64, False): "numeric(20,0)",
}


def _sized(name: str, precision: int, rest: str = "") -> str:
    return f"{name}{'' if precision == 6 else f'({precision})'}{rest}"


def _decimal(neutral: t.Decimal) -> str:
    return f"numeric({max(neutral.precision, neutral.scale)},{neutral.scale})"


def _bits(neutral: t.Bits) -> str:
    size = f"({neutral.length})" if neutral.length else ""
    return f"bit varying{size}" if neutral.varying or not neutral.length else f"bit{size}"


Rule = WriteRule[Any]

SAME_ENGINE: tuple[Rule, ...] = (
    WriteRule(t.Text, lambda n: f"character({n.length})", lambda n: n.fixed and 1 <= (n.length or 0) <= LONGEST_TEXT),
)
"""What is declared otherwise when the source is PostgreSQL too: its CHAR values cross with their padding."""

WRITE_RULES: tuple[Rule, ...] = (
    WriteRule(t.Boolean, lambda _: "boolean"),
    WriteRule(t.Integer, lambda n: INTEGERS[n.bits, n.signed]),
    WriteRule(t.Decimal, _decimal, lambda n: n.precision <= MOST_DIGITS),
    WriteRule(t.Number, lambda _: "numeric"),
    WriteRule(t.Float, lambda n: "real" if n.bits == 32 else "double precision"),
    # Also for fixed text: character(n) would give "a" back as "a   " and compare without trailing blanks.
    WriteRule(t.Text, lambda n: f"character varying({n.length})", lambda n: 1 <= (n.length or 0) <= LONGEST_TEXT),
    WriteRule(t.Text, lambda _: "text"),
    WriteRule(t.Binary, lambda _: "bytea"),
    WriteRule(t.Bits, _bits, lambda n: (n.length or 0) <= LONGEST_BITS),
    WriteRule(t.Date, lambda _: "date"),
    WriteRule(t.Time, lambda n: _sized("time", n.precision, " without time zone")),
    WriteRule(t.DateTime, lambda n: _sized("timestamp", n.precision, " without time zone")),
    WriteRule(t.Instant, lambda n: _sized("timestamp", n.precision, " with time zone")),
    WriteRule(t.Duration, lambda n: _sized("interval", n.precision)),
    WriteRule(t.Interval, lambda _: "interval"),
    WriteRule(t.Year, lambda _: "smallint"),
    # json keeps the text to the letter; jsonb would drop blanks and double keys of a document that has them.
    WriteRule(t.Json, lambda _: "jsonb", lambda n: n.normalised),
    WriteRule(t.Json, lambda _: "json"),
    WriteRule(t.Enum, lambda _: "text"),
    WriteRule(
        t.Set, lambda _: "text", changes="becomes text: PostgreSQL will not check that only known members are stored"
    ),
    WriteRule(t.Uuid, lambda _: "uuid"),
    WriteRule(t.Inet, lambda _: "inet"),
    WriteRule(
        t.Geometry,
        lambda _: "bytea",
        changes="becomes bytea holding EWKB, which PostGIS reads with ST_GeomFromEWKB; no spatial index is possible",
    ),
    WriteRule(t.Array, lambda n: n.declared, lambda n: n.engine == ENGINE),
    WriteRule(t.Foreign, lambda n: n.declared, lambda n: n.engine == ENGINE),
    WriteRule(t.Array, lambda _: "text", changes="becomes text, in the spelling of its own engine"),
    WriteRule(t.Foreign, lambda _: "text", changes="becomes text, in the spelling of its own engine"),
)
"""Read from the top. A named Enum (of a PostgreSQL source) becomes a type of that name instead (`plan`)."""


def write_rule(neutral: NeutralType, dialect: str) -> Rule | None:
    """How `neutral` is declared when it comes from a source of that dialect; None: it cannot be."""
    rules = SAME_ENGINE + WRITE_RULES if dialect == DIALECT else WRITE_RULES
    return first_write(rules, neutral)


TYPE_NAMES = {
    "smallint": "int2",
    "integer": "int4",
    "bigint": "int8",
    "real": "float4",
    "double precision": "float8",
    "boolean": "bool",
    "character varying": "varchar",
    "character": "bpchar",
    "bit varying": "varbit",
    "time without time zone": "time",
    "timestamp without time zone": "timestamp",
    "timestamp with time zone": "timestamptz",
}
"""SQL's names of types by the names the catalogue gives them, where they differ."""


def native_type(declared: str) -> NativeType:
    """The catalogue's view of a declaration that one of the rules spelled."""
    bare = re.sub(r"\([\d,]*\)", "", declared)
    return NativeType(name=TYPE_NAMES.get(bare, bare), declared=declared)


TEXTS = frozenset({"text", "varchar", "citext"})
_RANGES = {"int2": 15, "int4": 31, "int8": 63}

Fit = Callable[[Any, NativeType], bool]


def _text_of(length: int | None, native: NativeType) -> bool:
    return native.name in TEXTS and (native.length is None or (length is not None and length <= native.length))


def _digits_fit(digits: int, scale: int, native: NativeType) -> bool:
    if native.name != "numeric":
        return False
    if native.precision is None:
        return True
    there = native.scale or 0
    return there >= scale and native.precision - there >= digits - scale


def _integer_fits(neutral: t.Integer, native: NativeType) -> bool:
    bits = neutral.bits - (1 if neutral.signed else 0)
    if native.name in _RANGES:
        return bits <= _RANGES[native.name]
    return _digits_fit(len(str(2**bits)), 0, native)


def _text_fits(neutral: t.Text, native: NativeType) -> bool:
    padded = neutral.fixed and native.name == "bpchar" and native.length == neutral.length
    return padded or _text_of(neutral.length, native)


def _bits_fit(neutral: t.Bits, native: NativeType) -> bool:
    if native.name == "bit":
        return not neutral.varying and native.length == neutral.length
    return native.name == "varbit" and (
        native.length is None or (neutral.length is not None and neutral.length <= native.length)
    )


def _enum_fits(neutral: t.Enum, native: NativeType) -> bool:
    if native.kind == "enum":
        return set(neutral.members) <= set(native.members)
    return _text_of(max(map(len, neutral.members), default=0), native)


def _moment(name: str) -> Fit:
    return lambda neutral, native: native.name == name and (native.precision or 0) >= neutral.precision


def _one_of(*names: str) -> Fit:
    return lambda _, native: native.name in names


def _own(neutral: t.Array | t.Foreign, native: NativeType) -> bool:
    return _text_of(None, native) or (neutral.engine == ENGINE and native.declared == neutral.declared)


FITS: dict[type, Fit] = {
    t.Boolean: _one_of("bool"),
    t.Integer: _integer_fits,
    t.Decimal: lambda n, native: _digits_fit(n.precision, n.scale, native),
    t.Number: lambda _, native: native.name == "numeric" and native.precision is None,
    t.Float: lambda n, native: native.name == "float8" or (native.name == "float4" and n.bits == 32),
    t.Text: _text_fits,
    t.Binary: _one_of("bytea"),
    t.Bits: _bits_fit,
    t.Date: _one_of("date"),
    t.Time: _moment("time"),
    t.DateTime: _moment("timestamp"),
    t.Instant: _moment("timestamptz"),
    t.Duration: _moment("interval"),
    t.Interval: lambda _, native: native.name == "interval" and native.precision == 6,
    t.Year: lambda _, native: _integer_fits(t.Integer(16), native),
    t.Json: lambda _, native: native.name in ("json", "jsonb") or _text_of(None, native),
    t.Enum: _enum_fits,
    t.Set: lambda n, native: _text_of(len(",".join(n.members)), native),
    t.Uuid: _one_of("uuid"),
    t.Inet: lambda _, native: native.name == "inet" or _text_of(None, native),
    t.Geometry: _one_of("bytea"),
    t.Array: _own,
    t.Foreign: _own,
}
"""Whether a column that is already there holds every value of a neutral type. `Unknown` fits nowhere."""


def fits(neutral: NeutralType, native: NativeType) -> bool:
    """Whether a column of type `native` gives back every value of `neutral` as it was."""
    fit = FITS.get(type(neutral))
    return fit is not None and fit(neutral, native)
