"""The server's own log: no secret gets into it, whichever way it comes."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from rowferry.telemetry.setup import redact

HIDDEN = "********"


@pytest.mark.parametrize(
    "key",
    ["password", "db_password", "apiKey", "api_key", "X-API-Key", "secret", "accessKey", "token", "credentials_ref",
     "Authorization"],
)  # fmt: skip
def test_fields_that_hold_secrets_are_hidden_at_any_depth(key: str) -> None:
    event = {"event": "x", key: "hush", "deep": {"list": [{key: "hush"}]}}
    cleared = redact(None, "info", event)
    assert "hush" not in json.dumps(cleared)
    assert cleared["deep"]["list"][0] == {key: HIDDEN}


@pytest.mark.parametrize(
    ("text", "cleared"),
    [
        ("postgresql://me:hush@host/db", f"postgresql://me:{HIDDEN}@host/db"),
        ("mysql://me:h/u@sh@host:3306/db failed", f"mysql://me:{HIDDEN}@host:3306/db failed"),
        ("GET /l?api_key=hush&install_id=hush HTTP/1.1", f"GET /l?api_key={HIDDEN}&install_id={HIDDEN} HTTP/1.1"),
        ("host=h password='hu sh' dbname=d", f"host=h password={HIDDEN} dbname=d"),
        ('{"password": "hush", "a": 1}', '{"password": ' + HIDDEN + ', "a": 1}'),
        ("http://127.0.0.1:8020/api/v1/docs", "http://127.0.0.1:8020/api/v1/docs"),
        ("me@example.org wrote 3 rows: fine", "me@example.org wrote 3 rows: fine"),
    ],
)  # fmt: skip
def test_secrets_inside_a_text_are_hidden(text: str, cleared: str) -> None:
    assert redact(None, "info", {"event": text})["event"] == cleared


PROGRAM = """
import logging, structlog
from rowferry.telemetry.setup import configure_logging
configure_logging({level!r})
structlog.get_logger().debug("not seen")
structlog.get_logger().info("began", password="hush", rows=3)
logging.getLogger("other").warning("could not reach %s", "mysql://u:hush@h/d")
try:
    raise ValueError("postgresql://u:hush@h/d")
except ValueError:
    structlog.get_logger().exception("failed")
"""


def lines(level: str) -> list[dict[str, object]]:
    program = [sys.executable, "-c", PROGRAM.format(level=level)]
    done = subprocess.run(program, capture_output=True, text=True, check=True)
    assert done.stdout == ""
    assert "hush" not in done.stderr
    return [json.loads(line) for line in done.stderr.splitlines()]


def test_each_event_is_a_line_of_json_where_nobody_watches() -> None:
    began, warned, failed = lines("info")
    assert (began["event"], began["level"], began["rows"], began["password"]) == ("began", "info", 3, HIDDEN)
    assert warned["event"] == f"could not reach mysql://u:{HIDDEN}@h/d"
    assert "Traceback" in str(failed["exception"])


def test_the_level_keeps_lesser_events_out() -> None:
    assert [line["event"] for line in lines("error")] == ["failed"]
    assert len(lines("no such level")) == 3
