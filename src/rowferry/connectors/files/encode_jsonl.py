"""JSON Lines: an object a line, with every column in order; NULL is null.

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

from rowferry.connectors.files.encode import Layout, Sink, check_nulls
from rowferry.connectors.files.text import Unwritable, bytes_of, form_of, slices, texts
from rowferry.errors import WriteFailed
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


class JsonlEncoder:
    """A file of JSON Lines under way."""

    def __init__(self, path: Path, layout: Layout) -> None:
        self._layout = layout
        names = [json.dumps(column.name, ensure_ascii=False) + ":" for column in layout.columns]
        self._keys = [("," if at else "{") + name for at, name in enumerate(names)]
        self._sink = Sink(path, layout.spec.compression)

    def write(self, batch: pa.RecordBatch) -> None:
        """Add rows."""
        check_nulls(batch, self._layout.columns, self._layout.table)
        for piece in slices(batch):
            self._sink.write(bytes_of(self._lines(piece)))

    def close(self) -> None:
        """End the file."""
        self._sink.close()

    def abort(self) -> None:
        """Let the file go."""
        self._sink.abort()

    def _lines(self, piece: pa.RecordBatch) -> pa.Array:
        form = form_of(piece)
        fields: list[pa.Array | pa.Scalar] = []
        for key, column, array in zip(self._keys, self._layout.columns, piece.columns, strict=True):
            fields += [pa.scalar(key, form), self._value(column, array, form)]
        return pc.binary_join_element_wise(*fields, pa.scalar("}\n", form), pa.scalar("", form))

    def _value(self, column: Column, array: pa.Array, form: pa.DataType) -> pa.Array:
        try:
            text = texts(array, column.type, form)
        except Unwritable as error:
            raise WriteFailed(f"{self._layout.table}.{column.name} holds {error}: write Parquet.") from error
        text = _STEPS.get(type(column.type), _string)(text, form)
        return pc.fill_null(text, pa.scalar("null", form)) if text.null_count else text
