"""Every neutral type in every format: what is written reads back equal, by pyarrow and by DuckDB."""

from __future__ import annotations

import json
import math
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.csv as pcsv
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rowferry.connectors.files.neutral import neutral_of, parse, spell
from rowferry.model import types as t
from tests.files.tables import FORMATS, VALUES, batches, every_type, export, table, target

SUFFIX = {"none": "", "gzip": ".gz", "zstd": ".zst"}


def written(tmp_path: Path, file_format: str, compression: str) -> Path:
    source, rows = every_type()
    export(target(tmp_path, file_format, compression=compression), source, [batches(source, rows)])
    (part,) = (tmp_path / "every type").glob("part-*")
    suffix = "" if file_format == "parquet" else SUFFIX[compression]
    assert part.name == f"part-00000.{file_format}{suffix}"
    return part


def hexed(value: bytes) -> str:
    return "\\x" + value.hex()


def clock(value: timedelta) -> str:
    micros = abs(value) // timedelta(microseconds=1)
    seconds, micros = divmod(micros, 1_000_000)
    sign = "-" if value < timedelta(0) else ""
    return f"{sign}{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}.{micros:06d}"


SPELLED: dict[type, Callable[[Any], str]] = {
    t.Boolean: lambda v: str(v).lower(),
    t.Integer: str,
    t.Year: str,
    t.Decimal: lambda v: format(v, "f"),
    t.Binary: hexed,
    t.Geometry: hexed,
    t.Date: lambda v: v.isoformat(),
    t.Time: lambda v: v.isoformat("microseconds"),
    t.DateTime: lambda v: v.isoformat("T", "microseconds"),
    t.Instant: lambda v: v.isoformat("T", "microseconds").replace("+00:00", "Z"),
    t.Duration: clock,
    t.Uuid: lambda v: str(uuid.UUID(bytes=v)),
}


def same_float(text: str, value: float, bits: int) -> bool:
    form = pa.float32() if bits == 32 else pa.float64()
    read = pa.scalar(float(text), form).as_py()
    return bool(
        (math.isnan(read) and math.isnan(value))
        or (read == value and math.copysign(1, read) == math.copysign(1, value))
    )


def check_text(kind: t.NeutralType, text: str | None, value: Any) -> None:
    if value is None:
        assert text is None
    elif isinstance(kind, t.Float):
        assert text is not None
        assert same_float(text, value, kind.bits)
    else:
        assert text == SPELLED.get(type(kind), str)(value)


@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
def test_csv_holds_every_value(tmp_path: Path, compression: str) -> None:
    part = written(tmp_path, "csv", compression)
    _, rows = every_type()
    convert = pcsv.ConvertOptions(
        column_types=dict.fromkeys(VALUES, pa.string()), strings_can_be_null=True, null_values=[""],
        quoted_strings_can_be_null=False,
    )  # fmt: skip
    with pa.input_stream(str(part)) as stream:
        read = pcsv.read_csv(
            stream, convert_options=convert, parse_options=pcsv.ParseOptions(newlines_in_values=True)
        ).to_pydict()
    assert list(read) == list(VALUES)
    for (name, (kind, _)), at in zip(VALUES.items(), range(len(VALUES)), strict=True):
        for text, row in zip(read[name], rows, strict=True):
            check_text(kind, text, row[at])


def test_duckdb_reads_the_csv_the_same(tmp_path: Path) -> None:
    part = written(tmp_path, "csv", "zstd")
    _, rows = every_type()
    columns = dict.fromkeys(VALUES, "VARCHAR")
    read = duckdb.sql(
        f"FROM read_csv('{part}', header=true, auto_detect=false, delim=',', quote='\"', escape='\"', "
        f"columns={columns}, allow_quoted_nulls=false, new_line='\\n')"
    ).fetchall()
    assert len(read) == len(rows)
    for got, row in zip(read, rows, strict=True):
        for text, value, (kind, _) in zip(got, row, VALUES.values(), strict=True):
            check_text(kind, text, value)


NUMBERS = (t.Integer, t.Year, t.Decimal, t.Boolean)


