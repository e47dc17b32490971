"""Files as a source, over the API."""

from __future__ import annotations

import json
from pathlib import Path

from tests.servers import Postgres
from tests.serving import Rowferry, serving


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


def test_a_selection_of_a_folders_tables_arrives_and_is_verified(
    rowferry: Rowferry, postgres: Postgres, tmp_path: Path
) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "t.csv").write_text("id,word,price\n" + "".join(f"{n},w{n % 7},{n / 4}\n" for n in range(5000)))
    source, there = rowferry.connect_folder(tmp_path), rowferry.connect_postgres(postgres)
    chosen = {
        "filters": [
            {"column": "price", "operator": ">=", "value": 900},
            {"column": "word", "operator": "IN", "value": "w1,W2,w3"},
        ]
    }
    ordered = {
        **chosen,
        "selectedColumns": ["id", "word"],
        "sorts": [{"column": "price", "direction": "DESC"}],
        "limit": 50,
    }
    whole = [(n, f"w{n % 7}") for n in range(3600, 5000) if n % 7 in (1, 3)]
    for selection, rows, verify in ((chosen, whole, True), (ordered, whole[:-51:-1], False)):
        target = postgres.new_database()
        part = {"tables": [{"name": "t", "selection": selection}]}
        config = rowferry.configure(source, "sub", there, {"db": {"database": target}}, part=part, verify=verify)
        stats = rowferry.wait(rowferry.begin(config))
        assert stats["status"] == "FINISHED", stats["error"]
        assert sorted(postgres.execute("SELECT id, word FROM t", database=target)) == sorted(rows)


def test_a_selection_that_cannot_be_is_400(rowferry: Rowferry, postgres: Postgres, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("id\n1\n")
    there = rowferry.connect_postgres(postgres)
    wrong = {"filters": [{"column": "id", "operator": "=", "value": "x"}]}
    part = {"tables": [{"name": "t", "selection": wrong}]}
    config = rowferry.configure(rowferry.connect_folder(tmp_path), ".", there, {"db": {"database": "x"}}, part=part)
    answer = rowferry.client.post(f"/stream-configs/{config}/validate")
    assert answer.status_code == 400
    assert "needs a number" in answer.json()["error"]


def test_roots_that_changed_end_a_stream_before_it_reads(postgres: Postgres, tmp_path: Path) -> None:
    (tmp_path / "served").mkdir()
    (tmp_path / "served" / "t.csv").write_text("id\n1\n")
    target = postgres.new_database()
    with serving(tmp_path / "data") as one:
        source, there = one.connect_folder(tmp_path / "served"), one.connect_postgres(postgres)
        config = one.configure(source, ".", there, {"db": {"database": target}})
    with serving(tmp_path / "data", ROWFERRY_FILE_ROOTS="/data/exports") as other:
        answer = other.client.post(f"/stream-configs/{config}/start")
        assert answer.status_code == 400, answer.text
        assert "ROWFERRY_FILE_ROOTS" in answer.json()["error"]
        assert other.client.post(f"/connections/{source}/ping").status_code == 400
    assert postgres.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'", database=target) == [(0,)]
