from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from rowferry.api.examples import STREAM_CONFIGS
from rowferry.model.streams import StreamState
from rowferry.state.ids import new_id
from tests.api.conftest import Api

CONFIRMED = {"X-Confirm-Delete": "true"}


def with_ids(api: Api, document: dict[str, Any]) -> dict[str, Any]:
    body = deepcopy(document)
    body["source"]["connections"][0]["connectionId"] = api.connection()
    body["target"]["id"] = api.connection("files" if "files" in body["target"]["spec"] else "postgresql")
    return body


@pytest.mark.parametrize("name", list(STREAM_CONFIGS))
def test_the_guides_configs_are_saved_and_read_back(api: Api, name: str) -> None:
    body = with_ids(api, STREAM_CONFIGS[name]["value"])
    saved = api.client.post("stream-configs", json=body)
    assert saved.status_code == 200
    answer = saved.json()
    assert {key: value for key, value in answer.items() if key not in ("id", "created")} == body
    assert api.client.get(f"stream-configs/{answer['id']}").json() == answer
    assert api.client.put(f"stream-configs/{answer['id']}", json=answer).json() == answer
    assert api.client.get("stream-configs").json()["items"] == [answer]


def test_load_means_convert(api: Api) -> None:
    assert api.client.post("stream-configs", json=api.config_body(mode="load")).json()["mode"] == "convert"


def test_the_list_has_pages(api: Api) -> None:
    for number in range(5):
        api.config(name=f"load {number}")
    page = api.client.get("stream-configs", params={"limit": 2, "offset": 1, "search": "LOAD"}).json()
    assert len(page.pop("items")) == 2
    assert page == {"total": 5, "filtered": 5, "limit": 2, "offset": 1, "search": "LOAD"}
    for bad in ({"limit": 0}, {"limit": "x"}, {"offset": -1}, {"offset": 10**30}):
        refused = api.client.get("stream-configs", params=bad)
        assert refused.status_code == 400
        assert refused.json()["details"][0]["path"] in bad


BAD: list[tuple[str, dict[str, Any], str, str]] = [
    ("unknown field", {"reportingIntervall": 3}, "reportingIntervall", "did you mean reportingInterval"),
    ("blank name", {"name": " "}, "name", "must not be empty"),
    ("wrong mode", {"mode": "copy"}, "mode", "must be one of convert, cdc"),
    ("interval", {"reportingInterval": 0}, "reportingInterval", "must be at least 1"),
    ("limits", {"limits": {"numberOfEvents": -1}}, "limits.numberOfEvents", "must be at least 0"),
    ("too many events", {"limits": {"numberOfEvents": 2**63}}, "limits.numberOfEvents", "must be at most"),
    ("too long a time", {"limits": {"elapsedTime": 1e300}}, "limits.elapsedTime", "must be at most"),
    ("no number", {"limits": {"numberOfEvents": True}}, "limits.numberOfEvents", "must be a number"),
    ("not an object", {"limits": []}, "limits", "must be an object"),
]


@pytest.mark.parametrize(("fields", "path", "message"), [bad[1:] for bad in BAD], ids=[bad[0] for bad in BAD])
def test_bad_fields_are_named(api: Api, fields: dict[str, Any], path: str, message: str) -> None:
    refused = api.client.post("stream-configs", json=api.config_body(**fields))
    assert refused.status_code == 400
    assert refused.json()["code"] == "invalid_request"
    assert refused.json()["details"][0]["path"] == path
    assert message in refused.json()["details"][0]["message"]
    assert path in refused.json()["error"]
    assert api.client.get("stream-configs").json()["total"] == 0


@pytest.mark.parametrize("size", [9, 1001, "many", 10.5, None])
def test_the_bundle_size_is_bounded(api: Api, size: Any) -> None:
    body = api.config_body()
    body["source"]["options"] = {"dataBundleSize": size}
    refused = api.client.post("stream-configs", json=body)
    assert refused.status_code == 400
    assert [detail["path"] for detail in refused.json()["details"]] == ["source.options.dataBundleSize"]


