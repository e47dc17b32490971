"""The dialect of a CSV file, told from its first records."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from itertools import islice

import pyarrow as pa

from rowferry.config.source_files import SourceCsv
from rowferry.connectors.files.csv_records import Dialect
from rowferry.connectors.files.infer import type_of_texts
from rowferry.connectors.files.parse import STRING
from rowferry.model import types as t

SIGNS = (",", ";", "\t", "|")
_RECORDS = 200
_FRAMED = re.compile(r"(?:^|[,;\t|\n])'[^'\n]*'(?=[,;\t|\r\n]|$)")


def sniffed(block: bytes, wished: SourceCsv, whole: bool) -> Dialect:
    """The dialect of a file that begins with `block` (`whole`: and ends with it); what is wished for is not guessed."""
    quote = wished.quote or _quote(block)
    signs = (wished.delimiter,) if wished.delimiter else SIGNS
    best = max(signs, key=lambda sign: _score(_rows(block, Dialect(sign, quote), whole)))
    rows = _rows(block, Dialect(best, quote, null=wished.null_text), whole)
    header = _has_header(rows) if wished.header is None else wished.header
    width = Counter(map(len, rows)).most_common(1)
    return Dialect(best, quote, header, wished.null_text, blank=bool(width) and width[0][0] == 1)


def _quote(block: bytes) -> str:
    text = block.decode("utf-8", "replace")
    return "'" if '"' not in text and _FRAMED.search(text) else '"'


def _rows(block: bytes, dialect: Dialect, whole: bool) -> list[list[str | None]]:
    records = [*islice(dialect.records(block), _RECORDS + 1)]
    kept = records if whole else records[:-1] or records
    found = [dialect.fields(one.decode("utf-8", "replace")) for one in kept if one.strip(b"\r\n")]
    return [row for row in found if row is not None]


def _score(rows: Sequence[Sequence[str | None]]) -> tuple[float, int]:
    """How many of the rows have as many fields as most have, and how many that is."""
    if not rows:
        return 0.0, 0
    width, count = Counter(map(len, rows)).most_common(1)[0]
    return (count / len(rows), width) if width > 1 else (0.0, 1)


def _has_header(rows: Sequence[Sequence[str | None]]) -> bool:
    """Whether the first row are names: all there, all different, and none that is a number, a date or the like."""
    if not rows:
        return True
    first = rows[0]
    if None in first or "" in first or len(set(first)) < len(first):
        return False
    return all(isinstance(type_of_texts(pa.array([field], STRING)), t.Text) for field in first)
