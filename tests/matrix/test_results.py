"""The counts that docs/types.md shows are those of the data files: no cell was left out when they were written."""

from __future__ import annotations

import json
import re

import pytest

from tests.matrix import tally
from tests.matrix.cases import POLICIES, SOURCES, TARGETS, load


def test_results_are_those_of_the_data_files() -> None:
    cells = [cell for source in SOURCES for cell in load(source).cells()]
    written = json.loads(tally.RESULTS.read_text())
    assert written == tally.nested(cells), "run `make matrix`, then `make docs`"


@pytest.mark.parametrize("source", SOURCES)
def test_data_files_make_sense(source: str) -> None:
    cases = load(source).cases
    assert len({case.table for case in cases}) == len(cases)
    for case in cases:
        assert set(case.refused) <= set(TARGETS)
        assert set(case.refused.values()) <= {*POLICIES, "typeOverrides"}
        assert case.values
        assert all(re.search(r"\S", value) for value in case.values)
