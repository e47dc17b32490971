"""MySQL's binary JSON, spelled as the server itself spells it, to the letter."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from decimal import Decimal
from struct import Struct, unpack_from

from rowferry.connectors.mysql.binlog.layout import BYTES_OF_DIGITS, DIGITS_IN_WORD
from rowferry.connectors.mysql.binlog.tablemap import Type

Tree = dict[str, "Tree"] | list["Tree"] | str
"""A document: objects, arrays, and everything else as it is spelled."""

_SMALL_OBJECT, _LARGE_OBJECT, _SMALL_ARRAY, _LARGE_ARRAY = 0, 1, 2, 3
_LITERAL, _STRING, _OPAQUE = 4, 12, 15
_LITERALS = {0: "null", 1: "true", 2: "false"}
_DOUBLE = 11
_NUMBERS: Mapping[int, Struct] = {
    number: Struct(form) for number, form in ((5, "<h"), (6, "<H"), (7, "<i"), (8, "<I"), (9, "<q"), (10, "<Q"))
}
_INLINED = {False: frozenset({_LITERAL, 5, 6}), True: frozenset({_LITERAL, 5, 6, 7, 8})}
"""Types whose values stand where others have their offset, in small and in large objects and arrays."""

_ESCAPES = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_ESCAPES |= {chr(code): f"\\u{code:04x}" for code in range(0x20) if chr(code) not in _ESCAPES}
_TABLE = str.maketrans(_ESCAPES)

_LONGEST_OPAQUE = 57
"""Bytes whose base64 the server writes in one line."""

_PLAIN_DIGITS = 15
"""Places before and behind the point up to which a number has no exponent; nor has one with a digit behind it."""


def tree(value: bytes) -> Tree:
    """The document; ValueError or IndexError when it is none."""
    return _value(value, value[0], 1) if value else "null"


def spelled(value: bytes) -> str:
    """The document as text."""
    return text(tree(value))


def text(document: Tree) -> str:
    """A document as the server writes it."""
    if isinstance(document, str):
        return document
    if isinstance(document, list):
        return "[" + ", ".join(map(text, document)) + "]"
    return "{" + ", ".join(f"{quoted(key)}: {text(one)}" for key, one in document.items()) + "}"


def quoted(value: str) -> str:
    """A string in quotes."""
    return f'"{value.translate(_TABLE)}"'


def _value(data: bytes, kind: int, at: int) -> Tree:
    if kind <= _LARGE_ARRAY:
        return _container(data, kind, at)
    if kind == _LITERAL:
        return _LITERALS[data[at]]
    if kind == _STRING:
        size, at = _length(data, at)
        return quoted(_whole(data, at, size).decode())
    if kind == _OPAQUE:
        size, begin = _length(data, at + 1)
        return _opaque(data[at], _whole(data, begin, size))
    if kind == _DOUBLE:
        return number(unpack_from("<d", data, at)[0])
    return str(_NUMBERS[kind].unpack_from(data, at)[0])


def _whole(data: bytes, at: int, size: int) -> bytes:
    if at + size > len(data):
        raise ValueError(size)
    return data[at : at + size]


def _length(data: bytes, at: int) -> tuple[int, int]:
    """A length of up to five bytes, seven bits in each, and where it ends."""
    size = shift = 0
    while True:
        size |= (data[at] & 0x7F) << shift
        shift += 7
        at += 1
        if not data[at - 1] & 0x80:
            return size, at


def _container(data: bytes, kind: int, begin: int) -> Tree:
    """An object or an array: how many and how long, then where keys and values stand, counted from its beginning."""
    large = kind in (_LARGE_OBJECT, _LARGE_ARRAY)
    width, form = (4, "<I") if large else (2, "<H")
    count = unpack_from(form, data, begin)[0]
    at = begin + 2 * width
    keys = []
    if kind in (_SMALL_OBJECT, _LARGE_OBJECT):
        for _ in range(count):
            place, size = unpack_from(form, data, at)[0], unpack_from("<H", data, at + width)[0]
            keys.append(_whole(data, begin + place, size).decode())
            at += width + 2
    values = []
    for _ in range(count):
        inlined = data[at] in _INLINED[large]
        place = at + 1 if inlined else begin + unpack_from(form, data, at + 1)[0]
        values.append(_value(data, data[at], place))
        at += 1 + width
    return dict(zip(keys, values, strict=True)) if kind in (_SMALL_OBJECT, _LARGE_OBJECT) else values


def number(value: float) -> str:
    """A double in the fewest digits that tell it, with a point or an exponent."""
    sign, digits, exponent = Decimal(repr(value)).as_tuple()
    if not isinstance(exponent, int):
        raise ValueError(value)
    letters = "".join(map(str, digits))
    shown = letters.rstrip("0") or "0"
    exponent += len(letters) - len(shown)
    point = len(shown) + exponent if shown != "0" else 1
    minus = "-" * sign
    if shown != "0" and not -_PLAIN_DIGITS < point <= max(_PLAIN_DIGITS, len(shown) - 1):
        fraction = f".{shown[1:]}" if len(shown) > 1 else ""
        return f"{minus}{shown[0]}{fraction}e{point - 1}"
    if point <= 0:
        return f"{minus}0.{'0' * -point}{shown}"
    shown = shown.ljust(point, "0")
    return f"{minus}{shown[:point]}.{shown[point:] or '0'}"


def _opaque(kind: int, value: bytes) -> str:
    """A value of the server's own types."""
    spell = _OPAQUES.get(kind)
    if spell is not None:
        return spell(value)
    if len(value) > _LONGEST_OPAQUE:
        raise ValueError(kind)
    return quoted(f"base64:type{kind}:{base64.b64encode(value).decode()}")


