"""Neutral types as MySQL and MariaDB declare them, and which declared types hold a column's values exactly."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from rowferry.connectors.mysql.connect import Variant
from rowferry.connectors.mysql.names import literal
from rowferry.connectors.mysql.types import WHOLE_UNICODE, neutral_type
from rowferry.model import types as t
from rowferry.model.tables import Column, NativeType
from rowferry.typemap.rules import WriteRule, first_write

DIALECT = "mysql"
"""The name under which a source of the same engine presents its SQL."""

LONGEST_VARCHAR = 16_383
"""Characters of utf8mb4 that fit into a row; more need a longtext."""

LONGEST_VARBINARY = 65_000
LONGEST_BITS = 64
MOST_DIGITS = 65
LONGEST_INTERVAL = 100
LONGEST_INET = 43
LONGEST_UUID = 36
MOST_MEMBERS = 65_535
LONGEST_MEMBER = 255

INTEGERS = {8: "tinyint", 16: "smallint", 24: "mediumint", 32: "int", 64: "bigint"}

_OWN_SPELLING = "becomes text, in the spelling of its own engine"

Rule = WriteRule[Any]
Since = tuple[tuple[int, ...], Rule]


def _sized(name: str) -> Callable[[Any], str]:
    return lambda neutral: f"{name}({neutral.precision})" if neutral.precision else name


def digits(neutral: t.Decimal) -> tuple[int, int]:
    """Precision and scale as the server counts them."""
    return max(neutral.precision, neutral.scale, 1), neutral.scale


def _decimal(neutral: t.Decimal) -> str:
    precision, scale = digits(neutral)
    return f"decimal({precision},{scale})"


def _decimal_fits(most_scale: int) -> Callable[[t.Decimal], bool]:
    return lambda neutral: digits(neutral)[0] <= MOST_DIGITS and digits(neutral)[1] <= most_scale


def _members(neutral: t.Enum) -> bool:
    """Whether an enum can have these members: blanks at the end would be lost."""
    return 0 < len(neutral.members) <= MOST_MEMBERS and all(
        len(one) <= LONGEST_MEMBER and not one.endswith(" ") for one in neutral.members
    )


def listed(name: str, members: tuple[str, ...]) -> str:
    """An enum's or a set's declaration."""
    return f"{name}({','.join(literal(member) for member in members)})"


def _shape(neutral: t.Geometry) -> str:
    return neutral.shape


def _is_own(version: int) -> Callable[[t.Inet], bool]:
    return lambda neutral: neutral.version == version


MOST_SCALE = {True: 38, False: 30}
"""Digits behind the point of MariaDB's longest decimal, and of MySQL's."""


def _most_scale(variant: Variant) -> int:
    return MOST_SCALE[variant.mariadb and variant.version >= (10, 2)]


MARIADB: tuple[Since, ...] = (
    ((10, 7), WriteRule(t.Uuid, lambda _: "uuid")),
    ((10, 10), WriteRule(t.Inet, lambda _: "inet4", _is_own(4))),
    ((10, 5), WriteRule(t.Inet, lambda _: "inet6", _is_own(6))),
    # Text that a check guards: every document keeps its spelling.
    ((10, 2), WriteRule(t.Json, lambda _: "json")),
    ((10, 2), WriteRule(t.Decimal, _decimal, _decimal_fits(MOST_SCALE[True]))),
)
"""What only MariaDB has, and since when."""

MYSQL: tuple[Since, ...] = (
    (
        (5,),
        WriteRule(
            t.Json,
            lambda _: "longtext",
            changes="becomes longtext, since MySQL's json would spell documents anew and round long numbers",
        ),
    ),
)
"""What MySQL says otherwise."""

WRITE_RULES: tuple[Rule, ...] = (
    WriteRule(t.Boolean, lambda _: "tinyint(1)"),
    WriteRule(t.Integer, lambda n: INTEGERS[n.bits] + ("" if n.signed else " unsigned")),
    WriteRule(t.Decimal, _decimal, _decimal_fits(MOST_SCALE[False])),
    WriteRule(t.Float, lambda n: "float" if n.bits == 32 else "double"),
    # Also for fixed text: char(n) would take blanks at the end away.
    WriteRule(t.Text, lambda n: f"varchar({n.length})", lambda n: 1 <= (n.length or 0) <= LONGEST_VARCHAR),
    WriteRule(t.Text, lambda _: "longtext"),
    WriteRule(t.Binary, lambda n: f"binary({n.length})", lambda n: n.fixed and 1 <= (n.length or 0) <= 255),
    WriteRule(t.Binary, lambda n: f"varbinary({n.length})", lambda n: 1 <= (n.length or 0) <= LONGEST_VARBINARY),
    WriteRule(t.Binary, lambda _: "longblob"),
    WriteRule(t.Bits, lambda n: f"bit({n.length})", lambda n: not n.varying and 1 <= (n.length or 0) <= LONGEST_BITS),
    WriteRule(
        t.Bits,
        lambda n: f"varchar({n.length})",
        lambda n: 1 <= (n.length or 0) <= LONGEST_VARCHAR,
        "becomes text of 0 and 1",
    ),
    WriteRule(t.Bits, lambda _: "longtext", changes="becomes text of 0 and 1"),
    WriteRule(t.Date, lambda _: "date"),
    WriteRule(t.Time, _sized("time")),
    WriteRule(t.DateTime, _sized("datetime")),
    # A timestamp would end in 2038.
    WriteRule(t.Instant, _sized("datetime"), changes="becomes datetime in UTC: a timestamp here would end in 2038"),
    WriteRule(t.Duration, _sized("time")),
    WriteRule(
        t.Interval, lambda _: f"varchar({LONGEST_INTERVAL})", changes="becomes text, as PostgreSQL spells an interval"
    ),
    WriteRule(t.Year, lambda _: "year"),
    WriteRule(t.Enum, lambda n: listed("enum", n.members), _members),
    WriteRule(
        t.Enum,
        lambda n: f"varchar({max(1, *map(len, n.members)) if n.members else 1})",
        changes="becomes text, since an enum here cannot have such members",
    ),
    WriteRule(t.Set, lambda n: listed("set", n.members)),
    WriteRule(t.Uuid, lambda _: f"char({LONGEST_UUID})"),
    WriteRule(
        t.Inet, lambda _: f"varchar({LONGEST_INET})", changes="becomes text: there is no type for addresses like it"
    ),
    WriteRule(t.Geometry, _shape),
    WriteRule(t.Array, lambda _: "longtext", changes=_OWN_SPELLING),
    WriteRule(t.Foreign, lambda _: "longtext", changes=_OWN_SPELLING),
)
"""Read from the top, after the variant's own. Number, which may have any digits, and Unknown stand in no rule."""


