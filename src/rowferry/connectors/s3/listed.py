"""The tables that a manifest lists: exactly its files, each of the size and with the checksum that it says.

A stream's own `_manifest.json` is one table with the columns that it tells of, and may have lists of further files
beside it (`segments`). Of any other the list of files counts: `files` (paths) or `objects` (path, size, sha256), seen
from the manifest's folder or from the bucket, or as s3:// URLs.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from rowferry.config.storage import SCHEME, S3Place, below, check_bucket
from rowferry.connectors.files.discover import Found, grouped, named
from rowferry.connectors.files.layout import is_data, table_name
from rowferry.connectors.files.store import Item, Store
from rowferry.errors import InvalidInput, MissingTable, SourceChanged

_READERS = 4
_BLOCK = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Listed:
    """A file as a manifest has it: its path as it is written there, its size and checksum where they are said."""

    path: str
    size: int | None = None
    checksum: str | None = None


class Manifest:
    """The manifest of a place in a bucket, read when somebody looks for tables."""

    def __init__(self, store: Store, place: S3Place) -> None:
        self._store = store
        self._place = place
        self._path = place.manifest
        self._folder = place.manifest.rpartition("/")[0]
        self._checksums: Mapping[str, str] = {}

    def find(self) -> list[Found]:
        """Its tables; SourceChanged when a file is not there, or not of the size that it says."""
        item = self._store.stat(self._path)
        if item is None:
            raise MissingTable(f"There is no manifest {self._path}: correct manifestPath.")
        document = self._document(item)
        listed = [one for part in (*self._segments(document), document) for one in _listed(part)]
        if not listed:
            raise InvalidInput(f"{self._path} lists no files: it needs files or objects, each with a path.")
        folders: dict[str, Mapping[str, Item]] = {}
        items = {one.path: self._there(one, folders) for one in listed}
        self._checksums = {items[one.path].path: one.checksum for one in listed if one.checksum}
        files = tuple(sorted(set(items.values())))
        if "schema" in document:
            name = table_name(self._folder.rpartition("/")[2]) or self._place.name
            return [Found(name, self._folder, files, item)]
        return named(grouped(self._store, self._place.name, files))

    def check(self, found: Found) -> None:
        """Read the table's files; SourceChanged when one has another checksum than the manifest says."""
        with ThreadPoolExecutor(_READERS, "checksum") as pool:
            list(pool.map(self._check, [item for item in found.files if item.path in self._checksums]))

    def _check(self, item: Item) -> None:
        seen = hashlib.sha256()
        with self._store.open(item) as file:
            while block := file.read(_BLOCK):
                seen.update(block)
        if seen.hexdigest() != self._checksums[item.path].lower():
            raise self._changed(item.path, "it has another checksum")

    def _segments(self, document: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """The lists of files that have moved out of the manifest."""
        for segment in _list(document, "segments"):
            path = segment.get("path") if isinstance(segment, dict) else None
            item = self._store.stat(f"{self._folder}/{path}") if isinstance(path, str) else None
            if item is None:
                raise self._changed(str(path), "it is not there")
            yield self._document(item)

    def _document(self, item: Item) -> dict[str, Any]:
        with self._store.open(item) as file:
            content = file.read()
        try:
            document = json.loads(content)
        except ValueError:
            document = None
        if not isinstance(document, dict):
            raise InvalidInput(f"{self._path} is no manifest: it must be a JSON object with files or objects.")
        return document

    def _there(self, one: Listed, folders: dict[str, Mapping[str, Item]]) -> Item:
        """The file as it is in the bucket."""
        items = (self._look(path, folders) for path in self._paths(one.path))
        item = next((found for found in items if found is not None), None)
        if item is None:
            raise self._changed(one.path, "it is not there")
        if one.size is not None and one.size != item.size:
            raise self._changed(one.path, f"it has {item.size} bytes and not {one.size}")
        if not is_data(item.name):
            raise InvalidInput(f"{self._path} lists {one.path}, whose ending tells of no format that is read.")
        return item

    def _paths(self, written: str) -> Iterator[str]:
        """Where the file may lie below the store's root: InvalidInput when that is out of the connection's reach."""
        top = self._place.prefix
        if written.startswith(SCHEME):
            bucket, _, key = written.removeprefix(SCHEME).partition("/")
            check_bucket(self._place.bucket, bucket)
            yield below(top, key)
            return
        yield below("", f"{self._folder}/{written}")
        if not top or written.startswith(f"{top}/"):
            yield below(top, written)

    def _look(self, path: str, folders: dict[str, Mapping[str, Item]]) -> Item | None:
        folder = path.rpartition("/")[0]
        if folder not in folders:
            listing = self._store.list(folder)
            folders[folder] = {item.path: item for item in listing.files} if listing else {}
        return folders[folder].get(path)

    def _changed(self, path: str, how: str) -> SourceChanged:
        return SourceChanged(
            f"{path} is not as {self._path} says: {how}. Put the file back, or have the manifest written anew."
        )


def _listed(document: Mapping[str, Any]) -> Iterator[Listed]:
    """The files, those that are told of twice once, with all that is said of them."""
    found: dict[str, Listed] = {}
    for entry in (*_list(document, "files"), *_list(document, "objects")):
        one = entry if isinstance(entry, dict) else {"path": entry}
        path, size, checksum = one.get("path"), one.get("size"), one.get("sha256")
        if not isinstance(path, str) or not path or not isinstance(size, int | None):
            raise InvalidInput("A manifest's files are paths, and its objects have a path and a size.")
        found[path] = Listed(path, size, checksum if isinstance(checksum, str) else None)
    yield from found.values()


def _list(document: Mapping[str, Any], name: str) -> list[Any]:
    held = document.get(name)
    return held if isinstance(held, list) else []
