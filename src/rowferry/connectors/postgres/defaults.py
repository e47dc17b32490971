"""What a column's default means, told from the SQL in which PostgreSQL's catalogue writes it."""

from __future__ import annotations

import re

from rowferry.connectors.postgres.types import base_type
from rowferry.model.tables import Default, DefaultKind, NativeType

_TYPE = r'(?P<type>[\w". ]+(?:\(\d+(?:,\d+)?\))?[\w ]*(?:\[\])*)'
_QUOTED = re.compile(rf"'(?P<text>(?:[^']|'')*)'(?:::{_TYPE})?")
_PLAIN = re.compile(rf"\(?(?P<text>-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?|true|false)\)?(?:::{_TYPE})?")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")
_NULL = re.compile(rf"NULL(?:::{_TYPE})?")
_NEXT_VALUE = re.compile(r"nextval\('(?:[^']|'')*'::regclass\)")
_NOW = re.compile(r"now\(\)|transaction_timestamp\(\)|CURRENT_TIMESTAMP(?:\(\d\))?|LOCALTIMESTAMP(?:\(\d\))?")
_MOMENTS = frozenset({"timestamp", "timestamptz"})


def is_next_value(expression: str) -> bool:
    """Whether the default does nothing but draw the next number of a sequence."""
    return _NEXT_VALUE.fullmatch(expression) is not None


def classify(expression: str, native: NativeType) -> Default | None:
    """The default that `expression` (of `pg_get_expr`) gives a column of that type; None when it is NULL."""
    if _NULL.fullmatch(expression):
        return None
    if base_type(native).name in _MOMENTS and _NOW.fullmatch(expression):
        return Default(DefaultKind.NOW)
    quoted = _QUOTED.fullmatch(expression)
    if quoted and _same(quoted.group("type"), quoted.group("text"), native):
        return Default(DefaultKind.LITERAL, quoted.group("text").replace("''", "'"))
    plain = _PLAIN.fullmatch(expression)
    if plain and native.kind in ("base", "domain"):
        return Default(DefaultKind.LITERAL, plain.group("text"))
    return Default(DefaultKind.EXPRESSION, expression)


def _same(cast: str | None, text: str, native: NativeType) -> bool:
    """Whether `text`, written as a `cast`, is also the text of the column's own value."""
    if cast is None:
        return True
    bare, base = _bare(cast), base_type(native)
    own = {_bare(native.declared), _bare(base.declared), native.name, base.name}
    return bare in own or {bare, base.name} <= _TEXTS or _same_number(bare, base.name, text)


def _same_number(cast: str, name: str, text: str) -> bool:
    if name in ("int2", "int4", "int8") and "." in text:
        return False
    return cast in _NUMBERS and name in _NUMBERS and _NUMBER.fullmatch(text) is not None


_TEXTS = frozenset({"text", "character varying", "bpchar", "varchar", "character", "citext", "name"})
_NUMBERS = frozenset(
    {"integer", "smallint", "bigint", "numeric", "double precision", "real"}
    | {"int2", "int4", "int8", "float4", "float8"}
)


def _bare(declared: str) -> str:
    return re.sub(r"\(.*?\)", "", declared).replace('"', "")
