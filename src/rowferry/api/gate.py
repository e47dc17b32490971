"""The gate: whoever is not let in here gets no further."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode

from starlette.concurrency import run_in_threadpool
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from rowferry.api.errors import error_response
from rowferry.control.accounts import Accounts
from rowferry.control.sessions import COOKIE, CSRF_HEADER, Sessions
from rowferry.errors import RowferryError, Unauthenticated

OPEN = frozenset({"/health", "/ready", "/system/defaults", "/openapi.json", "/docs"})
"""What anybody may ask for; and what lies under /docs/."""

BY_QUERY = frozenset({"/logs/stream"})
"""Where credentials may stand in the query, because a browser's EventSource sends no headers."""

_QUERY_KEYS = ("api_key", "install_id")
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class Gate:
    """Middleware: checks the two headers, a browser's session, or, for event streams, the query."""

    def __init__(self, app: ASGIApp, accounts: Accounts, sessions: Sessions) -> None:
        self._app = app
        self._accounts = accounts
        self._sessions = sessions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request in, or answer it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        in_query = _take_from_query(scope)
        if path not in OPEN and not path.startswith("/docs/"):
            try:
                await run_in_threadpool(self._check, HTTPConnection(scope), in_query if path in BY_QUERY else {})
            except RowferryError as error:
                await error_response(error, scope["state"]["request_id"])(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _check(self, request: HTTPConnection, in_query: dict[str, str]) -> None:
        api_key, install_id = request.headers.get("x-api-key"), request.headers.get("x-install-id")
        session = request.cookies.get(COOKIE)
        if api_key is None and install_id is None:
            if session is not None and self._sessions.verify(session) is not None:
                self._check_csrf(request, session)
                return
            api_key, install_id = (in_query.get(name) for name in _QUERY_KEYS)
        self._accounts.check(api_key, install_id)

    def _check_csrf(self, request: HTTPConnection, session: str) -> None:
        token = request.headers.get(CSRF_HEADER, "")
        if request.scope["method"] not in _SAFE_METHODS and not self._sessions.csrf_fits(session, token):
            raise Unauthenticated(f"{CSRF_HEADER} missing or wrong: reload the page and try again.")


def _take_from_query(scope: Scope) -> dict[str, str]:
    """Take credentials out of the query, in place: the server's access log reads the same scope afterwards."""
    query: bytes = scope.get("query_string", b"")
    pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
    taken = {name: value for name, value in pairs if name in _QUERY_KEYS}
    if taken:
        scope["query_string"] = urlencode([pair for pair in pairs if pair[0] not in _QUERY_KEYS]).encode()
    return taken
