"""How many cells of the matrix there are, of which verdict; one line at the end of a test run."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).with_name("results.json")
"""What the suite found when it was last told to write it: cells by source, target, family and verdict."""

PROPERTY = "matrix cells"

Record = Callable[[str, object], None]
Counts = dict[str, dict[str, dict[str, dict[str, int]]]]


def record(property_of: Record, source: str, target: str, family: str, verdict: str, cells: int) -> None:
    """Keep with the test's report that so many cells have that verdict; a report crosses between processes."""
    property_of(PROPERTY, [source, target, family, verdict, cells])


def nested(cells: Iterable[tuple[Any, ...]]) -> Counts:
    """Rows of source, target, family, verdict and number as the results file has them."""
    counts: Counts = {}
    for source, target, family, verdict, number in sorted(cells):
        row = counts.setdefault(source, {}).setdefault(target, {}).setdefault(family, {})
        row[verdict] = row.get(verdict, 0) + number
    return counts


def pytest_terminal_summary(terminalreporter: Any, exitstatus: int) -> None:
    """Say how many cells passed; with MATRIX=write and no failure keep it for docs/types.md."""
    cells = [
        tuple(value)
        for report in terminalreporter.stats.get("passed", ())
        for name, value in getattr(report, "user_properties", ())
        if name == PROPERTY
    ]
    if not cells:
        return
    found: Counter[str] = Counter()
    for *_, verdict, number in cells:
        found[verdict] += number
    terminalreporter.write_line(f"type matrix: {said(found)}")
    if os.environ.get("MATRIX") == "write" and exitstatus == 0:
        RESULTS.write_text(json.dumps(nested(cells), indent=1, ensure_ascii=False) + "\n")


def said(found: Counter[str]) -> str:
    """The counts in words."""
    return (
        f"{found.total()} cells, {found['equal']} equal, {found['refused']} refused by rule, "
        f"{found['policy']} as a policy says, {found['planned']} planned for MySQL"
    )
