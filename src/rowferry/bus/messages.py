"""What control and workers say to each other. Plain frozen values, one JSON object each on the wire.

Down, to a worker: `Assign`, then at any time `Drain` or `Halt`. Up, from a worker: `Ready`, then after an
`Assign` any number of `Progress`, `Logged` and `Found`, and exactly one `Ended`. When the end is one that nobody will
resume, and has been recorded, `Forget` follows: only then may the target's journal go, because a server that
died before it recorded the end must find it there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import orjson


@dataclass(frozen=True, slots=True)
class Assign:
    """Run this job (`rowferry.pipeline.job.Job` as data, secrets in clear: never log it)."""

    job: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Drain:
    """Finish or roll back the chunks under way, keep the journal, and end: a pause, or the server goes down."""


@dataclass(frozen=True, slots=True)
class Halt:
    """End for good: roll back what is under way."""


@dataclass(frozen=True, slots=True)
class Forget:
    """The end is recorded: remove the target's journal of this stream."""


@dataclass(frozen=True, slots=True)
class Ready:
    """The worker has loaded what it needs and waits for an assignment."""

    pid: int


@dataclass(frozen=True, slots=True)
class TableProgress:
    """How far one table is. `read` and `written` are rows, `size` bytes written, `elapsed` seconds."""

    name: str
    status: str
    read: int = 0
    written: int = 0
    size: int = 0
    elapsed: float = 0.0
    estimated_rows: int = 0
    estimated_size: int = 0


@dataclass(frozen=True, slots=True)
class Progress:
    """Where the run stands: totals since the stream began, whatever number of workers it took.

    `read` and `written` are rows, `read_size` and `written_size` bytes, `elapsed` seconds of running. Of a stream that
    follows a log, `position` is how far it is, `lag` how many seconds what is applied is behind its commit there, and
    `behind` how many bytes of the log are still to come.
    """

    stage: str
    elapsed: float
    read: int
    written: int
    read_size: int
    written_size: int
    rejected: int = 0
    lag: float | None = None
    behind: int | None = None
    position: str | None = None
    tables: tuple[TableProgress, ...] = ()


@dataclass(frozen=True, slots=True)
class Logged:
    """A log entry of the worker, in the fields of `rowferry.telemetry.logs.LogEntry`."""

    level: str
    message: str
    type: str
    category: str
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Found:
    """What the run has just found worth keeping, each a `rowferry.model.findings.Finding` as data."""

    findings: tuple[dict[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Ended:
    """The run is over. `state` is a StreamState; `error`: `RowferryError.document()` where it failed.

    `comparison`: `Comparison.document()` where source and target were compared.
    """

    state: str
    elapsed: float
    error: dict[str, str] | None = None
    comparison: dict[str, Any] | None = None


Down = Assign | Drain | Halt | Forget
Up = Ready | Progress | Logged | Found | Ended
Message = Down | Up

_KINDS: dict[str, type[Any]] = {
    kind.__name__: kind for kind in (Assign, Drain, Halt, Forget, Ready, Progress, Logged, Found, Ended)
}


def encode(message: Message) -> bytes:
    """One line of JSON, newline included."""
    return orjson.dumps({"kind": type(message).__name__, **asdict(message)}) + b"\n"


def decode(line: bytes) -> Message:
    """The message of a line; ValueError when it is none."""
    document = orjson.loads(line)
    if not isinstance(document, dict) or document.get("kind") not in _KINDS:
        raise ValueError("not a message")
    kind = _KINDS[document.pop("kind")]
    message: Message = kind(**_nested(kind, document))
    return message


def _nested(kind: type[Any], document: Mapping[str, Any]) -> dict[str, Any]:
    fields = dict(document)
    if kind is Progress:
        fields["tables"] = tuple(TableProgress(**table) for table in fields["tables"])
    if kind is Found:
        fields["findings"] = tuple(fields["findings"])
    return fields
