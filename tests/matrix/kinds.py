"""Columns that both servers hold exactly, with any value they may have: what random tables are made of."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Context, Decimal
from ipaddress import IPv4Address, IPv6Address

from hypothesis import strategies as st

Literals = st.SearchStrategy[str]


@dataclass(frozen=True)
class Kind:
    """A declaration, values as SQL, and the form in which the server's words are compared."""

    declared: str
    values: Literals
    form: str

    def __repr__(self) -> str:
        return self.declared


def _whole(bits: int, signed: bool = True) -> Literals:
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    return st.integers(low, high).map(str)


def _decimal(precision: int, scale: int) -> Literals:
    most = 10**precision - 1
    return st.integers(-most, most).map(lambda digits: format(Decimal(digits).scaleb(-scale, _EXACT), "f"))


_EXACT = Context(prec=100)


def _float(width: int) -> Literals:
    """MariaDB stores no zero below zero."""
    finite = st.floats(width=width, allow_nan=False, allow_infinity=False)  # type: ignore[arg-type]
    return finite.map(lambda value: repr(value + 0.0))


TEXT = st.characters(codec="utf-8", exclude_characters="\0")
_AWKWARD = st.sampled_from(
    ["", " ", "\\N", "\\", "'", '"', "NULL", "\t", "\n", "\r\n", "a ", "\U0001f600", "\\.", ",", "%s"]
)


def _words(most: int) -> st.SearchStrategy[str]:
    return st.one_of(_AWKWARD, st.text(TEXT, max_size=most))


_CONTROLS = "".join(map(chr, (0, *range(0x80, 0xA0))))
_LATIN = st.text(st.characters(codec="latin-1", exclude_characters=_CONTROLS), max_size=40)


def _hex(data: bytes) -> str:
    return f"x'{data.hex()}'"


def _in_mariadb(text: str) -> str:
    return f"CONVERT({_hex(text.encode())} USING utf8mb4)"


def _in_postgres(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _moments(first: int, last: int, digits: int = 6) -> st.SearchStrategy[str]:
    cut = 10 ** (6 - digits)
    moments = st.datetimes(datetime(first, 1, 2), datetime(last, 12, 30))
    return moments.map(lambda at: f"'{at.replace(microsecond=at.microsecond // cut * cut).isoformat(' ')}'")


def _clock(micros: int) -> str:
    seconds, rest = divmod(abs(micros), 1_000_000)
    sign = "-" if micros < 0 else ""
    return f"'{sign}{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{rest:06}'"


DAYS = st.dates(datetime(1, 1, 1).date()).map(lambda day: f"'{day.isoformat()}'")
_LONGEST_TIME = (838 * 3600 + 59 * 60 + 59) * 1_000_000 + 999_999
_LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(-(10**30), 10**30), st.floats(allow_nan=False, allow_infinity=False),
    st.text(TEXT, max_size=6),
)  # fmt: skip
_DOCUMENTS = st.recursive(
    _LEAVES,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(TEXT, max_size=4), inner, max_size=3)),
    max_leaves=6,
)
JSON = st.builds(lambda document, plain: json.dumps(document, ensure_ascii=plain), _DOCUMENTS, st.booleans())
UUIDS = st.uuids(version=4).map(lambda value: f"'{value}'")
"""MariaDB refuses some that are none of any version."""


def _set(members: Sequence[str]) -> Literals:
    chosen = st.lists(st.sampled_from(members), unique=True)
    return chosen.map(lambda held: f"'{','.join(sorted(held))}'")


