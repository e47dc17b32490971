"""PostgreSQL's types in neutral words: one table of rules, read from the top.

An enum, array, domain, range or composite type is told by its kind, whatever its name; the rules below
speak of base types only. A type that no rule names crosses as its text, which is exact for PostgreSQL.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from rowferry.model import types as t
from rowferry.model.tables import NativeType
from rowferry.typemap.rules import ReadRule, first_read

ENGINE = "postgresql"

MOST_DIGITS = 76
"""The most digits of an Arrow decimal; a longer `numeric` crosses as text."""


def _sized_numeric(native: NativeType) -> bool:
    if native.precision is None or native.scale is None:
        return False
    return native.precision <= MOST_DIGITS and 0 <= native.scale <= native.precision


def _foreign(native: NativeType) -> t.NeutralType:
    return t.Foreign(ENGINE, native.declared)


_SHAPE = re.compile(r"\((\w+)(?:,\s*(\d+))?\)")


def _geometry(native: NativeType) -> t.NeutralType:
    found = _SHAPE.search(native.declared)
    shape = found.group(1).lower() if found else "geometry"
    return t.Geometry(shape, int(found.group(2)) if found and found.group(2) else None)


def _digits(native: NativeType) -> int:
    return 6 if native.precision is None else native.precision


READ_RULES: tuple[ReadRule, ...] = (
    ReadRule(("bool",), lambda _: t.Boolean()),
    ReadRule(("int2",), lambda _: t.Integer(16)),
    ReadRule(("int4",), lambda _: t.Integer(32)),
    ReadRule(("int8",), lambda _: t.Integer(64)),
    ReadRule(("oid",), lambda _: t.Integer(32, signed=False)),
    ReadRule(
        ("numeric",),
        lambda n: t.Decimal(n.precision or 0, n.scale or 0),
        _sized_numeric,
        note="may hold NaN too: kind notFinite below",
    ),
    ReadRule(("numeric",), lambda _: t.Number(), note="without digits, with more than 76, or with an odd scale"),
    ReadRule(("float4",), lambda _: t.Float(32)),
    ReadRule(("float8",), lambda _: t.Float(64)),
    ReadRule(("money",), _foreign, note="crosses as a plain decimal number with two digits after the point"),
    ReadRule(
        ("bpchar",), lambda n: t.Text(n.length, fixed=True), lambda n: n.length is not None, note="with its blanks"
    ),
    ReadRule(("varchar",), lambda n: t.Text(n.length)),
    ReadRule(("text", "bpchar"), lambda _: t.Text()),
    ReadRule(("citext",), _foreign, note="text that compares without regard to case"),
    ReadRule(("name",), lambda _: t.Text(63)),
    ReadRule(("bytea",), lambda _: t.Binary()),
    ReadRule(("bit",), lambda n: t.Bits(n.length), lambda n: n.length is not None),
    ReadRule(("bit", "varbit"), lambda n: t.Bits(n.length, varying=True)),
    ReadRule(("date",), lambda _: t.Date(), note="infinity: kind farDate below"),
    ReadRule(("time",), lambda n: t.Time(_digits(n)), note="24:00:00: kind lateTime below"),
    ReadRule(("timestamp",), lambda n: t.DateTime(_digits(n)), note="infinity, years after 294246: kind farDate below"),
    ReadRule(
        ("timestamptz",), lambda n: t.Instant(_digits(n)), note="infinity, years after 294246: kind farDate below"
    ),
    ReadRule(("interval",), lambda _: t.Interval()),
    ReadRule(("uuid",), lambda _: t.Uuid()),
    ReadRule(("json",), lambda _: t.Json()),
    ReadRule(("jsonb",), lambda _: t.Json(normalised=True)),
    ReadRule(("inet",), lambda _: t.Inet(), note="with its netmask where it is not the whole address"),
    ReadRule(("geometry",), _geometry, note="of PostGIS"),
    ReadRule(
        (
            *('"char"', "xml", "timetz", "cidr", "macaddr", "macaddr8", "hstore", "tsvector", "tsquery", "ltree"),
            *("point", "line", "lseg", "box", "path", "polygon", "circle", "pg_lsn", "geography"),
        ),
        _foreign,
    ),
)
"""Base types by their names in the catalogue (`pg_type.typname`; "char" with its quotes)."""


def neutral_type(native: NativeType) -> t.NeutralType:
    """The neutral type of any type of PostgreSQL."""
    return _BY_KIND.get(native.kind, _foreign)(native)


def base_type(native: NativeType) -> NativeType:
    """The type itself, or what a domain stands for."""
    while native.kind == "domain" and native.element is not None:
        native = native.element
    return native


def _base(native: NativeType) -> t.NeutralType:
    rule = first_read(READ_RULES, native)
    return rule.to(native) if rule else _foreign(native)


def _enum(native: NativeType) -> t.NeutralType:
    return t.Enum(native.members, native.name)


def _array(native: NativeType) -> t.NeutralType:
    if native.element is None:
        return _foreign(native)
    return t.Array(neutral_type(native.element), ENGINE, native.declared)


def _domain(native: NativeType) -> t.NeutralType:
    return _foreign(native) if native.element is None else neutral_type(native.element)


_BY_KIND: dict[str, Callable[[NativeType], t.NeutralType]] = {
    "base": _base,
    "enum": _enum,
    "array": _array,
    "domain": _domain,
}
"""Ranges, composites and pseudo types are not here: they cross as text."""
