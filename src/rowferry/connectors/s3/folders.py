"""A bucket as the place where tables lie."""

from __future__ import annotations

from pathlib import PurePosixPath

import pyarrow as pa

from rowferry.connectors.files.layout import Contents, told_apart
from rowferry.connectors.s3.bucket import Bucket
from rowferry.connectors.s3.store import BucketStore


class BucketFolders:
    """`inspection.Place` for the tables in a bucket."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket
        self._store = BucketStore(bucket)

    def contents(self, table: str) -> Contents[PurePosixPath]:
        """What lies in the table's folder."""
        _, found = self._bucket.look(f"{table}/")
        return told_apart(PurePosixPath(table, name) for name in found)

    def open(self, file: PurePosixPath) -> pa.NativeFile:
        """The object's bytes; FileNotFoundError when it is not there."""
        item = self._store.stat(str(file))
        if item is None:
            raise FileNotFoundError(str(file))
        return self._store.open(item)

    def close(self) -> None:
        """End reads that wait for an answer."""
        self._store.close()
