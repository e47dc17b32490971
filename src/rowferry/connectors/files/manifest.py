"""`_manifest.json`: which files a table has, how large they are, what they hold, and which stream wrote them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from typing import Any

from rowferry.config.stream import FilesTarget
from rowferry.connectors.files.inspection import schema_document
from rowferry.connectors.files.record import Written
from rowferry.model.tables import Table

VERSION = 1


def manifest_document(
    table: Table, spec: FilesTarget, stream_id: str, written: Iterable[Written], present: Mapping[str, int],
    earlier: Mapping[str, Any] | None,
) -> dict[str, Any]:  # fmt: skip
    """The manifest of a table's folder, in which the files `present` lie (name to size in bytes).

    What the stream has not written itself is told as the `earlier` manifest does, if it is still of that size.
    """
    own = {written.final.rpartition("/")[2]: written for written in written if written.final is not None}
    known = _objects(earlier)
    objects = []
    for name, size in sorted(present.items()):
        if name in own and own[name].stored == size:
            rows, checksum = own[name].committed.rows, own[name].checksum
            objects.append({"path": name, "size": size, "rows": rows, "sha256": checksum})
        else:
            objects.append(known.get((name, size), {"path": name, "size": size}))
    counts = [one.get("rows") for one in objects]
    return {
        "version": VERSION,
        "files": [one["path"] for one in objects],
        "objects": objects,
        "metadata": {
            "stream_id": stream_id,
            "table": str(table.name),
            "file_format": spec.file_format.value,
            "compression": spec.compression.value,
            "created_at": int(time.time()),
            "total_size": sum(present.values()),
            "row_count": None if None in counts else sum(count for count in counts if count),
        },
        "schema": schema_document(table.columns, table.primary_key, spec),
    }


def spelled(document: Mapping[str, Any]) -> str:
    """The document as it stands in a file."""
    return json.dumps(document, ensure_ascii=False, indent=2) + "\n"


def parsed(content: bytes | None) -> dict[str, Any] | None:
    """The manifest in a file, None where it is none."""
    try:
        document = json.loads(content or b"")
    except ValueError:
        return None
    return document if isinstance(document, dict) else None


def _objects(manifest: Mapping[str, Any] | None) -> dict[tuple[str, int], dict[str, Any]]:
    objects = manifest.get("objects") if manifest else None
    if not isinstance(objects, list):
        return {}
    return {
        (one["path"], one["size"]): one for one in objects if isinstance(one, dict) and {"path", "size"} <= one.keys()
    }
