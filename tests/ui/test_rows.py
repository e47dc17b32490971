"""Streams as rows."""

from __future__ import annotations

import pytest

from rowferry.ui.rows import _duration, _percent


def _table(events: int, estimated: int | None) -> dict[str, object]:
    return {"events": events, "estimatedRows": estimated}


@pytest.mark.parametrize(
    ("tables", "percent"),
    [
        ([], None),
        ([_table(5, None)], None),
        ([_table(0, 10)], 0),
        ([_table(5, 10), _table(0, 10)], 25),
        ([_table(30, 10), _table(0, 10)], 50),
        ([_table(10, 10)], 99),
    ],
)
def test_progress_is_what_is_written_of_what_was_estimated(
    tables: list[dict[str, object]], percent: int | None
) -> None:
    assert _percent(tables) == percent


@pytest.mark.parametrize(("seconds", "words"), [(0.24, "0.2 s"), (61, "1 min 1 s"), (7260, "2 h 1 min")])
def test_durations_are_short(seconds: float, words: str) -> None:
    assert _duration(seconds) == words
