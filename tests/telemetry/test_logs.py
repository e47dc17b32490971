"""Log entries in the shape that clients know, and the hub."""

from __future__ import annotations

import threading
from typing import Any

from rowferry.telemetry.logs import LogEntry, LogHub


def test_an_entry_in_its_clients_words() -> None:
    entry = LogEntry(
        "warning", "4 of 10", "target", "stat", "stream_1", "node_1", 1739572516.25, {"table": "actor", "events": 200}
    )  # fmt: skip
    assert entry.to_json() == {
        "level": "warn",
        "timestamp": "2025-02-14T22:35:16.250+00:00",
        "message": "4 of 10",
        "type": "target",
        "category": "stat",
        "streamId": "stream_1",
        "nodeId": "node_1",
        "table": "actor",
        "events": 200,
    }


def test_what_is_not_known_is_left_out_and_extra_overwrites_nothing() -> None:
    document = LogEntry("info", "hello", extra={"message": "other", "stage": 1}).to_json()
    assert document["message"] == "hello"
    assert document["stage"] == 1
    assert not {"streamId", "nodeId"} & set(document)


def test_everybody_who_listens_hears_everything_until_they_end() -> None:
    hub = LogHub()
    one: list[dict[str, Any]] = []
    other: list[dict[str, Any]] = []
    hub.publish(LogEntry("info", "nobody hears"))
    end_one, end_other = hub.listen(one.append), hub.listen(other.append)
    hub.publish(LogEntry("info", "both"))
    end_one()
    end_one()
    hub.publish(LogEntry("info", "one of them"))
    end_other()
    assert [entry["message"] for entry in one] == ["both"]
    assert [entry["message"] for entry in other] == ["both", "one of them"]


def test_many_threads_may_publish_while_others_come_and_go() -> None:
    hub = LogHub()
    heard: list[dict[str, Any]] = []
    hub.listen(heard.append)

    def publish() -> None:
        for number in range(200):
            hub.publish(LogEntry("info", str(number)))
            hub.listen(lambda _: None)()

    threads = [threading.Thread(target=publish) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(heard) == 800
