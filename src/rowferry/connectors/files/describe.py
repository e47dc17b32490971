"""What a table of files looks like: by Rowferry's own word where that is beside them, else told from the files."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa

from rowferry.config.source_files import SourceCsv
from rowferry.connectors.files.csv_records import Dialect
from rowferry.connectors.files.discover import Found
from rowferry.connectors.files.infer import type_of_spans, type_of_texts
from rowferry.connectors.files.inspection import compression_of
from rowferry.connectors.files.neutral import neutral_of, parse, told
from rowferry.connectors.files.parse import STRING
from rowferry.connectors.files.read_csv import BOM, CsvForm, check_encoding, header
from rowferry.connectors.files.read_parquet import parquet_file
from rowferry.connectors.files.sample import FILES, csv_columns, first_block, json_objects
from rowferry.connectors.files.sniff import sniffed
from rowferry.connectors.files.store import Item, Store
from rowferry.errors import InvalidInput, ReadFailed, RowferryError
from rowferry.model import types as t
from rowferry.model.tables import Column, NativeType, Table, TableName

KEY = "key"
"""`Column.extra` of a column that the names of folders hold; of all others it is the format of the files."""

_PACKED = 4
"""How many times smaller a compressed file is, more or less."""


@dataclass(frozen=True)
class Shape:
    """A table and how it is read. `names` are the columns in the files, `own`: Rowferry wrote them."""

    found: Found
    table: Table
    names: tuple[str, ...]
    own: bool = False
    csv: CsvForm | None = None

    @property
    def lines(self) -> bool:
        """Whether the files have a row a line, wherever it is cut between two lines."""
        return all(is_lines(item) for item in self.found.files)

    def strict(self, column: Column) -> bool:
        """Whether the column's type was guessed, and so must spell its values as the file does."""
        return not self.own and column.read_as is None


def is_lines(item: Item) -> bool:
    """Whether the file's name says that it holds a JSON object a line."""
    return ".jsonl" in item.name.lower() or ".ndjson" in item.name.lower()


def describe(store: Store, found: Found, wished: SourceCsv) -> Shape:
    """The table; ReadFailed or InvalidInput, naming the file, when it cannot be told."""
    document = _document(store, found)
    shape = _SHAPES[found.format](store, found, document, wished)
    named = [column.name for column in shape.table.columns]
    if not named or len(set(named)) < len(named) or not all(named):
        raise InvalidInput(f"{found.files[0].path} has no columns, or two of one name, or one without: name each once.")
    return shape


def _document(store: Store, found: Found) -> dict[str, Any] | None:
    if found.schema_file is None:
        return None
    try:
        with store.open(found.schema_file) as file:
            document = json.loads(file.read())
        document = document.get("schema", document)  # a manifest holds it as one of its parts
        if not isinstance(document["columns"], list) or not isinstance(document.get("primaryKey", []), list):
            raise ValueError
        for column in document["columns"]:
            parse(json.dumps(column["type"]))
            if not isinstance(column["name"], str) or not isinstance(column["nullable"], bool):
                raise ValueError
        return dict(document) if document.get("format") == found.format else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, pa.ArrowException) as error:
        raise InvalidInput(
            f"{found.schema_file.path} does not describe columns: correct it, or remove it, and types are told from "
            "the files."
        ) from error


def declared(neutral: t.NeutralType) -> str:
    """A type in words, such as decimal(10, 2)."""
    if isinstance(neutral, t.Foreign | t.Unknown):
        return neutral.declared
    values = [str(value) for value in asdict(neutral).values() if value is not None and value is not False]
    return type(neutral).__name__.lower() + (f"({', '.join(values)})" if values else "")


def _column(name: str, neutral: t.NeutralType, nullable: bool, extra: str, words: str | None = None) -> Column:
    words = words or declared(neutral)
    return Column(name, neutral, NativeType(words.partition("(")[0].lower(), words), nullable, extra=extra)


def _shape(
    found: Found, columns: Sequence[Column], rows: float, document: dict[str, Any] | None, csv: CsvForm | None = None
) -> Shape:
    """The shape with these columns of the files; the folders' keys come behind them."""
    names = {column.name for column in columns}
    keys: dict[str, list[str | None]] = {}
    for item in found.files:
        for key, value in found.keys(item).items():
            if key not in names:
                keys.setdefault(key, []).append(value)
    own = document is not None
    further = [
        _column(key, type_of_texts(pa.array(values, STRING)), None in values or len(values) < len(found.files), KEY)
        for key, values in keys.items()
    ]
    table = Table(
        TableName("", found.name),
        (*columns, *further),
        primary_key=tuple(name for name in document.get("primaryKey", []) if name in names) if document else (),
        estimated_rows=round(rows),
        estimated_bytes=found.size,
    )
    return Shape(found, table, tuple(column.name for column in columns), own, csv)


