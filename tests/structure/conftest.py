"""A server for the tests of structures."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.serving import Rowferry, serving


@pytest.fixture(scope="package")
def rowferry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rowferry]:
    """A server; each test brings its own connections and databases."""
    with serving(tmp_path_factory.mktemp("server") / "data") as server:
        yield server
