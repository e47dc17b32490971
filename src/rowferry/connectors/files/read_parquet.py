"""Reading Parquet: row groups in batches of bounded size, whatever the size of the groups."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from rowferry.connectors.files.neutral import inferred
from rowferry.connectors.files.parse import STRING, Misfit, parsed
from rowferry.connectors.files.store import Item, Store
from rowferry.connectors.files.text import texts
from rowferry.errors import ReadFailed
from rowferry.model import types as t
from rowferry.model.tables import Column
from rowferry.typemap.arrow import arrow_schema, arrow_type

BATCH_ROWS = 32768
BATCH_BYTES = 8 * 1024 * 1024
BUFFER = 1024 * 1024
"""How much of a column is read from the file at once."""

WHOLE = 64 * 1024 * 1024
"""What is wanted of a row group is read at once from a store that is far, if it is no more than that."""


@contextmanager
def parquet_file(store: Store, item: Item, columns: Sequence[str] = ()) -> Iterator[pq.ParquetFile]:
    """The file, from which these columns will be read, in pieces of bounded size; ReadFailed when it is none."""
    try:
        with store.open(item, 0) as file:
            metadata = pq.read_metadata(file)
            at_once = store.far and _widest(metadata, columns) <= WHOLE
            buffer = max(BUFFER, WHOLE // max(len(columns), 16)) if store.far else BUFFER
            with pq.ParquetFile(file, metadata=metadata, buffer_size=buffer, pre_buffer=at_once) as opened:
                yield opened
    except (OSError, pa.ArrowException) as error:
        raise ReadFailed(f"The file {item.path} is damaged, or it is no Parquet file.") from error


def read_parquet(store: Store, item: Item, groups: range | None, columns: Sequence[Column]) -> Iterator[pa.RecordBatch]:
    """The rows of some row groups (None: all), as these columns of the file."""
    schema = arrow_schema(columns)
    with parquet_file(store, item, [one.name for one in columns]) as file:
        every = range(file.num_row_groups)
        for number in every if groups is None else range(groups.start, min(groups.stop, len(every))):
            batches = file.iter_batches(
                _rows_at_once(file, number),
                row_groups=[number],
                columns=[one.name for one in columns],
                use_threads=False,
            )
            for batch in batches:
                arrays = [_neutral(batch.column(one.name), one, item, number) for one in columns]
                yield pa.RecordBatch.from_arrays(arrays, schema=schema)


def _widest(metadata: pq.FileMetaData, columns: Sequence[str]) -> int:
    """The bytes of these columns in the row group in which they are most."""
    wanted = frozenset(columns)
    paths = [metadata.schema.column(at).path for at in range(metadata.num_columns)]
    places = [at for at, path in enumerate(paths) if {path, path.partition(".")[0]} & wanted]
    groups = (metadata.row_group(number) for number in range(metadata.num_row_groups))
    return max((sum(group.column(at).total_compressed_size for at in places) for group in groups), default=0)


def _rows_at_once(file: pq.ParquetFile, number: int) -> int:
    group = file.metadata.row_group(number)
    width: int = group.total_byte_size // max(group.num_rows, 1)
    return max(1, min(BATCH_ROWS, BATCH_BYTES // max(width, 1)))


def _neutral(array: pa.Array, column: Column, item: Item, group: int) -> pa.Array:
    wanted = arrow_type(column.type)
    if array.type == wanted:
        return array
    try:
        return _converted(array, column.type, wanted)
    except (pa.ArrowException, Misfit, ValueError) as error:
        raise ReadFailed(
            f"{item.path}, row group {group}, column {column.name}: a value of {column.native.declared} does not fit "
            f"{column.type}: correct the file, or give the column another type by typeOverrides."
        ) from error


def _converted(array: pa.Array, neutral: t.NeutralType, wanted: pa.DataType) -> pa.Array:
    plain = _plain(array)
    if pa.types.is_nested(plain.type):
        return pa.array([None if one is None else _document(one) for one in plain.to_pylist()], wanted)
    if pa.types.is_string(plain.type) or pa.types.is_large_string(plain.type):
        return parsed(plain.cast(STRING), neutral)
    if pa.types.is_null(plain.type):
        return pa.nulls(len(plain), wanted)
    if isinstance(neutral, t.Text):
        return _text(plain)
    if pa.types.is_float16(plain.type):
        plain = plain.cast(pa.float32())
    return plain.cast(wanted)


def _text(array: pa.Array) -> pa.Array:
    held = inferred(array.type)
    return texts(array.cast(arrow_type(held)), held, pa.string())


def _plain(array: pa.Array) -> pa.Array:
    if isinstance(array.type, pa.BaseExtensionType):
        array = array.storage
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if pa.types.is_string_view(array.type):
        array = array.cast(STRING)
    return array


def _document(value: Any) -> str:
    return json.dumps(_shown(value), ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _shown(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _shown(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_shown(one) for one in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, bytes):
        return "\\x" + value.hex()
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
