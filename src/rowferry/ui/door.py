"""The door of the live pages: who has no session gets no further, and nothing is kept for them."""

from __future__ import annotations

from collections.abc import Callable

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocketClose

from rowferry.control.sessions import Sessions
from rowferry.ui.plain import SAFETY, document, sentence
from rowferry.ui.visitor import from_own_page, session_of

PAGES = frozenset({"/", "/account"})

_OPEN = ("/_nicegui/", "/favicon.ico")
_LIVE = "/_nicegui_ws/"


class Door:
    """Middleware. Scripts and styles are open; pages and their live connections want the session's cookie.

    A live connection is accepted from our own pages only.
    """

    def __init__(self, app: ASGIApp, sessions: Sessions, has_account: Callable[[], bool]) -> None:
        self._app = app
        self._sessions = sessions
        self._has_account = has_account

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request in, or answer it."""
        path = scope.get("path", "")
        if scope["type"] == "lifespan" or path.startswith(_OPEN):
            await self._app(scope, receive, send)
        elif path.startswith(_LIVE):
            await self._connect(scope, receive, send)
        elif path not in PAGES:
            await _refuse(scope, receive, send, document("Nothing here", sentence("There is no such page."), 404))
        else:
            await self._show(scope, receive, send)

    async def _connect(self, scope: Scope, receive: Receive, send: Send) -> None:
        connection = HTTPConnection(scope)
        session = await run_in_threadpool(session_of, connection, self._sessions)
        if session is not None and from_own_page(connection):
            await self._app(scope, receive, send)
            return
        await _refuse(scope, receive, send, Response(status_code=403))

    async def _show(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await _refuse(scope, receive, send, Response(status_code=403))
            return
        if await run_in_threadpool(session_of, HTTPConnection(scope), self._sessions):
            await self._app(scope, receive, _safe(send))
            return
        known = await run_in_threadpool(self._has_account)
        await RedirectResponse("/login" if known else "/setup", 303, headers=SAFETY)(scope, receive, send)


def _safe(send: Send) -> Send:
    async def send_safely(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).update(SAFETY)
        await send(message)

    return send_safely


async def _refuse(scope: Scope, receive: Receive, send: Send, answer: Response) -> None:
    if scope["type"] == "websocket":
        await WebSocketClose(1008)(scope, receive, send)
    else:
        await answer(scope, receive, send)
