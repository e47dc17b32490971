"""A stream's states and stages, and the one table of allowed moves."""

from __future__ import annotations

from enum import StrEnum


class StreamState(StrEnum):
    """Where a stream stands; the words are the API's."""

    READY = "READY"
    RUNNING = "RUNNING"
    PAUSED = "PAUSED"
    STOPPED = "STOPPED"
    FINISHED = "FINISHED"
    FAILED = "FAILED"
    TIME_LIMIT_REACHED = "TIME_LIMIT_REACHED"
    EVENT_LIMIT_REACHED = "EVENT_LIMIT_REACHED"


class Action(StrEnum):
    """What a person can ask of a stream."""

    START = "start"
    PAUSE = "pause"
    RESUME = "resume"
    STOP = "stop"


class Stage(StrEnum):
    """What a running stream is doing."""

    INIT = "init"
    CREATE_META = "createMeta"
    DATA_TRANSFER = "dataTransfer"
    S3_UPLOAD = "s3Upload"
    VERIFY = "verify"
    FINISHED = "finished"


class VerificationState(StrEnum):
    """How a verification stands: `EQUAL` and `DIFFERENT` are results, `FAILED` means that there is none."""

    RUNNING = "RUNNING"
    EQUAL = "EQUAL"
    DIFFERENT = "DIFFERENT"
    FAILED = "FAILED"


class Mode(StrEnum):
    """Moved once, or kept in step."""

    CONVERT = "convert"
    CDC = "cdc"


MOVES: dict[StreamState, dict[Action, StreamState]] = {
    StreamState.READY: {Action.START: StreamState.RUNNING, Action.STOP: StreamState.STOPPED},
    StreamState.RUNNING: {Action.PAUSE: StreamState.PAUSED, Action.STOP: StreamState.STOPPED},
    StreamState.PAUSED: {Action.RESUME: StreamState.RUNNING, Action.STOP: StreamState.STOPPED},
    StreamState.FAILED: {Action.RESUME: StreamState.RUNNING, Action.STOP: StreamState.STOPPED},
    StreamState.STOPPED: {},
    StreamState.FINISHED: {},
    StreamState.TIME_LIMIT_REACHED: {},
    StreamState.EVENT_LIMIT_REACHED: {},
}
"""What a person's request makes of a state. A request that is not listed is a conflict (409).

A failed stream keeps what it needs to be resumed, at the source as well; stopping it lets go of that.
"""

ACTIVE = frozenset({StreamState.READY, StreamState.RUNNING, StreamState.PAUSED})
"""States in which a stream holds its target tables."""

TERMINAL = frozenset(StreamState) - ACTIVE
"""States in which a run belongs to the history."""
