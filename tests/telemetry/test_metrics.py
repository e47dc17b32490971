"""Metrics by the names that dashboards know."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from rowferry.telemetry.metrics import Metrics


def samples(metrics: Metrics) -> dict[tuple[str, tuple[str, ...]], float]:
    families = text_string_to_metric_families(metrics.render().decode())
    return {(s.name, tuple(sorted(s.labels.values()))): s.value for family in families for s in family.samples}


def test_a_stream_and_the_server_are_told() -> None:
    metrics = Metrics()
    metrics.stream("stream_1", "RUNNING", read=10, written=7, elapsed=1.5)
    metrics.states({"RUNNING": 1, "PAUSED": 0})
    metrics.restarted()
    found = samples(metrics)
    assert found["source_events_in", ("stream_1",)] == 10
    assert found["target_events_out", ("stream_1",)] == 7
    assert found["source_duration_seconds", ("RUNNING", "stream_1")] == 1.5
    assert found["target_duration_seconds", ("RUNNING", "stream_1")] == 1.5
    assert found["rowferry_streams", ("RUNNING",)] == 1
    assert found["rowferry_worker_restarts_total", ()] == 1


def test_two_servers_in_one_process_do_not_share_their_numbers() -> None:
    one, other = Metrics(), Metrics()
    one.restarted()
    assert samples(other)["rowferry_worker_restarts_total", ()] == 0
