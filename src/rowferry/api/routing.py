"""The kind of route that the whole API is made of: strict about bodies, and idempotent on request."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable, Coroutine
from typing import Any

import anyio
from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool

from rowferry.api.bodies import check_json, is_json, read_body
from rowferry.control.services import Services
from rowferry.errors import Conflict, InvalidInput
from rowferry.state.records import AnswerRecord
from rowferry.state.store import Store

LONGEST_KEY = 255
_KEY = re.compile(r"[!-~]+\Z")

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class Route(APIRoute):
    """A route that reads its body with care, and answers a repeated POST with its first answer."""

    def get_route_handler(self) -> Handler:
        """Wrap what FastAPI does with a request."""
        handle = super().get_route_handler()
        media_type = getattr(getattr(self.body_field, "field_info", None), "media_type", None)

        async def handle_strictly(request: Request) -> Response:
            services: Services = request.app.state.services
            body = await read_body(request, services.settings.max_body_bytes)
            if media_type == "application/json" and body:
                _require_json(request, body)
            key = request.headers.get("idempotency-key")
            if key is None or request.method != "POST":
                return await handle(request)
            return await _once(services.store, key, request, body, handle)

        return handle_strictly


def _require_json(request: Request, body: bytes) -> None:
    if not is_json(request):
        raise InvalidInput("Send the body as JSON, with the header Content-Type: application/json.")
    check_json(body)


async def _once(store: Store, key: str, request: Request, body: bytes, handle: Handler) -> Response:
    if not _KEY.match(key) or len(key) > LONGEST_KEY:
        raise InvalidInput(f"Idempotency-Key must be 1 to {LONGEST_KEY} printable ASCII characters without spaces.")
    claim = AnswerRecord(hashlib.sha256(key.encode()).hexdigest(), _fingerprint(request, body), time.time())
    first = await run_in_threadpool(store.idempotency.claim, claim)
    if first is not None:
        return _again(first, claim)
    try:
        response = await handle(request)
        if 200 <= response.status_code < 300:
            text = bytes(response.body).decode()
            kind = response.headers.get("content-type", "")
            await run_in_threadpool(store.idempotency.answer, claim.key, response.status_code, kind, text)
        return response
    finally:
        with anyio.CancelScope(shield=True):
            await run_in_threadpool(store.idempotency.release, claim.key)  # does nothing once there is an answer


def _again(first: AnswerRecord, claim: AnswerRecord) -> Response:
    if first.fingerprint != claim.fingerprint:
        raise Conflict("This Idempotency-Key was used for another request: choose a new one.")
    if first.status is None:
        raise Conflict("The first request with this Idempotency-Key is still being worked on: try again shortly.")
    headers = {"Idempotent-Replayed": "true"}
    return Response(first.body, first.status, headers, first.content_type or None)


def _fingerprint(request: Request, body: bytes) -> str:
    digest = hashlib.sha256()
    for part in (request.method, request.url.path, request.url.query):
        digest.update(part.encode("utf-8", "surrogateescape") + b"\0")
    digest.update(body)
    return digest.hexdigest()
