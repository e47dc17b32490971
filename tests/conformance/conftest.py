"""Each test once for every source, or every target, that keeps the contracts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conformance.sources import SOURCES, SourcePlace
from tests.conformance.targets import OTHER_WAYS, TARGETS, TargetPlace


@pytest.fixture(params=SOURCES)
def source_place(request: pytest.FixtureRequest) -> Iterator[SourcePlace]:
    """An empty database to read from."""
    made = SOURCES[request.param](request)
    yield made
    made.close()


@pytest.fixture(params=TARGETS)
def target_place(request: pytest.FixtureRequest) -> Iterator[TargetPlace]:
    """Somewhere to write to."""
    made = (TARGETS | OTHER_WAYS)[request.param](request)
    yield made
    made.close()
