"""The objects of a bucket as `files.store.Store` wants them: what lies in a folder, and its bytes."""

from __future__ import annotations

from threading import Event

import pyarrow as pa

from rowferry.connectors.files.store import Item, Listing, changed, gone
from rowferry.connectors.s3.bucket import Bucket, Entry
from rowferry.connectors.s3.reader import ObjectReader


class BucketStore:
    """Objects below a bucket's prefix as files under a root."""

    steady = True
    far = True

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket
        self._stop = Event()

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

    def open(self, item: Item, until: int | None = None) -> pa.NativeFile:
        """See `Store.open`; the store itself is asked with each request for that version."""
        entry = Entry(item.size, item.version)

        def fetch(start: int, end: int) -> bytes:
            content = self._bucket.part(item.path, entry, start, end)
            if content is None:
                raise gone(item) if self._bucket.head(item.path) is None else changed(item)
            return content

        return pa.PythonFile(ObjectReader(fetch, item.size, until, self._stop), mode="r")

    def close(self) -> None:
        """See `Store.close`."""
        self._stop.set()


def _item(path: str, entry: Entry) -> Item:
    return Item(path, entry.size, entry.tag or entry.moment)