@pytest.mark.parametrize("aliases", [(None, None), ("a", None), ("a", "a"), ("a", "1b")])
def test_several_sources_need_their_own_aliases(api: Api, aliases: tuple[str | None, ...]) -> None:
    source = api.connection()
    connections = [{"connectionId": source, **({"alias": alias} if alias is not None else {})} for alias in aliases]
    refused = api.client.post("stream-configs", json=api.config_body(source={"connections": connections}))
    assert refused.status_code == 400
    assert refused.json()["details"][0]["path"] == "source"
    assert "alias" in refused.json()["error"]


def test_fields_deep_inside_are_named(api: Api) -> None:
    body = api.config_body()
    body["source"]["connections"][0]["tables"] = [
        {"name": "a"},
        {"name": "b", "selection": {"filters": [{"column": 5}]}},
    ]
    body["target"]["spec"]["db"]["schemaPolicy"] = "drop"
    body["target"]["spec"]["db"]["writemode"] = "append"
    details = {one["path"]: one["message"] for one in api.client.post("stream-configs", json=body).json()["details"]}
    assert details == {
        "source.connections.0.tables.1.selection.filters.0.column": "must be text",
        "source.connections.0.tables.1.selection.filters.0.operator": "is required",
        "target.spec.db.schemaPolicy": (
            "must be one of fail_if_exists, validate_existing, create_missing_only, drop_and_recreate"
        ),
        "target.spec.db.writemode": "is not a known field: did you mean writeMode",
    }


def test_connections_must_exist(api: Api) -> None:
    body = api.config_body()
    body["target"]["id"] = new_id("conn").id
    body["source"]["connections"][0]["connectionId"] = "conn_SOURCE_ID"
    refused = api.client.post("stream-configs", json=body)
    assert refused.status_code == 404
    assert [one["path"] for one in refused.json()["details"]] == ["source.connections.0.connectionId", "target.id"]


def test_connections_must_fit(api: Api) -> None:
    files = api.connection("files")
    to_files = api.config_body()
    to_files["target"]["id"] = files
    refused = api.client.post("stream-configs", json=to_files)
    assert (refused.status_code, refused.json()["details"][0]["path"]) == (400, "target.spec.db")
    cdc = api.config_body(mode="cdc", source={"connections": [{"connectionId": files}]})
    refused = api.client.post("stream-configs", json=cdc)
    assert (refused.status_code, refused.json()["details"][0]["path"]) == (400, "source.connections.0.connectionId")
    from_files = api.config_body()
    from_files["source"]["connections"][0] = {"connectionId": api.connection(), "files": {"basePath": "/x"}}
    refused = api.client.post("stream-configs", json=from_files)
    assert (refused.status_code, refused.json()["details"][0]["path"]) == (400, "source.connections.0.files")


def test_source_and_target_are_fixed(api: Api) -> None:
    saved = api.client.get(f"stream-configs/{api.config()}").json()
    url = f"stream-configs/{saved['id']}"
    moved = deepcopy(saved)
    moved["target"]["id"] = api.connection("postgresql")
    assert api.client.put(url, json=moved).json()["details"][0]["path"] == "target.id"
    moved = deepcopy(saved)
    moved["source"]["connections"][0]["connectionId"] = api.connection()
    assert api.client.put(url, json=moved).json()["details"][0]["path"] == "source.connections"
    assert api.client.put(url, json={**saved, "id": new_id("config").id}).status_code == 400
    assert api.client.get(url).json() == saved
    changed = {**saved, "name": "other", "reportingInterval": 5}
    assert api.client.put(url, json=changed).json() == {**changed, "reportingInterval": 5.0}


