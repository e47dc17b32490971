"""What keeps changes in files, without a source: values, numbers, who may go on, and what a crash leaves."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest

from rowferry.config.connection import Connection
from rowferry.config.stream import SchemaPolicy, TargetSpec, WriteMode
from rowferry.connectors.base import Connector, PlannedTable, TargetRequest
from rowferry.connectors.changes import Commit, Recorder
from rowferry.connectors.files import CONNECTOR as FILES
from rowferry.connectors.files import change_manifest
from rowferry.connectors.files.change_log import ChangeLog
from rowferry.connectors.s3 import CONNECTOR as S3
from rowferry.errors import Cancelled, Conflict, FencedOff, TargetNotEmpty, WriteFailed
from rowferry.model import types as t
from rowferry.model.changes import TableAltered
from rowferry.model.chunks import Chunk
from rowferry.model.tables import Column, Table
from tests.cdc.change_files import Folder, Place, Prefix, changes, listed, manifest, no_gap
from tests.files.reading import only, source
from tests.files.tables import NATIVE, batches, every_type, prepared, request, table
from tests.followed import deleted, inserted, row_changes, standing, updated
from tests.s3.reading import source as source_in_store
from tests.stores import BUCKET, ObjectStore

PAIR = replace(table("t", {"id": t.Integer(64), "word": t.Text()}), key=("id",))
OTHER = replace(table("u", {"id": t.Integer(64)}), key=("id",))


@dataclass
class Depot:
    """Where the files go, and how it is opened."""

    place: Place
    connector: Connector
    request: TargetRequest

    def prepare(self, *tables: Table) -> tuple[PlannedTable, ...]:
        """The stream's journal."""
        assert self.connector.open_target is not None
        return prepared(self.connector.open_target(self.request), *tables)

    def open(self, *tables: PlannedTable) -> Recorder:
        """Another writer."""
        assert self.connector.open_recorder is not None
        return self.connector.open_recorder(self.request, tables)

    def forget(self) -> None:
        """The stream ends."""
        assert self.connector.open_target is not None
        self.connector.open_target(self.request).forget()


def folder(base: Path, file_format: str = "parquet", **options: Any) -> Depot:
    """A folder."""
    return Depot(Folder(base), FILES, replace(request(base, file_format, **options), followed=True))


@pytest.fixture(params=["folder", "store"])
def depot(request: pytest.FixtureRequest, tmp_path: Path) -> Depot:
    """A folder, or a prefix in a bucket."""
    if request.param == "folder":
        return folder(tmp_path)
    return stored(request.getfixturevalue("store_of_objects"))


def stored(store: ObjectStore) -> Depot:
    """A prefix in a bucket."""
    top = store.new_folder()
    spec = {"s3": {"fileFormat": "jsonl", "upload": {"bucket": BUCKET, "prefix": top}}}
    asked = TargetRequest(
        Connection.model_validate(store.connection()), TargetSpec.model_validate(spec), "stream_1",
        SchemaPolicy.FAIL_IF_EXISTS, WriteMode.FAIL_IF_NOT_EMPTY, followed=True,
    )  # fmt: skip
    return Depot(Prefix(store, BUCKET, top), S3, asked)


def ended(count: int, position: str = "p1") -> list[Commit]:
    """One transaction of so many changes."""
    return [Commit(count, position, 1_700_000_000.123456)]


def put(opened: Recorder, planned: PlannedTable, number: int) -> None:
    """One change, committed."""
    one = row_changes(planned.source, [inserted(number, "w")])
    opened.append([(planned, one)], ended(1, f"p{number}"))
    opened.commit(standing(f"p{number}"))


def ids(depot: Depot) -> list[Any]:
    return [one.after and one.after["id"] for one in changes(depot.place, "t")]