def write_rule(neutral: t.NeutralType, variant: Variant) -> Rule | None:
    """How `neutral` is declared by that server; None: it cannot be."""
    own = MARIADB if variant.mariadb else MYSQL
    return first_write((*(rule for since, rule in own if variant.version >= since), *WRITE_RULES), neutral)


def native_type(declared: str, variant: Variant) -> NativeType:
    """The catalogue's view of a declaration that one of the rules spelled."""
    name = re.split(r"[( ]", declared, maxsplit=1)[0]
    size = re.search(r"\((\d+)\)", declared) if name in ("varchar", "char", "varbinary", "binary", "bit") else None
    native = NativeType(
        name=name, declared=declared, length=int(size[1]) if size else None, unsigned=declared.endswith(" unsigned")
    )
    if name not in WITH_CHARSET:
        return native
    return replace(native, charset="utf8mb4", collation=exact_collation(variant))


def exact_collation(variant: Variant) -> str:
    """The collation under which only equal texts are equal, blanks at the end included, as elsewhere."""
    if variant.mariadb:
        return "utf8mb4_nopad_bin" if variant.version >= (10, 2) else "utf8mb4_bin"
    return "utf8mb4_0900_bin" if variant.version >= (8, 0, 17) else "utf8mb4_bin"


WITH_CHARSET = frozenset({"char", "varchar", "tinytext", "text", "mediumtext", "longtext", "enum", "set"})
"""Types whose declaration names a character set."""