def _own_columns(document: dict[str, Any], extra: str) -> list[Column]:
    return [_column(one["name"], parse(json.dumps(one["type"])), one["nullable"], extra) for one in document["columns"]]


def _unpacked(found: Found) -> int:
    return sum(item.size * (_PACKED if compression_of(item.name) else 1) for item in found.files)


def _parquet(store: Store, found: Found, document: dict[str, Any] | None, _: SourceCsv) -> Shape:
    rows = 0
    fields = None
    for item in found.files[:FILES]:
        with parquet_file(store, item) as file:
            rows += file.metadata.num_rows
            fields = file.schema_arrow if fields is None else fields
    size = sum(item.size for item in found.files[:FILES])
    columns = [
        _column(field.name, neutral_of(field), field.nullable, "parquet", None if told(field) else str(field.type))
        for field in fields or ()
    ]
    return _shape(found, columns, rows * found.size / max(size, 1), document)


def _csv(store: Store, found: Found, document: dict[str, Any] | None, wished: SourceCsv) -> Shape:
    block, whole = first_block(store, found.files[0])
    check_encoding(found.files[0].path, block)
    if document is not None:
        columns = _own_columns(document, "csv")
        dialect = _own_dialect(document, len(columns))
        form = CsvForm(dialect, tuple(one.name for one in columns))
    else:
        dialect = sniffed(block.removeprefix(BOM), wished, whole)
        form = CsvForm(dialect, _names(found.files[0], block, dialect))
    if document is not None:
        lines = block.count(b"\n") or 1
        return _shape(found, columns, _unpacked(found) * lines / max(len(block), 1), document, form)
    texts, width = csv_columns(store, found.files, form)
    columns = [
        _column(name, type_of_texts(_whole(values)), True, "csv")
        for name, values in zip(form.names, texts, strict=True)
    ]
    return _shape(found, columns, _unpacked(found) / max(width, 1), None, form)


def _own_dialect(document: dict[str, Any], columns: int) -> Dialect:
    said = document.get("csv") or {}
    return Dialect(said.get("delimiter", ","), said.get("quote", '"'), said.get("header", True), blank=columns == 1)


def _names(item: Item, block: bytes, dialect: Dialect) -> tuple[str, ...]:
    names = header(block, dialect)
    if names is None:
        raise ReadFailed(f"{item.path} has no first line that could be read: it is empty, or a quote is not closed.")
    return tuple(names) if dialect.header else tuple(f"column{at + 1}" for at in range(len(names)))


def _whole(values: pa.ChunkedArray) -> pa.Array:
    return values.combine_chunks() if values.num_chunks != 1 else values.chunk(0)


def _json(store: Store, found: Found, document: dict[str, Any] | None, _: SourceCsv) -> Shape:
    lines = all(is_lines(item) for item in found.files)
    if document is not None:
        block, _whole_file = first_block(store, found.files[0])
        rows = _unpacked(found) * (block.count(b"\n") or 1) / max(len(block), 1)
        return _shape(found, _own_columns(document, "json"), rows, document)
    objects, width = json_objects(store, found, lines)
    spans: dict[str, list[str]] = {}
    for one in objects:
        for name, span in one.items():
            spans.setdefault(name, []).append(span)
    if not spans:
        raise ReadFailed(f"{found.files[0].path} holds no JSON objects from which columns could be told.")
    columns = [_column(name, type_of_spans(values), True, "json") for name, values in spans.items()]
    return _shape(found, columns, _unpacked(found) / max(width, 1), None)


_SHAPES: dict[str, Callable[[Store, Found, dict[str, Any] | None, SourceCsv], Shape]] = {
    "parquet": _parquet,
    "csv": _csv,
    "jsonl": _json,
}


def described(store: Store, tables: Sequence[Found], wished: SourceCsv) -> list[Table]:
    """The tables that can be described; the others are passed over."""
    made = []
    for found in tables:
        try:
            made.append(describe(store, found, wished).table)
        except RowferryError:
            continue
    return made
