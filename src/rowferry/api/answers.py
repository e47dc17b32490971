"""What clients read: the shapes of responses, for the contract."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from rowferry.api.examples import CONFIG_ID, CONNECTION_ID, CREATED, STREAM_ID, VERIFICATION_ID
from rowferry.config.connection import ConnectionSpec, ConnectionType, Ssl
from rowferry.config.stream import StreamConfig
from rowferry.control.system import Health, InstallMode, SqlCapture
from rowferry.model.findings import Severity
from rowferry.model.streams import Mode, Stage, StreamState, VerificationState

_REPORT = (
    "What became of the structure: what was translated, renamed or left out, and why; at most 1000 findings. It "
    "grows while the stream runs, is kept whichever way that ends, and goes with the run."
)


class Answer(BaseModel):
    """A part of a response: camelCase outside."""

    model_config = ConfigDict(alias_generator=to_camel, validate_by_name=True, validate_by_alias=True)


class ConnectionAnswer(Answer):
    """A saved connection, without its secrets."""

    id: str = Field(examples=[CONNECTION_ID])
    name: str
    type: ConnectionType
    created: int = Field(description="Unix seconds.", examples=[CREATED])
    databases_info: list[Any] = Field(description="Empty here; GET …/databases asks the server.")
    spec: ConnectionSpec
    ssl: Ssl | None = None
    file_format: str | None = Field(default=None, alias="file_format")


class ConnectionList(Answer):
    """Connections: those found, how many were found, how many there are."""

    items: list[ConnectionAnswer]
    total: int
    filtered: int
    search: str


class PingAnswer(Answer):
    """The far end answered and let us in."""

    ping: Literal["ok"]


class PingFailed(Answer):
    """The far end did not answer or did not let us in; `error` says why."""

    ping: Literal["failed"]
    error: str
    code: str
    request_id: str


class SchemaAnswer(Answer):
    """A schema of a database."""

    name: str
    is_system: bool


class DatabaseAnswer(SchemaAnswer):
    """A database (of files: a folder) and its schemas, where the engine has them."""

    schemas: list[SchemaAnswer] = Field(default_factory=list)


class Success(Answer):
    """It is done."""

    status: Literal["success"] = "success"


class ConfigAnswer(StreamConfig):
    """A saved stream config."""

    id: str = Field(examples=[CONFIG_ID])
    created: int = Field(description="Unix seconds.", examples=[CREATED])


class ConfigList(Answer):
    """A page of stream configs: how many were found, how many there are."""

    items: list[ConfigAnswer]
    total: int
    filtered: int
    search: str
    limit: int | None
    offset: int


class StartAnswer(Answer):
    """The stream that was started."""

    id: str = Field(examples=[STREAM_ID])


class StateAnswer(Answer):
    """Where the stream stands now."""

    id: str
    status: StreamState


class RunError(Answer):
    """Why a stream failed, and what to do about it."""

    model_config = ConfigDict(extra="allow")

    error: str
    code: str
    advice: str = ""


class FindingAnswer(Answer):
    """Something that will not cross exactly as it is."""

    model_config = ConfigDict(extra="allow")

    severity: Severity
    table: str
    message: str
    column: str | None = None
    item: str | None = None


class FindingCounts(Answer):
    """How many findings a report has, by severity."""

    info: int
    warning: int
    error: int


class StreamSummary(Answer):
    """A stream, running or past."""

    id: str = Field(examples=[STREAM_ID])
    config_id: str
    name: str
    mode: Mode
    status: StreamState
    stage: Stage
    created: int = Field(description="Unix seconds.")
    started_at: int | None = Field(description="Unix seconds.")
    finished_at: int | None = Field(description="Unix seconds.")
    elapsed: float = Field(description="Seconds that it has run.")
    error: RunError | None


class StreamAnswer(StreamSummary):
    """A stream, running or past, with its report."""

    report: list[FindingAnswer] = Field(description=_REPORT)


class StreamList(Answer):
    """Streams, the newest first."""

    items: list[StreamSummary]
    total: int
    filtered: int


class RowDifferenceAnswer(Answer):
    """A row that differs. Of its values the key alone is told, and for a different row which columns differ."""

    kind: Literal["missing", "extra", "different"]
    key: dict[str, str] | None = Field(description="By column; null where the table has no key.")
    columns: list[str]


class KeyRangeAnswer(Answer):
    """Keys above one and up to another; null leaves that side open."""

    above: list[int | str] | None
    up_to: list[int | str] | None


class SkippedAnswer(Answer):
    """A column that is not compared."""

    column: str
    reason: str


class TableComparisonAnswer(Answer):
    """One table, compared. `missing`, `extra` and `different` are lower bounds unless `complete`."""

    source: str
    target: str
    equal: bool
    source_rows: int
    target_rows: int
    missing: int = Field(description="Rows that the target lacks.")
    extra: int = Field(description="Rows that only the target has.")
    different: int = Field(description="Rows that have other values on the target.")
    extra_allowed: bool = Field(description="Whether extra rows are no difference: writeMode append or upsert.")
    complete: bool
    reason: str | None = Field(description="Why the table could not be compared at all.")
    key: list[str]
    ranges: list[KeyRangeAnswer] = Field(description="The first key ranges that differ, at most 100.")
    rows: list[RowDifferenceAnswer] = Field(description="The first rows that differ, at most 100.")
    skipped: list[SkippedAnswer]


class ComparisonAnswer(Answer):
    """Source and target, compared. `rows` counts both sides, `elapsed` seconds."""

    equal: bool
    rows: int
    elapsed: float
    tables: list[TableComparisonAnswer]


class VerificationAnswer(Answer):
    """A verification: it runs, and then has either a comparison or an error."""

    id: str = Field(examples=[VERIFICATION_ID])
    stream_id: str = Field(examples=[STREAM_ID])
    status: VerificationState
    created: int = Field(description="Unix seconds.", examples=[CREATED])
    finished_at: int | None = Field(description="Unix seconds.")
    elapsed: float = Field(description="Seconds.")
    error: RunError | None
    comparison: ComparisonAnswer | None


class VerificationList(Answer):
    """A stream's verifications, the newest first."""

    items: list[VerificationAnswer]
    total: int


