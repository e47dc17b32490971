"""Getting in and out: set-up, log in, log out."""

from __future__ import annotations

import functools
import hmac
import logging
from collections.abc import Awaitable, Callable

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse, Response

from rowferry.control.accounts import LONGEST_PASSWORD, SHORTEST_PASSWORD
from rowferry.control.services import Services
from rowferry.control.sessions import COOKIE, COOKIE_OPTIONS, Sessions
from rowferry.errors import RowferryError, Unauthenticated
from rowferry.ui.forms import read_form
from rowferry.ui.plain import SAFETY, asset, copyable, document, field, sentence
from rowferry.ui.visitor import session_of

FAILED = "The page could not be shown: the server's log says why."

_LOG = logging.getLogger("rowferry.ui")
_NO_TOKEN = "Open the set-up link that the server printed when it started: it ends with a token that is good once."  # noqa: S105  a sentence
_BUTTON = '<button class="rf-button" type="submit">{}</button>'
_NEW_PASSWORD = f'autocomplete="new-password" minlength="{SHORTEST_PASSWORD}" maxlength="{LONGEST_PASSWORD}"'

Answer = Callable[[Request], Awaitable[Response]]


def entry_router(services: Services, sessions: Sessions) -> APIRouter:
    """The routes, for these use cases."""
    entry = _Entry(services, sessions)
    router = APIRouter(include_in_schema=False)
    routes: tuple[tuple[str, str, Answer], ...] = (
        ("GET", "/setup", entry.setup),
        ("POST", "/setup", entry.claim),
        ("GET", "/setup/done", entry.done),
        ("GET", "/login", entry.login),
        ("POST", "/login", entry.enter),
        ("POST", "/logout", entry.leave),
        ("GET", "/assets/{name}", entry.asset),
    )
    for method, path, answer in routes:
        router.add_api_route(path, _guarded(answer), methods=[method], response_model=None)
    return router


class _Entry:
    def __init__(self, services: Services, sessions: Sessions) -> None:
        self._accounts = services.accounts
        self._sessions = sessions

    async def setup(self, request: Request) -> Response:
        right = await run_in_threadpool(lambda: self._accounts.setup_token)
        if right is None:
            return _to("/login")
        given = request.query_params.get("token", "")
        if not hmac.compare_digest(given.encode("utf-8", "surrogatepass"), right.encode()):
            return document("Welcome", sentence(_NO_TOKEN, "rf-error" if given else "rf-muted"), 401 if given else 200)
        return _setup_page(given)

    async def claim(self, request: Request) -> Response:
        form = await read_form(request)
        token, email, password = (form.get(name, "") for name in ("token", "email", "password"))
        try:
            account = await run_in_threadpool(self._accounts.claim, token, email, password)
        except RowferryError as error:
            return _setup_page(token, email, error)
        return await self._let_in(request, account.email, "/setup/done")

    async def done(self, request: Request) -> Response:
        if await run_in_threadpool(session_of, request, self._sessions) is None:
            return _to("/login")
        key, install_id = await run_in_threadpool(self._accounts.api_key), self._accounts.install_id
        example = " \\\n  ".join(
            (f"curl {request.base_url}api/v1/connections", f"-H 'X-API-Key: {key}'", f"-H 'X-Install-ID: {install_id}'")
        )
        content = (
            sentence("The account is there. Programs send these two values with every request to the API.")
            + copyable("API key", key)
            + copyable("Install ID", install_id)
            + copyable("Try it", example, block=True)
            + '<a class="rf-button" href="/">Go on</a>'
            + sentence("Both values stay on the Account page.")
        )
        return document("Ready", content)

    async def login(self, request: Request) -> Response:
        if await run_in_threadpool(self._accounts.get) is None:
            return _to("/setup")
        if await run_in_threadpool(session_of, request, self._sessions) is not None:
            return _to("/")
        return _login_page()

    async def enter(self, request: Request) -> Response:
        form = await read_form(request)
        email, password = form.get("email", ""), form.get("password", "")
        origin = request.client.host if request.client else ""
        try:
            account = await run_in_threadpool(self._accounts.verify_login, email, password, origin)
        except RowferryError as error:
            return _login_page(email, error)
        return await self._let_in(request, account.email, "/")

    async def leave(self, request: Request) -> Response:
        form = await read_form(request)
        session = await run_in_threadpool(session_of, request, self._sessions)
        if session is not None and not self._sessions.csrf_fits(session, form.get("csrf", "")):
            raise Unauthenticated("The form is too old: reload the page and log out again.")
        answer = _to("/login")
        answer.delete_cookie(COOKIE, path=COOKIE_OPTIONS["path"], httponly=True, samesite="strict")
        return answer

    async def asset(self, request: Request) -> Response:
        return await run_in_threadpool(asset, request.path_params["name"])

    async def _let_in(self, request: Request, email: str, to: str) -> Response:
        session = await run_in_threadpool(self._sessions.issue, email)
        answer = _to(to)
        answer.set_cookie(COOKIE, session, secure=request.url.scheme == "https", **COOKIE_OPTIONS)
        return answer


def _guarded(answer: Answer) -> Answer:
    """A page that fails shows one sentence."""

    @functools.wraps(answer)
    async def guarded(request: Request) -> Response:
        try:
            return await answer(request)
        except RowferryError as error:
            return document("That did not work", sentence(error.message, "rf-error"), error.policy.status)
        except Exception:
            _LOG.exception("%s %s met a defect", request.method, request.url.path)
            return document("That did not work", sentence(FAILED, "rf-error"), 500)

    return guarded


def _to(path: str) -> RedirectResponse:
    return RedirectResponse(path, 303, headers=SAFETY)


def _setup_page(token: str, email: str = "", error: RowferryError | None = None) -> Response:
    content = (
        sentence("Create the account of this installation.")
        + (sentence(error.message, "rf-error") if error else "")
        + '<form method="post" action="/setup">'
        + field("token", "", "hidden", token)
        + field("email", "E-mail", "email", email, 'autocomplete="username" autofocus')
        + field("password", f"Password, at least {SHORTEST_PASSWORD} characters", "password", "", _NEW_PASSWORD)
        + _BUTTON.format("Create the account")
        + "</form>"
    )
    return document("Welcome", content, error.policy.status if error else 200)


def _login_page(email: str = "", error: RowferryError | None = None) -> Response:
    content = (
        (sentence(error.message, "rf-error") if error else "")
        + '<form method="post" action="/login">'
        + field("email", "E-mail", "email", email, 'autocomplete="username" autofocus')
        + field("password", "Password", "password", "", 'autocomplete="current-password"')
        + _BUTTON.format("Log in")
        + "</form>"
    )
    return document("Log in", content, error.policy.status if error else 200)
