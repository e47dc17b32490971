from __future__ import annotations

from pathlib import Path

import pytest

from rowferry.config.settings import Settings
from rowferry.control import system
from rowferry.control.system import Health, InstallMode, SqlCapture, SqlLogging, System
from rowferry.errors import ConnectionFailed
from rowferry.state.store import Store


def broken() -> None:
    raise ConnectionFailed("It is gone.")


def test_health_asks_every_part(store: Store, settings: Settings) -> None:
    well = System(store, settings, {"state": store.ping})
    assert well.ready
    ill = System(store, settings, {"state": store.ping, "workers": broken})
    assert ill.health() == {"stream-api": Health.PASSING, "state": Health.PASSING, "workers": Health.CRITICAL}
    assert not ill.ready


@pytest.mark.parametrize(
    ("host", "mode"),
    [
        ("127.0.0.1", InstallMode.DESKTOP),
        ("localhost", InstallMode.DESKTOP),
        ("::1", InstallMode.DESKTOP),
        ("0.0.0.0", InstallMode.SERVER),
        ("host.example", InstallMode.SERVER),
    ],
)
def test_the_mode_is_where_it_listens(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: str, mode: InstallMode
) -> None:
    monkeypatch.setattr(system, "_DOCKER_MARK", tmp_path / "none")
    assert System(store, Settings(host=host, data_dir=tmp_path), {}).install_mode is mode


def test_a_container_exports_to_its_volume(
    store: Store, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mark").touch()
    monkeypatch.setattr(system, "_DOCKER_MARK", tmp_path / "mark")
    monkeypatch.setattr(system, "_DOCKER_EXPORTS", tmp_path)
    asked = System(store, settings, {})
    assert asked.install_mode is InstallMode.DOCKER
    assert asked.export_path == tmp_path


def test_sql_logging_is_kept(store: Store, settings: Settings) -> None:
    asked = System(store, settings, {})
    assert asked.sql_logging() == SqlLogging(SqlCapture.MINIMAL, False)
    asked.set_sql_logging(forward=True)
    asked.set_sql_logging(SqlCapture.OFF)
    assert System(store, settings, {}).sql_logging() == SqlLogging(SqlCapture.OFF, True)