def test_a_config_is_cloned_and_deleted(api: Api) -> None:
    saved = api.client.get(f"stream-configs/{api.config()}").json()
    clone = api.client.put(f"stream-configs/{saved['id']}/clone").json()
    assert clone["id"] != saved["id"]
    assert {**clone, "id": 0, "created": 0} == {**saved, "id": 0, "created": 0, "name": "load (copy)"}
    assert api.client.delete(f"stream-configs/{clone['id']}").status_code == 400
    assert api.client.delete(f"stream-configs/{clone['id']}", headers=CONFIRMED).status_code == 204
    assert api.client.delete(f"stream-configs/{clone['id']}", headers=CONFIRMED).status_code == 404
    api.start(saved["id"])
    assert api.client.delete(f"stream-configs/{saved['id']}", headers=CONFIRMED).status_code == 409


def test_a_dry_run(api: Api) -> None:
    answer = api.client.post(f"stream-configs/{api.config()}/validate")
    assert answer.status_code == 200
    assert answer.json()["findings"][0]["severity"] == "warning"


def test_a_run_is_kept_with_its_report(api: Api) -> None:
    config_id = api.config()
    found = {"severity": "warning", "table": "s.actor", "message": "left out", "column": None, "item": "ft"}
    running = api.start(config_id)
    api.services.store.findings.add(running, [found])
    assert api.client.get(f"streams/{running}").json()["report"] == [found]
    assert api.client.get(f"stream-configs/{config_id}/runs/{running}").status_code == 409
    config_id = api.config()
    failed = api.finished(config_id, StreamState.FAILED)
    api.services.store.findings.add(failed, [found, {**found, "severity": "info"}])
    (listed,) = api.client.get(f"stream-configs/{config_id}/history").json()
    assert listed["findings"] == {"info": 1, "warning": 1, "error": 0}
    run = api.client.get(f"stream-configs/{config_id}/runs/{failed}").json()
    assert run == {**listed, "report": [found, {**found, "severity": "info"}]}
    assert api.client.get(f"stream-configs/{api.config()}/runs/{failed}").status_code == 404
    assert api.client.get(f"stream-configs/{config_id}/runs/nothing").status_code == 404


def test_history_lists_past_runs_and_forgets_them(api: Api) -> None:
    config_id = api.config()
    url = f"stream-configs/{config_id}"
    failed = api.finished(
        config_id,
        StreamState.FAILED,
        elapsed=1.5,
        error={"error": "The disk is full.", "code": "target_full", "advice": ""},
        stats={"read": 12, "written": 11, "read_size": 9_200_000, "written_size": 9_123_456, "tables": []},
    )
    finished = api.finished(config_id)
    running = api.start(config_id)
    runs = {run["id"]: run for run in api.client.get(f"{url}/history").json()}
    assert set(runs) == {failed, finished}
    run = runs[failed]
    assert run.pop("timestamp") > 1_700_000_000
    assert run == {
        "id": failed,
        "configId": config_id,
        "streamId": failed,
        "durationMs": 1500,
        "status": "FAILED",
        "dataSize": "9.1 MB",
        "rowsInserted": 11,
        "rowsSkipped": 0,
        "errorMessage": "The disk is full.",
        "findings": {"info": 0, "warning": 0, "error": 0},
    }
    assert api.client.delete(f"{url}/runs/{running}").status_code == 409
    assert api.client.delete(f"{url}/runs/nothing").status_code == 404
    assert api.client.delete(f"{url}/runs/{finished}").status_code == 204
    assert [run["id"] for run in api.client.get(f"{url}/history").json()] == [failed]
    other = api.config()
    assert api.client.delete(f"stream-configs/{other}/runs/{failed}").status_code == 404
    assert api.client.delete(f"{url}/runs").status_code == 204
    assert api.client.get(f"{url}/history").json() == []
    assert [stream["id"] for stream in api.client.get("streams").json()["items"]] == [running]
