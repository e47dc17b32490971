"""Whole streams into a bucket, through the API: both forms of a connection, every format, exactly once."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest

from rowferry.connectors.base import ChunkSize
from tests.s3.reading import source as source_of
from tests.servers import MariaDb, wait_until
from tests.serving import Rowferry, serving
from tests.stores import BUCKET, READER, WRITER, ObjectStore, Vault

MOMENTS = 10
ROWS = 120_000
CHUNKED = {"options": {"dataBundleSize": 10}}
"""The source's options that make a dozen chunks of those rows."""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, vault: Vault) -> Iterator[Rowferry]:
    """A server that knows the keeper of secrets."""
    with serving(tmp_path_factory.mktemp("server") / "data", **vault.environment) as server:
        yield server


@pytest.fixture(scope="module")
def words(mariadb: MariaDb) -> str:
    """A database with a small table."""
    database = mariadb.new_database()
    mariadb.execute(
        "CREATE TABLE words (id INT PRIMARY KEY, word VARCHAR(40), price DECIMAL(9,2), made DATETIME)",
        "INSERT INTO words SELECT seq, NULLIF(CONCAT('w, \"', seq), ''), seq / 4, '2024-01-01' + INTERVAL seq HOUR "
        "FROM seq_1_to_3000",
        "CREATE TABLE none (id INT PRIMARY KEY)",
        database=database,
    )
    return database


@pytest.fixture(scope="module")
def big(mariadb: MariaDb) -> str:
    """A database with a table of `ROWS` rows, and one without a key."""
    database = mariadb.new_database()
    mariadb.execute(
        "CREATE TABLE items (id INT PRIMARY KEY, name VARCHAR(200) NOT NULL, made DATETIME(6))",
        f"INSERT INTO items SELECT seq, REPEAT(CONCAT('item ', seq, ' '), 8), '2001-01-01' + INTERVAL seq SECOND "
        f"FROM seq_1_to_{ROWS}",
        "CREATE TABLE loose (word VARCHAR(20), n INT)",
        "INSERT INTO loose SELECT CONCAT('w', seq), seq FROM seq_1_to_5000",
        database=database,
    )
    return database


