"""The use cases on a real store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rowferry.config.settings import Settings
from rowferry.state.box import Box
from rowferry.state.store import Store


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings of a fresh installation."""
    return Settings(data_dir=tmp_path / "data")


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    """Its state."""
    opened = Store.open(settings)
    yield opened
    opened.close()


@pytest.fixture
def box(settings: Settings, store: Store) -> Box:
    """Its box."""
    return Box.open(settings, store)
