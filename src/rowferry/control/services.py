"""The use cases as one value, which the API, the app and the command line are given."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from rowferry.config.settings import Settings
from rowferry.control.accounts import Accounts
from rowferry.control.catalog import Catalog
from rowferry.control.configs import Configs
from rowferry.control.connections import Connections
from rowferry.control.history import History
from rowferry.control.system import System
from rowferry.control.verifications import Verifications
from rowferry.state.box import Box
from rowferry.state.records import StreamRecord
from rowferry.state.store import Store


class StreamControl(Protocol):
    """What can be asked of streams. Thread-safe. NotFound for an unknown identifier."""

    def start(self, config_id: str) -> str:
        """Start a stream of the config; its identifier. Conflict when it would meet another one on the target."""

    def pause(self, stream_id: str) -> None:
        """Let the stream rest at its next safe point; Conflict when its state does not allow it."""

    def resume(self, stream_id: str) -> None:
        """Go on where the stream rested; Conflict when its state does not allow it."""

    def stop(self, stream_id: str, force: bool = False) -> None:
        """End the stream for good, with `force` without waiting for its worker; Conflict when it has ended."""

    def get(self, stream_id: str) -> StreamRecord:
        """The stream."""

    def list(self) -> Sequence[StreamRecord]:
        """All streams, the newest first."""

    def stats(self, stream_id: str) -> dict[str, Any]:
        """The stream's numbers, as the API sends them."""

    def validate(self, config_id: str) -> dict[str, Any]:
        """Plan a stream of the config without writing anything: its tables, and what would not cross exactly."""

    def recover(self) -> None:
        """Take up what a stopped server left."""

    def shutdown(self) -> None:
        """Let go of running streams, so that `recover` can take them up."""


class LogFeed(Protocol):
    """Where everything that is logged comes by."""

    def listen(self, deliver: Callable[[dict[str, Any]], None]) -> Callable[[], None]:
        """Give each entry from now on to `deliver`, from any thread; the result ends that. `deliver` must not block."""


class Metrics(Protocol):
    """The server's counters and gauges."""

    def render(self) -> bytes:
        """All of them, in Prometheus's text format."""


@dataclass(frozen=True, slots=True)
class Services:
    """Everything that can be asked of the server."""

    settings: Settings
    store: Store
    box: Box
    accounts: Accounts
    connections: Connections
    catalog: Catalog
    configs: Configs
    streams: StreamControl
    verifications: Verifications
    history: History
    system: System
    feed: LogFeed
    metrics: Metrics
