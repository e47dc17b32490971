"""Folders' names: safe, stable, never the same for two tables, never outside the connection's folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rowferry.connectors.files.layout import contents, folder_names, journal_folder, safe_name
from rowferry.errors import ConnectionFailed, InvalidInput, Refused
from rowferry.model import types as t
from rowferry.model.chunks import Chunk
from rowferry.model.tables import TableName
from tests.files.tables import batches, export, prepared, table, target

HOSTILE = [
    "..", ".", "/", "../../etc/passwd", "/etc/passwd", "a/b", "a\\b", ".rowferry", ".hidden", "nul\x00byte",
    "new\nline", "x" * 300, "\U0001f600" * 80, "~root", " ", "", "a=b", "*", "[a]", "100%", "%2F", "con.", "with space",
    "\u00fcber", "select", "a.b", '"quoted"', "part-00000.csv", "_schema.json", "-rf",
]  # fmt: skip


def test_hostile_names_stay_inside_and_apart(tmp_path: Path) -> None:
    base = tmp_path / "base"
    opened = target(base, "csv")
    sources = [table(name, {"id": t.Integer(64)}) for name in HOSTILE]
    planned = prepared(opened, *sources)
    for number, (source, each) in enumerate(zip(sources, planned, strict=True)):
        opened.write(each, Chunk(source.name, 0), iter(batches(source, [[number]])))
        opened.finish_table(each)
    opened.forget()
    assert [path.name for path in tmp_path.iterdir()] == ["base"]
    folders = {str(each.target.name) for each in planned}
    assert {path.name for path in base.iterdir()} == folders
    assert len(folders) == len(HOSTILE)
    for number, each in enumerate(planned):
        assert each.target.name.schema == ""
        assert (base / str(each.target.name) / "part-00000.csv").read_text() == f"id\n{number}\n"


@given(
    st.lists(
        st.tuples(st.sampled_from(["", "s", "S"]), st.text(max_size=6) | st.text("aA/%.-", max_size=4)), unique=True
    )
)
def test_names_are_safe_and_apart_in_any_case(names: list[tuple[str, str]]) -> None:
    tables = [TableName(*name) for name in names]
    found = folder_names(tables)
    assert len({folder.name.casefold() for folder in found}) == len(names)
    for folder in found:
        assert folder.name
        assert len(folder.name.encode()) <= 200
        assert safe_name(folder.name.replace("%", "")) in (folder.name.replace("%", ""), "%")
    order = sorted(range(len(tables)), key=lambda at: names[at])
    assert [found[at] for at in order] == folder_names([tables[at] for at in order])


def test_tables_that_share_a_name_say_where_they_go() -> None:
    names = [
        TableName("public", "Users"),
        TableName("public", "users"),
        TableName("sales", "users"),
        TableName("", "x"),
    ]
    found = folder_names(names)
    assert [folder.name for folder in found][2:] == ["sales.users", "x"]
    assert found[0].name.startswith("public.Users-")
    assert found[1].name.startswith("public.users-")
    assert [bool(folder.reason) for folder in found] == [True, True, True, False]


def test_a_changed_name_is_a_finding_and_the_same_table_twice_an_error(tmp_path: Path) -> None:
    source = table("a/b", {"id": t.Integer(64)})
    (finding,) = target(tmp_path).plan([source], "", prepared=False).findings
    assert finding.severity.value == "info"
    assert "a%2Fb" in finding.message
    twice = target(tmp_path).plan([source, source], "", prepared=False).findings
    assert [each.severity.value for each in twice].count("error") == 1


def test_a_link_that_leads_out_is_refused(tmp_path: Path) -> None:
    base, outside = tmp_path / "base", tmp_path / "outside"
    base.mkdir()
    outside.mkdir()
    (base / "a").symlink_to(outside)
    source = table("a", {"id": t.Integer(64)})
    with pytest.raises(Refused, match="leads out of"):
        target(base).plan([source], "", prepared=False)
    (base / "a").unlink()
    opened = target(base)
    (planned,) = prepared(opened, source)
    (base / "a").rmdir()
    (base / "a").symlink_to(outside)
    with pytest.raises(Refused, match="leads out of"):
        opened.write(planned, Chunk(source.name, 0), iter(batches(source, [[1]])))
    assert list(outside.iterdir()) == []


def test_a_journal_folder_that_leads_out_is_refused(tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    (tmp_path / "outside").mkdir()
    (tmp_path / "base" / ".rowferry").symlink_to(tmp_path / "outside")
    with pytest.raises(Refused, match="leads out of"):
        target(tmp_path / "base")


def test_a_base_that_is_itself_a_link_is_fine(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    source = table("a", {"id": t.Integer(64)})
    export(target(tmp_path / "link"), source, [batches(source, [[1]])])
    assert (tmp_path / "real" / "a" / "part-00000.parquet").exists()


def test_a_file_where_the_folder_would_go_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a file")
    with pytest.raises(Refused, match="is a file, but the table's folder"):
        target(tmp_path).plan([table("a", {"id": t.Integer(64)})], "", prepared=False)


def test_a_base_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    opened = target(tmp_path / "file" / "base")
    with pytest.raises(ConnectionFailed, match="not a directory"):
        prepared(opened, table("a", {"id": t.Integer(64)}))


@pytest.mark.parametrize("stream", ["", "..", "../x", "a/b", ".hidden", "x" * 300])
def test_an_odd_stream_id_is_refused(tmp_path: Path, stream: str) -> None:
    with pytest.raises(InvalidInput):
        journal_folder(tmp_path, stream)


def test_contents_tells_our_files_from_others(tmp_path: Path) -> None:
    names = ["part-00000.csv", "part-100000.parquet", "part-1.jsonl.zst", "part-x.csv", "other.PARQUET", "x.csv.gz"]
    names += [
        "_schema.json",
        "notes.txt",
        ".part-00000.csv",
        "_manifest.json",
        "part-00000.csv.tmp",
        "part-2.parquet.gz",
    ]
    for name in names:
        (tmp_path / name).write_text("")
    (tmp_path / "part-00009.csv").mkdir()
    held = contents(tmp_path)
    assert [path.name for path in held.own] == ["part-00000.csv", "part-1.jsonl.zst", "part-100000.parquet"]
    assert [path.name for path in held.others] == ["other.PARQUET", "part-x.csv", "x.csv.gz"]
    assert held.next_part == 100001
    assert contents(tmp_path / "none").data == ()
