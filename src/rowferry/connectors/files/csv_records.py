"""Where the records of a CSV file begin and end, and what fields they have.

A line end inside quotes belongs to its field. A quote counts only at the beginning of a field; what follows its closing
quote is part of the field. Records end with a newline, a carriage return, or both.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

_ASCII = 128
_NEWLINE, _RETURN = 10, 13


@dataclass(frozen=True)
class Dialect:
    """How a CSV file is written. `null` is what stands for NULL without quotes; `blank`: an empty line is a row."""

    delimiter: str = ","
    quote: str = '"'
    header: bool = True
    null: str = ""
    blank: bool = False

    @property
    def plain(self) -> bool:
        """Whether Arrow's parser takes the signs, which must be single bytes."""
        return ord(self.delimiter) < _ASCII and ord(self.quote) < _ASCII

    @cached_property
    def _field(self) -> str:
        q, d = re.escape(self.quote), re.escape(self.delimiter)
        return f"(?:{q}[^{q}]*+(?:{q}{q}[^{q}]*+)*+{q}[^{d}\\r\\n]*+|(?!{q})[^{d}\\r\\n]*+)"

    @cached_property
    def _record(self) -> re.Pattern[bytes]:
        d = re.escape(self.delimiter)
        return re.compile(f"{self._field}(?:{d}{self._field})*+(\\r\\n|\\n|\\r(?=[\\s\\S])|\\Z)".encode())

    @cached_property
    def _one(self) -> re.Pattern[str]:
        return re.compile(self._field + "(" + re.escape(self.delimiter) + r"|(?:\r\n|\n|\r)?\Z)")

    def end(self, data: bytes) -> int:
        """Where the last whole record of `data` ends, which begins with one; 0 where none does."""
        newline = data.rfind(b"\n")
        if newline >= 0 and self.plain:
            if self.quote.encode() not in data:
                return newline + 1
            found = self._end_by_parity(data, newline)
            if found is not None:
                return found
        last = 0
        for found_record in self._record.finditer(data):
            if found_record.start() != last or not found_record[1]:
                break
            last = found_record.end()
        return last

    def _end_by_parity(self, data: bytes, newline: int) -> int | None:
        """The same, where every quote opens, closes or doubles; None where one stands elsewhere."""
        held = np.frombuffer(data, np.uint8)
        quote = ord(self.quote)
        quotes = np.flatnonzero(held == quote)
        opening = quotes[0::2]
        before = held[opening - 1]
        fine = np.isin(before, (ord(self.delimiter), _NEWLINE, _RETURN)) | (opening == 0)
        doubled = before == quote
        doubled[0] = False
        if not bool((fine | doubled).all()):
            return None
        if np.searchsorted(quotes, newline) % 2 == 0:
            return newline + 1
        newlines = np.flatnonzero(held == _NEWLINE)
        outside = newlines[np.searchsorted(quotes, newlines) % 2 == 0]
        return int(outside[-1]) + 1 if len(outside) else 0

    def records(self, data: bytes) -> Iterator[bytes]:
        """Each record with its line end; what has no end by these rules comes as the last one."""
        at = 0
        while at < len(data):
            found = self._record.match(data, at)
            end = len(data) if found is None or found.end() == at else found.end()
            yield data[at:end]
            at = end

    def fields(self, record: str) -> list[str | None] | None:
        """The record's fields, NULL as None; None where a quote is not closed."""
        found: list[str | None] = []
        at, quote = 0, self.quote
        while True:
            field = self._one.match(record, at)
            if field is None:
                return None
            text = record[at : field.start(1)]
            if text.startswith(quote):
                close = text.rfind(quote)
                found.append(text[1:close].replace(quote * 2, quote) + text[close + 1 :])
            else:
                found.append(None if text == self.null else text)
            at = field.end()
            if field[1] != self.delimiter:
                return found
