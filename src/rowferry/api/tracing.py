"""The outermost layer: gives each request an identifier, writes one line about it, and catches what nobody caught."""

from __future__ import annotations

import logging
import re
import time
import uuid

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rowferry.api.errors import unexpected_response

HEADER = "X-Request-ID"

_SHAPE = re.compile(r"[A-Za-z0-9._\-]{1,64}\Z")
_LOG = logging.getLogger("rowferry.access")


class Tracing:
    """Middleware. A client's own `X-Request-ID` is kept if it is short and plain."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get(HEADER, "")
        request_id = given if _SHAPE.match(given) else uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id
        started = time.monotonic()
        status = 0

        async def send_traced(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)[HEADER] = request_id
            await send(message)

        try:
            await self._app(scope, receive, send_traced)
        except Exception:
            _LOG.exception("request %s met a defect", request_id)
            if status:
                raise
            await unexpected_response(request_id)(scope, receive, send_traced)
        finally:
            spent = (time.monotonic() - started) * 1000
            # The path alone: a query may hold credentials.
            _LOG.info("%s %r %d %.1f ms %s", scope["method"], scope["path"], status, spent, request_id)