def test_numbers_and_positions_go_over_tables_and_batches(depot: Depot) -> None:
    """A transaction that is told in parts has one position; what it did is committed with all of it."""
    pair, other = depot.prepare(PAIR, OTHER)
    opened = depot.open(pair, other)
    first, second = row_changes(PAIR, [inserted(1, "a"), inserted(2, "b")]), row_changes(OTHER, [inserted(7)])
    first, second = (replace(one, ordinals=of) for one, of in ((first, _numbers(0, 2)), (second, _numbers(1))))
    opened.append([(pair, first), (other, second)], [Commit(1, "p1", None)])
    with pytest.raises(RuntimeError):
        opened.commit(standing("p1"))
    opened.truncate([other], [])
    opened.append([(pair, row_changes(PAIR, [deleted(1, "a")]))], [Commit(0, "p2", 1.5), Commit(1, "p3", 2.5)])
    opened.commit(standing("p3", note=1))
    found = [(one.op, one.position, one.ordinal) for one in changes(depot.place, "t")]
    assert found == [("insert", "p1", 1), ("insert", "p2", 3), ("delete", "p3", 5)]
    found = [(one.op, one.position, one.ordinal) for one in changes(depot.place, "u")]
    assert found == [("insert", "p2", 2), ("truncate", "p2", 4)]
    assert [one.committed_at is None for one in changes(depot.place, "t")] == [True, False, False]
    opened.close()
    assert depot.open().standing() == standing("p3", note=1)
    assert no_gap(depot.place, "t", "u") == 5


def _numbers(*numbers: int) -> Any:
    return row_changes(OTHER, [inserted(number) for number in numbers]).after.column("id")


def test_only_the_writer_that_was_opened_last_commits(depot: Depot) -> None:
    """However long an earlier one slept, and whatever was deleted meanwhile."""
    (pair,) = depot.prepare(PAIR)
    sleeper, busy = depot.open(pair), depot.open(pair)
    for number in range(1, 4):
        put(busy, pair, number)
    with pytest.raises(FencedOff):
        put(sleeper, pair, 9)
    put(busy, pair, 4)
    newer = depot.open(pair)
    assert newer.standing().position == "p4"
    with pytest.raises(FencedOff):
        put(busy, pair, 5)
    put(newer, pair, 6)
    assert ids(depot) == [1, 2, 3, 4, 6]
    assert no_gap(depot.place, "t") == 5
    for one in (sleeper, busy, newer):
        one.close()


def test_a_stream_that_was_forgotten_commits_nothing(depot: Depot) -> None:
    (pair,) = depot.prepare(PAIR)
    opened = depot.open(pair)
    put(opened, pair, 1)
    depot.forget()
    with pytest.raises((FencedOff, WriteFailed)):
        put(opened, pair, 2)
    opened.close()
    assert ids(depot) == [1]
    assert ".rowferry" not in depot.place.names("")
    with pytest.raises(Conflict):
        depot.open(pair)


def test_what_is_not_committed_goes(depot: Depot) -> None:
    (pair,) = depot.prepare(PAIR)
    opened = depot.open(pair)
    opened.append([(pair, row_changes(PAIR, [inserted(1, "a")]))], ended(1))
    opened.close()
    with pytest.raises(Cancelled):
        opened.commit(standing("p1"))
    again = depot.open(pair)
    assert again.standing().position is None
    put(again, pair, 2)
    assert ids(depot) == [2]
    assert no_gap(depot.place, "t") == 1


