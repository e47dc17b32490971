"""Looking into files that are there already: whose columns they have, and whether they hold rows."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import PurePath
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from rowferry.config.stream import CsvOptions, FileFormat, FilesTarget
from rowferry.connectors.files.encode import Layout
from rowferry.connectors.files.encode_parquet import parquet_schema
from rowferry.connectors.files.layout import Contents, F
from rowferry.connectors.files.neutral import spell
from rowferry.model.tables import Column

COMPRESSIONS = {".gz": "gzip", ".zst": "zstd"}


def schema_document(columns: Sequence[Column], primary_key: Sequence[str], spec: FilesTarget) -> dict[str, Any]:
    """What `_schema.json` says of a table: its columns with their neutral types, its key, how its parts are written."""
    document: dict[str, Any] = {
        "format": spec.file_format.value,
        "columns": [
            {"name": column.name, "type": json.loads(spell(column.type)), "nullable": column.nullable}
            for column in columns
        ],
        "primaryKey": list(primary_key),
    }
    if spec.file_format is FileFormat.CSV:
        document["csv"] = spec.format.csv.model_dump()
    return document


class Place(Protocol[F]):
    """Where tables lie, each in a folder of its own."""

    def contents(self, table: str) -> Contents[F]:
        """What lies in the table's folder; Refused when something is in its way."""

    def open(self, file: F) -> pa.NativeFile:
        """A file's bytes, which can be sought; OSError or ArrowInvalid when they cannot be read."""

    def close(self) -> None:
        """End reads that wait for an answer, with Cancelled."""


def difference(found: Contents[F], layout: Layout, place: Place[F]) -> str | None:
    """How the files that are there differ from those that `layout` would add, None where they do not."""
    wanted = layout.spec.file_format
    for path in found.data:
        if format_of(path) != wanted.value:
            return f"{path.name} is not {wanted.value}"
    if wanted is FileFormat.PARQUET:
        return _parquet_difference(found.data, layout, place)
    if found.schema_file is not None:
        held = _document(found.schema_file, place)
        if held is None:
            return f"{found.schema_file.name} cannot be read"
        asked = schema_document(layout.columns, (), layout.spec)
        same = all(held.get(part) == asked.get(part) for part in ("columns", "csv"))
        return None if same else f"{found.schema_file.name} tells of other columns or another dialect"
    return _names_difference(found.data, layout, place)


def holds_rows(path: F, dialect: CsvOptions, place: Place[F]) -> bool:
    """Whether a data file holds at least one row; a file that cannot be read counts as if it did."""
    try:
        if format_of(path) == "parquet":
            with place.open(path) as file:
                return bool(pq.read_metadata(file).num_rows)
        with _text(path, place) as lines:
            if format_of(path) != "csv" or not dialect.header:
                return bool(lines.read(1))
            rows = csv.reader(lines, delimiter=dialect.delimiter, quotechar=dialect.quote)
            next(rows, None)
            return next(rows, None) is not None
    except (OSError, ValueError, csv.Error, pa.ArrowException):
        return True


def format_of(path: PurePath) -> str:
    """The format that a data file's name tells: parquet, csv or jsonl."""
    return format_of_name(path.name)


def format_of_name(name: str) -> str:
    """As `format_of`."""
    *_, suffix = name.lower().removesuffix(".gz").removesuffix(".zst").split(".")
    return "jsonl" if suffix in ("json", "ndjson") else suffix


def compression_of(name: str) -> str | None:
    """How a data file's name says that it is compressed, in Arrow's word."""
    return COMPRESSIONS.get(name[name.rfind(".") :].lower())


def _parquet_difference(paths: Sequence[F], layout: Layout, place: Place[F]) -> str | None:
    wanted = parquet_schema(layout.columns, layout.spec.format.parquet.timestamp_unit)
    for path in paths:
        try:
            with place.open(path) as file:
                held = pq.read_schema(file)
        except (OSError, pa.ArrowException):
            return f"{path.name} cannot be read"
        if not held.equals(wanted):
            return f"{path.name} has {_unlike(held, wanted)}"
    return None


def _unlike(held: pa.Schema, wanted: pa.Schema) -> str:
    if held.names != wanted.names:
        return "other columns"
    for one, other in zip(held, wanted, strict=True):
        if not one.equals(other):
            return f"column {one.name} as {_spelled(one)}, not {_spelled(other)}"
    return "another schema"


def _spelled(field: pa.Field) -> str:
    return f"{field.type}{'' if field.nullable else ' not null'}"


def _names_difference(paths: Sequence[F], layout: Layout, place: Place[F]) -> str | None:
    names = [column.name for column in layout.columns]
    for path in paths:
        try:
            held = columns_in(path, layout.spec.format.csv, place)
        except (OSError, ValueError, csv.Error, pa.ArrowException):
            return f"{path.name} cannot be read"
        if held is not None and held != names:
            return f"{path.name} has other columns"
    return None


def columns_in(path: F, dialect: CsvOptions, place: Place[F]) -> list[str] | None:
    """The names of the columns in a CSV or JSON Lines file, None where nothing in it tells."""
    with _text(path, place) as lines:
        if format_of(path) == "jsonl":
            first = lines.readline()
            return list(json.loads(first)) if first else None
        if not dialect.header:
            return None
        return next(csv.reader(lines, delimiter=dialect.delimiter, quotechar=dialect.quote), None)


@contextmanager
def _text(path: F, place: Place[F]) -> Iterator[io.TextIOBase]:
    with place.open(path) as file, pa.input_stream(file, compression=COMPRESSIONS.get(path.suffix)) as stream:
        yield io.TextIOWrapper(stream, encoding="utf-8", newline="")


def _document(path: F, place: Place[F]) -> dict[str, Any] | None:
    try:
        with place.open(path) as file:
            document = json.loads(file.read())
    except (OSError, ValueError):
        return None
    return document if isinstance(document, dict) else None
