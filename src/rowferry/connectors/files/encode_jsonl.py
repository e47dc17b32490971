"""JSON Lines: an object a line, with every column in order; NULL is null. In a column of JSON, where null is a document
as good as any, NULL is told by leaving the member out.

Numbers (of any length) are JSON numbers, exact in the text; a reader that takes them for doubles rounds
them. NaN and infinities, which JSON has not, are the strings "NaN", "Infinity" and "-Infinity". JSON
documents are embedded as they are spelled, a line end between their tokens as a blank. Everything else is
a string, in the form that `text` tells.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from rowferry.connectors.files.encode import Layout
from rowferry.connectors.files.lines import LineFile
from rowferry.connectors.files.text import form_of, texts
from rowferry.model import types as t
from rowferry.model.tables import Column

_SPECIAL = '["\\\\\x00-\x1f]'
_NUMBER = r"^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$"
_ESCAPES = [("\\", "\\\\"), ('"', '\\"'), ("\n", "\\n"), ("\r", "\\r"), ("\t", "\\t")]
_RARE = [(chr(code), f"\\u{code:04x}") for code in range(0x20) if chr(code) not in "\n\r\t"]
_ENDLESS = {"nan": '"NaN"', "inf": '"Infinity"', "-inf": '"-Infinity"'}

Step = Callable[[pa.Array, pa.DataType], pa.Array]


def _bare(text: pa.Array, _: pa.DataType) -> pa.Array:
    return text


def _quoted(text: pa.Array, form: pa.DataType) -> pa.Array:
    quote = pa.scalar('"', form)
    return pc.binary_join_element_wise(quote, text, quote, pa.scalar("", form))


def _string(text: pa.Array, form: pa.DataType) -> pa.Array:
    if pc.any(pc.match_substring_regex(text, _SPECIAL)).as_py():
        for sign, escape in _ESCAPES:
            text = pc.replace_substring(text, sign, escape)
        if pc.any(pc.match_substring_regex(text, "[\x00-\x1f]")).as_py():
            for sign, escape in _RARE:
                text = pc.replace_substring(text, sign, escape)
    return _quoted(text, form)


def _number(text: pa.Array, form: pa.DataType) -> pa.Array:
    return pc.if_else(pc.match_substring_regex(text, _NUMBER), text, _string(text, form))


def _float(text: pa.Array, form: pa.DataType) -> pa.Array:
    if not pc.any(pc.match_substring_regex(text, "[nf]")).as_py():
        return text
    for word, spelled in _ENDLESS.items():
        text = pc.if_else(pc.equal(text, pa.scalar(word, form)), pa.scalar(spelled, form), text)
    return text


def _document(text: pa.Array, _: pa.DataType) -> pa.Array:
    for sign in "\r\n":
        text = pc.replace_substring(text, sign, " ")
    return text


_STEPS: dict[type, Step] = {
    t.Boolean: _bare,
    t.Integer: _bare,
    t.Year: _bare,
    t.Decimal: _bare,
    t.Number: _number,
    t.Float: _float,
    t.Json: _document,
    t.Date: _quoted,
    t.Time: _quoted,
    t.DateTime: _quoted,
    t.Instant: _quoted,
    t.Duration: _quoted,
    t.Uuid: _quoted,
}


def jsonl_file(path: Path, layout: Layout) -> LineFile:
    """Begin a file of JSON Lines."""
    return LineFile(path, layout, JsonLines(layout))


class JsonLines:
    """Rows as JSON objects, one a line."""

    head = b""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._keys = ["," + json.dumps(column.name, ensure_ascii=False) + ":" for column in layout.columns]

    def spell(self, piece: pa.RecordBatch) -> pa.Array:
        """The rows."""
        form = form_of(piece)
        nothing = pa.scalar("", form)
        members: list[pa.Array | pa.Scalar] = []
        for key, column, array in zip(self._keys, self._layout.columns, piece.columns, strict=True):
            members += self._member(key if members else key[1:], column, array, form)
        if self._may_begin_with_a_comma(piece):
            whole = pc.binary_join_element_wise(*members, nothing)
            members = [pc.utf8_ltrim(whole, ",")]
        return pc.binary_join_element_wise(pa.scalar("{", form), *members, pa.scalar("}\n", form), nothing)

    def _may_begin_with_a_comma(self, piece: pa.RecordBatch) -> bool:
        """Whether the first member is left out somewhere."""
        return isinstance(self._layout.columns[0].type, t.Json) and bool(piece.column(0).null_count)

    def _member(self, key: str, column: Column, array: pa.Array, form: pa.DataType) -> list[pa.Array | pa.Scalar]:
        text = _STEPS.get(type(column.type), _string)(texts(array, column.type, form), form)
        name = pa.scalar(key, form)
        if not text.null_count:
            return [name, text]
        if isinstance(column.type, t.Json):
            nothing = pa.scalar("", form)
            return [pc.fill_null(pc.binary_join_element_wise(name, text, nothing), nothing)]
        return [name, pc.fill_null(text, pa.scalar("null", form))]
