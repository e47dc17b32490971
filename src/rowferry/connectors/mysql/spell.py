"""Values as MySQL and MariaDB spell them for a checksum: one row for each form and type, none of which sends a value.

A session is ours (`connect`): its zone is UTC, its charset utf8mb4.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rowferry.connectors.mysql.sql import ewkb
from rowferry.connectors.mysql.treat import reference
from rowferry.errors import InvalidInput
from rowferry.model import types as t
from rowferry.model.digests import Compared, Form, Spelling
from rowferry.model.tables import Column

Value = Callable[[str, Column], str]
Dress = Callable[[str, Spelling, bool], str]

_UNICODE = frozenset({"utf8mb4", "utf8mb3", "utf8", "ascii"})
_MILLISECONDS = len("2024-02-29 23:59:59.123")


def _plain(name: str, column: Column) -> str:
    """Zeros before a number are a matter of its column's display."""
    return f"({name} + 0)" if "zerofill" in column.native.declared else name


def _number(name: str, _: Column) -> str:
    return f"({name} + 0)"


def _characters(name: str, column: Column) -> str:
    charset = column.native.charset
    return name if charset is None or charset in _UNICODE else f"CONVERT({name} USING utf8mb4)"


def _as_char(name: str, _: Column) -> str:
    return f"CAST({name} AS CHAR)"


def _bits(name: str, column: Column) -> str:
    length = column.type.length if isinstance(column.type, t.Bits) else None
    return f"LPAD(BIN({name} + 0), {length or 1}, '0')"


def _json(name: str, column: Column) -> str:
    return name if column.native.charset else f"CAST({name} AS CHAR)"


def _double(name: str, _: Column) -> str:
    """A point's own form holds the bits of its coordinates, the lowest byte first, behind 4 + 1 + 4 bytes."""
    return f"HEX(REVERSE(SUBSTR(POINT({name}, 0), 10, 8)))"


def _as_is(name: str, _: Column) -> str:
    return name


def _as_binary(name: str, _: Column) -> str:
    return f"CAST({name} AS BINARY)"


def _address(name: str, column: Column) -> str:
    """As PostgreSQL sends it: family, bits of the mask, whether it is a network, length, address.

    The servers do not shorten the text of an address in the same way.
    """
    four = column.native.name == "inet4"
    return f"CONCAT(x'{'02200004' if four else '03800010'}', CAST({name} AS BINARY({4 if four else 16})))"


def _ewkb(name: str, _: Column) -> str:
    return ewkb(name)


_VALUES: dict[Form, dict[type, Value]] = {
    Form.WHOLE: {t.Integer: _plain, t.Year: _number},
    Form.DECIMAL: {t.Integer: _plain, t.Year: _number, t.Decimal: _plain},
    Form.FLOAT: {t.Float: _double},
    Form.TEXT: {
        t.Text: _characters,
        t.Enum: _characters,
        t.Set: _characters,
        t.Json: _json,
        t.Bits: _bits,
        t.Uuid: _as_char,
        t.Inet: _as_char,
    },
    Form.BYTES: {t.Binary: _as_is, t.Uuid: _as_binary, t.Inet: _address, t.Geometry: _ewkb},
    Form.DATE: {t.Date: _as_is},
    Form.MOMENT: {t.DateTime: _as_is, t.Instant: _as_is},
    Form.INSTANT: {t.Instant: _as_is},
    Form.CLOCK: {t.Duration: _as_is},
}
"""The value itself, by form and by the column's own type."""


def _bare(value: str, _: Spelling, nullable: bool) -> str:
    return f"IFNULL({value}, '')" if nullable else value


def _trimmed(value: str) -> str:
    return f"TRIM(TRAILING '.' FROM TRIM(TRAILING '0' FROM {value}))"


def _decimal(value: str, spelling: Spelling, nullable: bool) -> str:
    """Without zeros at the end of the fraction, but with those of a number that has none."""
    if spelling.trimmed:
        text = f"CAST({value} AS CHAR)"
        value = f"IF(INSTR({text}, '.'), {_trimmed(text)}, {text})"
    return _bare(value, spelling, nullable)


def _text(value: str, spelling: Spelling, nullable: bool) -> str:
    if spelling.one_line:
        value = f"REPLACE(REPLACE({value}, '\\r', ' '), '\\n', ' ')"
    if spelling.hashed:
        return _bare(f"MD5({value})", spelling, nullable)
    return f"{_bare(f'LENGTH({value})', spelling, nullable)}, ':', {_bare(value, spelling, nullable)}"


def _hex(value: str, spelling: Spelling, nullable: bool) -> str:
    if spelling.hashed:
        return _bare(f"MD5({value})", spelling, nullable)
    return _bare(f"CONCAT('\\\\x', LOWER(HEX({value})))", spelling, nullable)


def _bits_in_hex(value: str, spelling: Spelling, nullable: bool) -> str:
    return _bare(f"CONCAT('\\\\x', LOWER({value}))", spelling, nullable)


def _time(value: str, spelling: Spelling, nullable: bool) -> str:
    """A time that has a fraction is a text by now (`_fraction`), from which the zeros at its end are taken."""
    zoned = f"CONCAT({value}, '+00')" if spelling.form is Form.INSTANT else value
    return _bare(zoned, spelling, nullable)


_DRESSES: dict[Form, Dress] = {
    Form.WHOLE: _bare,
    Form.DECIMAL: _decimal,
    Form.FLOAT: _bits_in_hex,
    Form.TEXT: _text,
    Form.BYTES: _hex,
    Form.DATE: _bare,
    Form.MOMENT: _time,
    Form.INSTANT: _time,
    Form.CLOCK: _time,
}
"""What becomes of the value, by form."""


def _fraction(value: str, one: Compared) -> str:
    """A column that keeps parts of a second spells all of its digits."""
    if not one.column.native.scale or one.spelling.form not in (Form.MOMENT, Form.INSTANT, Form.CLOCK):
        return value
    text = f"CAST({value} AS CHAR)"
    return _trimmed(f"LEFT({text}, {_MILLISECONDS})" if one.spelling.digits < 6 else text)


def spelled(one: Compared) -> str:
    """The column's values in their form, as arguments of CONCAT that are never NULL."""
    column, spelling = one.column, one.spelling
    value = _VALUES[spelling.form].get(type(column.type))
    if value is None:
        raise InvalidInput(f"The column {column.name} of type {column.native.declared} cannot be compared.")
    expression = _fraction(value(reference(column), column), one)
    return _DRESSES[spelling.form](expression, spelling, column.nullable)


def row(columns: Sequence[Compared]) -> str:
    """The spelling of a row of these columns. One flat CONCAT is the fastest way to put it together."""
    parts = ", ',', ".join(map(spelled, columns))
    return f"CONCAT({parts})"
