"""Every way out of a connection's folder that we could think of: none of them reads or writes anything outside."""

from __future__ import annotations

import json
import os
import re
import socket
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import pyarrow as pa
import pytest

from rowferry.config.connection import Connection
from rowferry.config.roots import Roots
from rowferry.connectors.base import PlannedTable, SourceRequest, Target
from rowferry.connectors.files import CONNECTOR, anchored, store
from rowferry.connectors.files.discover import discover
from rowferry.connectors.files.store import LocalStore
from rowferry.errors import ConnectionFailed, InvalidInput, Refused, RowferryError, SourceChanged, WriteFailed
from rowferry.model import types as t
from rowferry.model.chunks import Chunk
from tests.files.reading import WHOLE, only, read, source
from tests.files.tables import batches, export, prepared, table, target

ID: dict[str, t.NeutralType] = {"id": t.Integer(64)}
SECRET = "word\nhidden\n"


def files(place: Path, *roots: Path) -> Connection:
    """A connection to that folder, on a server that serves the roots."""
    written = {"name": "f", "type": "files", "spec": {"files": {"basePath": str(place)}}}
    return Connection.model_validate(written).within(Roots(roots))


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A connection's folder, beside which lies what nobody should see."""
    (tmp_path / "secret.csv").write_text(SECRET)
    (tmp_path / "outside").mkdir()
    (tmp_path / "base" / "in").mkdir(parents=True)
    return tmp_path / "base"


def tree(place: Path) -> list[str]:
    return sorted(str(one.relative_to(place)) for one in place.rglob("*"))


# Roots


@pytest.mark.parametrize(
    "written",
    [
        "/", "/etc", "//etc", "///etc", "/etc/", "/proc/self", "/proc/self/root", "/dev", "/proc/self/cwd", ".", "~",
        "~root", "~nobody-of-that-name/x", "{root}/..", "{root}/../base", "{root}/in/../../x", "{root}/./../x",
        "{root}x", "{root}/link", "{root}/link/below", "{root}/loop", "{root}/loop/x", "{root}/" + "x" * 300,
        "{root}/" + "x/" * 3000, "{root}\u2024.", "{root}/\ud800", "file://{root}", "%2fetc", "{root}/../etc",
    ],
)  # fmt: skip
def test_a_base_path_outside_of_the_roots_is_refused(base: Path, written: str) -> None:
    (base / "link").symlink_to("/etc")
    (base / "loop").symlink_to(base / "loop")
    with pytest.raises(InvalidInput, match="basePath"):
        Roots((base,)).place(written.replace("{root}", str(base)), "basePath")


def test_a_base_path_inside_is_served_whatever_its_spelling(base: Path) -> None:
    roots = Roots((base,))
    (base / "link").symlink_to(base / "in")
    for written in ("", "/", "//in/.", "/new/er", "/.../\uff0e\uff0e", "/link"):
        assert roots.place(f"{base}{written}", "basePath").is_relative_to(base)
        assert roots.place(f"/{base}{written}", "basePath").is_relative_to(base)


def test_the_sentence_names_the_roots_and_the_setting(base: Path) -> None:
    with pytest.raises(InvalidInput, match=re.escape(str(base))) as caught:
        Roots((base, Path("/data/exports"))).place("/etc", "basePath")
    assert "/data/exports" in caught.value.message
    assert "ROWFERRY_FILE_ROOTS" in caught.value.message
    with pytest.raises(InvalidInput, match="there are none"):
        Roots(()).place("/etc", "basePath")


def test_a_root_may_be_a_link_and_a_link_out_of_it_is_none(base: Path, tmp_path: Path) -> None:
    (tmp_path / "root").symlink_to(base)
    assert Roots((tmp_path / "root",)).place(str(tmp_path / "root" / "in"), "basePath") == base / "in"
    (base / "away").symlink_to(tmp_path / "outside")
    with pytest.raises(InvalidInput):
        Roots((tmp_path / "root",)).place(str(tmp_path / "root" / "away"), "basePath")


def test_a_base_that_becomes_a_link_out_of_the_roots_is_refused_when_it_is_opened(base: Path, tmp_path: Path) -> None:
    connection = files(base / "in", base)
    CONNECTOR.open_server(connection).ping()
    (base / "in").rmdir()
    (base / "in").symlink_to(tmp_path)
    assert CONNECTOR.open_source is not None
    with pytest.raises(InvalidInput, match="outside of the folders"):
        CONNECTOR.open_server(connection)
    with pytest.raises(InvalidInput, match="outside of the folders"):
        CONNECTOR.open_source(SourceRequest(connection))


# Reading


@pytest.mark.parametrize("name", ["in/x.csv", "x.csv", "part/part-0.csv"])
@pytest.mark.parametrize("kind", ["fifo", "socket", "device"])
def test_what_is_no_file_is_neither_waited_for_nor_read(base: Path, name: str, kind: str) -> None:
    place = base / name
    place.parent.mkdir(exist_ok=True)
    with closing(socket.socket(socket.AF_UNIX)) as listening:
        special(place, kind, listening)
        (base / "other.csv").write_text("a\n1\n")
        assert [found.name for found in source(base).tables([])] == [source(base).tables([])[0].name]
        assert source(base).tables([])[0].name.name == "other"
        with pytest.raises(RowferryError, match="no data files"):
            source(base, name).tables([])