def decimal(value: bytes) -> str:
    """A decimal: how many digits, how many of them behind the point, then the digits by nines."""
    precision, scale, data = value[0], value[1], bytearray(value[2:])
    negative = not data[0] & 0x80
    data[0] ^= 0x80
    if negative:
        data = bytearray(octet ^ 0xFF for octet in data)
    before, at = _digits(data, 0, precision - scale, leading=True)
    behind, _ = _digits(data, at, scale, leading=False)
    whole = before.lstrip("0") or "0"
    return "-" * negative + whole + (f".{behind}" if scale else "")


def _digits(data: bytearray, at: int, count: int, leading: bool) -> tuple[str, int]:
    """So many digits, the odd ones first (`leading`) or last, and where they end."""
    sizes = [DIGITS_IN_WORD] * (count // DIGITS_IN_WORD)
    odd = [count % DIGITS_IN_WORD] if count % DIGITS_IN_WORD else []
    found = ""
    for size in (*odd, *sizes) if leading else (*sizes, *odd):
        width = BYTES_OF_DIGITS[size]
        found += str(int.from_bytes(data[at : at + width], "big")).zfill(size)
        at += width
    return found, at


def _moment(value: bytes) -> tuple[int, int, int]:
    """A packed date and time: its sign, what stands before the second's fraction, and that."""
    packed = int.from_bytes(value, "little", signed=True)
    return (-1 if packed < 0 else 1), abs(packed) >> 24, abs(packed) & 0xFFFFFF


def _date(value: bytes) -> str:
    _, whole, _ = _moment(value)
    month = whole >> 22
    return f"{month // 13:04}-{month % 13:02}-{whole >> 17 & 31:02}"


def _clock(whole: int, fraction: int) -> str:
    return f"{whole >> 12:02}:{whole >> 6 & 63:02}:{whole & 63:02}.{fraction:06}"


def _datetime(value: bytes) -> str:
    _, whole, fraction = _moment(value)
    return quoted(f"{_date(value)} {_clock(whole & 0x1FFFF, fraction)}")


def _time(value: bytes) -> str:
    sign, whole, fraction = _moment(value)
    return quoted("-" * (sign < 0) + _clock(whole & 0x3FFFFF, fraction))


_OPAQUES: Mapping[int, Callable[[bytes], str]] = {
    Type.NEWDECIMAL: decimal,
    Type.DATE: lambda value: quoted(_date(value)),
    Type.DATETIME: _datetime,
    Type.TIMESTAMP: _datetime,
    Type.TIME: _time,
}
