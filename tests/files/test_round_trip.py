"""What a stream wrote into a folder is read back exactly: types, keys, and every value."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from rowferry.connectors.base import ChunkSize
from rowferry.model import types as t
from rowferry.model.tables import Column, Table
from tests.files.reading import ON_ONE_LINE, read, source
from tests.files.tables import FORMATS, NATIVE, batches, every_type, export, table, target

FORMS = [pytest.param(*form, id="-".join(form)) for form in FORMATS]


@pytest.mark.parametrize(("file_format", "compression"), FORMS)
def test_every_type_comes_back(tmp_path: Path, file_format: str, compression: str) -> None:
    made, rows = every_type()
    export(target(tmp_path, file_format, compression=compression), made, [batches(made, rows)])
    opened = source(tmp_path)
    [found] = opened.tables([])
    assert str(found.name) == "every type"
    assert [(one.name, one.type, one.nullable) for one in found.columns] == [
        (one.name, one.type, one.nullable) for one in made.columns
    ]
    expected = pa.Table.from_batches(batches(made, rows))
    back = read(opened, found)
    for name in expected.column_names:
        wanted, got = expected.column(name).to_pylist(), back.column(name).to_pylist()
        if file_format == "jsonl" and name == "json":
            wanted = [ON_ONE_LINE.get(one, one) for one in wanted]
        assert [repr(one) for one in got] == [repr(one) for one in wanted], name


@pytest.mark.parametrize("file_format", ["csv", "jsonl", "parquet"])
def test_keys_nullability_and_names_come_back(tmp_path: Path, file_format: str) -> None:
    columns = (
        Column("id", t.Integer(32), NATIVE, nullable=False),
        Column("a b\"c,d'e", t.Text(20), NATIVE),
        Column("\u00e9;", t.Enum(("x", "y")), NATIVE, nullable=False),
    )
    made = Table(table("odd/name", {}).name, columns, primary_key=("id",), key=("id",))
    export(target(tmp_path, file_format), made, [batches(made, [(1, None, "x"), (2, "", "y")]), batches(made, [])])
    opened = source(tmp_path)
    [found] = opened.tables([])
    assert (found.name.name, found.primary_key, found.key) == ("odd/name", ("id",), ())
    assert [(one.name, one.type, one.nullable) for one in found.columns] == [
        (one.name, one.type, one.nullable) for one in columns
    ]
    assert read(opened, found).to_pylist() == [
        dict(zip(found.column_names(), row, strict=True)) for row in [(1, None, "x"), (2, "", "y")]
    ]


@pytest.mark.parametrize("file_format", ["csv", "jsonl", "parquet"])
def test_parts_are_cut_and_together_hold_every_row_once(tmp_path: Path, file_format: str) -> None:
    made = table("t", {"n": t.Integer(64), "w": t.Text()})
    rows = [(at, None if at % 7 == 0 else 'line\n"' * (at % 5)) for at in range(30_000)]
    options = {"parquet": {"maxRowGroupSize": 1000}} if file_format == "parquet" else {}
    parts = [batches(made, rows[:20_000], 5000), batches(made, rows[20_000:], 5000)]
    export(target(tmp_path, file_format, compression="none", **options), made, parts)
    opened = source(tmp_path)
    [found] = opened.tables([])
    chunks = opened.chunks(found, ChunkSize(10**6, 50_000))
    assert len(chunks) > 3 if file_format != "csv" else len(chunks) > 1
    back = [row for chunk in chunks for batch in opened.read(found, chunk) for row in batch.to_pylist()]
    assert sorted(back, key=lambda row: row["n"]) == [{"n": n, "w": w} for n, w in rows]


@pytest.mark.parametrize("file_format", ["csv", "jsonl", "parquet"])
def test_a_table_without_rows_comes_back(tmp_path: Path, file_format: str) -> None:
    made = table("t", {"n": t.Integer(64)})
    export(target(tmp_path, file_format), made, [[]])
    opened = source(tmp_path)
    [found] = opened.tables([])
    assert [one.type for one in found.columns] == [t.Integer(64)]
    assert read(opened, found).num_rows == 0


def test_a_column_of_nulls_by_itself_comes_back(tmp_path: Path) -> None:
    made = table("t", {"w": t.Text()})
    export(target(tmp_path, "csv"), made, [batches(made, [(None,), ("",), (None,), ("x",)])])
    opened = source(tmp_path)
    [found] = opened.tables([])
    assert read(opened, found).column("w").to_pylist() == [None, "", None, "x"]
