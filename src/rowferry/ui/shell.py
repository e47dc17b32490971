"""The frame of every live page: navigation, theme, and what is shown when the page itself fails."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from nicegui import run, ui
from starlette.requests import Request

from rowferry.control.sessions import Sessions
from rowferry.errors import RowferryError
from rowferry.ui.entry import FAILED
from rowferry.ui.plain import HEAD
from rowferry.ui.visitor import session_of, theme_of

NAVIGATION = (("Overview", "/"), ("Account", "/account"), ("API reference", "/api/v1/docs"))

_LOG = logging.getLogger("rowferry.ui")
_DARK = {"dark": True, "light": False, None: None}


@dataclass(frozen=True, slots=True)
class Visit:
    """A page that is open in a browser, for as long as its session lasts."""

    request: Request
    sessions: Sessions
    csrf: str

    async def goes_on(self) -> bool:
        """Whether the session is still valid; if not, the browser is sent to log in."""
        if await run.io_bound(session_of, self.request, self.sessions):
            return True
        ui.navigate.to("/login")
        return False


async def show(request: Request, sessions: Sessions, title: str, build: Callable[[Visit], Awaitable[None]]) -> None:
    """Build the frame and, in it, the page; if that fails, one sentence."""
    session = await run.io_bound(session_of, request, sessions)
    if session is None:
        ui.navigate.to("/login")
        return
    visit = Visit(request, sessions, sessions.csrf_token(session))
    ui.page_title(f"{title} - Rowferry")
    ui.add_head_html(HEAD)
    ui.dark_mode(_DARK[theme_of(request)])
    _header(title)
    with ui.element("main").classes("rf-wide") as main:
        ui.html(title, tag="h1", sanitize=False)
        try:
            await build(visit)
        except RowferryError as error:
            _fail(main, error.message, error.policy.status)
        except Exception:
            _LOG.exception("the page %s met a defect", request.url.path)
            _fail(main, FAILED, 500)


def _header(title: str) -> None:
    with ui.element("header").classes("rf-header"):
        ui.link("Rowferry", "/").classes("rf-brand")
        with ui.element("nav").props('aria-label="Main"'):
            for word, address in NAVIGATION:
                here = " rf-here" if word == title else ""
                link = ui.link(word, address).classes(f"rf-nav{here}")
                if here:
                    link.props('aria-current="page"')
        switch = ui.element("button").classes("rf-switch").props('type="button" aria-label="Light or dark"')
        switch.props("data-theme-switch")
        with switch:
            ui.label("Light / dark")


def _fail(main: ui.element, words: str, status: int) -> None:
    main.clear()
    with main:
        ui.label(words).classes("rf-error").props('role="alert"')
    ui.context.client.status_code = status
