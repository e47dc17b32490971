"""The options of a format, and what no option can make possible."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rowferry.errors import Refused, WriteFailed
from rowferry.model import types as t
from rowferry.model.chunks import Chunk
from tests.files.tables import batches, export, prepared, table, target


@pytest.mark.parametrize(("unit", "kept"), [("ms", 999000), ("us", 999999), ("ns", 999999)])
def test_timestamps_are_written_in_the_unit_that_is_asked_for(tmp_path: Path, unit: str, kept: int) -> None:
    source = table("m", {"a": t.DateTime(), "b": t.Instant()})
    moments = [datetime(1969, 12, 31, 23, 59, 59, 999999), datetime(2024, 2, 29, 1, 1, 1, 999999)]
    rows = [[moment, moment.replace(tzinfo=UTC)] for moment in moments]
    export(target(tmp_path, "parquet", parquet={"timestampUnit": unit}), source, [batches(source, rows)])
    read = pq.read_table(tmp_path / "m").cast(pa.schema([("a", pa.timestamp("us")), ("b", pa.timestamp("us", "UTC"))]))
    assert read.column("a").to_pylist() == [moment.replace(microsecond=kept) for moment in moments]
    assert read.column("b").to_pylist() == [moment.replace(microsecond=kept, tzinfo=UTC) for moment in moments]


def test_a_year_that_nanoseconds_cannot_hold_is_refused_by_column(tmp_path: Path) -> None:
    source = table("m", {"a": t.DateTime()})
    opened = target(tmp_path, "parquet", parquet={"timestampUnit": "ns"})
    (planned,) = prepared(opened, source)
    with pytest.raises(WriteFailed, match=r"m\.a holds a time that timestampUnit ns cannot"):
        opened.write(planned, Chunk(source.name, 0), iter(batches(source, [[datetime(9999, 1, 1)]])))
    assert list((tmp_path / "m").iterdir()) == []


@pytest.mark.parametrize("file_format", ["csv", "jsonl"])
def test_far_years_are_written_with_all_their_digits(tmp_path: Path, file_format: str) -> None:
    source = table("m", {"a": t.Instant(), "b": t.Date()})
    opened = target(tmp_path, file_format)
    (planned,) = prepared(opened, source)
    moments = pa.array([9_223_371_244_799_999_999, None, -210_866_803_200_000_000, 0], pa.timestamp("us", "UTC"))
    days = pa.array([2_145_042_905, None, -2_440_588, 0], pa.date32())
    batch = pa.record_batch([moments, days], ["a", "b"])
    opened.write(planned, Chunk(source.name, 0), iter([batch]))
    held = (tmp_path / "m" / f"part-00000.{file_format}").read_text()
    for moment in ("294246-12-31T23:59:59.999999Z", "-4713-11-24T00:00:00.000000Z", "1970-01-01T00:00:00.000000Z"):
        assert moment in held
    for day in ("5874897-12-31", "-4713-11-24", "1970-01-01"):
        assert day in held


def test_row_groups_are_bounded_in_rows_and_in_bytes(tmp_path: Path) -> None:
    source = table("g", {"id": t.Integer(64), "t": t.Text()})
    rows = [[number, "x" * 1000] for number in range(5000)]
    export(target(tmp_path / "r", parquet={"maxRowGroupSize": 700}), source, [batches(source, rows, 512)])
    by_rows = pq.read_metadata(tmp_path / "r" / "g" / "part-00000.parquet")
    assert [by_rows.row_group(at).num_rows for at in range(by_rows.num_row_groups)] == [700] * 7 + [100]
    export(target(tmp_path / "b", parquet={"targetRowGroupSizeMB": 1}), source, [batches(source, rows, 5000)])
    by_bytes = pq.read_metadata(tmp_path / "b" / "g" / "part-00000.parquet")
    assert by_bytes.num_row_groups > 4
    assert pq.read_table(tmp_path / "b" / "g").column("id").to_pylist() == list(range(5000))


def test_parquet_options_are_honoured(tmp_path: Path) -> None:
    source = table("o", {"id": t.Integer(64), "word": t.Text(), "e": t.Enum(("a", "b"))})
    rows = [[number, "same", "a"] for number in range(100)]
    written_batches = [batches(source, rows, 100)]
    export(target(tmp_path / "on"), source, written_batches)
    off = {"enableDictionary": False, "enableStatistics": False, "compressionLevel": 19}
    export(target(tmp_path / "off", parquet=off), source, written_batches)
    on_group, off_group = (
        pq.read_metadata(tmp_path / side / "o" / "part-00000.parquet").row_group(0) for side in ("on", "off")
    )
    assert [on_group.column(at).has_dictionary_page for at in range(3)] == [False, True, True]
    assert [off_group.column(at).has_dictionary_page for at in range(3)] == [False, False, False]
    assert on_group.column(0).is_stats_set
    assert not off_group.column(0).is_stats_set


@pytest.mark.parametrize("file_format", ["csv", "jsonl", "parquet"])
def test_null_in_a_column_that_is_not_null_is_refused_by_name(tmp_path: Path, file_format: str) -> None:
    source = table("n", {"a": t.Integer(32)})
    strict = source.__class__(
        source.name,
        tuple(column.__class__(column.name, column.type, column.native, False) for column in source.columns),
    )
    opened = target(tmp_path, file_format)
    (planned,) = prepared(opened, strict)
    batch = pa.record_batch([pa.array([None], pa.int32())], ["a"])
    with pytest.raises(WriteFailed, match=r"n\.a is declared NOT NULL"):
        opened.write(planned, Chunk(source.name, 0), iter([batch]))


@pytest.mark.parametrize(
    ("file_format", "options", "message"),
    [
        ("csv", {"csv": {"delimiter": "\n"}}, "delimiter cannot be a line end"),
        ("csv", {"csv": {"quote": "\r"}}, "quote cannot be a line end"),
        ("csv", {"csv": {"delimiter": '"'}}, "same character"),
        ("parquet", {"compression": "gzip", "parquet": {"compressionLevel": 10}}, "choose 1 to 9"),
        ("parquet", {"compression": "snappy", "parquet": {"compressionLevel": 1}}, "leave it out"),
    ],
)
def test_options_that_make_no_file_are_refused_before_anything_is_written(
    tmp_path: Path, file_format: str, options: dict[str, Any], message: str
) -> None:
    source = table("n", {"a": t.Integer(32)})
    with pytest.raises(Refused, match=message):
        target(tmp_path / "new", file_format, **options).plan([source], "", prepared=False)
    assert not (tmp_path / "new").exists()
