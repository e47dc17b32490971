"""Which tables a folder holds, and that nothing outside it is ever read."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rowferry.config.connection import Connection
from rowferry.config.source_files import SourceFiles
from rowferry.connectors.base import SourceRequest
from rowferry.connectors.files import CONNECTOR
from rowferry.connectors.files.store import LocalStore
from rowferry.errors import InvalidInput, MissingTable, ReadFailed, RowferryError, SourceChanged
from rowferry.model import types as t
from tests.files.reading import WHOLE, only, read, source


def put(base: Path, *names: str, text: str = "a,b\n1,2\n") -> None:
    for name in names:
        (base / name).parent.mkdir(parents=True, exist_ok=True)
        (base / name).write_text(text)


def names(base: Path, *paths: str) -> list[str]:
    return [table.name.name for table in source(base, *paths).tables([])]


def test_without_paths_all_tables_of_the_folder_are_meant(tmp_path: Path) -> None:
    put(tmp_path, "a.csv", "b.part.csv", "orders/x.csv", "orders/y.csv", "deep/er/x.csv", ".hidden/a.csv", "_a/a.csv")
    put(tmp_path, "readme.txt", "_b.csv", ".c.csv", "orders/notes.txt")
    assert names(tmp_path) == ["a", "b", "orders"]
    assert names(tmp_path / "orders") == ["x", "y"]
    assert names(tmp_path / "deep") == ["er"]


def test_a_folder_of_nothing_but_parts_is_a_table(tmp_path: Path) -> None:
    put(tmp_path / "items", "part-0.csv", "part-1.csv")
    assert names(tmp_path / "items") == ["items"]
    assert len(only(source(tmp_path / "items"))[1]) == 2


@pytest.mark.parametrize(
    ("paths", "found"),
    [
        (["a.csv"], ["a"]),
        (["*.csv"], ["a", "b"]),
        (["orders/"], ["orders"]),
        (["./orders//"], ["orders"]),
        (["*/"], ["items", "orders"]),
        (["orders/x.csv"], ["x"]),
        (["orders/*.csv"], ["x", "y"]),
        (["items/*.csv"], ["items"]),
        (["**/*.csv"], ["a", "b", "items", "x", "y"]),
        (["[ab].csv", "a.csv", "?.csv"], ["a", "b"]),
    ],
)
def test_paths_name_files_folders_and_patterns(tmp_path: Path, paths: list[str], found: list[str]) -> None:
    put(tmp_path, "a.csv", "b.csv", "orders/x.csv", "orders/y.csv", "items/part-00000.csv", "items/part-00001.csv")
    assert names(tmp_path, *paths) == found


def test_what_is_called_alike_gets_names_of_its_own(tmp_path: Path) -> None:
    put(tmp_path, "a.csv", "a/x.csv", "b/a.csv", "c/a.csv")
    put(tmp_path, "a.jsonl", text='{"a": 1}\n')
    assert names(tmp_path) == ["a_csv", "a_jsonl", "b", "c", "x_csv"]
    assert names(tmp_path, "b/a.csv", "c/a.csv") == ["b_a_csv", "c_a_csv"]


def test_the_names_of_folders_give_columns(tmp_path: Path) -> None:
    for year, month in ((2023, "01"), (2024, "02"), (2024, "__HIVE_DEFAULT_PARTITION__")):
        folder = tmp_path / "sales" / f"year={year}" / f"month={month}" / "place=a%2Fb"
        folder.mkdir(parents=True)
        pq.write_table(pa.table({"id": [year]}), folder / "data_0.parquet")
    for paths in ([], ["sales/"], ["sales/*/*/*/*.parquet"]):
        table, rows = only(source(tmp_path, *paths))
        assert table.name.name == "sales"
        assert [(one.name, one.type, one.nullable) for one in table.columns] == [
            ("id", t.Integer(64), True),
            ("year", t.Integer(64), False),
            ("month", t.Text(), True),
            ("place", t.Text(), False),
        ]
        assert sorted(map(str, (row.values() for row in rows))) == sorted(
            f"dict_values({row})"
            for row in ([2023, 2023, "01", "a/b"], [2024, 2024, "02", "a/b"], [2024, 2024, None, "a/b"])
        )


@pytest.mark.parametrize("path", ["nothing.csv", "nowhere/", "*.parquet", "a.txt"])
def test_what_is_not_there_is_named(tmp_path: Path, path: str) -> None:
    put(tmp_path, "a.csv", "a.txt")
    with pytest.raises(MissingTable, match="There are no data files at"):
        source(tmp_path, path).tables([])


def test_a_table_of_several_formats_or_columns_is_refused(tmp_path: Path) -> None:
    put(tmp_path, "t/a.csv", "t/b.jsonl")
    with pytest.raises(InvalidInput, match="csv and jsonl"):
        source(tmp_path).tables([])
    (tmp_path / "t/b.jsonl").unlink()
    put(tmp_path, "t/b.csv", text="b,a\n1,2\n")
    with pytest.raises(ReadFailed, match=r"t/b\.csv has other columns"):
        only(source(tmp_path))
    (tmp_path / "t/b.csv").unlink()
    put(tmp_path, "t/_schema.json", text="{}")
    with pytest.raises(InvalidInput, match=r"_schema\.json does not describe columns"):
        source(tmp_path).tables([])


def opened(base: Path, files: str, *paths: str) -> Any:
    spec = {"name": "f", "type": "files", "spec": {"files": {"basePath": str(base)}}}
    wished = SourceFiles.model_construct(base_path=files, paths=paths)
    assert CONNECTOR.open_source is not None
    return CONNECTOR.open_source(SourceRequest(Connection.model_validate(spec), files=wished))


ATTACKS = [
    "../secret.csv",
    "/etc/passwd.csv",
    "in/../../secret.csv",
    "~/x.csv",
    "..\\secret.csv",
    "../*.csv",
    "*/../../*",
]


@pytest.mark.parametrize("path", [*ATTACKS, "../", "/", "link.csv", "linked/", "linked/secret.csv", "*.csv", "*/*.csv"])
def test_nothing_outside_is_read(tmp_path: Path, path: str) -> None:
    put(tmp_path, "secret.csv", "base/in/a.csv")
    (tmp_path / "base" / "link.csv").symlink_to(tmp_path / "secret.csv")
    (tmp_path / "base" / "linked").symlink_to(tmp_path)
    with pytest.raises(InvalidInput, match="leads out of"):
        opened(tmp_path / "base", str(tmp_path / "base"), path).tables([])


def test_links_that_stay_inside_are_followed(tmp_path: Path) -> None:
    put(tmp_path, "a.csv", "real/x.csv")
    (tmp_path / "b.csv").symlink_to(tmp_path / "a.csv")
    (tmp_path / "other").symlink_to(tmp_path / "real")
    assert names(tmp_path) == ["a", "b", "other", "real"]


@pytest.mark.parametrize("folder", ["/", "/etc", "..", "in/../..", "out"])
def test_a_base_path_elsewhere_is_refused(tmp_path: Path, folder: str) -> None:
    (tmp_path / "base" / "in").mkdir(parents=True)
    (tmp_path / "base" / "out").symlink_to("/etc")
    with pytest.raises(InvalidInput, match="or one below it"):
        opened(tmp_path / "base", folder)
    put(tmp_path, "base/in/a.csv")
    for inside in ("in", str(tmp_path / "base" / "in"), "./in/"):
        assert len(opened(tmp_path / "base", inside).tables([])) == 1


def test_a_link_that_is_put_in_a_files_place_is_not_followed(tmp_path: Path) -> None:
    put(tmp_path, "secret.csv", "base/a.csv")
    there = source(tmp_path / "base")
    [table] = there.tables([])
    [chunk] = there.chunks(table, WHOLE)
    (tmp_path / "base" / "a.csv").unlink()
    (tmp_path / "base" / "a.csv").symlink_to(tmp_path / "secret.csv")
    with pytest.raises(InvalidInput, match="leads out of"):
        list(there.read(table, chunk))


@pytest.mark.parametrize("change", ["gone", "longer", "touched"])
def test_a_file_that_is_not_what_it_was_is_not_read(tmp_path: Path, change: str) -> None:
    put(tmp_path, "a.csv")
    there = source(tmp_path)
    [table] = there.tables([])
    [chunk] = there.chunks(table, WHOLE)
    changes: dict[str, Callable[[], None]] = {
        "gone": (tmp_path / "a.csv").unlink,
        "longer": lambda: put(tmp_path, "a.csv", text="a,b\n1,2\n3,4\n"),
        "touched": lambda: os.utime(tmp_path / "a.csv", ns=(1, 1)),
    }
    changes[change]()
    with pytest.raises(SourceChanged, match=r"a\.csv"):
        list(there.read(table, chunk))
    with pytest.raises(RowferryError):
        there.chunks(table, WHOLE)


def test_whoever_reads_what_another_planned_looks_for_all_tables_once(tmp_path: Path) -> None:
    put(tmp_path, *(f"t{number}.csv" for number in range(20)))
    planned = source(tmp_path).tables([])
    with patch.object(LocalStore, "list", autospec=True, side_effect=LocalStore.list) as looked:
        opened = source(tmp_path)
        for table in planned:
            assert read(opened, table).num_rows == 1
    assert [call.args[1] for call in looked.call_args_list] == [""]
