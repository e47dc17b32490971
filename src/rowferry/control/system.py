"""The server itself: how it is, where it runs, and what it logs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from pathlib import Path

from rowferry.config.settings import Settings
from rowferry.errors import RowferryError
from rowferry.state.store import Store

_SQL_LOGGING = "sql_logging"
_DOCKER_MARK = Path("/.dockerenv")
_DOCKER_EXPORTS = Path("/data/exports")


class Health(StrEnum):
    """How a part of the server is."""

    PASSING = "passing"
    CRITICAL = "critical"
    UNKNOWN = "unknown"
    INITIALIZING = "initializing"


class SqlCapture(StrEnum):
    """How much of the statements that the server runs is logged."""

    OFF = "off"
    MINIMAL = "minimal"
    VERBOSE = "verbose"


class InstallMode(StrEnum):
    """Where the server runs: for one machine, for a network, or in a container."""

    DESKTOP = "desktop"
    SERVER = "server"
    DOCKER = "docker"


@dataclass(frozen=True, slots=True)
class SqlLogging:
    """What happens to the statements that the server runs. `forward`: they are sent to log listeners."""

    mode: SqlCapture = SqlCapture.MINIMAL
    forward: bool = False


class System:
    """Questions about the server. `probes` are its parts: each returns, or raises a RowferryError when it is ill."""

    def __init__(self, store: Store, settings: Settings, probes: Mapping[str, Callable[[], None]]) -> None:
        self._store = store
        self._settings = settings
        self._probes = probes

    def health(self) -> dict[str, Health]:
        """How each part is."""
        return {"stream-api": Health.PASSING, **{name: _probe(probe) for name, probe in self._probes.items()}}

    @property
    def ready(self) -> bool:
        """Whether every part works."""
        return all(health is Health.PASSING for health in self.health().values())

    @property
    def install_mode(self) -> InstallMode:
        """Where the server runs."""
        if _DOCKER_MARK.exists():
            return InstallMode.DOCKER
        return InstallMode.DESKTOP if self._settings.loopback else InstallMode.SERVER

    @property
    def export_path(self) -> Path:
        """The folder that a files connection may write to without further thought."""
        if self.install_mode is InstallMode.DOCKER and _DOCKER_EXPORTS.is_dir():
            return _DOCKER_EXPORTS
        return self._settings.data_dir.resolve() / "exports"

    def sql_logging(self) -> SqlLogging:
        """What happens to statements now."""
        stored = self._store.settings.get(_SQL_LOGGING)
        return SqlLogging(SqlCapture(stored["mode"]), stored["forward"]) if stored else SqlLogging()

    def set_sql_logging(self, mode: SqlCapture | None = None, forward: bool | None = None) -> SqlLogging:
        """Change what is given, and keep it; what is None stays."""
        changed = self.sql_logging()
        if mode is not None:
            changed = replace(changed, mode=mode)
        if forward is not None:
            changed = replace(changed, forward=forward)
        self._store.settings.set(_SQL_LOGGING, asdict(changed))
        return changed


def _probe(probe: Callable[[], None]) -> Health:
    try:
        probe()
    except RowferryError:
        return Health.CRITICAL
    return Health.PASSING
