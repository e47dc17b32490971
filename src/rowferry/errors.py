"""One tree of errors, and one table that says what each kind means for the machine and for the person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Recovery(StrEnum):
    """What may follow an error: `retry` by itself, `manual` after somebody changed something."""

    RETRY = "retry"
    MANUAL = "manual"


@dataclass(frozen=True, slots=True)
class Policy:
    """How an error kind is handled: its machine word, HTTP status, recovery and advice for the operator."""

    code: str
    status: int
    recovery: Recovery
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Detail:
    """One thing that is wrong in what was sent: where, and what to change."""

    path: str
    message: str


class RowferryError(Exception):
    """The root. `message` is one sentence for a person; it never holds a secret or a row's value.

    `details` lists bad fields. `extra` is merged into the answer's `details` where a client wants an object.
    """

    def __init__(self, message: str, *, details: Sequence[Detail] = (), extra: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.details = tuple(details)
        self.extra = extra

    def document(self) -> dict[str, str]:
        """What is kept and shown of an error that ended a stream."""
        return {"error": self.message, "code": self.policy.code, "advice": self.policy.advice}

    @property
    def policy(self) -> Policy:
        """The row of `POLICIES` that fits this error best."""
        for kind in type(self).__mro__:
            if kind in POLICIES:
                return POLICIES[kind]
        return POLICIES[RowferryError]


class InvalidInput(RowferryError):
    """What a person wrote cannot be right, whatever the state of the world."""


class Unauthenticated(RowferryError):
    """No credentials, or wrong ones."""


class Forbidden(RowferryError):
    """Known, but not allowed."""


class NotFound(RowferryError):
    """Nothing has that name."""


class Conflict(RowferryError):
    """Right in itself, but not now."""


class ConnectionFailed(RowferryError):
    """A server or folder cannot be reached, or does not let us in."""


class ConnectionLost(ConnectionFailed):
    """A connection broke in the middle of the work."""


class Refused(RowferryError):
    """The stream would change a value or break a promise, so it does not begin."""


class UnsupportedType(Refused):
    """A column's type is carried exactly by no rule."""


class TargetExists(Refused):
    """`schemaPolicy` forbids to touch the table that is there."""


class TargetNotEmpty(Refused):
    """`writeMode` forbids to write into the table that has rows."""


class MissingTable(Refused):
    """A table that the config names is not there."""


class SourceChanged(RowferryError):
    """The source's table is no longer what the plan saw."""


class ReadFailed(RowferryError):
    """The source cannot give a value or a chunk."""


class MomentLost(ReadFailed):
    """The moment that a source held for all reads is gone; what is still missing can be read at another one."""


class WriteFailed(RowferryError):
    """The target does not take what it was given."""


class TargetFull(WriteFailed):
    """The target has no room left."""


class Different(RowferryError):
    """Source and target do not hold the same rows."""


class WorkerLost(RowferryError):
    """A worker process died."""


class DataDirectoryInUse(RowferryError):
    """Another server holds the data directory."""


class SecretUnreadable(RowferryError):
    """A stored secret cannot be opened with this key."""


class SecretUnavailable(ConnectionFailed):
    """A secret that is kept elsewhere cannot be had."""


class Clash(RowferryError):
    """A merge of changes met another unique key, or a reference; nothing of it was done. Replaying in order may do."""


class FencedOff(RowferryError):
    """Another writer has taken the stream over: this one must end, and has written nothing."""


class Cancelled(RowferryError):
    """The work was told to stop; not a failure."""


POLICIES: dict[type[RowferryError], Policy] = {
    RowferryError: Policy("internal_error", 500, Recovery.MANUAL, "Look at the log for the cause."),
    InvalidInput: Policy("invalid_request", 400, Recovery.MANUAL, "Correct the fields that are named."),
    Unauthenticated: Policy(
        "unauthenticated", 401, Recovery.MANUAL, "Send X-API-Key and X-Install-ID; both stand on the Account page."
    ),
    Forbidden: Policy("forbidden", 403, Recovery.MANUAL),
    NotFound: Policy("not_found", 404, Recovery.MANUAL),
    Conflict: Policy("conflict", 409, Recovery.MANUAL),
    ConnectionFailed: Policy(
        "connection_failed", 503, Recovery.MANUAL, "Check host, port, user, password and that the server is running."
    ),
    ConnectionLost: Policy("connection_lost", 503, Recovery.RETRY, "The stream tries again from its last chunk."),
    Refused: Policy("refused", 409, Recovery.MANUAL, "Nothing was written; change the config and start again."),
    UnsupportedType: Policy(
        "unsupported_type", 409, Recovery.MANUAL, "Leave the column out by selectedColumns, or cast it in a query."
    ),
    TargetExists: Policy(
        "target_exists", 409, Recovery.MANUAL, "Choose another schemaPolicy, or drop the table yourself."
    ),
    TargetNotEmpty: Policy(
        "target_not_empty", 409, Recovery.MANUAL, "Choose another writeMode, or empty the table yourself."
    ),
    MissingTable: Policy("missing_table", 409, Recovery.MANUAL, "Check the table's name and the user's grants."),
    SourceChanged: Policy("source_changed", 409, Recovery.MANUAL, "Start a new stream; it plans anew."),
    ReadFailed: Policy("read_failed", 500, Recovery.MANUAL, "Remove the cause at the source, then resume the stream."),
    WriteFailed: Policy("write_failed", 500, Recovery.MANUAL, "Remove the cause, then resume the stream."),
    TargetFull: Policy("target_full", 500, Recovery.MANUAL, "Make room on the target, then resume the stream."),
    Different: Policy(
        "different", 409, Recovery.MANUAL, "POST /streams/{id}/verify names the rows; correct or load them again."
    ),
    WorkerLost: Policy("worker_lost", 500, Recovery.RETRY, "The stream goes on from its last committed chunk."),
    DataDirectoryInUse: Policy(
        "data_directory_in_use", 409, Recovery.MANUAL, "Stop the other server, or choose another --data-dir."
    ),
    SecretUnreadable: Policy(
        "secret_unreadable", 500, Recovery.MANUAL, "Start the server with the key that wrote the secrets."
    ),
    SecretUnavailable: Policy(
        "secret_unavailable", 409, Recovery.MANUAL, "Correct the reference, or what it leads to, and try again."
    ),
    FencedOff: Policy(
        "fenced_off", 409, Recovery.MANUAL, "The stream runs elsewhere: stop it there, or leave it there."
    ),
    Cancelled: Policy("cancelled", 409, Recovery.MANUAL),
}
"""One row per kind; a kind without a row uses its parent's."""
