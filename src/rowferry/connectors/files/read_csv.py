"""Reading CSV: Arrow's parser takes whole blocks, and a block that it does not take is read again record by record."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from rowferry.connectors.files.csv_records import Dialect
from rowferry.connectors.files.parse import EMPTY_IS_NULL, STRING
from rowferry.connectors.files.rows import LITTLE, Bad, Piece, batch_of, misfits
from rowferry.errors import ReadFailed
from rowferry.model.tables import Column

BOM = b"\xef\xbb\xbf"
_WIDE = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True)
class CsvForm:
    """What is in the files of a table: `names` are all their columns, in order."""

    dialect: Dialect
    names: tuple[str, ...]


def head(block: bytes, dialect: Dialect) -> int:
    """How many of a file's first bytes stand before its first row."""
    at = len(BOM) if block.startswith(BOM) else 0
    if dialect.header:
        at += len(next(dialect.records(block[at:]), b""))
    return at


def check_encoding(name: str, block: bytes) -> None:
    """ReadFailed for a file that begins as one in UTF-16 does."""
    if block.startswith(_WIDE):
        raise ReadFailed(f"{name} is in UTF-16: save it as UTF-8.")


def header(block: bytes, dialect: Dialect) -> list[str] | None:
    """The names in a file's first line; None where it has none, or its first line is none."""
    at = len(BOM) if block.startswith(BOM) else 0
    first = next(dialect.records(block[at:]), b"")
    fields = dialect.fields(first.decode("utf-8", "replace")) if first else None
    return None if fields is None else [name or "" for name in fields]


def read_csv(
    piece: Piece, form: CsvForm, columns: Sequence[Column], strict: Sequence[bool]
) -> Iterator[pa.RecordBatch]:
    """The rows of a piece of a file, as these columns of it."""
    reader = CsvRows(piece, form, columns, strict)
    seen, first = 0, True
    blocks = piece.blocks(form.dialect.end)
    block = next(blocks, b"")
    while block:
        skipped = 0
        if first and piece.start == 0:
            check_encoding(piece.item.path, block)
            skipped = head(block, form.dialect)
            reader.check_names(block)
        following = next(blocks, b"")
        yield from reader.rows(block[skipped:], seen + block[:skipped].count(b"\n"), last=not following)
        seen += block.count(b"\n")
        block, first = following, False


class CsvRows:
    """Blocks of one file as rows."""

    def __init__(self, piece: Piece, form: CsvForm, columns: Sequence[Column], strict: Sequence[bool]) -> None:
        self._piece, self._form = piece, form
        self._columns, self._strict = columns, strict
        self._wanted = [form.names.index(column.name) for column in columns]

    def check_names(self, block: bytes) -> None:
        """ReadFailed when the file's header is not that of the table's first file."""
        if not self._form.dialect.header:
            return
        names = header(block, self._form.dialect)
        if names is None or tuple(names) != self._form.names:
            raise ReadFailed(
                f"{self._piece.item.path} has other columns than the table's first file: name the files one by one."
            )

    def rows(self, block: bytes, before: int, last: bool = False) -> Iterator[pa.RecordBatch]:
        """The rows of whole records. `before`: how many line ends of the piece lie before them; `last`: at its end.

        What Arrow does not take is halved until little is left, and that is read record by record.
        """
        whole = not last or self._form.dialect.end(block) == len(block)
        batch = self._quick(block) if whole and block else None
        half = self._form.dialect.end(block[: len(block) // 2]) if len(block) > LITTLE else 0
        if batch is not None:
            yield from [batch] if batch.num_rows else []
        elif half:
            yield from self.rows(block[:half], before)
            yield from self.rows(block[half:], before + block.count(b"\n", 0, half), last)
        elif block:
            batch = self._careful(block, before)
            yield from [batch] if batch is not None and batch.num_rows else []

    def _quick(self, block: bytes) -> pa.RecordBatch | None:
        """The block's rows, None when it needs care."""
        dialect = self._form.dialect
        if not dialect.plain:
            return None
        places = [str(at) for at in range(len(self._form.names))]
        try:
            table = csv.read_csv(
                pa.BufferReader(block),
                csv.ReadOptions(use_threads=False, block_size=len(block) + 1, column_names=places),
                csv.ParseOptions(
                    delimiter=dialect.delimiter,
                    quote_char=dialect.quote,
                    newlines_in_values=True,
                    ignore_empty_lines=not dialect.blank,
                ),
                csv.ConvertOptions(
                    column_types={str(at): pa.string() for at in self._wanted},
                    include_columns=[*map(str, self._wanted)],
                    null_values=[dialect.null],
                    strings_can_be_null=True,
                    quoted_strings_can_be_null=False,
                ),
            )
        except pa.ArrowException:
            return None
        texts = [_whole(table.column(at)) for at in range(table.num_columns)]
        return batch_of(self._without_empty(texts), self._columns, self._strict)

    def _careful(self, block: bytes, before: int) -> pa.RecordBatch | None:
        """The block's rows without those that are malformed, which go to the piece's refusal."""
        raws: list[bytes] = []
        lines: list[int] = []
        rows: list[list[str | None]] = []
        for raw in self._form.dialect.records(block):
            found = self._fields(raw)
            if isinstance(found, str):
                self._piece.refuse(before, Bad(0, None, found), raw)
            elif found is not None:
                raws.append(raw)
                lines.append(before)
                rows.append(found)
            before += raw.count(b"\n")
        kept = range(len(rows))
        texts = self._texts(rows, kept)
        bad = misfits(texts, self._columns, self._strict) if rows else []
        for one in bad:
            self._piece.refuse(lines[one.at], one, raws[one.at])
        if bad:
            texts = self._texts(rows, sorted(set(kept) - {one.at for one in bad}))
        return batch_of(texts, self._columns, self._strict)

    def _fields(self, raw: bytes) -> list[str | None] | str | None:
        """A record's fields; what is wrong with it; or None for an empty line that is no row."""
        if not raw.strip(b"\r\n") and not self._form.dialect.blank:
            return None
        try:
            fields = self._form.dialect.fields(raw.decode())
        except UnicodeDecodeError:
            return "it is not in UTF-8"
        if fields is None:
            return "a quote is not closed"
        if len(fields) != len(self._form.names):
            return f"it has {len(fields)} fields, not {len(self._form.names)}"
        return fields

    def _texts(self, rows: Sequence[Sequence[str | None]], kept: Sequence[int]) -> list[pa.Array]:
        return self._without_empty([pa.array([rows[at][place] for at in kept], STRING) for place in self._wanted])

    def _without_empty(self, texts: Sequence[pa.Array]) -> list[pa.Array]:
        """An empty text is NULL where the type has none."""
        pairs = zip(texts, self._columns, strict=True)
        return [empty_as_null(array) if type(one.type) in EMPTY_IS_NULL else array for array, one in pairs]


def empty_as_null(texts: pa.Array) -> pa.Array:
    """The texts with NULL in the place of empty ones."""
    empty = pc.equal(pc.binary_length(texts), 0)
    return pc.if_else(empty, pa.scalar(None, texts.type), texts) if pc.any(empty).as_py() else texts


def _whole(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
