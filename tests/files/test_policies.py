"""Policies mean the same on folders as on tables, and nothing is destroyed before `prepare`."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rowferry.connectors.base import Target
from rowferry.errors import Cancelled, Refused, TargetExists, TargetFull, TargetNotEmpty, WriteFailed
from rowferry.model import types as t
from rowferry.model.chunks import Chunk
from rowferry.model.findings import Severity
from rowferry.model.tables import Check, Index, IndexPart, Table
from tests.files.tables import batches, export, prepared, table, target

ID: dict[str, t.NeutralType] = {"id": t.Integer(64), "w": t.Text()}
FORMATS = ("csv", "jsonl", "parquet")


def rows(*numbers: int) -> list[list[object]]:
    return [[number, f"w{number}"] for number in numbers]


def once(base: Path, name: str, numbers: list[int], file_format: str = "parquet", **kwargs: Any) -> None:
    """A whole stream that writes the numbers."""
    source = table(name, ID)
    export(target(base, file_format, **kwargs), source, [batches(source, rows(*numbers))])


def tree(base: Path) -> dict[str, bytes]:
    return {str(path.relative_to(base)): path.read_bytes() for path in sorted(base.rglob("*")) if path.is_file()}


def held(folder: Path) -> list[int]:
    return sorted(number for part in folder.glob("part-*") for number in pq.read_table(part).column("id").to_pylist())


def test_fail_if_exists_names_every_folder_that_holds_data(tmp_path: Path) -> None:
    once(tmp_path, "a", [1])
    once(tmp_path, "b", [1])
    (tmp_path / "c").mkdir()
    before = tree(tmp_path)
    with pytest.raises(TargetExists, match="folders a, b hold data already"):
        target(tmp_path).plan([table(name, ID) for name in "abcd"], "", prepared=False)
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "foreign.csv").write_text("1")
    with pytest.raises(TargetExists, match="folder x holds data already"):
        target(tmp_path).plan([table("x", ID)], "", prepared=False)
    (tmp_path / "x" / "foreign.csv").unlink()
    assert tree(tmp_path) == before


def test_a_folder_without_data_is_as_good_as_none(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "README.txt").write_text("notes")
    once(tmp_path, "a", [1])
    assert held(tmp_path / "a") == [1]
    assert (tmp_path / "a" / "README.txt").exists()


@pytest.mark.parametrize("file_format", FORMATS)
@pytest.mark.parametrize("policy", ["validate_existing", "create_missing_only"])
def test_append_adds_parts_with_numbers_of_their_own(tmp_path: Path, policy: str, file_format: str) -> None:
    once(tmp_path, "a", [1, 2], file_format)
    once(tmp_path, "a", [3], file_format, stream="stream_2", policies=(policy, "append"))
    names = sorted(path.name for path in (tmp_path / "a").glob("part-*"))
    assert names == [f"part-00000.{file_format}", f"part-00001.{file_format}"]
    if file_format == "parquet":
        assert held(tmp_path / "a") == [1, 2, 3]


def test_the_number_of_the_first_part_is_fixed_when_it_is_prepared(tmp_path: Path) -> None:
    once(tmp_path, "a", [1])
    opened = target(tmp_path, policies=("create_missing_only", "append"))
    source = table("a", ID)
    (planned,) = prepared(opened, source)
    assert planned.existing
    (tmp_path / "a" / "part-00000.parquet").unlink()
    again = target(tmp_path, policies=("create_missing_only", "append"))
    (planned,) = again.plan([source], "", prepared=True).tables
    assert planned.existing
    again.write(planned, Chunk(source.name, 1), iter(batches(source, rows(5))))
    again.write(planned, Chunk(source.name, 0), iter(batches(source, rows(4))))
    assert sorted(path.name for path in (tmp_path / "a").glob("part-*")) == ["part-00001.parquet", "part-00002.parquet"]


def test_a_part_that_somebody_else_wrote_is_not_overwritten(tmp_path: Path) -> None:
    opened = target(tmp_path)
    source = table("a", ID)
    (planned,) = prepared(opened, source)
    (tmp_path / "a" / "part-00000.parquet").write_bytes(b"theirs")
    with pytest.raises(WriteFailed, match="is there already, and this stream did not write it"):
        opened.write(planned, Chunk(source.name, 0), iter(batches(source, rows(1))))
    assert (tmp_path / "a" / "part-00000.parquet").read_bytes() == b"theirs"


@pytest.mark.parametrize("file_format", FORMATS)
@pytest.mark.parametrize("policy", ["validate_existing", "create_missing_only"])
def test_files_of_other_columns_are_not_added_to(tmp_path: Path, policy: str, file_format: str) -> None:
    once(tmp_path, "a", [1], file_format)
    opened = target(tmp_path, file_format, policies=(policy, "append"))
    with pytest.raises(Refused, match=r"a \("):
        opened.plan([table("a", {"id": t.Text(), "w": t.Text()})], "", prepared=False)
    (tmp_path / "a" / "_schema.json").unlink()
    with pytest.raises(Refused, match=r"a \("):
        opened.plan([table("a", {"other": t.Integer(64), "w": t.Text()})], "", prepared=False)
    other = "csv" if file_format == "parquet" else "parquet"
    with pytest.raises(Refused, match=f"is not {other}"):
        target(tmp_path, other, policies=(policy, "append")).plan([table("a", ID)], "", prepared=False)


@pytest.mark.parametrize("file_format", FORMATS)
def test_fail_if_not_empty_counts_rows(tmp_path: Path, file_format: str) -> None:
    policies = ("create_missing_only", "fail_if_not_empty")
    once(tmp_path, "empty", [], file_format, compression="gzip")
    once(tmp_path, "full", [1], file_format, compression="gzip")
    opened = target(tmp_path, file_format, policies=policies)
    assert opened.plan([table("empty", ID)], "", prepared=False).tables[0].existing
    with pytest.raises(TargetNotEmpty, match="folder full holds data already"):
        opened.plan([table("full", ID), table("empty", ID)], "", prepared=False)


@pytest.mark.parametrize(
    "policies",
    [
        ("drop_and_recreate", "fail_if_not_empty"), ("drop_and_recreate", "append"),
        ("validate_existing", "truncate_and_load"), ("create_missing_only", "truncate_and_load"),
    ],
)  # fmt: skip
def test_what_is_replaced_goes_at_prepare_and_only_if_it_is_ours(tmp_path: Path, policies: tuple[str, str]) -> None:
    once(tmp_path, "a", [1, 2])
    (tmp_path / "a" / "notes.txt").write_text("theirs")
    before = tree(tmp_path)
    opened = target(tmp_path, stream="stream_2", policies=policies)
    source = table("a", ID)
    plan = opened.plan([source], "", prepared=False)
    assert tree(tmp_path) == before
    opened.prepare(plan, {"a": ""})
    opened.prepare(plan, {"a": ""})
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["notes.txt"]
    opened.begin(plan.tables[0], [Chunk(source.name, 0)])
    opened.write(plan.tables[0], Chunk(source.name, 0), iter(batches(source, rows(3))))
    opened.prepare(plan, {"a": ""})
    assert pq.read_table(tmp_path / "a" / "part-00000.parquet").column("id").to_pylist() == [3]
    opened.forget()
    assert not (tmp_path / ".rowferry").exists()


def test_foreign_data_stays_and_is_reported(tmp_path: Path) -> None:
    once(tmp_path, "a", [1])
    (tmp_path / "a" / "foreign.csv").write_text("x\n1\n")
    policies = ("drop_and_recreate", "append")
    plan = target(tmp_path, policies=policies).plan([table("a", ID)], "", prepared=False)
    (finding,) = plan.findings
    assert finding.severity is Severity.WARNING
    assert "foreign.csv" in finding.message
    with pytest.raises(TargetNotEmpty):
        target(tmp_path, policies=("drop_and_recreate", "fail_if_not_empty")).plan([table("a", ID)], "", prepared=False)


def test_upsert_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="upsert needs a database"):
        target(tmp_path, policies=("create_missing_only", "upsert")).plan([table("a", ID)], "", prepared=False)


def test_a_preparation_that_fails_is_undone(tmp_path: Path) -> None:
    once(tmp_path, "a", [1])
    once(tmp_path, "c", [1])
    before = tree(tmp_path)
    policies = ("drop_and_recreate", "append")
    opened = target(tmp_path, stream="stream_2", policies=policies)
    plan = opened.plan([table(name, ID) for name in ("a", "b", "c")], "", prepared=False)
    (tmp_path / "b").symlink_to(tmp_path / "nowhere")
    with pytest.raises(WriteFailed):
        opened.prepare(plan, {})
    (tmp_path / "b").unlink()
    assert tree(tmp_path) == before
    assert target(tmp_path, stream="stream_2", policies=policies).journal() is None


def test_an_empty_chunk_that_is_not_the_first_leaves_no_file(tmp_path: Path) -> None:
    source = table("a", ID)
    done = export(target(tmp_path), source, [[], batches(source, rows(1)), []])
    assert [entry.rows for entry in done] == [0, 1, 0]
    assert sorted(path.name for path in (tmp_path / "a").glob("part-*")) == ["part-00000.parquet", "part-00001.parquet"]


def test_the_schema_file_tells_the_columns(tmp_path: Path) -> None:
    source = replace(table("a", {"id": t.Integer(64), "p": t.Decimal(10, 2)}), primary_key=("id",))
    export(target(tmp_path, "csv", csv={"delimiter": ";"}), source, [[]])
    assert json.loads((tmp_path / "a" / "_schema.json").read_text()) == {
        "format": "csv",
        "columns": [
            {"name": "id", "type": {"kind": "Integer", "bits": 64, "signed": True}, "nullable": True},
            {"name": "p", "type": {"kind": "Decimal", "precision": 10, "scale": 2}, "nullable": True},
        ],
        "primaryKey": ["id"],
        "csv": {"delimiter": ";", "quote": '"', "header": True},
    }


def test_a_part_that_was_taken_away_is_reported(tmp_path: Path) -> None:
    opened = target(tmp_path)
    source = table("a", ID)
    (planned,) = prepared(opened, source)
    opened.write(planned, Chunk(source.name, 0), iter(batches(source, rows(1))))
    assert opened.finish_table(planned) == []
    (tmp_path / "a" / "part-00000.parquet").unlink()
    (finding,) = opened.finish_table(planned)
    assert "part-00000.parquet" in finding.message


def test_findings_speak_of_types_and_structure(tmp_path: Path) -> None:
    source = table("a", {"id": t.Integer(64), "odd": t.Unknown("mysql", "vector(3)"), "wide": t.Decimal(65, 30)})
    moment = table("m", {"at": t.DateTime(6), "coarse": t.DateTime(3)})
    source = replace(source, indexes=(Index("i", (IndexPart("id"),)),), checks=(Check("c", "id > 0"),))
    opened = target(tmp_path, parquet={"timestampUnit": "ms"})
    plan = opened.plan([source, moment, Table(moment.name.__class__("s", "none"), ())], "", prepared=False)
    told = [(finding.severity.value, finding.table, finding.column) for finding in plan.findings]
    assert told == [
        ("warning", "shop.a", None),
        ("error", "shop.a", "odd"),
        ("info", "shop.a", "wide"),
        ("warning", "shop.m", "at"),
        ("error", "s.none", None),
    ]
    assert [column.native.declared for column in plan.tables[0].target.columns][::2] == ["INT(64, signed)", "STRING"]
    assert plan.tables[0].target.indexes == ()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte."""
    place = tmp_path / "small"
    place.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", place], check=False).returncode:
        pytest.skip("only root may mount a small file system")
    yield place
    subprocess.run(["umount", place], check=True)


