"""Blocks of JSON Lines as columns of texts, all rows at once.

The bytes that give JSON its structure are found by numpy, members and values are spans between them. Whatever is not
plain (a name with an escape, an empty object, a member that is not known, anything that is no JSON) makes the block
none of this module's: it is read row by row then, which also says what is wrong.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from rowferry.connectors.files.parse import STRING
from rowferry.model import types as t
from rowferry.model.tables import Column

ENDLESS = {"NaN": "nan", "Infinity": "inf", "-Infinity": "-inf"}
"""Floating point numbers that JSON has no numbers for, and how Arrow spells them."""

_QUOTE, _BACKSLASH, _LINE_END, _TAB, _RETURN, _SPACE, _N = b'"\\\n\t\r n'
_BLANKS = b" \t\r"
_TOP = b"{:,}\n"
_FOLLOWING = (b"{:", b":,", b":}", b",:", b"}\n", b"\n{")
"""What may stand behind what in lines of objects, strings and what is nested left out."""

_SCALAR = r"^(true|false|null|-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?)$"
_MOST_BLANKS = 16

Places = NDArray[np.int64]
Flags = NDArray[np.bool_]
Signs = NDArray[np.uint8]
Scan = Callable[[str, int], tuple[Any, int]]


class NotPlain(ValueError):
    """The block has to be read row by row."""


_STRUCTURE = bytes(sign < ord(" ") or sign in b'"\\{}[]:,' for sign in range(256))
"""Whether a byte may give structure, for `bytes.translate`."""

_CODES = np.full(256, len(_TOP), np.int64)
_CODES[list(_TOP)] = range(len(_TOP))
_MAY_FOLLOW = np.zeros((len(_TOP) + 1, len(_TOP) + 1), np.bool_)
for _pair in _FOLLOWING:
    _MAY_FOLLOW[tuple(_CODES[list(_pair)])] = True


@dataclass(frozen=True)
class _Tokens:
    """The signs between members and objects: what they are, where, and how many quotes and backslashes lie before."""

    kinds: Signs
    places: Places
    quotes: Places
    escapes: Places


@dataclass(frozen=True)
class _Spans:
    """Spans of the block between two tokens each, in order: blanks at both ends left out, and with them."""

    starts: Places
    ends: Places
    whole: tuple[Places, Places]
    first: Signs
    quotes: Places
    escapes: Flags


@dataclass(frozen=True)
class Members:
    """The members of a block's objects: of each its row, which of the names it has, and its value."""

    data: pa.Buffer
    rows: int
    row: Places
    name: Places
    values: _Spans


def members_of(block: bytes, names: Sequence[str], scan: Scan) -> Members:
    """The members of the objects of a block of whole lines; NotPlain where it must be looked at more closely.

    `scan` reads a JSON value that begins at a place, and says where it ends, as `json.JSONDecoder.scan_once` does.
    """
    _check_encoding(block)
    data = pa.py_buffer(block)
    held = np.frombuffer(block, np.uint8)
    tokens = _tokens(block, held)
    _check_between(block, tokens)
    colons = np.flatnonzero(tokens.kinds == ord(":"))
    found = _names(data, _spans(held, tokens, colons - 1), names)
    values = _spans(held, tokens, colons)
    _check_values(data, values, scan)
    row = np.cumsum(tokens.kinds == ord("{"))
    places = row[colons] - 1
    _require(np.bincount(places * len(names) + found).max() == 1)
    return Members(data, int(row[-1]), places, found, values)


def texts_of(
    members: Members, columns: Sequence[Column], strict: Sequence[bool], names: Sequence[str]
) -> list[pa.Array]:
    """The values of the columns, as texts; NotPlain where one is of another kind than its column."""
    exact = not any(strict)
    pairs = zip(columns, strict, strict=True)
    return [
        _column(members, names.index(column.name), column.type, one, (exact, not one and column.read_as is None))
        for column, one in pairs
    ]


def _require(good: object) -> None:
    if not good:
        raise NotPlain


def _check_encoding(block: bytes) -> None:
    if not block.isascii():
        try:
            block.decode()
        except UnicodeDecodeError:
            raise NotPlain from None


