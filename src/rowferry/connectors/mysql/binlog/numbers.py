"""Numbers, bits and years as the log has them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rowferry.connectors.mysql.binlog.cells import Cells
from rowferry.connectors.mysql.binlog.layout import BYTES_OF_DIGITS, DIGITS_IN_WORD
from rowferry.connectors.mysql.binlog.moments import letters
from rowferry.connectors.mysql.binlog.tablemap import Type
from rowferry.typemap.arrow import arrow_type

_FIRST_YEAR = 1900
_DIGITS_OF_INT64 = 18

_SIZES: Mapping[int, int] = {Type.TINY: 1, Type.SHORT: 2, Type.INT24: 3, Type.LONG: 4, Type.LONGLONG: 8}


def integers(cells: Cells) -> pa.Array:
    """Whole numbers; whether they have a sign only the column knows."""
    size = _SIZES[cells.log.type]
    unsigned = cells.column.native.unsigned
    if size != 3:
        return cells.array(cells.octets.read(cells.at, f"<{'u' if unsigned else 'i'}{size}"))
    number = cells.octets.little(cells.at, 3)
    if unsigned:
        return cells.array(number.astype(np.uint32))
    return cells.array(((number ^ 0x800000) - 0x800000).astype(np.int32))


def years(cells: Cells) -> pa.Array:
    """Years since 1900; 0 is the year 0."""
    number = cells.octets.bytes[cells.at].astype(np.int16)
    return cells.array(np.where(number == 0, 0, number + _FIRST_YEAR).astype(np.int16))


def floats(cells: Cells) -> pa.Array:
    """Numbers of four or eight bytes."""
    return cells.array(cells.octets.read(cells.at, "<f4" if cells.log.type == Type.FLOAT else "<f8"))


def bits(cells: Cells) -> pa.Array:
    """Text of 0 and 1."""
    width = cells.log.first + 8 * cells.log.second
    size = (width + 7) // 8
    octets = cells.octets.bytes[cells.at[:, None] + np.arange(size)]
    return cells.digits(np.unpackbits(octets, axis=1)[:, 8 * size - width :] + ord("0"))


def decimals(cells: Cells) -> pa.Array:
    """Digits by nines, each nine in four bytes; those of a negative number are turned over, bit by bit."""
    precision, scale = cells.log.first, cells.log.second
    negative = cells.octets.bytes[cells.at] < 0x80
    words = list(_words(cells, precision - scale, scale, negative))
    target = arrow_type(cells.column.type)
    if precision > _DIGITS_OF_INT64:
        return _spelled(cells, words, scale, negative).cast(target)
    whole = 0
    for word, digits in words:
        whole = whole * 10**digits + word
    limbs = np.empty((len(cells), 2), np.int64)
    limbs[:, 0] = np.where(negative, -whole, whole)
    limbs[:, 1] = limbs[:, 0] >> 63
    return cells.buffers(target, limbs)


def spelled_decimals(cells: Cells) -> pa.Array:
    """The same as text, as the server spells it: without zeros before the first digit, but with one before a point."""
    precision, scale = cells.log.first, cells.log.second
    negative = cells.octets.bytes[cells.at] < 0x80
    found = _spelled(cells, list(_words(cells, precision - scale, scale, negative)), scale, negative)
    for pattern, instead in _UNPADDED:
        found = pc.replace_substring_regex(found, pattern, instead)
    return found


_UNPADDED = ((r"^\+", ""), (r"^(-?)0+(\d)", r"\1\2"), (r"^(-?)\.", r"\10."))


def _words(cells: Cells, before: int, behind: int, negative: Any) -> Iterator[tuple[Any, int]]:
    """The digits' parts, from the left, with how many digits each has."""
    at, first = cells.at, True
    for digits in (*_parts(before), *reversed(list(_parts(behind)))):
        size = BYTES_OF_DIGITS[digits]
        word = cells.octets.big(at, size)
        if first:
            word ^= 0x80 << 8 * (size - 1)
            first = False
        yield np.where(negative, word ^ (1 << 8 * size) - 1, word), digits
        at = at + size


def _parts(digits: int) -> Iterator[int]:
    """How many digits each word has, the odd one first."""
    if digits % DIGITS_IN_WORD:
        yield digits % DIGITS_IN_WORD
    for _ in range(digits // DIGITS_IN_WORD):
        yield DIGITS_IN_WORD


def _spelled(cells: Cells, words: list[tuple[Any, int]], scale: int, negative: Any) -> pa.Array:
    """As text, which Arrow reads whatever its length."""
    fields: list[tuple[Any, int, str]] = [(np.zeros(len(cells), np.int64), 1, "-")]
    left = sum(digits for _, digits in words)
    for word, digits in words:
        fields.append((word, digits, "." if left == scale else ""))
        left -= digits
    matrix = letters(fields, len(cells))
    matrix[~negative, 0] = ord("+")
    return cells.digits(matrix)