@pytest.mark.parametrize("step", ["show", "tell"])
@pytest.mark.parametrize("goes_on", [True, False])
def test_a_crash_right_after_the_commit(
    depot: Depot, step: str, goes_on: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever comes next does what was left undone, also if that is only the stream's end."""
    (pair,) = depot.prepare(PAIR)
    opened = depot.open(pair)
    put(opened, pair, 1)
    with monkeypatch.context() as patch:
        patch.setattr(type(opened._depot), step, _killed)  # type: ignore[attr-defined]
        with pytest.raises(OSError, match="killed"):
            put(opened, pair, 2)
    if goes_on:
        depot.open(pair).close()
    else:
        depot.forget()
    assert ids(depot) == [1, 2]


def _killed(*_: Any) -> None:
    raise OSError("killed")


def test_a_crash_before_the_commit_leaves_no_file(depot: Depot, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a store the file is there already, which the next writer removes."""
    (pair,) = depot.prepare(PAIR)
    opened = depot.open(pair)
    with monkeypatch.context() as patch:
        patch.setattr(ChangeLog, "commit", _killed)
        with pytest.raises(OSError, match="killed"):
            put(opened, pair, 1)
    depot.open().close()
    again = depot.open(pair)
    put(again, pair, 2)
    assert ids(depot) == [2]
    parts = {name for name in depot.place.names("t.changes") if name.startswith("part-")}
    assert parts == {entry["path"] for entry in listed(depot.place, "t.changes")}


def test_a_manifest_does_not_grow_with_the_stream(depot: Depot, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that have been listed for long stand in segments, which are never written again."""
    monkeypatch.setattr(change_manifest, "SEALED", 3)
    (pair,) = depot.prepare(PAIR)
    for round_ in range(3):
        opened = depot.open(pair)
        for number in range(5):
            put(opened, pair, 5 * round_ + number)
        opened.close()
    assert ids(depot) == list(range(15))
    assert len(manifest(depot.place, "t.changes")["objects"]) == 3
    assert len(manifest(depot.place, "t.changes")["segments"]) == 3
    depot.forget()
    again = replace(depot, request=replace(depot.request, write_mode=WriteMode.TRUNCATE_AND_LOAD, stream_id="stream_2"))
    again.prepare(PAIR)
    assert {name for name in depot.place.names("t.changes") if name.startswith(("_manifest", "part"))} == set()


def test_a_manifest_with_segments_is_read_whole(
    store_of_objects: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(change_manifest, "SEALED", 3)
    depot = stored(store_of_objects)
    (pair,) = depot.prepare(PAIR)
    opened = depot.open(pair)
    for number in range(6):
        put(opened, pair, number)
    assert isinstance(depot.place, Prefix)
    path = f"{depot.place.prefix}/t.changes/_manifest.json"
    found, rows = only(source_in_store(store_of_objects, depot.place.prefix, manifestPath=path))
    assert str(found.name) == "t.changes"
    assert sorted(row["ordinal"] for row in rows) == [1, 2, 3, 4, 5, 6]


def test_changes_of_another_stream_are_in_the_way(depot: Depot) -> None:
    (pair,) = depot.prepare(PAIR)
    put(depot.open(pair), pair, 1)
    depot.forget()
    again = replace(depot, request=replace(depot.request, stream_id="stream_2", write_mode=WriteMode.APPEND))
    with pytest.raises(TargetNotEmpty, match=r"t\.changes"):
        again.prepare(PAIR)


def test_a_table_called_like_the_changes_of_another(tmp_path: Path) -> None:
    assert FILES.open_target is not None
    plan = FILES.open_target(folder(tmp_path).request).plan([PAIR, table("T.changes", {"id": t.Text()})], "", False)
    assert [one.message for one in plan.findings if one.severity == "error"] == [
        "Folder T.changes would hold a table and another one's changes: leave one of the two out."
    ]


def test_other_columns_begin_another_file(depot: Depot) -> None:
    (pair,) = depot.prepare(PAIR)
    opened = depot.open(pair)
    opened.append([(pair, row_changes(PAIR, [inserted(1, "a")]))], ended(1))
    wider = Table(PAIR.name, (*PAIR.columns, Column("more", t.Integer(32), NATIVE)), key=("id",))
    after = replace(pair, source=wider, target=replace(pair.target, columns=wider.columns))
    opened.alter(pair, after, TableAltered(PAIR, wider))
    opened.append([(after, row_changes(wider, [inserted(2, "b", 3)]))], ended(1))
    opened.commit(standing("p1"))
    assert [sorted(one.after or ()) for one in changes(depot.place, "t")] == [["id", "word"], ["id", "more", "word"]]
    schemas = manifest(depot.place, "t.changes")["schemas"]
    first, second = listed(depot.place, "t.changes")
    assert first["path"].replace(".", "_1.") == second["path"]
    assert [[one["name"] for one in schemas[entry["schema"]]["after"]] for entry in (first, second)] == [
        ["id", "word"],
        ["id", "word", "more"],
    ]


def test_columns_that_the_log_does_not_tell(depot: Depot) -> None:
    (pair,) = depot.prepare(PAIR)
    opened = depot.open(pair)
    rows: Sequence[Any] = [updated((1, None), (1, None), "id"), updated((1, None), (2, "b")), inserted(3, None)]
    opened.append([(pair, row_changes(PAIR, rows))], ended(3))
    opened.commit(standing("p1"))
    assert [(one.before, one.after, one.unchanged) for one in changes(depot.place, "t")] == [
        ({"id": 1}, {"id": 1, "word": None}, ("word",)),
        ({"id": 1}, {"id": 2, "word": "b"}, ()),
        (None, {"id": 3, "word": None}, ()),
    ]


# ------------------------------------------------------------------------------------------------- values


def _kept(depot: Depot, made: Table, rows: Sequence[Sequence[Any]]) -> tuple[bytes, bytes]:
    """A file of the rows, and one of changes that inserted them and deleted them again."""
    (planned,) = depot.prepare(made)
    assert depot.connector.open_target is not None
    opened = depot.connector.open_target(depot.request)
    opened.begin(planned, [Chunk(made.name, 0)])
    opened.write(planned, Chunk(made.name, 0), iter(batches(made, rows)))
    opened.finish_table(planned)
    told = [*(inserted(*row) for row in rows), *(deleted(*row) for row in rows)]
    keeping = depot.open(planned)
    keeping.append([(planned, row_changes(made, told))], ended(len(told)))
    keeping.commit(standing("p1"))
    keeping.close()
    name = planned.target.name.name
    (change,) = listed(depot.place, f"{name}.changes")
    found = [depot.place.get(f"{name}/part-00000.{change['path'].partition('.')[2]}")]
    found.append(depot.place.get(f"{name}.changes/{change['path']}"))
    whole, kept = found
    assert whole is not None
    assert kept is not None
    return whole, kept


def _parquet_rows(content: bytes, part: str | None = None) -> list[Any]:
    read = pq.read_table(io.BytesIO(content))
    if part is None:
        return [repr(row) for row in read.to_pylist()]
    return [repr(row) for row in read.column(part).to_pylist() if row is not None]


def _jsonl_rows(content: bytes, part: str | None = None) -> list[Any]:
    rows = [json.loads(line, parse_int=str, parse_float=str) for line in content.decode().split("\n")[:-1]]
    return rows if part is None else [row[part] for row in rows if part in row]


def _csv_rows(content: bytes, part: str | None = None) -> list[Any]:
    rows: Iterator[dict[str, str]] = csv.DictReader(io.StringIO(content.decode(), newline=""))
    if part is None:
        return list(rows)
    wanted = {"before": "delete", "after": "insert"}[part]
    return [
        {name.partition(".")[2]: value for name, value in row.items() if name.startswith(f"{part}.")}
        for row in rows
        if row["op"] == wanted
    ]


ROWS: dict[str, Callable[..., list[Any]]] = {"parquet": _parquet_rows, "jsonl": _jsonl_rows, "csv": _csv_rows}


@pytest.mark.parametrize("file_format", ["csv", "jsonl", "parquet"])
def test_values_are_spelled_as_in_files_of_rows(tmp_path: Path, file_format: str) -> None:
    made, rows = every_type()
    whole, kept = _kept(folder(tmp_path, file_format, compression="none"), made, rows)
    read = ROWS[file_format]
    assert read(kept, "after") == read(whole)
    assert read(kept, "before") == read(whole)


@pytest.mark.parametrize("file_format", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
def test_a_folder_of_changes_is_a_table(tmp_path: Path, file_format: str, compression: str) -> None:
    _kept(folder(tmp_path, file_format, compression=compression), PAIR, [(1, "a"), (2, None)])
    found, rows = only(source(tmp_path, "t.changes/"))
    assert str(found.name) == "t.changes"
    assert [(row["op"], row["ordinal"], row["position"]) for row in rows] == [
        (op, number, "p1") for number, op in enumerate(["insert", "insert", "delete", "delete"], 1)
    ]
    assert {row["committed_at"].isoformat() for row in rows} == {"2023-11-14T22:13:20.123456+00:00"}
    if file_format == "csv":
        assert [(row["after.id"], row["after.word"], row["before.id"]) for row in rows][1:3] == [
            (2, None, None),
            (None, None, 1),
        ]
    else:
        assert [row["after"] and json.loads(row["after"]) for row in rows][1:3] == [{"id": 2, "word": None}, None]


def test_duckdb_reads_structs(tmp_path: Path) -> None:
    _kept(folder(tmp_path), PAIR, [(1, "a"), (2, None)])
    query = f"SELECT op, before.id, after.id, after.word FROM '{tmp_path}/t.changes/*.parquet' ORDER BY ordinal"
    with duckdb.connect() as session:
        assert session.sql(query).fetchall() == [
            ("insert", None, 1, "a"),
            ("insert", None, 2, None),
            ("delete", 1, None, None),
            ("delete", 2, None, None),
        ]


def test_a_change_in_jsonl_says_only_what_there_is(tmp_path: Path) -> None:
    _, kept = _kept(folder(tmp_path, "jsonl"), PAIR, [(1, "a")])
    moment = '"committed_at":"2023-11-14T22:13:20.123456Z","position":"p1"'
    assert kept.decode().splitlines() == [
        '{"op":"insert",' + moment + ',"ordinal":1,"after":{"id":1,"word":"a"}}',
        '{"op":"delete",' + moment + ',"ordinal":2,"before":{"id":1}}',
    ]


@pytest.mark.timeout(300)
def test_killed_before_every_file_operation(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.files.crash_changes", str(tmp_path), "11"], capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    assert int(done.stdout) > 150