_NATIVE_ONLY = {"uuid": (10, 7), "inet4": (10, 10), "inet6": (10, 5)}
"""Types of MariaDB, and since when."""


def own_type(column: Column, variant: Variant) -> NativeType | None:
    """The declaration of a source of the same engine, kept as it is; None where this server has no such type."""
    native = column.native
    if neutral_type(native) != column.type or isinstance(column.type, t.Unknown) or not _is_known(column, variant):
        return None
    if is_masked(column):
        return None
    if native.name == "json":
        return NativeType(name="json", declared="json")
    if native.name in ("enum", "set"):
        return replace(native, declared=listed(native.name, native.members))
    if native.name == "geomcollection":
        return replace(native, name="geometrycollection", declared="geometrycollection")
    return native


def is_masked(column: Column) -> bool:
    """Whether it is an enum or a set that crosses as text, since its members cannot be known."""
    return bool(column.native.members) and isinstance(column.type, t.Text)


def _is_known(column: Column, variant: Variant) -> bool:
    """Whether the server has the type. MySQL's json is not for the text that MariaDB's json is."""
    name = column.native.name
    if name == "decimal":
        return (column.native.scale or 0) <= _most_scale(variant)
    if name == "json":
        return variant.mariadb or column.native.charset is None
    return name not in _NATIVE_ONLY or (variant.mariadb and variant.version >= _NATIVE_ONLY[name])


TEXTS = {"tinytext": 255, "text": 65_535, "mediumtext": 16_777_215, "longtext": 4_294_967_295}
BLOBS = {"tinyblob": 255, "blob": 65_535, "mediumblob": 16_777_215, "longblob": 4_294_967_295}
_BITS = {"tinyint": 8, "smallint": 16, "mediumint": 24, "int": 32, "bigint": 64}

Fit = Callable[[Any, NativeType], bool]


def _text_of(length: int | None, native: NativeType) -> bool:
    """Whether the column holds every text of so many characters (None: of any length)."""
    if native.charset not in WHOLE_UNICODE:
        return False
    if native.name == "varchar":
        return length is not None and length <= (native.length or 0)
    if native.name not in TEXTS:
        return False
    return native.name == "longtext" or (length is not None and length * 4 <= TEXTS[native.name])


def _bytes_of(length: int | None, native: NativeType) -> bool:
    if native.name == "varbinary":
        return length is not None and length <= (native.length or 0)
    return native.name in BLOBS and (native.name == "longblob" or (length is not None and length <= BLOBS[native.name]))


def _digits_fit(precision: int, scale: int, native: NativeType) -> bool:
    if native.name != "decimal" or native.unsigned:
        return False
    there = native.scale or 0
    return there >= scale and (native.precision or 10) - there >= precision - scale


def _integer_fits(neutral: t.Integer, native: NativeType) -> bool:
    if native.name not in _BITS:
        return _digits_fit(len(str(2**neutral.bits)), 0, native)
    if native.unsigned:
        return not neutral.signed and neutral.bits <= _BITS[native.name]
    return neutral.bits + (0 if neutral.signed else 1) <= _BITS[native.name]


def _float_fits(neutral: t.Float, native: NativeType) -> bool:
    whole = native.scale is None and not native.unsigned
    return whole and (native.name == "double" or (native.name == "float" and neutral.bits == 32))


def _binary_fits(neutral: t.Binary, native: NativeType) -> bool:
    same = neutral.fixed and native.name == "binary" and native.length == neutral.length
    return same or _bytes_of(neutral.length, native)


def _bits_fit(neutral: t.Bits, native: NativeType) -> bool:
    same = native.name == "bit" and not neutral.varying and native.length == neutral.length
    return same or _text_of(neutral.length, native)


def _enum_fits(neutral: t.Enum, native: NativeType) -> bool:
    if native.name == "enum":
        return set(neutral.members) <= set(native.members)
    return _text_of(max(map(len, neutral.members), default=0), native)


