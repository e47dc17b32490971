"""A bucket as a source: which tables it holds, what is never read of it, and how it is asked."""

from __future__ import annotations

import gzip
import hashlib
import json
import threading
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from rowferry.config.connection import Connection
from rowferry.config.source_files import SourceS3
from rowferry.connectors.base import ChunkSize, SourceRequest
from rowferry.connectors.s3.reader import PIECE
from rowferry.connectors.s3.source import open_source
from rowferry.errors import Cancelled, InvalidInput, MissingTable, SourceChanged
from rowferry.model import types as t
from rowferry.model.chunks import Chunk
from rowferry.model.tables import Selection
from tests.files.reading import WHOLE, only, read
from tests.files.tables import batches, table
from tests.s3.reading import fill, names, source
from tests.s3.relay import relay
from tests.s3.test_target import begun, target, write
from tests.stores import BUCKET, ObjectStore

CSV = "a,b\n1,2\n"
PLACE = {
    "a.csv": CSV, "orders/x.csv": CSV, "orders/y.csv": CSV, "deep/one/part-0.csv": CSV, "deep/two/t.csv": CSV,
    "deep/.rowferry/z.csv": CSV, "readme.txt": "", "sales/year=2024/m=1/d.csv": CSV, "sales/year=2025/m=2/d.csv": CSV,
    "odd [1].csv": CSV, "caf\u00e9 100%/part-0.csv": CSV,
}  # fmt: skip


@pytest.fixture(scope="module")
def place(store_of_objects: ObjectStore) -> str:
    """A prefix with all sorts of tables; beside it lies one that nobody may see."""
    prefix = fill(store_of_objects, store_of_objects.new_folder(), PLACE)
    fill(store_of_objects, f"{prefix}x", {"secret.csv": CSV})
    return prefix


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({}, ["a", "caf\u00e9 100%", "odd [1]", "orders", "sales"]),
        ({"database": "deep"}, ["one", "two"]),
        ({"database": "."}, ["a", "caf\u00e9 100%", "odd [1]", "orders", "sales"]),
        ({"files": {"basePath": ".", "paths": ["orders/"]}}, ["orders"]),
        ({"files": {"basePath": "deep/", "paths": ["*/t.csv"]}}, ["t"]),
        ({"files": {"basePath": "deep/one"}}, ["one"]),
        ({"files": {"basePath": "s3://{bucket}/{place}/deep/"}}, ["one", "two"]),
        ({"prefixes": ["{place}/orders/"]}, ["orders"]),
        ({"prefixes": ["{place}/deep/", "{place}/orders/"]}, ["one", "orders", "two"]),
        ({"prefixes": ["{place}/sales/"]}, ["sales"]),
        ({"prefixes": ["{place}/caf\u00e9 100%/"], "objects": ["{place}/a.csv"]}, ["a", "caf\u00e9 100%"]),
        ({"objects": ["{place}/odd [1].csv", "{place}/orders/*.csv"]}, ["odd [1]", "x", "y"]),
        ({"objects": ["{place}/deep/one/*"]}, ["one"]),
    ],
)
def test_tables_are_found(store_of_objects: ObjectStore, place: str, asked: dict[str, Any], found: list[str]) -> None:
    said = json.loads(json.dumps(asked).replace("{place}", place).replace("{bucket}", BUCKET))
    assert names(source(store_of_objects, place, **said)) == found


def test_without_a_bucket_in_the_connection_the_database_names_it(store_of_objects: ObjectStore, place: str) -> None:
    whole = Connection.model_validate(store_of_objects.connection())
    assert names(open_source(SourceRequest(whole, f"{BUCKET}/{place}/deep"))) == ["one", "two"]
    with pytest.raises(InvalidInput, match="names a bucket"):
        open_source(SourceRequest(whole))


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"bucket": "other", "prefixes": ["x/"]}, "leads to bucket shared alone"),
        ({"prefixes": ["some/"]}, "lies outside of"),
        ({"prefixes": ["{place}x/"]}, "lies outside of"),
        ({"objects": ["{place}x/secret.csv"]}, "lies outside of"),
        ({"objects": ["secret.csv"]}, "lies outside of"),
        ({"manifestPath": "{place}x/_manifest.json"}, "lies outside of"),
        ({"database": "../{last}x"}, "cannot hold"),
        ({"database": "deep/../.."}, "cannot hold"),
        ({"files": {"basePath": "s3://other/{place}"}}, "leads to bucket shared alone"),
        ({"files": {"basePath": "s3://shared/{place}x"}}, "lies outside of"),
        ({"files": {"basePath": "./deep/./one"}}, "cannot hold"),
    ],
)
def test_nothing_outside_the_scope_is_read(
    store_of_objects: ObjectStore, place: str, asked: dict[str, Any], said: str
) -> None:
    last = place.rpartition("/")[2]
    document = json.loads(json.dumps(asked).replace("{place}", place).replace("{last}", last))
    with pytest.raises(InvalidInput, match=said):
        source(store_of_objects, place, **document)


