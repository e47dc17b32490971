"""The manifest of a table's folder tells of every file, also of earlier runs'."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from rowferry.model import types as t
from tests.files.tables import batches, export, table, target

SOURCE = table("t", {"id": t.Integer(64)})


def manifest(base: Path) -> dict[str, Any]:
    return dict(json.loads((base / "t" / "_manifest.json").read_text()))


def test_a_manifest_tells_what_was_written(tmp_path: Path) -> None:
    export(target(tmp_path, "csv"), SOURCE, [batches(SOURCE, [[1], [2]]), batches(SOURCE, [[3]])])
    found = manifest(tmp_path)
    assert found["files"] == ["part-00000.csv", "part-00001.csv"]
    for part, rows in zip(found["objects"], (2, 1), strict=True):
        content = (tmp_path / "t" / part["path"]).read_bytes()
        checksum = hashlib.sha256(content).hexdigest()
        assert part == {"path": part["path"], "size": len(content), "rows": rows, "sha256": checksum}
    about = found["metadata"]
    assert (about["stream_id"], about["row_count"], about["file_format"]) == ("stream_1", 3, "csv")
    assert about["total_size"] == sum(part["size"] for part in found["objects"])
    assert found["schema"] == json.loads((tmp_path / "t" / "_schema.json").read_text())


def test_earlier_files_stay_in_it(tmp_path: Path) -> None:
    export(target(tmp_path, "csv"), SOURCE, [batches(SOURCE, [[1]])])
    (first,) = manifest(tmp_path)["objects"]
    how = ("create_missing_only", "append")
    export(target(tmp_path, "csv", "stream_2", how), SOURCE, [batches(SOURCE, [[2]])])
    found = manifest(tmp_path)
    assert found["objects"][0] == first
    assert (found["metadata"]["row_count"], found["metadata"]["stream_id"]) == (2, "stream_2")
    (tmp_path / "t" / "strange.csv").write_text("id\n5\n")
    export(target(tmp_path, "csv", "stream_3", how), SOURCE, [batches(SOURCE, [[3]])])
    found = manifest(tmp_path)
    assert {"path": "strange.csv", "size": 5} in found["objects"]
    assert found["metadata"]["row_count"] is None


def test_a_table_that_is_made_anew_has_a_manifest_of_its_own(tmp_path: Path) -> None:
    export(target(tmp_path, "csv"), SOURCE, [batches(SOURCE, [[1]]), batches(SOURCE, [[2]])])
    export(target(tmp_path, "csv", "stream_2", ("drop_and_recreate", "append")), SOURCE, [batches(SOURCE, [[3]])])
    assert manifest(tmp_path)["files"] == ["part-00000.csv"]