class SideStats(Answer):
    """One end of a stream: `counter` events, `dataSize` bytes, `avgRate` bytes a second, `elapsed` seconds.

    `rejected`: rows of files that could not be read and were left out, at the source.
    """

    model_config = ConfigDict(extra="allow")

    type: Literal["source", "target"]
    status: StreamState
    counter: int
    failed_events: int
    rejected: int = 0
    data_size: int
    avg_rate: float
    elapsed: float
    active_nodes: int


class NodeStats(Answer):
    """One worker's share of one end."""

    model_config = ConfigDict(extra="allow")

    id: str
    type: Literal["source", "target"]
    status: StreamState
    counter: int
    data_size: int
    avg_rate: float
    elapsed: float


class TableStats(Answer):
    """One table: `events` rows, `size` bytes, `rate` bytes a second."""

    model_config = ConfigDict(extra="allow")

    name: str
    status: str
    events: int
    size: int
    rate: float
    elapsed: float
    estimated_rows: int
    estimated_size_bytes: int


class StatsAnswer(Answer):
    """A stream's numbers."""

    model_config = ConfigDict(extra="allow")

    stream_id: str = Field(alias="streamID")
    config_id: str = Field(alias="configID")
    mode: Mode
    status: StreamState
    stage: Stage
    started_at: float | None
    elapsed: float
    error: RunError | str | None
    lag_seconds: float | None = Field(description="How far what is applied is behind its commit; mode cdc.")
    lag_bytes: int | None = Field(description="How much of the source's log is still to come; mode cdc.")
    position: str | None = Field(description="How far the stream is in the source's log, in its words; mode cdc.")
    source: SideStats | None
    target: SideStats | None
    nodes: list[NodeStats]
    tables: list[TableStats]


class ValidationAnswer(Answer):
    """What a start would do: the tables as they would be, and what would not cross exactly."""

    ok: bool = Field(description="Whether a start would be let through: no finding is an error.")
    tables: list[dict[str, Any]]
    findings: list[FindingAnswer]


class RunAnswer(Answer):
    """A past run. `dataSize` is words, `timestamp` Unix seconds."""

    id: str
    config_id: str
    stream_id: str
    timestamp: int
    duration_ms: int
    status: StreamState
    data_size: str = Field(examples=["9.1 MB"])
    rows_inserted: int
    rows_skipped: int
    error_message: str | None
    findings: FindingCounts


class RunReport(RunAnswer):
    """A past run with its report."""

    report: list[FindingAnswer] = Field(description=_REPORT)


class LogAnswer(Answer):
    """A log entry; its category adds fields of its own."""

    model_config = ConfigDict(extra="allow")

    level: str = Field(examples=["info"])
    timestamp: str = Field(description="ISO 8601.")
    message: str
    type: str = Field(examples=["api", "source", "target"])


class HealthAnswer(Answer):
    """The server answers."""

    status: Literal["ok"] = "ok"
    ping: Literal["ok"] = "ok"


class ReadyAnswer(Answer):
    """Whether the server can work."""

    ready: bool
    status: Literal["ready", "not_ready"]


class ServiceStatus(Answer):
    """One part of the server."""

    name: str
    status: Health


class ServiceList(Answer):
    """The parts of the server."""

    services: list[ServiceStatus]


class DefaultsAnswer(Answer):
    """Where the server runs. The identifier alone authorises nothing."""

    default_export_path: str
    mode: InstallMode
    install_id: str


class SqlLoggingAnswer(Answer):
    """What happens to the statements that the server runs."""

    sql_capture_mode: SqlCapture
    forward_sql_logs: bool = Field(alias="forwardSQLLogs")


class SqlLoggingBody(Answer):
    """What to change; a field that is left out stays."""

    model_config = ConfigDict(extra="forbid")

    sql_capture_mode: SqlCapture | None = None
    forward_sql_logs: bool | None = Field(default=None, alias="forwardSQLLogs")


class UserAnswer(Answer):
    """The account. `apiKey` shows the key's end alone; the whole key stands on the Account page."""

    user_id: str = Field(alias="userID")
    email: str
    name: str
    api_key: str = Field(examples=["rf_********Xy3z"])
    install_id: str
    created: int
    current_install_status: Literal["active"] = "active"


class UserConfigsAnswer(Answer):
    """How much the account holds."""

    connections: int
    stream_configs: int