@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
def test_jsonl_holds_every_value(tmp_path: Path, compression: str) -> None:
    part = written(tmp_path, "jsonl", compression)
    _, rows = every_type()
    with pa.input_stream(str(part)) as stream:
        lines = stream.read().decode().removesuffix("\n").split("\n")
    assert len(lines) == len(rows)
    for line, row in zip(lines, rows, strict=True):
        read = json.loads(line, parse_float=lambda x: ("number", x), parse_int=lambda x: ("number", x))
        held = dict(zip(VALUES, row, strict=True))
        assert list(read) == [name for name in VALUES if held[name] is not None or VALUES[name][0] != t.Json()]
        for name, value in held.items():
            check_json(name, read.get(name), value, line)


def check_json(name: str, read: Any, value: Any, line: str) -> None:
    kind = VALUES[name][0]
    if isinstance(kind, t.Json):
        assert value is None or f'"json":{value.replace(chr(10), " ")},"' in line
        return
    if isinstance(read, bool):
        read = ("number", str(read).lower())
    if value is not None:
        number = isinstance(kind, NUMBERS) or (isinstance(kind, t.Float) and math.isfinite(value))
        number = number or (isinstance(kind, t.Number) and value[-1].isdigit())
        assert isinstance(read, tuple) is number
    check_text(kind, read[1] if isinstance(read, tuple) else read, value)


def test_duckdb_reads_the_jsonl(tmp_path: Path) -> None:
    part = written(tmp_path, "jsonl", "gzip")
    _, rows = every_type()
    columns = {
        "text": "VARCHAR",
        "uint64": "UBIGINT",
        "uuid": "UUID",
        "json": "JSON",
        "date": "DATE",
    }
    read = duckdb.sql(
        f"SELECT text, uint64, uuid, json::VARCHAR, date FROM read_json('{part}', format='newline_delimited', "
        f"columns={columns})"
    ).fetchall()
    names = list(VALUES)
    at = [names.index(name) for name in columns]
    for got, row in zip(read, rows, strict=True):
        text, whole, key, document, day = (row[place] for place in at)
        assert got[:2] == (text, whole)
        assert got[2] == (None if key is None else uuid.UUID(bytes=key))
        assert (got[3] is None) or json.loads(got[3]) == json.loads(document or "null")
        assert got[4] == day


@pytest.mark.parametrize("compression", ["none", "gzip", "zstd", "snappy"])
def test_parquet_holds_every_value(tmp_path: Path, compression: str) -> None:
    part = written(tmp_path, "parquet", compression)
    _, rows = every_type()
    read = pq.read_table(part)
    assert read.column_names == list(VALUES)
    for at, (name, (kind, _)) in enumerate(VALUES.items()):
        assert neutral_of(read.schema.field(name)) == kind
        for got, row in zip(read.column(name).to_pylist(), rows, strict=True):
            check_parquet(kind, got, row[at])


def check_parquet(kind: t.NeutralType, got: Any, value: Any) -> None:
    if value is None:
        assert got is None
    elif isinstance(kind, t.Float):
        assert same_float(str(got), value, kind.bits)
    elif isinstance(kind, t.Uuid):
        assert got == uuid.UUID(bytes=value)
    elif isinstance(kind, t.Decimal) and kind.precision > 38:
        assert got == format(value, "f")
    else:
        assert got == value


DUCKDB_TYPES = {
    "boolean": "BOOLEAN", "int8": "TINYINT", "int16": "SMALLINT", "int24": "INTEGER", "int64": "BIGINT",
    "uint8": "UTINYINT", "uint16": "USMALLINT", "uint32": "UINTEGER", "uint64": "UBIGINT",
    "decimal": "DECIMAL(10,2)", "tiny": "DECIMAL(20,15)", "widest": "DECIMAL(38,10)", "wider": "VARCHAR",
    "number": "VARCHAR", "float": "FLOAT", "double": "DOUBLE", "text": "VARCHAR", "binary": "BLOB", "bits": "VARCHAR",
    "date": "DATE", "time": "TIME", "datetime": "TIMESTAMP", "instant": "TIMESTAMP WITH TIME ZONE",
    "duration": "BIGINT", "year": "SMALLINT", "json": "JSON", "enum": "VARCHAR", "uuid": "UUID", "geometry": "BLOB",
}  # fmt: skip