def special(place: Path, kind: str, listening: socket.socket) -> None:
    if kind == "fifo":
        os.mkfifo(place)
    elif kind == "socket":
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(place.parent)
            listening.bind(place.name)
    else:
        try:
            os.mknod(place, 0o600 | 0o020000, os.makedev(1, 5))
        except PermissionError:
            pytest.skip("only root makes devices")


@pytest.mark.parametrize("into", ["/proc/self/environ", "/dev/zero", "/dev/stdin", "/etc/passwd"])
def test_links_to_what_the_system_keeps_are_refused(base: Path, into: str) -> None:
    (base / "a.csv").symlink_to(into)
    for paths in ((), ("a.csv",), ("*.csv",)):
        with pytest.raises(InvalidInput, match="leads out of"):
            source(base, *paths).tables([])


def test_a_pipe_put_in_a_files_place_does_not_hang(base: Path) -> None:
    (base / "a.csv").write_text("a\n1\n")
    opened = LocalStore(base)
    item = opened.stat("a.csv")
    assert item is not None
    (base / "a.csv").unlink()
    os.mkfifo(base / "a.csv")
    with pytest.raises(ConnectionFailed, match="no regular file"):
        opened.open(item)
    assert opened.stat("a.csv") is None


@pytest.mark.parametrize("part", ["a.csv", "in"])
def test_a_link_put_there_between_check_and_opening_is_not_followed(
    base: Path, tmp_path: Path, part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The moment between the two is that in which `lent` is called."""
    name = "a.csv" if part == "a.csv" else "in/a.csv"
    (base / name).write_text("a\n1\n")
    (tmp_path / "outside" / "a.csv").write_text(SECRET)
    opened = LocalStore(base)
    item = opened.stat(name)
    assert item is not None
    aim = tmp_path / "secret.csv" if part == "a.csv" else tmp_path / "outside"
    monkeypatch.setattr(store, "lent", after(swap(base / part, aim), anchored.lent))
    with pytest.raises((ConnectionFailed, SourceChanged)):
        opened.open(item)


def swap(place: Path, aim: Path) -> Callable[[], None]:
    """Puts a link to `aim` in the place of a file or folder."""

    def act() -> None:
        place.rename(place.with_name("aside"))
        place.symlink_to(aim)

    return act


def after(act: Callable[[], None], then: Callable[..., object]) -> Callable[..., object]:
    def both(*arguments: object) -> object:
        act()
        return then(*arguments)

    return both


def test_a_link_in_a_listed_folders_place_is_not_followed(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "outside" / "secret.csv").write_text(SECRET)
    monkeypatch.setattr(store, "listing", after(swap(base / "in", tmp_path / "outside"), anchored.listing))
    assert LocalStore(base).list("in") is None


@pytest.mark.parametrize("folder", ["k=..", "k=%2e%2e", "k=..%2f..%2fetc", "k=%2Fetc%2Fpasswd", "k=\u202e"])
def test_keys_of_folders_are_values_and_never_paths(base: Path, folder: str) -> None:
    (base / "in" / folder).mkdir()
    (base / "in" / folder / "a.csv").write_text("a\n1\n")
    described, rows = only(source(base, "in/"))
    assert [one.name for one in described.columns] == ["a", re.sub("=.*", "", folder)]
    assert len(rows) == 1
    assert "hidden" not in str(rows)


def test_folders_named_like_a_home_are_folders(base: Path) -> None:
    for name in ("~", "~root", "~nobody-of-that-name"):
        (base / name).mkdir()
        (base / name / "a.csv").write_text("a\n1\n")
    assert len(source(base).tables([])) == 3


def test_a_folder_of_parts_that_is_a_link_out_is_refused(base: Path, tmp_path: Path) -> None:
    (tmp_path / "outside" / "part-00000.csv").write_text(SECRET)
    (base / "t").symlink_to(tmp_path / "outside")
    for paths in ((), ("t/",), ("*/",), ("**/*.csv",), ("t/part-00000.csv",)):
        with pytest.raises(InvalidInput, match="leads out of"):
            source(base, *paths).tables([])


def test_a_schema_file_that_is_a_link_out_is_refused(base: Path, tmp_path: Path) -> None:
    (base / "in" / "a.csv").write_text("a\n1\n")
    (tmp_path / "schema").write_text("{}")
    (base / "in" / "_schema.json").symlink_to(tmp_path / "schema")
    with pytest.raises(InvalidInput, match="leads out of"):
        discover(LocalStore(base), "base", ())


# Writing


@pytest.mark.parametrize(
    "name",
    [
        "..", ".", "../x", "a/../../x", "/etc/x", "//x", "~", "~root", "a\0b", "a\nb", "..\\x", "C:x", ".rowferry",
        "..%2fx", "%2e%2e", "\u2025", "\uff0e\uff0e", "x" * 400, "é" * 200, " ", "a ", "-", "*", "con", "\u202egnp", "",
    ],
)  # fmt: skip
def test_a_tables_name_is_one_folder_below_the_base(base: Path, tmp_path: Path, name: str) -> None:
    (base / "in").rmdir()
    before = tree(tmp_path)
    made = table(name, ID)
    export(target(base), made, [batches(made, [[1]])])
    new = [one for one in tree(tmp_path) if one not in before]
    assert all(one.startswith("base/") for one in new)
    assert len([one for one in new if one.count("/") == 1]) == 1
    assert not any(part.startswith(".") or part == "~" for part in new)


@pytest.mark.parametrize("name", ["t", ".rowferry", ".rowferry/stream_1", ".rowferry/stream_1/staging"])
def test_a_link_among_the_targets_folders_lets_nothing_out(base: Path, tmp_path: Path, name: str) -> None:
    made = table("t", ID)
    opened = target(base, stream="stream_1")
    (planned,) = prepared(opened, made)
    place = base / name
    if not place.exists():
        place.mkdir()
    place.rename(tmp_path / "aside")
    place.symlink_to(tmp_path / "outside")
    with pytest.raises(RowferryError):
        written(opened, planned, iter(batches(made, [[1]])))
    assert tree(tmp_path / "outside") == []


def written(opened: Target, planned: PlannedTable, rows: Iterator[pa.RecordBatch]) -> None:
    """Writes a table as one chunk."""
    opened.begin(planned, [Chunk(planned.source.name, 0)])
    opened.write(planned, Chunk(planned.source.name, 0), rows)
    opened.finish_table(planned)


def swapping(moved: Callable[[], None], rows: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    yield from rows
    moved()


@pytest.mark.parametrize("name", ["t", ".rowferry/stream_1", ".rowferry"])
def test_a_link_that_appears_while_a_chunk_is_written_lets_nothing_out(base: Path, tmp_path: Path, name: str) -> None:
    made = table("t", ID)
    opened = target(base, stream="stream_1")
    (planned,) = prepared(opened, made)

    def act() -> None:
        (base / name).rename(tmp_path / "aside")
        (base / name).symlink_to(tmp_path / "outside")

    with pytest.raises(RowferryError):
        written(opened, planned, swapping(act, iter(batches(made, [[1]]))))
    assert tree(tmp_path / "outside") == []


@pytest.mark.parametrize("name", ["_manifest.json", "_schema.json", "part-00000.parquet"])
def test_a_link_in_the_place_of_a_file_is_not_written_through(base: Path, tmp_path: Path, name: str) -> None:
    made = table("t", ID)
    opened = target(base)
    (planned,) = prepared(opened, made)
    (base / "t" / name).symlink_to(tmp_path / "secret.csv")
    with suppress(RowferryError):
        written(opened, planned, iter(batches(made, [[1]])))
    assert (tmp_path / "secret.csv").read_text() == SECRET


def test_a_journal_that_somebody_wrote_moves_nothing_in_or_out(base: Path, tmp_path: Path) -> None:
    made = table("t", ID)
    opened = target(base, stream="stream_1")
    (planned,) = prepared(opened, made)
    opened.begin(planned, [Chunk(made.name, 0)])
    opened.write(planned, Chunk(made.name, 0), iter(batches(made, [[1]])))
    journal = base / ".rowferry" / "stream_1" / "journal.jsonl"
    lines = journal.read_text()
    entry = json.loads(lines.splitlines()[-1])
    for change in ({"staged": "../secret.csv"}, {"final": "../outside/x.parquet"}, {"staged": "/etc/hostname"}):
        journal.write_text(lines + json.dumps(changed(entry, {"number": 1, **change})) + "\n")
        with pytest.raises(Refused, match="leads out of"):
            target(base, stream="stream_1").journal()
    assert (tmp_path / "secret.csv").read_text() == SECRET
    assert tree(tmp_path / "outside") == []


def changed(value: object, by: dict[str, object]) -> object:
    """The document with other values wherever a key is one of those."""
    if isinstance(value, dict):
        return {key: by.get(key, changed(one, by)) for key, one in value.items()}
    return [changed(one, by) for one in value] if isinstance(value, list) else value


def test_a_journal_that_is_a_pipe_does_not_hang(base: Path) -> None:
    opened = target(base, stream="stream_1")
    prepared(opened, table("t", ID))
    journal = base / ".rowferry" / "stream_1" / "journal.jsonl"
    journal.unlink()
    os.mkfifo(journal)
    with pytest.raises(WriteFailed):
        opened.journal()


def test_a_manifest_whose_entries_point_out_is_not_followed(base: Path, tmp_path: Path) -> None:
    made = table("t", ID)
    export(target(base, "csv"), made, [batches(made, [[1]])])
    manifest = base / "t" / "_manifest.json"
    said = json.loads(manifest.read_text())
    manifest.write_text(json.dumps(changed(said, {"path": "../../secret.csv", "name": "../../secret.csv"})))
    described = source(base, "t/").tables([])
    assert read(source(base, "t/"), described[0], WHOLE).to_pylist() == [{"id": 1}]