def _set_fits(neutral: t.Set, native: NativeType) -> bool:
    if native.name == "set":
        return native.members[: len(neutral.members)] == neutral.members
    return _text_of(len(",".join(neutral.members)), native)


def _moment(*names: str) -> Fit:
    return lambda neutral, native: native.name in names and (native.scale or 0) >= neutral.precision


def _uuid_fits(_: t.Uuid, native: NativeType) -> bool:
    fixed = native.name == "char" and (native.length or 0) >= LONGEST_UUID
    return native.name == "uuid" or fixed or _text_of(LONGEST_UUID, native)


def _inet_fits(neutral: t.Inet, native: NativeType) -> bool:
    return native.name == f"inet{neutral.version}" or _text_of(LONGEST_INET, native)


def _one_of(*names: str) -> Fit:
    return lambda _, native: native.name in names


def _any_text(_: object, native: NativeType) -> bool:
    return _text_of(None, native)


FITS: dict[type, Fit] = {
    t.Boolean: lambda _, native: native.name in _BITS,
    t.Integer: _integer_fits,
    t.Decimal: lambda n, native: _digits_fit(*digits(n), native),
    t.Number: _any_text,
    t.Float: _float_fits,
    t.Text: lambda n, native: _text_of(n.length, native),
    t.Binary: _binary_fits,
    t.Bits: _bits_fit,
    t.Date: _one_of("date"),
    t.Time: _moment("time"),
    t.DateTime: _moment("datetime"),
    t.Instant: _moment("datetime"),
    t.Duration: _moment("time"),
    t.Interval: lambda _, native: _text_of(LONGEST_INTERVAL, native),
    t.Year: lambda _, native: native.name == "year" or _integer_fits(t.Integer(16), native),
    t.Json: lambda _, native: native.name == "json" or _text_of(None, native),
    t.Enum: _enum_fits,
    t.Set: _set_fits,
    t.Uuid: _uuid_fits,
    t.Inet: _inet_fits,
    t.Geometry: lambda n, native: native.name in (n.shape, "geometry"),
    t.Array: _any_text,
    t.Foreign: _any_text,
}
"""Whether a column that is already there holds every value of a neutral type. `Unknown` fits nowhere."""


def fits(column: Column, native: NativeType, dialect: str) -> bool:
    """Whether a column of type `native` gives back every value of `column` as it was."""
    fit = FITS.get(type(column.type))
    if fit is None:
        return False
    return fit(column.type, native) or (dialect == DIALECT and _fits_own(column, native))


def _fits_own(column: Column, native: NativeType) -> bool:
    """More is certain about a column of the same engine: how long its texts are, and in which characters."""
    source = column.native
    if source.name in WITH_CHARSET and not (native.charset in WHOLE_UNICODE or native.charset == source.charset):
        return False
    if source.declared == native.declared and source.members == native.members:
        return True
    family = next((family for family in (TEXTS, BLOBS) if source.name in family), None)
    if family is not None:
        return family[source.name] <= family.get(native.name, -1)
    own = _OWN_FITS.get(source.name)
    return own is not None and own(source, native)


def _varying(source: NativeType, native: NativeType) -> bool:
    fixed = source.name == "char" and native.name == "char"
    return (fixed or native.name == "varchar") and (source.length or 0) <= (native.length or 0)


def _zoned(source: NativeType, native: NativeType) -> bool:
    return native.name == "timestamp" and (native.scale or 0) >= (source.scale or 0)


def _unsigned(source: NativeType, native: NativeType) -> bool:
    sign = replace(native, unsigned=native.unsigned and not source.unsigned)
    return _digits_fit(source.precision or 10, source.scale or 0, sign)


_OWN_FITS: dict[str, Callable[[NativeType, NativeType], bool]] = {
    "char": _varying,
    "varchar": _varying,
    "timestamp": _zoned,
    "decimal": _unsigned,
}
"""By the source's type: what else holds its values."""
