"""Tables made by hand: a column of every neutral type with its odd values, and targets to write them to."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa

from rowferry.config.connection import Connection
from rowferry.config.stream import SchemaPolicy, TargetSpec, WriteMode
from rowferry.connectors.base import PlannedTable, Target, TargetRequest
from rowferry.connectors.files import CONNECTOR
from rowferry.model import types as t
from rowferry.model.chunks import Chunk, Committed
from rowferry.model.tables import Column, NativeType, Table, TableName
from tests.tables import batch

NATIVE = NativeType("x", "x")
AWKWARD = [
    "",
    " ",
    "a,b",
    'say "x"',
    "line\nend",
    "cr\rlf\r\n",
    "tab\t",
    "back\\slash",
    "\\N",
    "null",
    "NULL",
    "\x00",
    "\x1f",
]
AWKWARD += ["\U0001f600 \u00e9", "'", ";", "|", "\x7f", "\u2028", "trailing  ", "#x", '"', '""', "{}"]

VALUES: dict[str, tuple[t.NeutralType, list[Any]]] = {
    "boolean": (t.Boolean(), [True, False]),
    **{f"int{bits}": (t.Integer(bits), [-(2 ** (bits - 1)), 2 ** (bits - 1) - 1, 0]) for bits in (8, 16, 24, 32, 64)},
    **{f"uint{bits}": (t.Integer(bits, signed=False), [0, 2**bits - 1]) for bits in (8, 16, 24, 32, 64)},
    "decimal": (t.Decimal(10, 2), [Decimal("-99999999.99"), Decimal("0.01"), Decimal("0.00")]),
    "tiny": (t.Decimal(20, 15), [Decimal("0.000000000000001"), Decimal("-0.000000000000001"), Decimal("0E-15")]),
    "widest": (t.Decimal(38, 10), [Decimal("9" * 28 + "." + "9" * 10), Decimal("-1E-10")]),
    "wider": (t.Decimal(65, 30), [Decimal("9" * 35 + "." + "9" * 30), Decimal("-1E-30"), Decimal("0E-30")]),
    "number": (t.Number(), ["1" * 60 + ".5", "-0.5", "NaN", "Infinity", "-Infinity", "0"]),
    "float": (t.Float(32), [0.10000000149011612, -0.0, 3.4028234663852886e38, 1.401298464324817e-45]),
    "double": (t.Float(64), [0.1, 1e300, 5e-324, -0.0, 1.0, 123456789.12345679]),
    "endless": (t.Float(64), [float("nan"), float("inf"), float("-inf")]),
    "text": (t.Text(), AWKWARD),
    "char": (t.Text(5, fixed=True), ["ab", ""]),
    "binary": (t.Binary(), [b"", bytes(range(256)), b"\x00" * 3]),
    "fixed": (t.Binary(4, fixed=True), [b"\x00\x01\x00\x00"]),
    "bits": (t.Bits(8), ["00000001", "11111111"]),
    "date": (t.Date(), [date(1, 1, 1), date(9999, 12, 31), date(2024, 2, 29)]),
    "time": (t.Time(), [time(0, 0), time(23, 59, 59, 999999)]),
    "datetime": (t.DateTime(), [datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59, 999999)]),
    "instant": (t.Instant(), [datetime(1970, 1, 1, tzinfo=UTC), datetime(2038, 1, 19, 3, 14, 8, 1, tzinfo=UTC)]),
    "duration": (t.Duration(), [timedelta(hours=838, minutes=59, seconds=59), -timedelta(hours=838, microseconds=1)]),
    "interval": (t.Interval(), ["1 mon 2 days 00:00:01"]),
    "year": (t.Year(), [0, 1901, 2155]),
    "json": (
        t.Json(),
        ['{"a": 1.0, "b": 123456789012345678901234567890}', "[1, null]", '"x\\n"', "null", '{\n"c": 1}'],
    ),
    "enum": (t.Enum(("a", "b,c", "")), ["a", "b,c", ""]),
    "set": (t.Set(("a", "b")), ["a,b", "", "a"]),
    "uuid": (t.Uuid(), [uuid.UUID(int=1).bytes, b"\xff" * 16]),
    "inet": (t.Inet(), ["::1", "10.0.0.0/8"]),
    "geometry": (t.Geometry(), [bytes.fromhex("0101000020E6100000000000000000F03F0000000000000040")]),
    "array": (t.Array(t.Integer(32), "postgresql", "integer[]"), ["{1,NULL}", "{}"]),
    "foreign": (t.Foreign("postgresql", "tsvector"), ["'a':1 'b':2"]),
}
"""Column name to its type and the values that it must carry; a NULL is added to each."""

FORMATS = [
    ("csv", "none"), ("csv", "gzip"), ("csv", "zstd"),
    ("jsonl", "none"), ("jsonl", "gzip"), ("jsonl", "zstd"),
    ("parquet", "none"), ("parquet", "gzip"), ("parquet", "zstd"), ("parquet", "snappy"),
]  # fmt: skip


def table(name: str, columns: dict[str, t.NeutralType], schema: str = "shop") -> Table:
    """A table of nullable columns."""
    return Table(TableName(schema, name), tuple(Column(key, kind, NATIVE) for key, kind in columns.items()))


def batches(source: Table, rows: Sequence[Sequence[Any]], size: int = 2) -> list[pa.RecordBatch]:
    """The rows as record batches of `size` rows in the neutral form."""
    held: list[pa.RecordBatch] = pa.Table.from_batches([batch(source.columns, rows)]).to_batches(size)
    return held


def every_type() -> tuple[Table, list[list[Any]]]:
    """A table with a column of each type, and rows that hold every value; the first row is all NULL."""
    source = table("every type", {name: kind for name, (kind, _) in VALUES.items()})
    longest = max(len(values) for _, values in VALUES.values())
    rows: list[list[Any]] = [[None] * len(VALUES)]
    rows += ([values[at] if at < len(values) else None for _, values in VALUES.values()] for at in range(longest))
    return source, rows


def request(
    base: Path, file_format: str = "parquet", stream: str = "stream_1", policies: tuple[str, str] | None = None,
    **options: Any,
) -> TargetRequest:  # fmt: skip
    """A request for a target under `base`; `options` are those of `format`."""
    schema_policy, write_mode = policies or ("fail_if_exists", "fail_if_not_empty")
    connection = Connection.model_validate({"name": "f", "type": "files", "spec": {"files": {"basePath": str(base)}}})
    spec = TargetSpec.model_validate({"files": {"fileFormat": file_format, "format": options}})
    return TargetRequest(connection, spec, stream, SchemaPolicy(schema_policy), WriteMode(write_mode))


def target(base: Path, *args: Any, **kwargs: Any) -> Target:
    """An opened target, see `request`."""
    assert CONNECTOR.open_target is not None
    return CONNECTOR.open_target(request(base, *args, **kwargs))


def prepared(opened: Target, *tables: Table) -> tuple[PlannedTable, ...]:
    """Go through the stages of `opened` until chunks can be written."""
    assert opened.journal() is None
    plan = opened.plan(tables, "", prepared=False)
    opened.prepare(plan, {str(planned.target.name): "print" for planned in plan.tables})
    return plan.tables


def export(opened: Target, source: Table, chunks: Sequence[Sequence[pa.RecordBatch]]) -> list[Committed]:
    """Write a whole table and end the stream."""
    (planned,) = prepared(opened, source)
    numbered = [Chunk(source.name, number) for number in range(len(chunks))]
    opened.begin(planned, numbered)
    done = [opened.write(planned, chunk, iter(held)) for chunk, held in zip(numbered, chunks, strict=True)]
    assert opened.finish_table(planned) == []
    assert opened.finish([planned]) == []
    opened.forget()
    opened.close()
    return done
