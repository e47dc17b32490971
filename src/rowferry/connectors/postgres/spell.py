"""Values as PostgreSQL spells them for a checksum: one row for each form and type, none of which sends a value.

A session is ours (`connect.SETTINGS`): its zone is UTC, its dates ISO, its bytes hex. `concat` spells NULL as
nothing and everything else as its type's output function does, so most values need no words of their own.
"""

from __future__ import annotations

from collections.abc import Sequence

from psycopg.sql import SQL, Composable, Composed

from rowferry.connectors.postgres.selection import shown
from rowferry.connectors.postgres.types import base_type
from rowferry.errors import InvalidInput
from rowferry.model import types as t
from rowferry.model.digests import Compared, Form, Spelling

_MOST_ARGUMENTS = 90
"""A function takes a hundred."""

_AS_IS = SQL("{}")
_AS_TEXT = SQL("{}::text")

_VALUES: dict[Form, dict[type, SQL]] = {
    Form.WHOLE: {t.Boolean: SQL("{}::int4"), t.Integer: _AS_IS, t.Year: _AS_IS},
    Form.DECIMAL: {t.Integer: _AS_IS, t.Year: _AS_IS, t.Decimal: _AS_IS, t.Number: _AS_IS},
    Form.FLOAT: {t.Float: SQL("float8send({}::float8)")},
    Form.TEXT: {
        t.Text: _AS_IS,
        t.Number: _AS_TEXT,
        t.Bits: _AS_TEXT,
        t.Interval: _AS_TEXT,
        t.Json: _AS_TEXT,
        t.Enum: _AS_TEXT,
        t.Uuid: _AS_TEXT,
        t.Inet: SQL("inet_out({})::text"),
        t.Array: _AS_TEXT,
        t.Foreign: _AS_TEXT,
    },
    Form.BYTES: {
        t.Binary: _AS_IS,
        t.Uuid: SQL("uuid_send({})"),
        t.Inet: SQL("inet_send({})"),
        t.Geometry: SQL("decode({}::text, 'hex')"),
    },
    Form.DATE: {t.Date: _AS_IS},
    Form.MOMENT: {t.DateTime: _AS_IS, t.Instant: SQL("({} AT TIME ZONE 'UTC')")},
    Form.INSTANT: {t.Instant: _AS_IS},
    Form.CLOCK: {t.Time: _AS_IS, t.Duration: _AS_IS, t.Interval: _AS_IS},
}
"""The value itself, by form and by the column's own type."""

_BY_NAME: dict[str, SQL] = {"name": _AS_TEXT, "money": SQL("{}::numeric::text")}
"""The same by the name of the base type, where it differs."""

_PADDED = "bpchar"
"""Cast to text it loses its blanks; `concat` keeps them."""

_TRIMMED = SQL("CASE WHEN {0}::text LIKE '%.%' THEN rtrim(rtrim({0}::text, '0'), '.') ELSE {0}::text END")


def spelled(one: Compared, utf8: bool) -> Composable:
    """The column's values in their form, as arguments of `concat`. `utf8`: the database keeps its texts so."""
    name, spelling, native = shown(one.column), one.spelling, base_type(one.column.native)
    template = _VALUES[spelling.form].get(type(one.column.type))
    if template is None:
        raise InvalidInput(f"The column {one.column.name} of type {native.declared} cannot be compared.")
    if spelling.form is Form.TEXT:
        value = (_AS_TEXT if spelling.stripped else _BY_NAME.get(native.name, template)).format(name)
        return _text(value, spelling, utf8, padded=native.name == _PADDED and not spelling.stripped)
    value = template.format(name)
    if spelling.trimmed:
        return _TRIMMED.format(value)
    if spelling.hashed:
        return SQL("md5({})").format(value)
    if spelling.digits < 6 and spelling.form in (Form.MOMENT, Form.INSTANT):
        return SQL("date_trunc('milliseconds', {})").format(value)
    return value


def _text(value: Composable, spelling: Spelling, utf8: bool, padded: bool) -> Composable:
    if spelling.one_line:
        value = SQL("translate({}, E'\\r\\n', '  ')").format(value)
    whole = SQL("CASE WHEN {0} IS NOT NULL THEN concat({0}) END").format(value) if padded else value
    encoded = whole if utf8 else SQL("convert_to({}, 'UTF8')").format(whole)
    if spelling.hashed:
        return SQL("md5({})").format(encoded)
    return SQL("octet_length({}), ':', {}").format(value if utf8 else encoded, value)


def row(columns: Sequence[Compared], utf8: bool) -> Composable:
    """The spelling of a row of these columns."""
    parts = [spelled(one, utf8) for one in columns]
    while len(parts) > _MOST_ARGUMENTS // 4:
        size = _MOST_ARGUMENTS // 4
        parts = [_concat(parts[at : at + size]) for at in range(0, len(parts), size)]
    return _concat(parts)


def _concat(parts: Sequence[Composable]) -> Composed:
    return SQL("concat({})").format(SQL(", ',', ").join(parts))


def row_hash(columns: Sequence[Compared], utf8: bool) -> Composable:
    """The MD5 of a row's spelling."""
    return hashed(row(columns, utf8), utf8)


def hashed(value: Composable, utf8: bool) -> Composable:
    """The MD5 of a text's bytes in UTF-8."""
    return SQL("md5({})" if utf8 else "md5(convert_to({}, 'UTF8'))").format(value)
