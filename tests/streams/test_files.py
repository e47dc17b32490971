"""Files as a source, over the API."""

from __future__ import annotations

import json
from pathlib import Path

from tests.servers import Postgres
from tests.serving import Rowferry


def test_malformed_rows_are_left_out_counted_and_kept(rowferry: Rowferry, postgres: Postgres, tmp_path: Path) -> None:
    lines = "".join(f"{n},w{n}\n" for n in range(60_000))
    (tmp_path / "t.csv").write_text("id,word\n" + lines + "x\n" + "".join(f"{n},w\n" for n in range(60_000, 61_000)))
    target = postgres.new_database()
    ends = rowferry.connect_folder(tmp_path), rowferry.connect_postgres(postgres)
    files = {"files": {"basePath": str(tmp_path), "paths": ["*.csv"]}}
    config = {"name": "t", "mode": "convert", "target": {"id": ends[1], "spec": {"db": {"database": target}}}}
    part = {"connectionId": ends[0], **files}
    strict = rowferry.post("/stream-configs", {**config, "source": {"connections": [part]}})["id"]
    assert rowferry.post(f"/stream-configs/{strict}/validate")["ok"]
    stats = rowferry.wait(rowferry.begin(strict))
    assert stats["status"] == "FAILED"
    assert "t.csv, line 60002: it has 1 fields, not 2" in stats["error"]["error"]
    postgres.execute("DROP TABLE IF EXISTS t", database=target)
    source = {"connections": [part], "options": {"malformedRows": "skip"}}
    lenient = rowferry.post("/stream-configs", {**config, "source": source, "verify": True})["id"]
    stream = rowferry.begin(lenient)
    stats = rowferry.wait(stream)
    assert stats["status"] == "FINISHED", stats["error"]
    assert (stats["source"]["rejected"], stats["target"]["counter"]) == (1, 61_000)
    [entry] = rowferry.client.get(f"/stream-configs/{lenient}/history").json()
    assert entry["rowsSkipped"] == 1
    [said] = [
        one["message"] for one in rowferry.client.get(f"/streams/{stream}/logs").json() if "malformed" in one["message"]
    ]
    [kept] = Path(said.rpartition("they are in ")[2].rstrip(".")).iterdir()
    assert json.loads(kept.read_text())["row"] == "x"


def test_a_config_with_files_elsewhere_is_400(rowferry: Rowferry, postgres: Postgres, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    ends = rowferry.connect_folder(tmp_path / "in"), rowferry.connect_postgres(postgres)
    for files, words in [
        ({"basePath": str(tmp_path)}, "one below it"),
        ({"basePath": "/"}, "one below it"),
        ({"basePath": "..", "paths": []}, ".."),
        ({"basePath": str(tmp_path / "in"), "paths": ["../x.csv"]}, "leads out"),
        ({"basePath": str(tmp_path / "in"), "paths": ["/etc/*.csv"]}, "leads out"),
    ]:
        document = {
            "name": "t", "mode": "convert", "source": {"connections": [{"connectionId": ends[0], "files": files}]},
            "target": {"id": ends[1], "spec": {"db": {"database": "postgres"}}},
        }  # fmt: skip
        answer = rowferry.client.post("/stream-configs", json=document)
        assert answer.status_code == 400, answer.text
        assert words in answer.json()["error"], answer.text
