"""The manifest of a folder of changes: which files count, what each holds, and up to where in the source's log.

It has the shape of a table's own manifest, and besides, for each file, its range of ordinals and positions and the
number of its columns' description in `schemas`. A file that it does not list does not count (yet). So that it can be
written anew for each file of a stream that lives for years, files that it has listed for long move into segments,
lists of the same shape that are never changed again.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rowferry.config.stream import FilesTarget
from rowferry.connectors.files.change_log import ChangeFile
from rowferry.connectors.files.manifest import VERSION

SEALED = 1000
"""So many files become a segment."""


@dataclass(frozen=True, slots=True)
class Written:
    """A manifest as it is to be written, and first the segment that it refers to, if there is a new one."""

    document: dict[str, Any]
    segment: tuple[str, dict[str, Any]] | None = None


def grown(
    before: Mapping[str, Any] | None, files: Sequence[ChangeFile], spec: FilesTarget, stream_id: str, number: int
) -> Written | None:
    """The manifest of one folder with the files of the commit `number`; None when it has them already."""
    known = before or {}
    metadata = dict(known.get("metadata", {}))
    new = [file for file in files if file.first[0] > metadata.get("last_ordinal", 0)]
    if not new:
        return None
    schemas, objects = list(known.get("schemas", ())), list(known.get("objects", ()))
    segments = list(known.get("segments", ()))
    for file in new:
        if file.schema not in schemas:
            schemas.append(file.schema)
        objects.append(_object(file, schemas.index(file.schema)))
    segment = None
    if len(objects) > SEALED:
        segment = (f"_manifest-{number:08d}.json", _list(objects))
        segments.append(_summary(segment[0], objects))
        objects = []
    last = new[-1]
    metadata = {
        "stream_id": stream_id,
        "table": last.table,
        "file_format": spec.file_format.value,
        "compression": spec.compression.value,
        "created_at": metadata.get("created_at", int(time.time())),
        "updated_at": int(time.time()),
        "file_count": metadata.get("file_count", 0) + len(new),
        "total_size": metadata.get("total_size", 0) + sum(file.stored for file in new),
        "row_count": metadata.get("row_count", 0) + sum(file.rows for file in new),
        "last_ordinal": last.last[0],
        "last_position": last.last[1],
    }
    parts = {"segments": segments, "metadata": metadata, "schema": dict(last.shown), "schemas": schemas}
    return Written({**_list(objects), **parts}, segment)


def _list(objects: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {"version": VERSION, "files": [one["path"] for one in objects], "objects": list(objects)}


def _object(file: ChangeFile, schema: int) -> dict[str, Any]:
    return {
        "path": file.name,
        "size": file.stored,
        "rows": file.rows,
        "sha256": file.checksum,
        "first": {"ordinal": file.first[0], "position": file.first[1]},
        "last": {"ordinal": file.last[0], "position": file.last[1]},
        "schema": schema,
    }


def _summary(path: str, objects: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "path": path,
        "files": len(objects),
        "rows": sum(one["rows"] for one in objects),
        "size": sum(one["size"] for one in objects),
        "first": objects[0]["first"],
        "last": objects[-1]["last"],
    }
