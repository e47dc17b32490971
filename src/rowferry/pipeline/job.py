"""Everything a run must be told, and how it reports."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self

from pydantic import Field, model_validator

from rowferry.bus.messages import Progress
from rowferry.config.connection import Connection
from rowferry.config.fields import Spec
from rowferry.config.roots import Roots
from rowferry.config.stream import MalformedRows, StreamConfig
from rowferry.errors import RowferryError
from rowferry.model.digests import Comparison
from rowferry.model.findings import Finding
from rowferry.model.streams import StreamState


class Job(Spec):
    """One stream's assignment.

    `connections` holds every connection the config names, by its id. `elapsed`: seconds the stream ran
    before. `workers`: chunks copied at the same time. `forget_only`: just remove the target's journal.
    `verify_only`: just compare what a stream of this config has read and written. `rejects`: the folder for rows of
    files that cannot be read. `roots`: the folders of this machine that the connections may lead to (None: any).
    `again`: the stream was under way when its worker or the server ended, so its databases were there.
    """

    stream_id: str
    config: StreamConfig
    connections: dict[str, Connection]
    elapsed: float = Field(default=0, ge=0)
    workers: int = Field(default=2, ge=1)
    forget_only: bool = False
    verify_only: bool = False
    rejects: str | None = None
    roots: tuple[str, ...] | None = None
    again: bool = False

    @model_validator(mode="after")
    def _within(self) -> Self:
        if self.roots is not None:
            roots = Roots(tuple(map(Path, self.roots)))
            self.connections.update({name: one.within(roots) for name, one in self.connections.items()})
        return self

    @property
    def skipping(self) -> Path | None:
        """The folder for rows that cannot be read, where they are to be left out."""
        skip = self.config.source.options.malformed_rows is MalformedRows.SKIP
        return Path(self.rejects) if skip and self.rejects else None


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended. `report` is what planning and finishing found worth saying, `comparison` what verifying did."""

    state: StreamState
    elapsed: float
    error: RowferryError | None = None
    report: tuple[Finding, ...] = ()
    comparison: Comparison | None = None


class Events(Protocol):
    """Where a run reports to; may be called from any thread."""

    def progress(self, progress: Progress) -> None:
        """How far the run is."""

    def log(self, level: str, message: str, category: str = "general", **extra: object) -> None:
        """Something worth telling: names, counts and positions, never row values or secrets."""

    def found(self, findings: Sequence[Finding]) -> None:
        """Something that belongs into the run's report; each of a run's findings comes once."""
