from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from rowferry.model.streams import MOVES, Action, StreamState
from tests.api.conftest import Api


@dataclass(frozen=True)
class Note:
    """A log entry, as far as the state cares."""

    level: str
    message: str
    stream_id: str

    def to_json(self) -> dict[str, Any]:
        return {"level": self.level, "message": self.message, "timestamp": "2026-01-01T00:00:00Z", "type": "source"}


def test_the_guides_stream_operations(api: Api) -> None:
    config_id = api.config()
    started = api.client.post(f"stream-configs/{config_id}/start")
    assert started.status_code == 200
    stream_id = started.json()["id"]
    assert started.json() == {"id": stream_id}
    url = f"streams/{stream_id}"
    assert api.client.get(f"{url}/stats").json()["status"] == "RUNNING"
    assert api.client.post(f"{url}/pause").json() == {"id": stream_id, "status": "PAUSED"}
    assert api.client.post(f"{url}/resume").json()["status"] == "RUNNING"
    assert api.client.post(f"{url}/stop").json()["status"] == "STOPPED"
    assert api.client.get(url).json()["status"] == "STOPPED"


def test_a_second_start_names_what_is_in_the_way(api: Api) -> None:
    config_id = api.config()
    stream_id = api.start(config_id)
    refused = api.client.post(f"stream-configs/{config_id}/start")
    assert refused.status_code == 409
    body = refused.json()
    assert body["details"]["field"] == "stream_state"
    assert body["details"]["value"] == [stream_id]
    assert stream_id in body["error"]
    assert set(body) == {"error", "code", "type", "details", "requestId"}


@pytest.mark.parametrize("state", [state for state, moves in MOVES.items() if not moves])
@pytest.mark.parametrize("action", [Action.PAUSE, Action.RESUME, Action.STOP])
def test_an_ended_stream_takes_no_orders(api: Api, state: StreamState, action: Action) -> None:
    stream_id = api.finished(api.config(), state)
    refused = api.client.post(f"streams/{stream_id}/{action.value}")
    assert refused.status_code == 409
    assert state.value in refused.json()["error"]
    assert api.client.get(f"streams/{stream_id}").json()["status"] == state.value


def test_streams_are_listed_and_filtered(api: Api) -> None:
    first, second = api.config(), api.config()
    done, running = api.finished(first), api.start(second)
    everything = api.client.get("streams").json()
    assert (everything["total"], everything["filtered"]) == (2, 2)
    by_state = api.client.get("streams", params={"status": "FINISHED"}).json()
    assert [one["id"] for one in by_state["items"]] == [done]
    by_config = api.client.get("streams", params={"configId": second}).json()
    assert [one["id"] for one in by_config["items"]] == [running]
    assert by_config["items"][0].keys() >= {"status", "configId", "startedAt", "finishedAt", "error"}
    wrong = api.client.get("streams", params={"status": "DONE"})
    assert (wrong.status_code, wrong.json()["details"][0]["path"]) == (400, "status")


def test_logs_are_read_by_level(api: Api) -> None:
    stream_id = api.start(api.config())
    api.services.store.logs.append([Note("info", "a", stream_id), Note("error", "b", stream_id)])
    url = f"streams/{stream_id}/logs"
    assert [entry["message"] for entry in api.client.get(url).json()] == ["a", "b"]
    assert [entry["message"] for entry in api.client.get(url, params={"level": "error"}).json()] == ["b"]
    assert [entry["message"] for entry in api.client.get(url, params={"limit": 1}).json()] == ["b"]
    assert api.client.get(url, params={"level": "loud"}).status_code == 400
    assert api.client.get("streams/x/logs").status_code == 404
