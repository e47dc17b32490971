"""The server's own log: one line an event on standard error, without secrets."""

from __future__ import annotations

import logging
import re
import sys
from typing import Any

import structlog
from structlog.typing import EventDict, WrappedLogger

_SECRET = re.compile(r"password|passwd|secret|api[_-]?key|access[_-]?key|token|credential|authorization", re.IGNORECASE)
_IN_URL = re.compile(r"(://[^\s/:@]*:)[^\s]+(@)")
_IN_QUERY = re.compile(
    r"""((?:api[_-]?key|install_id|token|password|passwd|secret)["']?\s*[=:]\s*)("[^"]*"|'[^']*'|[^\s&,;)}]+)""",
    re.IGNORECASE,
)
_HIDDEN = "********"


def redact(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """A structlog processor: secrets go, by the name of their field or by where they stand in a text."""
    for key, value in event.items():
        event[key] = _cleared(key, value)
    return event


def _cleared(key: object, value: Any) -> Any:
    if isinstance(key, str) and _SECRET.search(key):
        return _HIDDEN
    if isinstance(value, str):
        return _IN_QUERY.sub(rf"\1{_HIDDEN}", _IN_URL.sub(rf"\1{_HIDDEN}\2", value))
    if isinstance(value, dict):
        return {name: _cleared(name, part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_cleared(None, part) for part in value]
    return value


def configure_logging(level: str) -> None:
    """Send structlog's and the standard library's logs to standard error: readable there, JSON in a file or pipe."""
    chosen = logging.getLevelNamesMapping().get(level.upper(), logging.INFO)
    shared = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        redact,
    ]
    last = structlog.dev.ConsoleRenderer() if sys.stderr.isatty() else structlog.processors.JSONRenderer()
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,  # type: ignore[arg-type]
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, last],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    logging.basicConfig(level=chosen, handlers=[handler], force=True)
    for chatty in ("alembic", "uvicorn"):
        logging.getLogger(chatty).setLevel(max(chosen, logging.WARNING))
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],  # type: ignore[list-item]
        wrapper_class=structlog.make_filtering_bound_logger(chosen),
        logger_factory=structlog.stdlib.LoggerFactory(),
    )