def fetched(store: ObjectStore, prefix: str, folder: Path) -> Path:
    """The objects under a prefix as files."""
    for key in store.objects(BUCKET, prefix):
        if "/.rowferry/" in key:
            continue
        path = folder / key.removeprefix(f"{prefix}/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(store.get(BUCKET, key))
    return folder


def target(store: ObjectStore, prefix: str, file_format: str = "parquet", **more: Any) -> dict[str, Any]:
    """A target that leads there."""
    return {"s3": {"fileFormat": file_format, "upload": {"bucket": BUCKET, "prefix": prefix}, **more}}


def rows_of_whole_files(store: ObjectStore, prefix: str, folder: Path) -> int:
    """The rows of all parts that a reader sees; a part that is not whole cannot be read."""
    return sum(pq.read_table(part).num_rows for part in fetched(store, prefix, folder).glob("*/part-*.parquet"))


READ = {"parquet": "'{}/*.parquet'", "csv": "read_csv('{}/*.csv')", "jsonl": "read_json('{}/*.jsonl')"}


@pytest.mark.parametrize("file_format", READ)
def test_every_format_holds_what_the_table_holds(
    served: Rowferry, mariadb: MariaDb, words: str, store_of_objects: ObjectStore, tmp_path: Path, file_format: str
) -> None:
    prefix = store_of_objects.new_folder()
    connection = str(served.post("/connections", store_of_objects.connection())["id"])
    config = served.configure(served.connect_mariadb(mariadb), words, connection, target(
        store_of_objects, prefix, file_format))  # fmt: skip
    stream = served.begin(config)
    assert served.wait(stream)["status"] == "FINISHED", served.stats(stream)["error"]
    folder = fetched(store_of_objects, prefix, tmp_path)
    assert {path.name for path in folder.iterdir()} == {"none", "words"}
    with duckdb.connect() as reader:
        found = reader.execute(
            f"SELECT id, word, CAST(price AS DECIMAL(9,2)), CAST(made AS TIMESTAMP) "
            f"FROM {READ[file_format].format(folder / 'words')} ORDER BY id"
        ).fetchall()
    assert found == list(mariadb.execute("SELECT id, word, price, made FROM words ORDER BY id", database=words))
    manifest = json.loads((folder / "words" / "_manifest.json").read_text())
    (part,) = manifest["objects"]
    assert (part["rows"], manifest["metadata"]["stream_id"]) == (3000, stream)
    assert part["size"] == (folder / "words" / part["path"]).stat().st_size
    assert manifest["schema"] == json.loads((folder / "words" / "_schema.json").read_text())
    logged = served.client.get(f"/streams/{stream}/logs").json()
    last = [entry for entry in logged if entry["category"] == "s3_upload" and entry["table"] == "words"][-1]
    assert (last["status"], last["filesUploaded"], last["filesTotal"], last["bucket"]) == ("FINISHED", 1, 1, BUCKET)
    assert last["bytesUploaded"] == part["size"]


def test_the_form_with_a_uri_and_keys_in_vault(
    served: Rowferry, mariadb: MariaDb, words: str, store_of_objects: ObjectStore, vault: Vault
) -> None:
    store, prefix = store_of_objects, store_of_objects.new_folder()
    storage = {
        "provider": "s3", "uri": f"s3://{BUCKET}/{prefix}/", "region": "us-east-1", "endpoint": store.endpoint,
        "credentials_ref": "secret/data/aws/shared",
    }  # fmt: skip
    document = {"name": "s3-csv-export", "type": "files", "file_format": "csv", "storage_config": storage}
    connection = str(served.post("/connections", document)["id"])
    config = served.configure(served.connect_mariadb(mariadb), words, connection, {"files": {"fileFormat": "csv"}})
    answer = served.client.post(f"/stream-configs/{config}/start")
    assert (answer.status_code, answer.json()["code"]) == (409, "secret_unavailable")
    assert "no secret secret/data/aws/shared" in answer.json()["error"]
    assert served.client.post(f"/connections/{connection}/ping").json()["ping"] == "failed"
    vault.keep("secret/data/aws/shared", {"access_key": store.access_key, "secret_key": store.secret_key})
    assert served.post(f"/connections/{connection}/ping") == {"ping": "ok"}
    stream = served.begin(config)
    assert served.wait(stream)["status"] == "FINISHED", served.stats(stream)["error"]
    assert f"{prefix}/words/part-00000.csv" in store.objects(BUCKET, prefix)
    assert served.client.get(f"/connections/{connection}/databases").json()[1]["name"] == "words"
    for place in (f"/connections/{connection}", f"/streams/{stream}/logs"):
        assert store.secret_key not in served.client.get(place).text
    assert store.secret_key not in served.log()


@pytest.mark.timeout(600)
def test_kill_at_random_moments(mariadb: MariaDb, big: str, store_of_objects: ObjectStore, tmp_path: Path) -> None:
    """The server is killed under two streams, a new one goes on: no row is lost and none is there twice."""
    moments = random.Random(11)
    with serving(tmp_path / "data") as rowferry:
        source = rowferry.connect_mariadb(mariadb)
        connection = str(rowferry.post("/connections", store_of_objects.connection())["id"])
        undisturbed = 0.0
        for number in range(MOMENTS + 1):
            prefixes = [store_of_objects.new_folder() for _ in range(2)]
            streams = []
            for prefix in prefixes:
                spec = target(store_of_objects, prefix)
                streams.append(rowferry.begin(rowferry.configure(source, big, connection, spec, source=CHUNKED)))
            if number:
                time.sleep(undisturbed * moments.uniform(0.0, 1.05))  # the moment is what is tested
                rowferry.kill()
                for at, prefix in enumerate(prefixes):
                    rows_of_whole_files(store_of_objects, prefix, tmp_path / f"{number} seen {at}")
                rowferry.start()
            for stream, prefix in zip(streams, prefixes, strict=True):
                stats = rowferry.wait(stream)
                assert stats["status"] == "FINISHED", stats["error"]
                if not number:
                    undisturbed = max(undisturbed, stats["elapsed"])
                assert_whole(store_of_objects, prefix, tmp_path / prefix)


def assert_whole(store: ObjectStore, prefix: str, folder: Path) -> None:
    """Every row is there once, in files that are as their manifest says, and nothing else is left."""
    wait_until(lambda: not store.objects(BUCKET, f"{prefix}/.rowferry"), 20)
    fetched(store, prefix, folder)
    with duckdb.connect() as reader:
        query = f"SELECT count(*), count(DISTINCT id), min(id), max(id) FROM '{folder}/items/*.parquet'"
        assert reader.execute(query).fetchall() == [(ROWS, ROWS, 1, ROWS)]
        query = f"SELECT count(*), count(DISTINCT n) FROM '{folder}/loose/*.parquet'"
        assert reader.execute(query).fetchall() == [(5000, 5000)]
    manifest = json.loads((folder / "items" / "_manifest.json").read_text())
    assert manifest["metadata"]["row_count"] == ROWS
    assert rows_of_whole_files(store, prefix, folder) == ROWS + 5000
    told = source_of(store, prefix, manifestPath=f"{prefix}/items/_manifest.json")
    [table] = told.tables([])
    assert told.chunks(table, ChunkSize(10**9, 1 << 40))  # every size and checksum is as it says
    assert manifest["files"] == sorted(path.name for path in (folder / "items").glob("part-*"))


def test_a_store_that_goes_away_and_comes_back(
    served: Rowferry, mariadb: MariaDb, big: str, store_of_objects: ObjectStore, tmp_path: Path
) -> None:
    prefix = store_of_objects.new_folder()
    connection = str(served.post("/connections", store_of_objects.connection())["id"])
    spec = target(store_of_objects, prefix)
    config = served.configure(served.connect_mariadb(mariadb), big, connection, spec, source=CHUNKED)
    stream = served.begin(config)
    served.wait_for_rows(stream, 0)
    store_of_objects.stop()
    store_of_objects.start()
    stats = served.wait(stream)
    assert stats["status"] == "FINISHED", stats["error"]
    folder = fetched(store_of_objects, prefix, tmp_path)
    with duckdb.connect() as reader:
        query = f"SELECT count(*), count(DISTINCT id) FROM '{folder}/items/*.parquet'"
        assert reader.execute(query).fetchall() == [(ROWS, ROWS)]


@pytest.mark.parametrize(
    ("who", "bucket", "said"),
    [
        ("nobody", BUCKET, "does not know the access key"),
        (READER, BUCKET, "let the key list, read, write and delete"),
        (WRITER, "not-there", "no bucket not-there"),
    ],
)
def test_a_store_that_refuses_fails_the_stream_with_the_reason(
    served: Rowferry, mariadb: MariaDb, words: str, store_of_objects: ObjectStore, who: str, bucket: str, said: str
) -> None:
    connection = str(served.post("/connections", store_of_objects.connection(who=who))["id"])
    upload = {"bucket": bucket, "prefix": store_of_objects.new_folder()}
    spec = {"s3": {"fileFormat": "csv", "upload": upload}}
    stream = served.begin(served.configure(served.connect_mariadb(mariadb), words, connection, spec))
    stats = served.wait(stream)
    assert stats["status"] == "FAILED"
    assert said in stats["error"]["error"]
    assert store_of_objects.secret_key not in str(stats)


def test_what_does_not_fit_the_connection_is_refused_at_once(
    served: Rowferry, mariadb: MariaDb, words: str, store_of_objects: ObjectStore
) -> None:
    source = served.connect_mariadb(mariadb)
    scoped = str(served.post("/connections", store_of_objects.connection(BUCKET, "top/"))["id"])
    whole = str(served.post("/connections", store_of_objects.connection())["id"])
    for connection, spec, said in (
        (scoped, {"s3": {"fileFormat": "csv", "upload": {"bucket": "other"}}}, "leads to bucket shared alone"),
        (scoped, {"s3": {"fileFormat": "csv", "upload": {"bucket": BUCKET, "prefix": "x"}}}, "lies outside of top/"),
        (whole, {"files": {"fileFormat": "csv"}}, "names a bucket"),
        (whole, {"db": {"database": "d"}}, "needs a database connection"),
    ):
        document = {
            "name": "x", "mode": "convert", "target": {"id": connection, "spec": spec},
            "source": {"connections": [{"connectionId": source, "database": words}]},
        }  # fmt: skip
        answer = served.client.post("/stream-configs", json=document)
        assert answer.status_code == 400
        assert said in answer.json()["error"]


def test_a_source_that_does_not_fit_the_connection_is_refused_at_once(
    served: Rowferry, mariadb: MariaDb, store_of_objects: ObjectStore
) -> None:
    end = served.connect_mariadb(mariadb)
    scoped = str(served.post("/connections", store_of_objects.connection(BUCKET, "top/"))["id"])
    whole = str(served.post("/connections", store_of_objects.connection())["id"])
    for connection, part, said in (
        (scoped, {"s3": {"bucket": "other", "prefixes": ["top/"]}}, "s3 does not fit: The source's bucket is other"),
        (scoped, {"s3": {"bucket": BUCKET, "objects": ["x/a.csv"]}}, "x/a.csv lies outside of top/"),
        (scoped, {"s3": {"bucket": BUCKET, "prefixes": ["top/../x/"]}}, "no . and no .. in it"),
        (scoped, {"s3": {"bucket": BUCKET, "prefixes": ["top"]}}, "must end with /"),
        (scoped, {"files": {"basePath": "s3://shared/x"}}, "files does not fit: x lies outside of top/"),
        (scoped, {"database": "../x"}, "database does not fit"),
        (whole, {}, "names a bucket"),
        (end, {"s3": {"bucket": BUCKET, "prefixes": ["top/"]}}, "needs an S3 connection"),
    ):
        document = {
            "name": "x", "mode": "convert", "target": {"id": end, "spec": {"db": {"database": "d"}}},
            "source": {"connections": [{"connectionId": connection, **part}]},
        }  # fmt: skip
        answer = served.client.post("/stream-configs", json=document)
        assert answer.status_code == 400, answer.text
        assert said in answer.json()["error"]
