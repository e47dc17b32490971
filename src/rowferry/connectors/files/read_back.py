"""Reading files that a stream wrote, every value as the text that `text` tells of; NULL stays NULL.

Read in batches, a file at a time, in memory bounded whatever the number of rows.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Sequence

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import csv

from rowferry.config.stream import FilesTarget
from rowferry.connectors.files.inspection import COMPRESSIONS, Place, format_of
from rowferry.connectors.files.layout import F
from rowferry.connectors.files.text import texts
from rowferry.errors import InvalidInput, ReadFailed
from rowferry.model import types as t
from rowferry.model.tables import Column
from rowferry.typemap.arrow import arrow_type

BATCH_ROWS = 8192
BATCH_BYTES = 32 * 1024 * 1024
"""About how much is read at once; no line of a CSV file may be longer."""

_STRING = pa.large_string()
_ENDLESS = {"NaN": "nan", "Infinity": "inf", "-Infinity": "-inf"}


def read_back(path: F, place: Place[F], columns: Sequence[Column], spec: FilesTarget) -> Iterator[pa.RecordBatch]:
    """The file's rows with these columns, in their order; ReadFailed, naming the file, when it cannot be read."""
    try:
        with place.open(path) as file:
            yield from _READERS[format_of(path)](file, COMPRESSIONS.get(path.suffix), columns, spec)
    except (OSError, ValueError, KeyError, pa.ArrowException) as error:
        raise ReadFailed(f"{path.name} cannot be read with the columns and options it was written with.") from error


def _batch(arrays: Sequence[pa.Array], columns: Sequence[Column]) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays(list(arrays), names=[column.name for column in columns])


def _parquet(
    file: pa.NativeFile, _: str | None, columns: Sequence[Column], __: FilesTarget
) -> Iterator[pa.RecordBatch]:
    names = [column.name for column in columns]
    with pq.ParquetFile(file) as opened:
        for batch in opened.iter_batches(_batch_rows(opened), columns=names):
            yield _batch([_neutral_text(batch.column(column.name), column) for column in columns], columns)


def _batch_rows(file: pq.ParquetFile) -> int:
    """How many rows are read at once: fewer where they are wide."""
    groups = (file.metadata.row_group(number) for number in range(file.metadata.num_row_groups))
    widest = max((group.total_byte_size // max(group.num_rows, 1) for group in groups), default=0)
    return max(1, min(BATCH_ROWS, BATCH_BYTES // max(widest, 1)))


def _neutral_text(array: pa.Array, column: Column) -> pa.Array:
    if isinstance(array.type, pa.BaseExtensionType):
        array = array.storage
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if pa.types.is_string(array.type) or pa.types.is_large_string(array.type):
        return array.cast(_STRING)
    return texts(array.cast(arrow_type(column.type)), column.type, _STRING)


def _csv(
    file: pa.NativeFile, compression: str | None, columns: Sequence[Column], spec: FilesTarget
) -> Iterator[pa.RecordBatch]:
    dialect = spec.format.csv
    if max(len(dialect.delimiter.encode()), len(dialect.quote.encode())) > 1:
        raise InvalidInput("CSV files whose delimiter or quote is no ASCII character cannot be verified.")
    names = [column.name for column in columns]
    with (
        pa.input_stream(file, compression=compression) as stream,
        csv.open_csv(
            stream,
            csv.ReadOptions(use_threads=False, block_size=BATCH_BYTES, column_names=None if dialect.header else names),
            csv.ParseOptions(
                delimiter=dialect.delimiter,
                quote_char=dialect.quote,
                newlines_in_values=True,
                ignore_empty_lines=False,
            ),
            csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()),
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
            ),
        ) as reader,
    ):
        for batch in reader:
            yield _batch([batch.column(name).cast(_STRING) for name in names], columns)


def _jsonl(
    file: pa.NativeFile, compression: str | None, columns: Sequence[Column], _: FilesTarget
) -> Iterator[pa.RecordBatch]:
    parse = [_json_text(column) for column in columns]
    with (
        pa.input_stream(file, compression=compression) as stream,
        io.TextIOWrapper(stream, encoding="utf-8", newline="\n") as lines,
    ):
        rows: list[list[str | None]] = []
        size = 0
        for line in lines:
            spans = _spans(line)
            rows.append([one(spans.get(column.name)) for one, column in zip(parse, columns, strict=True)])
            size += len(line)
            if len(rows) >= BATCH_ROWS or size >= BATCH_BYTES:
                yield _rows(rows, columns)
                rows, size = [], 0
        if rows:
            yield _rows(rows, columns)


def _rows(rows: Sequence[Sequence[str | None]], columns: Sequence[Column]) -> pa.RecordBatch:
    return _batch([pa.array(values, _STRING) for values in zip(*rows, strict=True)], columns)


_DECODER = json.JSONDecoder(parse_float=str, parse_int=str)


def _spans(line: str) -> dict[str, str]:
    """The members of an object as they are spelled."""
    found: dict[str, str] = {}
    at = 1
    while line[at] != "}":
        at += line[at] == ","
        name, at = _DECODER.raw_decode(line, at)
        _, end = _DECODER.raw_decode(line, _behind_blanks(line, at + 1))
        end = _behind_blanks(line, end)
        found[name] = line[at + 1 : end]
        at = end
    return found


def _behind_blanks(line: str, at: int) -> int:
    """The first place that holds no blank; a document keeps those around it."""
    while line[at] in " \t":
        at += 1
    return at


def _json_text(column: Column) -> Callable[[str | None], str | None]:
    document = isinstance(column.type, t.Json)
    endless = isinstance(column.type, t.Float)

    def parse(span: str | None) -> str | None:
        if document:
            return span
        if span is None:
            raise KeyError(column.name)
        if span == "null":
            return None
        if span[0] != '"':
            return span
        text: str = json.loads(span)
        return _ENDLESS.get(text, text) if endless else text

    return parse


_READERS: dict[str, Callable[[pa.NativeFile, str | None, Sequence[Column], FilesTarget], Iterator[pa.RecordBatch]]] = {
    "parquet": _parquet,
    "csv": _csv,
    "jsonl": _jsonl,
}