MARIADB: tuple[Kind, ...] = (
    Kind("TINYINT", _whole(8), "whole"),
    Kind("TINYINT(1)", _whole(8), "whole"),
    Kind("SMALLINT UNSIGNED", _whole(16, False), "whole"),
    Kind("MEDIUMINT", _whole(24), "whole"),
    Kind("INT", _whole(32), "whole"),
    Kind("INT UNSIGNED", _whole(32, False), "whole"),
    Kind("BIGINT", _whole(64), "whole"),
    Kind("BIGINT UNSIGNED", _whole(64, False), "whole"),
    Kind("YEAR", st.integers(1901, 2155).map(str), "whole"),
    Kind("DECIMAL(10,2)", _decimal(10, 2), "decimal"),
    Kind("DECIMAL(38,0)", _decimal(38, 0), "decimal"),
    Kind("DECIMAL(65,30)", _decimal(65, 30), "decimal"),
    Kind("DECIMAL(30,30)", _decimal(30, 30), "decimal"),
    Kind("FLOAT", _float(32), "single"),
    Kind("DOUBLE", _float(64), "double"),
    Kind("BIT(13)", st.integers(0, 2**13 - 1).map(lambda n: f"b'{n:b}'"), "bits"),
    Kind("BIT(64)", st.integers(0, 2**64 - 1).map(lambda n: f"b'{n:b}'"), "bits"),
    Kind("CHAR(20)", _words(20).map(_in_mariadb), "text"),
    Kind("VARCHAR(40)", _words(40).map(_in_mariadb), "text"),
    Kind("VARCHAR(40) CHARACTER SET latin1", _LATIN.map(_in_mariadb), "text"),
    Kind("VARCHAR(40) CHARACTER SET utf16", _words(40).map(_in_mariadb), "text"),
    Kind("TEXT", _words(60).map(_in_mariadb), "text"),
    Kind("LONGTEXT", _words(60).map(_in_mariadb), "text"),
    Kind("BINARY(8)", st.binary(max_size=8).map(_hex), "bytes"),
    Kind("VARBINARY(40)", st.binary(max_size=40).map(_hex), "bytes"),
    Kind("BLOB", st.binary(max_size=60).map(_hex), "bytes"),
    Kind("DATE", DAYS, "moment"),
    Kind("DATETIME", _moments(1, 9999, 0), "moment"),
    Kind("DATETIME(3)", _moments(1, 9999, 3), "moment"),
    Kind("DATETIME(6)", _moments(1, 9999), "moment"),
    Kind("TIMESTAMP(6)", _moments(1970, 2037), "moment"),
    Kind("TIME(6)", st.integers(-_LONGEST_TIME, _LONGEST_TIME).map(_clock), "length"),
    Kind("JSON", JSON.map(_in_mariadb), "json"),
    Kind("ENUM('a','b,c','','it''s')", st.sampled_from(["'a'", "'b,c'", "''", "'it''s'"]), "text"),
    Kind("SET('x','y','z')", _set("xyz"), "text"),
    Kind("UUID", UUIDS, "uuid"),
    Kind("INET4", st.integers(0, 2**32 - 1).map(lambda n: f"'{IPv4Address(n)}'"), "address"),
    Kind("INET6", st.integers(0, 2**128 - 1).map(lambda n: f"'{IPv6Address(n)}'"), "address"),
)


def _array(values: Literals, of: str) -> Literals:
    return st.lists(st.one_of(st.just("NULL"), values), max_size=4).map(lambda held: f"ARRAY[{','.join(held)}]::{of}[]")


def _interval(months: int, days: int, micros: int) -> str:
    return f"'{months} months {days} days {micros} microseconds'"


def _with_zone(literal: str) -> str:
    return f"{literal[:-1]}Z'"


_BITS = st.text("01", min_size=13, max_size=13)

POSTGRESQL: tuple[Kind, ...] = (
    Kind("smallint", _whole(16), "whole"),
    Kind("integer", _whole(32), "whole"),
    Kind("bigint", _whole(64).map(_in_postgres), "whole"),
    Kind("oid", _whole(32, False), "whole"),
    Kind("numeric(12,3)", _decimal(12, 3), "decimal"),
    Kind("numeric(65,30)", _decimal(65, 30), "decimal"),
    Kind("numeric(38,38)", _decimal(38, 38), "decimal"),
    Kind("real", _float(32).map(_in_postgres), "single"),
    Kind("double precision", _float(64).map(_in_postgres), "double"),
    Kind("boolean", st.sampled_from(["true", "false"]), "flag"),
    Kind("bit(13)", _BITS.map(lambda held: f"B'{held}'"), "bits"),
    Kind("bit varying(20)", st.text("01", max_size=20).map(lambda held: f"B'{held}'"), "text"),
    Kind("text", _words(60).map(_in_postgres), "text"),
    Kind("varchar(40)", _words(40).map(_in_postgres), "text"),
    Kind("char(20)", _words(20).map(_in_postgres), "text"),
    Kind("bytea", st.binary(max_size=60).map(lambda data: f"'\\x{data.hex()}'"), "bytes"),
    Kind("date", DAYS, "moment"),
    Kind("time", st.integers(0, 86_399_999_999).map(_clock), "length"),
    Kind("timestamp", _moments(1, 9999), "moment"),
    Kind("timestamp(3)", _moments(1, 9999, 3), "moment"),
    Kind("timestamptz", _moments(1, 9999).map(_with_zone), "moment"),
    Kind("interval", st.builds(_interval, *[st.integers(-(10**size), 10**size) for size in (5, 6, 15)]), "text"),
    Kind("uuid", UUIDS, "uuid"),
    Kind("json", JSON.map(_in_postgres), "json"),
    Kind("jsonb", JSON.filter(lambda text: "\\u0000" not in text).map(_in_postgres), "json"),
    Kind("inet", st.integers(0, 2**128 - 1).map(lambda n: f"'{IPv6Address(n)}/77'"), "text"),
    Kind("integer[]", _array(_whole(32), "integer"), "text"),
    Kind("text[]", _array(_words(10).map(_in_postgres), "text"), "text"),
)

STEMS = (
    "select", "Mixed Case", "a b", "\u00dcber", "it's", 'q"q', "b`b", "d.d", "%s", "{x}", "x" * 60, "\u65e5\u672c" * 8,
    "$1", "?", "back\\slash", "order", "1", "_", "-", ";", "/*", "#",
)  # fmt: skip
"""How names begin; a number behind them makes them unique for every server."""