def test_duckdb_reads_the_parquet(tmp_path: Path) -> None:
    part = written(tmp_path, "parquet", "zstd")
    _, rows = every_type()
    described = duckdb.sql(f"DESCRIBE FROM '{part}'").fetchall()
    types = {row[0]: row[1] for row in described}
    assert {name: types[name] for name in DUCKDB_TYPES} == DUCKDB_TYPES
    plain = [name for name in VALUES if name not in ("endless", "float", "instant", "duration", "uuid")]
    listed = ", ".join(f'"{name}"' for name in plain)
    read = duckdb.sql(f"SELECT {listed} FROM '{part}'").fetchall()
    for at, name in enumerate(plain):
        place = list(VALUES).index(name)
        for got, row in zip(read, rows, strict=True):
            check_parquet(VALUES[name][0], got[at], row[place])
    odd = duckdb.sql(f"SELECT duration, epoch_us(instant), uuid FROM '{part}' LIMIT 3").fetchall()
    names = list(VALUES)
    for got, row in zip(odd, rows, strict=False):
        length, moment, key = (row[names.index(name)] for name in ("duration", "instant", "uuid"))
        assert got[0] == (None if length is None else length // timedelta(microseconds=1))
        assert got[1] == (
            None if moment is None else (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
        )
        assert got[2] == (None if key is None else uuid.UUID(bytes=key))


@pytest.mark.parametrize(("file_format", "compression"), FORMATS)
def test_an_empty_table_gives_one_file_with_its_columns(tmp_path: Path, file_format: str, compression: str) -> None:
    source, _ = every_type()
    (done,) = export(target(tmp_path, file_format, compression=compression), source, [[]])
    assert (done.rows, done.size) == (0, 0)
    (part,) = (tmp_path / "every type").glob("part-*")
    if file_format == "parquet":
        assert pq.read_schema(part).names == list(VALUES)
    else:
        with pa.input_stream(str(part)) as stream:
            held = stream.read().decode()
        assert held == ("" if file_format == "jsonl" else ",".join(f"{name}" for name in VALUES) + "\n")
    document = json.loads((part.parent / "_schema.json").read_text())
    assert [column["name"] for column in document["columns"]] == list(VALUES)


@pytest.mark.parametrize("kind", [kind for kind, _ in VALUES.values()], ids=list(VALUES))
def test_a_type_survives_its_spelling(kind: t.NeutralType) -> None:
    assert parse(spell(kind)) == kind


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"kind": "Nothing"}', '{"kind": "Decimal"}', "1"])
def test_what_is_no_type_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        parse(text)


AWKWARD_TEXT = st.text(alphabet=st.sampled_from(" ,;\t|-1e\\^]\u00a7.x\"'2\u20ac\n\r\u00e9a"), max_size=6)
FIXED = st.decimals(allow_nan=False, min_value=-(10**9), max_value=10**9, places=12)


@settings(max_examples=60, deadline=None)
@given(
    delimiter=st.sampled_from([",", ";", "\t", "|", " ", "-", "1", "e", "\\", "^", "]", "\u00a7", ".", "x"]),
    quote=st.sampled_from(['"', "'", "^", "-", "2", "\\", "\u20ac"]),
    values=st.lists(
        st.tuples(
            st.one_of(st.none(), AWKWARD_TEXT),
            st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1)),
            st.one_of(st.none(), st.binary(max_size=3)),
        ),
        min_size=1, max_size=8,
    ),
)  # fmt: skip
def test_any_dialect_reads_back(
    tmp_path_factory: pytest.TempPathFactory, delimiter: str, quote: str, values: list[tuple[Any, ...]]
) -> None:
    if delimiter == quote:
        return
    source = table("d", {"name": t.Text(), "n-1": t.Integer(64), "b": t.Binary()})
    base = tmp_path_factory.mktemp("dialect")
    dialect = {"delimiter": delimiter, "quote": quote}
    export(target(base, "csv", csv=dialect), source, [batches(source, values)])
    text = (base / "d" / "part-00000.csv").read_bytes().decode()
    header, *read = fields(text, delimiter, quote)
    assert header == ["name", "n-1", "b"]
    wanted = [[a, None if b is None else str(b), None if c is None else hexed(c)] for a, b, c in values]
    assert read == wanted


