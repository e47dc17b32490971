"""A folder as a server."""

from __future__ import annotations

from pathlib import Path

import pytest

from rowferry.config.connection import Connection
from rowferry.connectors.base import Namespace, Server
from rowferry.connectors.registry import connector
from rowferry.errors import Conflict, ConnectionFailed, InvalidInput, NotFound
from rowferry.model import types as t
from tests.files.tables import VALUES, batches, every_type, export, table, target


def server(base: Path) -> Server:
    spec = {"files": {"basePath": str(base)}}
    return connector("files").open_server(Connection.model_validate({"name": "f", "type": "files", "spec": spec}))


def test_ping_wants_a_folder_that_can_be_made_and_written(tmp_path: Path) -> None:
    server(tmp_path).ping()
    server(tmp_path / "not" / "yet").ping()
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_text("")
    for place in ("file", "file/below"):
        with pytest.raises(ConnectionFailed, match="is not a folder"):
            server(tmp_path / place).ping()
    with pytest.raises(
        ConnectionFailed, match="/proc/rowferry is not there, and cannot be created because /proc cannot"
    ):
        server(Path("/proc/rowferry")).ping()


def test_databases_are_folders(tmp_path: Path) -> None:
    opened = server(tmp_path / "base")
    assert opened.databases() == []
    opened.create_database("b")
    opened.create_database("a b")
    (tmp_path / "base" / ".rowferry").mkdir()
    (tmp_path / "base" / "file").write_text("")
    assert opened.databases() == [Namespace("a b"), Namespace("b")]
    with pytest.raises(Conflict):
        opened.create_database("b")
    for name in ("..", "a/b", "", ".hidden", "x" * 300):
        with pytest.raises(InvalidInput):
            opened.create_database(name)
    with pytest.raises(InvalidInput, match="no schemas"):
        opened.create_schema("b", "s")
    assert opened.views("b", [], include_system=False) == []
    opened.close()
    opened.close()


def test_tables_are_folders_of_data_files_and_files(tmp_path: Path) -> None:
    base = tmp_path / "db"
    export(target(base), table("orders", {"id": t.Integer(64)}), [[]])
    (base / "loose.csv").write_text("a\n1\n")
    (base / "notes.txt").write_text("")
    (base / "empty").mkdir()
    opened = server(tmp_path)
    assert opened.tables("db", [], include_system=False) == ["loose", "orders"]
    assert server(base).tables(".", [], include_system=False) == ["loose", "orders"]
    (tmp_path / "out").symlink_to("/etc")
    with pytest.raises(NotFound):
        opened.tables("none", [], include_system=False)
    for name in ("..", "../..", "db/../../..", "/etc", "~", "out"):
        with pytest.raises(InvalidInput, match="leads out of"):
            opened.tables(name, [], include_system=False)
    with pytest.raises(InvalidInput, match="too long"):
        opened.tables("x" * 300, [], include_system=False)


@pytest.mark.parametrize("file_format", ["csv", "jsonl", "parquet"])
def test_describe_gives_the_neutral_types_back(tmp_path: Path, file_format: str) -> None:
    source, rows = every_type()
    export(target(tmp_path, file_format), source, [batches(source, rows)])
    (found,) = server(tmp_path).describe("", [], include_system=False)
    assert str(found.name) == "every type"
    assert [(column.name, column.type) for column in found.columns] == [(n, kind) for n, (kind, _) in VALUES.items()]
    assert found.estimated_rows >= len(rows)
    assert found.estimated_bytes > 0


def test_describe_passes_over_what_it_cannot_read(tmp_path: Path) -> None:
    (tmp_path / "bad.parquet").write_bytes(b"not parquet")
    (tmp_path / "plain.csv").write_text("a,b\n1,x\n")
    opened = server(tmp_path)
    assert opened.tables("", [], include_system=False) == ["bad", "plain"]
    [found] = opened.describe("", [], include_system=False)
    assert [(one.name, one.type) for one in found.columns] == [("a", t.Integer(64)), ("b", t.Text())]