@pytest.mark.parametrize(
    ("file_format", "compression"), [("csv", "none"), ("csv", "gzip"), ("jsonl", "zstd"), ("parquet", "none")]
)
def test_a_full_disk_is_said_and_the_stream_goes_on_when_there_is_room(
    small_disk: Path, file_format: str, compression: str
) -> None:
    source = table("a", {"b": t.Binary()})
    opened = target(small_disk, file_format, compression=compression)
    (planned,) = prepared(opened, source)
    with pytest.raises(TargetFull, match="no room left"):
        opened.write(
            planned, Chunk(source.name, 0), iter(batches(source, [[os.urandom(700_000)], [os.urandom(700_000)]], 1))
        )
    assert list((small_disk / "a").iterdir()) == []
    opened.write(planned, Chunk(source.name, 0), iter(batches(source, [[b"x"]])))
    assert len(list((small_disk / "a").iterdir())) == 1
    opened.close()


def test_a_full_disk_under_the_journal_loses_nothing(small_disk: Path) -> None:
    source = table("a", ID)
    opened = target(small_disk, "csv")
    (planned,) = prepared(opened, source)
    filler = small_disk / "filler"
    _fill(filler)
    chunks = [Chunk(source.name, number, None, ("k" * 9000,)) for number in range(2)]
    with pytest.raises(TargetFull):
        opened.begin(planned, chunks)
    filler.unlink()
    journal = target(small_disk, "csv").journal()
    assert journal is not None
    assert journal.chunks == {}
    opened.begin(planned, chunks)
    opened.write(planned, chunks[0], iter(batches(source, rows(1))))
    opened.close()


def _fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(bytes(4096)):
            pass


def closing(opened: Target, source: Table) -> Iterator[pa.RecordBatch]:
    yield batches(source, rows(1))[0]
    opened.close()
    yield batches(source, rows(2))[0]


def test_closing_ends_a_write_that_is_under_way(tmp_path: Path) -> None:
    opened = target(tmp_path)
    source = table("a", ID)
    (planned,) = prepared(opened, source)
    with pytest.raises(Cancelled):
        opened.write(planned, Chunk(source.name, 0), closing(opened, source))
    assert list((tmp_path / "a").iterdir()) == []
    assert [path for path in (tmp_path / ".rowferry").rglob("*") if path.is_file()] == [
        tmp_path / ".rowferry" / "stream_1" / "journal.jsonl"
    ]
