"""CSV after RFC 4180: NULL is an empty field, the empty string is a quoted one, a quote is doubled.

A row of a table with one column that is NULL is an empty line, as PostgreSQL's COPY writes it.
"""

from __future__ import annotations

import re
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from rowferry.connectors.files.encode import Layout, Sink, check_nulls
from rowferry.connectors.files.text import WORDLESS, Unwritable, bytes_of, form_of, slices, texts
from rowferry.errors import Refused, WriteFailed
from rowferry.model.tables import Column

_SIGNS = re.compile(r"[0-9A-Za-z+\-.:\\]")


def check_dialect(delimiter: str, quote: str) -> None:
    """Refused for a delimiter and a quote with which no file could be read back."""
    for name, sign in (("delimiter", delimiter), ("quote", quote)):
        if sign in "\r\n\0":
            raise Refused(f"csv.{name} cannot be a line end or NUL: choose another character.")
    if delimiter == quote:
        raise Refused("csv.delimiter and csv.quote are the same character: choose two.")


class CsvEncoder:
    """A CSV file under way; its lines end with a newline."""

    def __init__(self, path: Path, layout: Layout) -> None:
        options = layout.spec.format.csv
        self._layout = layout
        self._delimiter, self._quote = options.delimiter, options.quote
        signs = f"[{re.escape(self._delimiter)}{re.escape(self._quote)}\\r\\n]"
        self._pattern = f"{signs}|^$"
        self._careful = bool(_SIGNS.match(self._delimiter) or _SIGNS.match(self._quote))
        self._sink = Sink(path, layout.spec.compression)
        if options.header:
            names = (self._quoted_name(column.name) for column in layout.columns)
            self._sink.write((self._delimiter.join(names) + "\n").encode())

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
        for column, array in zip(self._layout.columns, piece.columns, strict=True):
            fields += [self._field(column, array, form), pa.scalar(self._delimiter, form)]
        fields[-1] = pa.scalar("\n", form)
        return pc.binary_join_element_wise(*fields, pa.scalar("", form))

    def _field(self, column: Column, array: pa.Array, form: pa.DataType) -> pa.Array:
        try:
            text = texts(array, column.type, form)
        except Unwritable as error:
            raise WriteFailed(f"{self._layout.table}.{column.name} holds {error}: write Parquet.") from error
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
