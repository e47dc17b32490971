"""The objects of a bucket as `files.store.Store` wants them: what lies in a folder, and its bytes."""

from __future__ import annotations

import pyarrow as pa

from rowferry.connectors.files.store import Item, Listing, gone
from rowferry.connectors.s3.bucket import Bucket, Entry


class BucketStore:
    """Objects below a bucket's prefix as files under a root."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket

    def list(self, folder: str) -> Listing | None:
        """See `Store.list`."""
        folders, files = self._bucket.look(f"{folder}/" if folder else "")
        if not folders and not files:
            return None
        items = (_item(f"{folder}/{name}".lstrip("/"), entry) for name, entry in files.items() if name[:1] != ".")
        return Listing(tuple(name for name in folders if name[:1] != "."), tuple(sorted(items)))

    def stat(self, path: str) -> Item | None:
        """See `Store.stat`."""
        found = self._bucket.head(path)
        return None if found is None else _item(path, found)

    def open(self, item: Item) -> pa.NativeFile:
        """See `Store.open`."""
        try:
            return self._bucket.open(item.path)
        except FileNotFoundError as error:
            raise gone(item) from error


def _item(path: str, entry: Entry) -> Item:
    return Item(path, entry.size, entry.tag or "")
