"""CSV after RFC 4180: NULL is an empty field, the empty string is a quoted one, a quote is doubled.

A row of a table with one column that is NULL is an empty line, as PostgreSQL's COPY writes it.
"""

from __future__ import annotations

import re
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from rowferry.connectors.files.encode import Layout
from rowferry.connectors.files.lines import LineFile
from rowferry.connectors.files.text import WORDLESS, form_of, texts
from rowferry.errors import Refused
from rowferry.model.tables import Column

_SIGNS = re.compile(r"[0-9A-Za-z+\-.:\\]")


def check_dialect(delimiter: str, quote: str) -> None:
    """Refused for a delimiter and a quote with which no file could be read back."""
    for name, sign in (("delimiter", delimiter), ("quote", quote)):
        if sign in "\r\n\0":
            raise Refused(f"csv.{name} cannot be a line end or NUL: choose another character.")
    if delimiter == quote:
        raise Refused("csv.delimiter and csv.quote are the same character: choose two.")


def csv_file(path: Path, layout: Layout) -> LineFile:
    """Begin a CSV file."""
    return LineFile(path, layout, CsvLines(layout))


class CsvLines:
    """Rows as lines of CSV, which end with a newline."""

    def __init__(self, layout: Layout) -> None:
        options = layout.spec.format.csv
        self._layout = layout
        self._delimiter, self._quote = options.delimiter, options.quote
        signs = f"[{re.escape(self._delimiter)}{re.escape(self._quote)}\\r\\n]"
        self._pattern = f"{signs}|^$"
        self._careful = bool(_SIGNS.match(self._delimiter) or _SIGNS.match(self._quote))

    @property
    def head(self) -> bytes:
        """The columns' names, where they are wanted."""
        if not self._layout.spec.format.csv.header:
            return b""
        names = (self._quoted_name(column.name) for column in self._layout.columns)
        return (self._delimiter.join(names) + "\n").encode()

    def spell(self, piece: pa.RecordBatch) -> pa.Array:
        """The rows."""
        form = form_of(piece)
        fields: list[pa.Array | pa.Scalar] = []
        for column, array in zip(self._layout.columns, piece.columns, strict=True):
            fields += [self._field(column, array, form), pa.scalar(self._delimiter, form)]
        fields[-1] = pa.scalar("\n", form)
        return pc.binary_join_element_wise(*fields, pa.scalar("", form))

    def _field(self, column: Column, array: pa.Array, form: pa.DataType) -> pa.Array:
        text = texts(array, column.type, form)
        if self._careful or type(column.type) not in WORDLESS:
            text = self._quoted(text, form)
        return pc.fill_null(text, pa.scalar("", form)) if text.null_count else text

    def _quoted(self, text: pa.Array, form: pa.DataType) -> pa.Array:
        needed = pc.match_substring_regex(text, self._pattern)
        if not pc.any(needed).as_py():
            return text
        sign = pa.scalar(self._quote, form)
        doubled = pc.replace_substring(text, self._quote, self._quote * 2)
        return pc.if_else(needed, pc.binary_join_element_wise(sign, doubled, sign, pa.scalar("", form)), text)

    def _quoted_name(self, name: str) -> str:
        if not re.search(self._pattern, name):
            return name
        return f"{self._quote}{name.replace(self._quote, self._quote * 2)}{self._quote}"