def _tokens(block: bytes, held: Signs) -> _Tokens:
    """The tokens of the top level, in an order that objects a line have."""
    places = np.flatnonzero(np.frombuffer(block.translate(_STRUCTURE), np.bool_))
    kinds = held[places]
    escapes = np.zeros(len(places), np.int64)
    if b"\\" in block:
        backslashes = kinds == _BACKSLASH
        kept = np.flatnonzero(~_escaped(places, kinds, backslashes))
        places, kinds, escapes = places[kept], kinds[kept], np.cumsum(backslashes)[kept]
    is_quote = kinds == _QUOTE
    quotes = np.cumsum(is_quote)
    inside = quotes & 1 == 1
    _require(len(quotes) and not inside[-1])
    _require(not ((inside & (kinds < _SPACE)) | (~inside & (kinds == _BACKSLASH))).any())
    kept = np.flatnonzero(~inside & ~is_quote & (kinds != _TAB) & (kinds != _RETURN))
    kinds = kinds[kept]
    opened, closed = (kinds == ord("{")) | (kinds == ord("[")), (kinds == ord("}")) | (kinds == ord("]"))
    depth = np.cumsum(opened.astype(np.int8) - closed)
    _require((depth >= 0).all() and not depth[kinds == _LINE_END].any())
    top = np.flatnonzero((depth == 0) | ((depth == 1) & ~closed))
    kinds, kept = kinds[top], kept[top]
    codes = _CODES[kinds]
    _require(len(kinds) and kinds[0] == ord("{") and kinds[-1] in b"}\n")
    _require(_MAY_FOLLOW[codes[:-1], codes[1:]].all())
    return _Tokens(kinds, places[kept], quotes[kept], escapes[kept])


def _escaped(places: Places, kinds: Signs, backslashes: Flags) -> Flags:
    """Which of the signs stand behind a backslash that is not itself escaped; no control character may."""
    where = np.flatnonzero(backslashes)
    at = places[where]
    begins = np.concatenate(([True], np.diff(at) != 1))
    order = np.arange(len(at))
    active = (order - np.maximum.accumulate(np.where(begins, order, 0))) % 2 == 0
    escaped = np.isin(places, at[active] + 1, assume_unique=True)
    _require(not bool((escaped & (kinds < ord(" "))).any()))
    return escaped


def _check_between(block: bytes, tokens: _Tokens) -> None:
    """Nothing but blanks before the first object, between two, and behind the last one."""
    _require(not block[: tokens.places[0]].strip(_BLANKS) and not block[tokens.places[-1] + 1 :].strip(_BLANKS))
    before = np.flatnonzero((tokens.kinds[:-1] == ord("}")) | (tokens.kinds[:-1] == _LINE_END))
    starts, ends = tokens.places[before] + 1, tokens.places[before + 1]
    some = np.flatnonzero(starts < ends)
    _require(all(not block[starts[at] : ends[at]].strip(_BLANKS) for at in some))


def _spans(held: Signs, tokens: _Tokens, wanted: Places) -> _Spans:
    """The spans behind these tokens."""
    starts, ends = tokens.places[wanted] + 1, tokens.places[wanted + 1]
    _require((starts < ends).all())
    whole = (starts, ends)
    for _ in range(_MOST_BLANKS):
        blank = held[starts] <= _SPACE
        if not blank.any():
            break
        starts = starts + blank
        _require((starts < ends).all())
    for _ in range(_MOST_BLANKS):
        blank = held[ends - 1] <= _SPACE
        if not blank.any():
            break
        ends = ends - blank
    _require((held[starts] > _SPACE).all() and (held[ends - 1] > _SPACE).all())
    quotes = tokens.quotes[wanted + 1] - tokens.quotes[wanted]
    escapes = tokens.escapes[wanted + 1] > tokens.escapes[wanted]
    return _Spans(starts, ends, whole, held[starts], quotes, escapes)


def _names(data: pa.Buffer, spans: _Spans, names: Sequence[str]) -> Places:
    """Which of the names each span holds."""
    _check_strings(data, spans.starts, spans.ends, spans.quotes)
    _require(not spans.escapes.any())
    found = pc.index_in(_gathered(data, spans.starts + 1, spans.ends - 1), pa.array(names, STRING))
    _require(not found.null_count)
    return np.asarray(found).astype(np.int64)


