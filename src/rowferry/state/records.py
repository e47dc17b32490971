"""The rows of the state as values: what is stored, without how."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from rowferry.model.streams import Mode, Stage, StreamState, VerificationState


@dataclass(frozen=True, slots=True)
class ConnectionRecord:
    """A saved connection: `document` without its secrets, and `secrets`, which only the box can open."""

    id: str
    name: str
    type: str
    document: dict[str, Any]
    secrets: str
    created: int


@dataclass(frozen=True, slots=True)
class ConfigRecord:
    """A saved stream config: `document` as the user wrote it, in camelCase."""

    id: str
    name: str
    mode: Mode
    document: dict[str, Any]
    created: int


@dataclass(frozen=True, slots=True)
class StreamRecord:
    """A stream, from its start on for good.

    `config` is the config's document as it was at the start. `elapsed` counts the seconds it really ran, up to
    the last change of `status`. `error` is {"error", "code", "advice"}, and `targets` the names of everything it
    writes to, by which two streams are kept off each other. `journal`: the target may still hold its journal.
    """

    id: str
    config_id: str
    name: str
    config: dict[str, Any]
    mode: Mode
    status: StreamState
    stage: Stage
    created: int
    started_at: float | None = None
    finished_at: float | None = None
    elapsed: float = 0.0
    error: dict[str, Any] | None = None
    stats: dict[str, Any] | None = None
    targets: list[str] = field(default_factory=list)
    journal: bool = False


@dataclass(frozen=True, slots=True)
class VerificationRecord:
    """A verification of a stream. `comparison` is `Comparison.document()`, `error` as a stream's; neither at first."""

    id: str
    stream_id: str
    status: VerificationState
    created: int
    finished_at: float | None = None
    elapsed: float = 0.0
    error: dict[str, Any] | None = None
    comparison: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class LogRecord:
    """A log entry of a stream: `document` is the entry as clients get it."""

    number: int
    stream_id: str
    level: str
    document: dict[str, Any]


@dataclass(frozen=True, slots=True)
class AccountRecord:
    """The installation's one account. `key_hash` is compared, `key_box` is the key for the box to open."""

    email: str
    password_hash: str
    key_hash: str
    key_box: str
    created: int


@dataclass(frozen=True, slots=True)
class AnswerRecord:
    """The first answer to a request with an idempotency key; without a status it is still being worked on."""

    key: str
    fingerprint: str
    created: float
    status: int | None = None
    content_type: str = ""
    body: str = ""
