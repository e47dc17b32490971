"""Text in the servers' character sets, which is UTF-8 elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa

UTF8 = frozenset({"utf8", "utf8mb3", "utf8mb4", "ascii"})
"""What is UTF-8 as it stands."""

SINGLE: Mapping[str, str] = {
    "latin1": "cp1252",
    "latin2": "iso8859_2",
    "latin5": "iso8859_9",
    "latin7": "iso8859_13",
    "greek": "iso8859_7",
    "hebrew": "iso8859_8",
    "cp1250": "cp1250",
    "cp1251": "cp1251",
    "cp1256": "cp1256",
    "cp1257": "cp1257",
    "cp850": "cp850",
    "cp852": "cp852",
    "cp866": "cp866",
    "koi8r": "koi8_r",
    "koi8u": "koi8_u",
    "macce": "mac_latin2",
    "macroman": "mac_roman",
    "tis620": "tis_620",
}
"""Sets of one byte for each character, and Python's name for each."""

SEVERAL: Mapping[str, str] = {
    "ucs2": "utf_16_be",
    "utf16": "utf_16_be",
    "utf16le": "utf_16_le",
    "utf32": "utf_32_be",
    "gbk": "gbk",
    "gb2312": "gb2312",
    "gb18030": "gb18030",
    "big5": "big5",
    "sjis": "shift_jis",
    "cp932": "cp932",
    "ujis": "euc_jp",
    "euckr": "cp949",
}
"""Sets of characters of several bytes; what the codec does not know, such as private ones, is refused when met."""

_OTHERWISE: Mapping[str, Mapping[int, str]] = {
    "greek": {161: "\u02bd", 162: "\u02bc"},
    "hebrew": {175: "\u203e"},
    "cp866": {252: "\u207f", 253: "\u00b2"},
    "koi8u": {149: "\u2022"},
}
"""Bytes that the servers take for other characters than Python does."""

_NONE: Mapping[str, frozenset[int]] = {
    "greek": frozenset({164, 165, 170, 174, 210, 255}),
    "hebrew": frozenset({161, *range(191, 223), 251, 252, 255}),
    "cp1250": frozenset({129, 131, 136, 144, 152}),
    "cp1251": frozenset({152}),
    "cp1256": frozenset({138, 143, 152, 154, 159, 170, 192, 255}),
    "cp1257": frozenset({129, 131, 136, 138, 140, 144, 152, 154, 156, 159, 161, 165}),
    "tis620": frozenset({160, *range(219, 223), *range(252, 256)}),
}
"""Bytes that are no characters to the servers, which show question marks for them; they are refused."""

_SJIS = {ord("\uff3c"): "\\"}
"""The servers take sjis's wide backslash for the narrow one."""

KNOWN = UTF8 | SINGLE.keys() | SEVERAL.keys()
"""All that can be read."""


class UnknownCharacter(ValueError):
    """Bytes that are no character of their set."""


def text(values: pa.Array, charset: str) -> pa.Array:
    """The `large_binary` values in UTF-8; UnknownCharacter where they are none of that set."""
    if charset in UTF8:
        return values.cast(pa.string())
    if charset in SINGLE:
        return _by_table(values, _table(charset))
    decode = decoder(charset)
    return pa.array([None if one is None else decode(one) for one in values.to_pylist()], pa.string())


@cache
def decoder(charset: str) -> Callable[[bytes], str]:
    """What makes text of bytes in that set; UnknownCharacter where they are none, or the set is not known."""
    if charset in SINGLE:
        table = _table(charset)
        return lambda value: "".join(map(table.character, value))
    codec = "utf-8" if charset in UTF8 else SEVERAL.get(charset)
    if codec is None:
        raise UnknownCharacter(charset)
    return _with_codec(codec, _SJIS if charset == "sjis" else {})


def _with_codec(codec: str, otherwise: Mapping[int, str]) -> Callable[[bytes], str]:
    def decode(value: bytes) -> str:
        try:
            found = value.decode(codec)
        except UnicodeDecodeError:
            raise UnknownCharacter(codec) from None
        return found.translate(otherwise) if otherwise else found

    return decode


class _Table:
    """For each byte the character, its UTF-8 and how long that is; 0 for one that is none."""

    def __init__(self, characters: list[str]) -> None:
        self._characters = characters
        encoded = [one.encode() for one in characters]
        self.sizes = np.array([len(one) for one in encoded], np.int64)
        self.octets = np.zeros((256, 4), np.uint8)
        for number, one in enumerate(encoded):
            self.octets[number, : len(one)] = list(one)

    def character(self, number: int) -> str:
        """The byte's character."""
        if not self._characters[number]:
            raise UnknownCharacter(number)
        return self._characters[number]


@cache
def _table(charset: str) -> _Table:
    codec, otherwise, none = SINGLE[charset], _OTHERWISE.get(charset, {}), _NONE.get(charset, frozenset())
    return _Table(["" if n in none else otherwise.get(n) or _character(n, codec) for n in range(256)])


def _character(number: int, codec: str) -> str:
    """As Python has it; what it leaves open is a control character to the servers."""
    try:
        return bytes((number,)).decode(codec)
    except UnicodeDecodeError:
        return chr(number)


def _by_table(values: pa.Array, table: _Table) -> pa.Array:
    """All bytes at once: each becomes as many as its character has in UTF-8."""
    validity, offsets, data = values.buffers()
    ends = np.frombuffer(offsets, np.int64)[values.offset : values.offset + len(values) + 1]
    octets = np.frombuffer(data, np.uint8)[ends[0] : ends[-1]] if data is not None else np.zeros(0, np.uint8)
    sizes = table.sizes[octets]
    if len(sizes) and not sizes.all():
        raise UnknownCharacter
    whole = np.concatenate(([0], np.cumsum(sizes)))
    wide: Any = table.octets[octets]
    kept = wide[np.arange(4) < sizes[:, None]]
    found = [validity, pa.py_buffer(whole[ends - ends[0]]), pa.py_buffer(kept)]
    return pa.Array.from_buffers(pa.large_string(), len(values), found).cast(pa.string())
