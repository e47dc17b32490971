"""Change files as a reader of them sees them: by their manifests, checked, in order; and replayed on a copy."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from tests.stores import ObjectStore

Row = dict[str, Any]


class Place:
    """Where files lie."""

    def get(self, path: str) -> bytes | None:
        """A file's bytes."""
        raise NotImplementedError

    def names(self, folder: str) -> set[str]:
        """What lies in a folder."""
        raise NotImplementedError


@dataclass
class Folder(Place):
    """A folder of this machine."""

    base: Path

    def get(self, path: str) -> bytes | None:
        place = self.base / path
        return place.read_bytes() if place.exists() else None

    def names(self, folder: str) -> set[str]:
        place = self.base / folder
        return {one.name for one in place.iterdir()} if place.exists() else set()


@dataclass
class Prefix(Place):
    """A part of a bucket."""

    store: ObjectStore
    bucket: str
    prefix: str

    def get(self, path: str) -> bytes | None:
        try:
            return self.store.get(self.bucket, f"{self.prefix}/{path}")
        except FileNotFoundError:
            return None

    def names(self, folder: str) -> set[str]:
        top = f"{self.prefix}/{folder}/" if folder else f"{self.prefix}/"
        return {key.removeprefix(top).partition("/")[0] for key in self.store.objects(self.bucket, top)}


@dataclass(frozen=True)
class Change:
    """A line of a change file."""

    op: str
    committed_at: Any
    position: str
    ordinal: int
    before: Row | None
    after: Row | None
    unchanged: tuple[str, ...]


def manifest(place: Place, folder: str) -> dict[str, Any]:
    """The folder's manifest; an empty one where there is none."""
    content = place.get(f"{folder}/_manifest.json")
    return json.loads(content) if content else {"files": [], "objects": []}


def listed(place: Place, folder: str) -> list[dict[str, Any]]:
    """The files that count, in order, those of segments, too."""
    document = manifest(place, folder)
    found = []
    for segment in document.get("segments", ()):
        content = place.get(f"{folder}/{segment['path']}")
        assert content is not None
        objects = json.loads(content)["objects"]
        assert len(objects) == segment["files"]
        found += objects
    found += document["objects"]
    if "metadata" in document and "file_count" in document["metadata"]:
        assert document["metadata"]["file_count"] == len(found)
        assert document["metadata"]["row_count"] == sum(one["rows"] for one in found)
    return found


def changes(place: Place, table: str) -> list[Change]:
    """All changes of a table that count; each file is as the manifest says."""
    folder = f"{table}.changes"
    found: list[Change] = []
    for entry in listed(place, folder):
        content = place.get(f"{folder}/{entry['path']}")
        assert content is not None, entry
        assert len(content) == entry["size"]
        assert hashlib.sha256(content).hexdigest() == entry["sha256"]
        rows = list(_CHANGES[_format(entry["path"])](content))
        assert len(rows) == entry["rows"]
        assert (rows[0].ordinal, rows[0].position) == tuple(entry["first"].values())
        assert (rows[-1].ordinal, rows[-1].position) == tuple(entry["last"].values())
        found += rows
    assert [one.ordinal for one in found] == sorted({one.ordinal for one in found})
    return found


def load(place: Place, table: str) -> list[Row]:
    """The rows of the copy."""
    found: list[Row] = []
    for name in manifest(place, table)["files"]:
        content = place.get(f"{table}/{name}")
        assert content is not None
        found += _ROWS[_format(name)](content)
    return found


def replayed(place: Place, table: str, key: str) -> dict[Any, Row]:
    """The copy with all changes done to it, by a key; columns that came later are there where they were told."""
    rows = {row[key]: row for row in load(place, table)}
    for change in changes(place, table):
        if change.op == "truncate":
            rows.clear()
            continue
        old = rows.pop(change.before[key], {}) if change.before else {}
        if change.after is not None:
            known = old or rows.get(change.after[key], {})
            kept = {name: known.get(name) for name in change.unchanged}
            rows[change.after[key]] = {**change.after, **kept}
    return rows


def replayed_bag(place: Place, table: str) -> Counter[tuple[Any, ...]]:
    """As `replayed`, of a table without a key: each row must be there to be changed."""
    rows = Counter(tuple(row.values()) for row in load(place, table))
    for change in changes(place, table):
        if change.op == "truncate":
            rows.clear()
        if change.before is not None:
            old = tuple(change.before.values())
            assert rows[old] > 0
            rows[old] -= 1
        if change.after is not None:
            rows[tuple(change.after.values())] += 1
    return +rows


def no_gap(place: Place, *tables: str) -> int:
    """Every number of the stream is there once, over all its tables; how many there are."""
    numbers = ordinals(place, *tables)
    assert numbers == list(range(1, len(numbers) + 1))
    return len(numbers)


def ordinals(place: Place, *tables: str) -> list[int]:
    """The numbers of the tables' changes, in order."""
    return sorted(one.ordinal for table in tables for one in changes(place, table))


def _format(name: str) -> str:
    return name.rpartition(".")[2]


def _parquet(content: bytes) -> Iterator[Change]:
    for row in pq.read_table(io.BytesIO(content)).to_pylist():
        yield Change(**{**row, "unchanged": tuple(row["unchanged"] or ())})


def _jsonl(content: bytes) -> Iterator[Change]:
    for row in map(json.loads, content.decode().splitlines()):
        parts = {"before": row.get("before"), "after": row.get("after"), "unchanged": tuple(row.get("unchanged", ()))}
        yield Change(**{**row, **parts})


def _csv(content: bytes) -> Iterator[Change]:
    for row in csv.DictReader(io.StringIO(content.decode())):
        parts: dict[str, Row] = {"before": {}, "after": {}}
        for name, value in row.items():
            part, dot, column = name.partition(".")
            if dot:
                parts[part][column] = value
        yield Change(
            row["op"], row["committed_at"], row["position"], int(row["ordinal"]),
            parts["before"] if row["op"] in ("update", "delete") else None,
            parts["after"] if row["op"] in ("insert", "update") else None,
            tuple(json.loads(row["unchanged"] or "[]")),
        )  # fmt: skip


_CHANGES: Mapping[str, Callable[[bytes], Iterator[Change]]] = {"parquet": _parquet, "jsonl": _jsonl, "csv": _csv}
_ROWS: Mapping[str, Callable[[bytes], list[Row]]] = {
    "parquet": lambda content: list(pq.read_table(io.BytesIO(content)).to_pylist()),
    "jsonl": lambda content: [json.loads(line) for line in content.decode().splitlines()],
    "csv": lambda content: [dict(row) for row in csv.DictReader(io.StringIO(content.decode()))],
}