def fields(text: str, delimiter: str, quote: str) -> list[list[str | None]]:
    """RFC 4180 read one character at a time; an empty field is None, a quoted empty one is ""."""
    rows: list[list[str | None]] = []
    row: list[str | None] = []
    at = 0
    while at < len(text):
        if text[at] == quote:
            held, at = "", at + 1
            while text[at] != quote or text[at : at + 2] == quote * 2:
                held += text[at]
                at += 2 if text[at] == quote else 1
            at += 1
            value: str | None = held
        else:
            end = at
            while text[end] not in (delimiter, "\n"):
                end += 1
            value, at = text[at:end] or None, end
        row.append(value)
        assert text[at] in (delimiter, "\n")
        if text[at] == "\n":
            rows.append(row)
            row = []
        at += 1
    return rows


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.text(max_size=8), st.floats(), FIXED),
             min_size=1, max_size=6)
)  # fmt: skip
def test_any_text_and_number_reads_back_from_jsonl(
    tmp_path_factory: pytest.TempPathFactory, values: list[tuple[str, float, Decimal]]
) -> None:
    source = table("d", {"s": t.Text(), "f": t.Float(64), "d": t.Decimal(30, 12)})
    base = tmp_path_factory.mktemp("jsonl")
    export(target(base, "jsonl"), source, [batches(source, values)])
    lines = (base / "d" / "part-00000.jsonl").read_text().removesuffix("\n").split("\n")
    for line, (text, number, exact) in zip(lines, values, strict=True):
        read = json.loads(line, parse_float=str, parse_int=str)
        assert read["s"] == text
        assert same_float(read["f"], number, 64)
        assert read["d"] == format(exact, "f")


@pytest.mark.parametrize("file_format", ["csv", "jsonl", "parquet"])
def test_slices_of_larger_batches_are_written_as_they_are(tmp_path: Path, file_format: str) -> None:
    source, rows = every_type()
    (whole,) = batches(source, rows, size=1000)
    export(target(tmp_path / "whole", file_format), source, [[whole]])
    pieces = [whole.slice(at, 3) for at in range(0, whole.num_rows, 3)]
    export(target(tmp_path / "pieces", file_format), source, [pieces])
    one, other = (tmp_path / name / "every type" / f"part-00000.{file_format}" for name in ("whole", "pieces"))
    if file_format == "parquet":
        assert pq.read_table(one).slice(1).drop_columns("endless") == pq.read_table(other).slice(1).drop_columns(
            "endless"
        )
    else:
        assert one.read_bytes() == other.read_bytes()


def test_a_large_value_crosses_in_every_format(tmp_path: Path) -> None:
    source = table("big", {"t": t.Text(), "b": t.Binary()})
    rows: list[list[Any]] = [["x" * 20_000_000, b"\x01" * 5_000_000], ['"' * 1_000_000, b""]]
    for file_format in ("csv", "jsonl", "parquet"):
        export(target(tmp_path / file_format, file_format), source, [batches(source, rows)])
    lines = (tmp_path / "jsonl" / "big" / "part-00000.jsonl").read_text().splitlines()
    assert [json.loads(line)["t"] for line in lines] == [row[0] for row in rows]
    read = fields_of_line((tmp_path / "csv" / "big" / "part-00000.csv").read_text().splitlines()[1])
    assert read == [rows[0][0], hexed(rows[0][1])]
    assert pq.read_table(tmp_path / "parquet" / "big" / "part-00000.parquet").to_pydict()["b"] == [
        row[1] for row in rows
    ]


def fields_of_line(line: str) -> list[str]:
    return line.split(",")