@pytest.mark.parametrize(
    "document",
    [
        {"prefixes": ["x"]}, {"objects": ["x/"]}, {"prefixes": ["../x/"]}, {"objects": ["a/./b.csv"]},
        {"objects": ["a//b.csv"]}, {"objects": ["a/../../b.csv"]}, {"manifestPath": "a/../b.json"},
        {"manifestPath": "m.json", "objects": ["a.csv"]}, {}, {"prefixes": [""]},
    ],
    ids=str,
)  # fmt: skip
def test_what_can_be_no_place_is_refused(document: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        SourceS3.model_validate({"bucket": "b", **document})


def test_the_names_of_folders_give_columns(store_of_objects: ObjectStore, place: str) -> None:
    found, rows = only(source(store_of_objects, place, prefixes=[f"{place}/sales/"]))
    assert found.column("year").type == t.Integer(64)
    assert rows == [{"a": 1, "b": 2, "year": 2024, "m": 1}, {"a": 1, "b": 2, "year": 2025, "m": 2}]


def test_a_dialect_that_is_written_is_not_guessed(store_of_objects: ObjectStore) -> None:
    prefix = fill(store_of_objects, store_of_objects.new_folder(), {"t.csv": "a~b\n?x~y?~\\N\n"})
    csv = {"delimiter": "~", "quote": "?", "nullText": "\\N"}
    assert only(source(store_of_objects, objects=[f"{prefix}/t.csv"], csv=csv))[1] == [{"a": "x~y", "b": None}]


def test_malformed_rows_are_kept_aside(store_of_objects: ObjectStore, tmp_path: Path) -> None:
    text = "id,word\n" + "".join(f"{n},w\n" for n in range(100)) + "5,w,w\n"
    prefix = fill(store_of_objects, store_of_objects.new_folder(), {"t.csv.gz": gzip.compress(text.encode())})
    opened = source(store_of_objects, prefix, rejects=tmp_path)
    [found] = opened.tables([])
    assert read(opened, found).num_rows == 100
    assert [one.rows for one in opened.rejected().values()] == [1]
    [kept] = [json.loads(line) for file in tmp_path.iterdir() for line in file.read_text().splitlines()]
    assert (kept["file"], kept["line"], kept["row"]) == ("t.csv.gz", 102, "5,w,w")


def exported(store: ObjectStore) -> str:
    """A prefix with a table of three parts that a stream wrote, without its _schema.json."""
    prefix = store.new_folder()
    opened = target(store, prefix)
    planned = begun(opened, 3)
    for number in range(3):
        write(opened, planned, number, number)
    opened.finish_table(planned)
    opened.forget()
    store.open(BUCKET).delete(f"{prefix}/t/_schema.json")
    return prefix


def test_the_manifest_of_a_stream_is_a_table(store_of_objects: ObjectStore) -> None:
    prefix = exported(store_of_objects)
    fill(store_of_objects, prefix, {"t/part-00003.parquet": b"not of the stream"})
    opened = source(store_of_objects, prefix, manifestPath=f"{prefix}/t/_manifest.json")
    [found] = opened.tables([])
    assert (str(found.name), found.columns[0].type) == ("t", t.Integer(64))
    assert sorted(read(opened, found).column("id").to_pylist()) == [0, 1, 2]


def test_a_file_that_is_not_as_the_manifest_says_is_named(store_of_objects: ObjectStore) -> None:
    prefix = exported(store_of_objects)
    key = f"{prefix}/t/part-00001.parquet"
    whole = store_of_objects.get(BUCKET, key)
    asked: dict[str, Any] = {"manifestPath": f"{prefix}/t/_manifest.json"}
    opened = source(store_of_objects, prefix, **asked)
    store_of_objects.open(BUCKET).put(key, whole[:20] + bytes([whole[20] ^ 1]) + whole[21:])
    with pytest.raises(SourceChanged, match=r"t/part-00001\.parquet is not as t/_manifest\.json says: .* checksum"):
        opened.chunks(opened.tables([])[0], WHOLE)
    store_of_objects.open(BUCKET).put(key, whole + b"x")
    with pytest.raises(SourceChanged, match=rf"part-00001\.parquet .* {len(whole) + 1} bytes and not {len(whole)}"):
        source(store_of_objects, prefix, **asked).tables([])
    store_of_objects.open(BUCKET).delete(key)
    with pytest.raises(SourceChanged, match=r"part-00001\.parquet .* it is not there"):
        source(store_of_objects, prefix, **asked).tables([])
    with pytest.raises(MissingTable, match="no manifest other"):
        source(store_of_objects, prefix, manifestPath=f"{prefix}/other").tables([])


def manifest(**fields: Any) -> str:
    return json.dumps({"version": 1, **fields})


@pytest.mark.parametrize(
    ("document", "found"),
    [
        (manifest(files=["m/part-0.csv", "m/part-1.csv"]), ["m"]),
        (manifest(objects=[{"path": "a.csv", "size": len(CSV)}, {"path": "m/part-0.csv"}]), ["a", "m"]),
        (manifest(files=["a.csv"], objects=[{"path": "a.csv", "sha256": hashlib.sha256(b"a,b\n1,2\n").hexdigest()}]),
         ["a"]),
        (manifest(files=["{place}/a.csv", "s3://shared/{place}/m/part-0.csv"]), ["a", "m"]),
    ],
    ids=["files", "objects", "both", "keys and URLs"],
)  # fmt: skip
def test_other_manifests_are_lists_of_files(store_of_objects: ObjectStore, document: str, found: list[str]) -> None:
    prefix = store_of_objects.new_folder()
    objects = {"a.csv": CSV, "m/part-0.csv": CSV, "m/part-1.csv": CSV, "not.csv": CSV}
    fill(store_of_objects, prefix, {**objects, "all.json": document.replace("{place}", prefix)})
    opened = source(store_of_objects, prefix, manifestPath=f"{prefix}/all.json")
    tables = opened.tables([])
    assert [str(one.name) for one in tables] == found
    for one in tables:
        assert read(opened, one).num_rows in (1, 2)


@pytest.mark.parametrize(
    ("document", "kind", "said"),
    [
        ("no JSON", InvalidInput, "is no manifest"),
        ("[]", InvalidInput, "is no manifest"),
        (manifest(), InvalidInput, "lists no files"),
        (manifest(files=[7]), InvalidInput, "files are paths"),
        (manifest(objects=[{"path": "a.csv", "size": "8"}]), InvalidInput, "have a path and a size"),
        (manifest(files=["../secret.csv"]), InvalidInput, "cannot hold"),
        (manifest(files=["s3://other/a.csv"]), InvalidInput, "leads to bucket shared alone"),
        (manifest(files=["s3://shared/some/a.csv"]), InvalidInput, "lies outside of"),
        (manifest(files=["b.csv"]), SourceChanged, "it is not there"),
        (manifest(files=["all.json.bin"]), InvalidInput, "tells of no format"),
    ],
)
def test_a_manifest_that_is_none_is_refused(
    store_of_objects: ObjectStore, document: str, kind: type[Exception], said: str
) -> None:
    prefix = fill(
        store_of_objects, store_of_objects.new_folder(), {"a.csv": CSV, "all.json": document, "all.json.bin": ""}
    )
    with pytest.raises(kind, match=said):
        source(store_of_objects, prefix, manifestPath=f"{prefix}/all.json").tables([])


def lines(first: int) -> str:
    return "id,word\n" + "".join(f"{n},{'w' * 40}\n" for n in range(first, first + 600_000))


def test_an_object_that_changes_while_it_is_read_ends_the_read(store_of_objects: ObjectStore) -> None:
    """Both versions are whole tables of the same size: nothing but the store's mark tells them apart."""
    prefix = fill(store_of_objects, store_of_objects.new_folder(), {"t.csv": lines(1_000_000)})
    opened = source(store_of_objects, prefix)
    [found] = opened.tables([])
    [chunk] = opened.chunks(found, WHOLE)
    reading = opened.read(found, chunk)
    seen = next(reading).column("id").to_pylist()
    fill(store_of_objects, prefix, {"t.csv": lines(5_000_000)})
    with pytest.raises(SourceChanged, match=r"t\.csv was changed"):
        seen.extend(one for batch in reading for one in batch.column("id").to_pylist())
    assert max(seen) < 1_600_000


def test_an_object_that_changed_or_went_after_planning_is_not_read(store_of_objects: ObjectStore) -> None:
    made = pa.table({"n": pa.array(range(1000))})
    sink = pa.BufferOutputStream()
    pq.write_table(made, sink, row_group_size=100)
    prefix = fill(store_of_objects, store_of_objects.new_folder(), {"t.parquet": sink.getvalue().to_pybytes()})
    opened = source(store_of_objects, prefix)
    [found] = opened.tables([])
    chunks = opened.chunks(found, ChunkSize(100, 1 << 30))
    assert len(chunks) == 10
    assert sum(batch.num_rows for batch in opened.read(found, chunks[4])) == 100
    again = pa.BufferOutputStream()
    pq.write_table(pa.table({"n": pa.array(range(5, 1005))}), again, row_group_size=100)
    fill(store_of_objects, prefix, {"t.parquet": again.getvalue().to_pybytes()})
    with pytest.raises(SourceChanged, match=r"t\.parquet was changed"):
        list(opened.read(found, chunks[5]))
    with pytest.raises(SourceChanged, match=r"t\.parquet was changed"):
        list(source(store_of_objects, prefix).read(found, chunks[5]))
    store_of_objects.open(BUCKET).delete(f"{prefix}/t.parquet")
    with pytest.raises(SourceChanged, match=r"t\.parquet is no longer there"):
        list(opened.read(found, chunks[6]))


def test_only_the_columns_that_are_wanted_are_fetched(store_of_objects: ObjectStore) -> None:
    made = pa.table(
        {"id": pa.array(range(400_000)), "word": pa.array([f"word {n} {'x' * 60}" for n in range(400_000)])}
    )
    sink = pa.BufferOutputStream()
    pq.write_table(made, sink, row_group_size=100_000, compression="none", use_dictionary=False)
    content = sink.getvalue().to_pybytes()
    prefix = fill(store_of_objects, store_of_objects.new_folder(), {"t.parquet": content})
    with relay(store_of_objects.port) as way:
        opened = source(store_of_objects, prefix, endpoint=way.endpoint)
        [found] = opened.tables([])
        [chunk] = opened.chunks(found, WHOLE)
        before, asked = way.answered, way.asked(b"GET")
        narrow = found.with_selection(Selection(columns=("id",)))
        assert sum(batch.num_rows for batch in opened.read(narrow, chunk)) == 400_000
        assert way.answered - before < len(content) // 5
        assert way.asked(b"GET") - asked <= 8  # the file's end, and each group's column at once
        opened.close()


def test_text_is_fetched_in_large_pieces_and_once(store_of_objects: ObjectStore) -> None:
    content = lines(1_000_000).encode()
    prefix = fill(
        store_of_objects, store_of_objects.new_folder(), {"t.csv": content, "u.csv.gz": gzip.compress(content)}
    )
    with relay(store_of_objects.port) as way:
        opened = source(store_of_objects, prefix, endpoint=way.endpoint)
        tables = opened.tables([])
        for found, most in zip(tables, (3 + len(content) // PIECE, 12), strict=True):
            before, asked = way.answered, way.asked(b"GET")
            rows = sum(batch.num_rows for batch in opened.read(found, Chunk(found.name, 0)))
            assert rows == 600_000
            assert way.asked(b"GET") - asked <= most
            assert way.answered - before < found.estimated_bytes + 100_000
        opened.close()


def test_a_read_that_waits_for_an_answer_ends_when_the_source_is_closed(store_of_objects: ObjectStore) -> None:
    prefix = fill(store_of_objects, store_of_objects.new_folder(), {"t.csv": lines(1_000_000)})
    with relay(store_of_objects.port) as way:
        opened = source(store_of_objects, prefix, endpoint=way.endpoint)
        [found] = opened.tables([])
        [chunk] = opened.chunks(found, WHOLE)
        way.lag = 3600
        closing = threading.Timer(0.5, opened.close)
        closing.start()
        with pytest.raises(Cancelled):
            list(opened.read(found, chunk))
        closing.join()


def test_a_table_without_rows_and_one_of_every_format(store_of_objects: ObjectStore) -> None:
    made = table("t", {"n": t.Integer(64)})
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_batches(batches(made, [(1,)])), sink)
    objects = {
        "c.csv": "n\n",
        "j.json": '[{"n": 1}]',
        "l.ndjson": '{"n": 1}\n',
        "p.parquet": sink.getvalue().to_pybytes(),
    }
    prefix = fill(store_of_objects, store_of_objects.new_folder(), objects)
    opened = source(store_of_objects, prefix)
    assert [read(opened, one).num_rows for one in opened.tables([])] == [0, 1, 1, 1]
