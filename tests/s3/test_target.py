"""What only a bucket can get wrong: uploads without an entry, strangers' objects, how objects are kept."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from rowferry.config.connection import Connection, S3Spec
from rowferry.config.stream import SchemaPolicy, TargetSpec, WriteMode
from rowferry.connectors.base import PlannedTable, Target, TargetRequest
from rowferry.connectors.s3 import CONNECTOR
from rowferry.connectors.s3.bucket import STREAM
from rowferry.connectors.s3.signed import SignedRequests
from rowferry.errors import RowferryError, WriteFailed
from rowferry.model import types as t
from rowferry.model.chunks import Chunk
from tests.files.tables import batches, table
from tests.s3.relay import relay
from tests.stores import BUCKET, ObjectStore

SOURCE = table("t", {"id": t.Integer(64)})


def storage(store: ObjectStore) -> S3Spec:
    spec = Connection.model_validate(store.connection()).spec.s3
    assert spec is not None
    return spec


def target(store: ObjectStore, prefix: str, endpoint: str | None = None, **upload: Any) -> Target:
    document = store.connection()
    document["spec"]["s3"]["endpoint"] = endpoint or store.endpoint
    fields = {"bucket": BUCKET, "prefix": prefix, **upload}
    spec: dict[str, Any] = {"fileFormat": "parquet", "upload": fields}
    if "outputDirectory" in upload:
        spec["outputDirectory"] = fields.pop("outputDirectory")
    request = TargetRequest(
        Connection.model_validate(document), TargetSpec.model_validate({"s3": spec}), "stream_1",
        SchemaPolicy.FAIL_IF_EXISTS, WriteMode.FAIL_IF_NOT_EMPTY,
    )  # fmt: skip
    assert CONNECTOR.open_target is not None
    return CONNECTOR.open_target(request)


def begun(opened: Target, chunks: int = 2) -> PlannedTable:
    plan = opened.plan([SOURCE], "", prepared=False)
    opened.prepare(plan, {"t": "mark"})
    opened.begin(plan.tables[0], [Chunk(SOURCE.name, number) for number in range(chunks)])
    return plan.tables[0]


def write(opened: Target, planned: PlannedTable, number: int, *ids: int) -> None:
    opened.write(planned, Chunk(SOURCE.name, number), iter(batches(SOURCE, [[one] for one in ids])))


def left_behind(store: ObjectStore, key: str, stream: str = "stream_1") -> None:
    store.open(BUCKET).put(key, b"half a thought", attributes={STREAM: stream})


def test_an_upload_without_an_entry_is_written_again(store_of_objects: ObjectStore, tmp_path: Path) -> None:
    prefix = store_of_objects.new_folder()
    opened = target(store_of_objects, prefix)
    planned = begun(opened)
    left_behind(store_of_objects, f"{prefix}/t/part-00000.parquet")
    write(opened, planned, 0, 1, 2)
    (tmp_path / "part").write_bytes(store_of_objects.get(BUCKET, f"{prefix}/t/part-00000.parquet"))
    assert pq.read_table(tmp_path / "part").column("id").to_pylist() == [1, 2]


def test_an_upload_of_a_chunk_that_is_empty_by_now_goes(store_of_objects: ObjectStore) -> None:
    prefix = store_of_objects.new_folder()
    opened = target(store_of_objects, prefix)
    planned = begun(opened)
    left_behind(store_of_objects, f"{prefix}/t/part-00001.parquet")
    write(opened, planned, 1)
    assert not store_of_objects.objects(BUCKET, f"{prefix}/t")


def test_forgetting_takes_back_what_was_not_committed(store_of_objects: ObjectStore) -> None:
    prefix = store_of_objects.new_folder()
    opened = target(store_of_objects, prefix)
    planned = begun(opened, 3)
    write(opened, planned, 0, 1)
    left_behind(store_of_objects, f"{prefix}/t/part-00001.parquet")
    left_behind(store_of_objects, f"{prefix}/t/part-00002.parquet", "another")
    signed = SignedRequests(storage(store_of_objects))
    signed.ask("POST", BUCKET, f"{prefix}/t/part-00001.parquet", uploads="")
    signed.ask("POST", BUCKET, f"{prefix}/other/part-00001.parquet", uploads="")
    opened.forget()
    assert {key.rpartition("/")[2] for key in store_of_objects.objects(BUCKET, prefix)} == {
        "part-00000.parquet", "part-00002.parquet",
    }  # fmt: skip
    answer = signed.ask("GET", BUCKET, uploads="", prefix=f"{prefix}/")
    assert [one["Key"] for one in signed.names(answer, "Upload")] == [f"{prefix}/other/part-00001.parquet"]


def test_a_strangers_object_is_left_alone(store_of_objects: ObjectStore) -> None:
    prefix = store_of_objects.new_folder()
    opened = target(store_of_objects, prefix)
    planned = begun(opened)
    left_behind(store_of_objects, f"{prefix}/t/part-00000.parquet", "another")
    with pytest.raises(WriteFailed, match="this stream did not write it"):
        write(opened, planned, 0, 1)
    assert store_of_objects.get(BUCKET, f"{prefix}/t/part-00000.parquet") == b"half a thought"


def test_a_part_that_somebody_changed_is_told(store_of_objects: ObjectStore) -> None:
    prefix = store_of_objects.new_folder()
    opened = target(store_of_objects, prefix)
    planned = begun(opened, 1)
    write(opened, planned, 0, 1)
    assert opened.finish_table(planned) == []
    left_behind(store_of_objects, f"{prefix}/t/part-00000.parquet")
    (finding,) = opened.finish_table(planned)
    assert finding.message == "File t/part-00000.parquet is no longer as it was written."


def test_local_files_are_kept_where_that_is_asked_for(store_of_objects: ObjectStore, tmp_path: Path) -> None:
    prefix = store_of_objects.new_folder()
    opened = target(store_of_objects, prefix, keepLocalFiles=True, outputDirectory=str(tmp_path / "kept"))
    planned = begun(opened, 1)
    write(opened, planned, 0, 1)
    opened.forget()
    kept = tmp_path / "kept" / "t" / "part-00000.parquet"
    assert kept.read_bytes() == store_of_objects.get(BUCKET, f"{prefix}/t/part-00000.parquet")


@pytest.mark.parametrize(
    ("upload", "headers"),
    [
        ({"storageClass": "STANDARD_IA"}, [b"x-amz-storage-class: STANDARD_IA"]),
        ({"serverSideEnc": "AES256"}, [b"x-amz-server-side-encryption: AES256"]),
        (
            {"serverSideEnc": "aws:kms", "kmsKeyId": "key-7"},
            [b"x-amz-server-side-encryption: aws:kms", b"x-amz-server-side-encryption-aws-kms-key-id: key-7"],
        ),
    ],
    ids=["storage class", "encryption", "key"],
)
def test_how_objects_are_kept_is_asked_for(
    store_of_objects: ObjectStore, upload: dict[str, str], headers: list[bytes]
) -> None:
    with relay(store_of_objects.port) as way:
        with contextlib.suppress(RowferryError):  # the store has no keys to encrypt by, and says so once it is asked
            opened = target(store_of_objects, store_of_objects.new_folder(), way.endpoint, **upload)
            write(opened, begun(opened, 1), 0, 1)
            opened.close()
        assert all(header in way.heard for header in headers)