def _check_strings(data: pa.Buffer, starts: Places, ends: Places, quotes: Places) -> None:
    held = np.frombuffer(data, np.uint8)
    _require((quotes == 2).all() and (held[starts] == _QUOTE).all() and (held[ends - 1] == _QUOTE).all())


def _check_values(data: pa.Buffer, values: _Spans, scan: Scan) -> None:
    """NotPlain unless each is JSON; escapes are looked at by who decodes them."""
    is_string = values.first == _QUOTE
    strings = np.flatnonzero(is_string)
    _check_strings(data, values.starts[strings], values.ends[strings], values.quotes[strings])
    nested = (values.first == ord("{")) | (values.first == ord("["))
    looked_at = np.flatnonzero(nested | (is_string & values.escapes))
    for text in _gathered(data, values.starts[looked_at], values.ends[looked_at]).to_pylist():
        try:
            _require(scan(text, 0)[1] == len(text))
        except (StopIteration, RecursionError, json.JSONDecodeError):
            raise NotPlain from None
    others = np.flatnonzero(~is_string & ~nested)
    scalars = _gathered(data, values.starts[others], values.ends[others])
    _require(
        not values.quotes[others].any() and pc.all(pc.match_substring_regex(scalars, _SCALAR)).as_py() is not False
    )


def _gathered(data: pa.Buffer, starts: Places, ends: Places, rows: pa.Array | None = None) -> pa.Array:
    """Spans of text that lie one after the other; `rows`: which of them, else all."""
    bounds = np.empty(2 * len(starts), np.int64)
    bounds[0::2], bounds[1::2] = starts, ends
    if not len(starts):
        return pa.nulls(0 if rows is None else len(rows), STRING)
    every = pa.Array.from_buffers(STRING, len(bounds) - 1, [None, pa.py_buffer(bounds), data])
    wanted = pa.array(np.arange(0, len(bounds), 2)) if rows is None else rows
    return every.take(wanted)


def _column(members: Members, name: int, neutral: t.NeutralType, strict: bool, ours: tuple[bool, bool]) -> pa.Array:
    """The texts of one member of all rows. `ours`: documents are as they were spelled; and one may be null."""
    exact, own = ours
    values = members.values
    mine = np.flatnonzero(members.name == name)
    document, words = isinstance(neutral, t.Json), isinstance(neutral, t.Text)
    starts, ends = (
        (whole[mine] for whole in values.whole) if document and exact else (values.starts[mine], values.ends[mine])
    )
    first = values.first[mine]
    strings = first == _QUOTE
    there = (first != _N) | (ends - starts != len("null")) | (document and own)
    if not document:
        _require(not bool(((first == ord("{")) | (first == ord("["))).any()))
        _require(not strict or ((strings == words) | ~there).all())
        starts, ends = starts + strings, ends - strings
    places = np.zeros(members.rows, np.int64)
    absent = np.ones(members.rows, np.bool_)
    places[members.row[mine]] = np.arange(len(mine)) * 2
    absent[members.row[mine]] = ~there
    texts = _gathered(members.data, starts, ends, pa.array(places, mask=absent))
    if document or not strings.any():
        return texts
    escaped = mine[strings & values.escapes[mine]]
    if len(escaped):
        texts = _unescaped(texts, members, escaped)
    return _endless(texts) if isinstance(neutral, t.Float) else texts


def _unescaped(texts: pa.Array, members: Members, pairs: Places) -> pa.Array:
    """The texts, those of these members decoded."""
    mask = np.zeros(members.rows, np.bool_)
    mask[members.row[pairs]] = True
    order = np.argsort(members.row[pairs])
    spelled = _gathered(members.data, members.values.starts[pairs], members.values.ends[pairs]).to_pylist()
    try:
        decoded = pa.array([json.loads(spelled[at]) for at in order], STRING)
    except ValueError:
        raise NotPlain from None
    return pc.replace_with_mask(texts, pa.array(mask), decoded)


def _endless(texts: pa.Array) -> pa.Array:
    for word, spelled in ENDLESS.items():
        texts = pc.if_else(pc.equal(texts, word), pa.scalar(spelled, STRING), texts)
    return texts
