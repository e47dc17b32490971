"""MySQL's and MariaDB's types, and the neutral type of each."""

from __future__ import annotations

from collections.abc import Callable

from rowferry.model import types as t
from rowferry.model.tables import NativeType
from rowferry.typemap.rules import ReadRule, first_read

ENGINE = "mysql"

_SHAPES = {
    "geometry": "geometry",
    "point": "point",
    "linestring": "linestring",
    "polygon": "polygon",
    "multipoint": "multipoint",
    "multilinestring": "multilinestring",
    "multipolygon": "multipolygon",
    "geometrycollection": "geometrycollection",
    "geomcollection": "geometrycollection",
}


def _integer(bits: int) -> Callable[[NativeType], t.NeutralType]:
    return lambda native: t.Integer(bits, signed=not native.unsigned)


def _digits(native: NativeType) -> int:
    return native.scale or 0


WHOLE_UNICODE = frozenset({"utf8mb4", "utf16", "utf16le", "utf32"})
"""Character sets with characters beyond the basic plane, which the catalogue shows as question marks."""


def _masked(native: NativeType) -> bool:
    """Whether the catalogue may not have told the members as they are."""
    return native.charset in WHOLE_UNICODE and any("?" in member for member in native.members)


def _longest_member(native: NativeType) -> t.NeutralType:
    return t.Text(max(map(len, native.members)))


def _all_members(native: NativeType) -> t.NeutralType:
    return t.Text(len(",".join(native.members)))


_MASKED = "text where a member has a ?: the catalogue shows emoji so too, and its true members cannot be known"

READ_RULES: tuple[ReadRule, ...] = (
    ReadRule(("tinyint",), _integer(8), note="tinyint(1) holds -128 to 127 and so is no boolean"),
    ReadRule(("smallint",), _integer(16)),
    ReadRule(("mediumint",), _integer(24)),
    ReadRule(("int",), _integer(32)),
    ReadRule(("bigint",), _integer(64)),
    ReadRule(("decimal",), lambda n: t.Decimal(n.precision or 10, n.scale or 0)),
    ReadRule(("float",), lambda _: t.Float(32)),
    ReadRule(("double",), lambda _: t.Float(64)),
    ReadRule(("bit",), lambda n: t.Bits(n.length or 1)),
    ReadRule(("char",), lambda n: t.Text(n.length or None, fixed=True), note="the server takes blanks at the end away"),
    ReadRule(("varchar",), lambda n: t.Text(n.length or None)),
    ReadRule(("tinytext", "text", "mediumtext", "longtext"), lambda _: t.Text()),
    ReadRule(("binary",), lambda n: t.Binary(n.length or None, fixed=True)),
    ReadRule(("varbinary",), lambda n: t.Binary(n.length or None)),
    ReadRule(("tinyblob", "blob", "mediumblob", "longblob"), lambda _: t.Binary()),
    ReadRule(("date",), lambda _: t.Date(), note="0000-00-00 and the like: kind zeroDate below"),
    ReadRule(("datetime",), lambda n: t.DateTime(_digits(n)), note="0000-00-00 and the like: kind zeroDate below"),
    ReadRule(("timestamp",), lambda n: t.Instant(_digits(n)), note="read with the session in UTC"),
    ReadRule(("time",), lambda n: t.Duration(_digits(n))),
    ReadRule(("year",), lambda _: t.Year()),
    ReadRule(("json",), lambda _: t.Json(), lambda n: n.charset is not None, note="MariaDB keeps the text as written"),
    ReadRule(("json",), lambda _: t.Json(normalised=True), note="MySQL keeps the meaning, not the spelling"),
    ReadRule(("enum",), _longest_member, _masked, note=_MASKED),
    ReadRule(("set",), _all_members, _masked, note=_MASKED),
    ReadRule(("enum",), lambda n: t.Enum(n.members)),
    ReadRule(("set",), lambda n: t.Set(n.members)),
    ReadRule(("uuid",), lambda _: t.Uuid()),
    ReadRule(("inet4",), lambda _: t.Inet(4)),
    ReadRule(("inet6",), lambda _: t.Inet(6)),
    ReadRule(tuple(_SHAPES), lambda n: t.Geometry(_SHAPES[n.name], n.srid)),
)
"""Every native type that can be carried; what stands in no rule (such as vector) is refused by name."""


def neutral_type(native: NativeType) -> t.NeutralType:
    """The neutral type of `native`; `Unknown` when no rule speaks of it."""
    rule = first_read(READ_RULES, native)
    return rule.to(native) if rule else t.Unknown(ENGINE, native.declared)
