"""The pages, added to an application."""

from __future__ import annotations

from pathlib import Path

from fastapi import FastAPI
from nicegui import app as live
from nicegui import core, ui
from starlette.requests import Request

from rowferry.control.services import Services
from rowferry.control.sessions import Sessions
from rowferry.ui.account import account
from rowferry.ui.door import Door
from rowferry.ui.entry import entry_router
from rowferry.ui.overview import overview
from rowferry.ui.shell import show

ACCENT = "#0f6e84"
BUILD_SECONDS = 15.0


def mount(app: FastAPI, services: Services) -> None:
    """Add the pages to the application, whose state has `sessions`; once in a process, before it serves.

    NiceGUI keeps its application and its settings for the whole process, so a second call is not possible.
    """
    sessions: Sessions = app.state.sessions
    app.include_router(entry_router(services, sessions))
    _pages(services, sessions)
    live.colors(primary=ACCENT)
    live.add_middleware(Door, sessions=sessions, has_account=lambda: services.accounts.get() is not None)
    core.sio.eio.cors_allowed_origins = []  # the door compares the origin; NiceGUI would answer any site
    ui.run_with(
        app,
        title="Rowferry",
        favicon=Path(__file__).parent / "assets" / "icon.svg",
        dark=None,
        tailwind=False,
        show_welcome_message=False,
        binding_refresh_interval=None,
    )


def _pages(services: Services, sessions: Sessions) -> None:
    @ui.page("/", response_timeout=BUILD_SECONDS)
    async def overview_page(request: Request) -> None:
        await show(request, sessions, "Overview", lambda visit: overview(visit, services.streams))

    @ui.page("/account", response_timeout=BUILD_SECONDS)
    async def account_page(request: Request) -> None:
        await show(request, sessions, "Account", lambda visit: account(visit, services.accounts))
