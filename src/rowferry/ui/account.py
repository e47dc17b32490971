"""The account: its API key, the install ID, and the way out."""

from __future__ import annotations

import logging

from nicegui import run, ui

from rowferry.control.accounts import Accounts
from rowferry.errors import RowferryError
from rowferry.ui.entry import FAILED
from rowferry.ui.shell import Visit

HIDDEN = "•" * 24

_LOG = logging.getLogger("rowferry.ui")


async def account(visit: Visit, accounts: Accounts) -> None:
    """Build the page. The key is sent to the browser only when somebody asks to see it."""
    record = await run.io_bound(accounts.get)
    with ui.element("section").classes("rf-card"):
        ui.html("Access for programs", tag="h2", sanitize=False)
        ui.label("Programs send both values with every request to the API.").classes("rf-muted")
        _Key(visit, accounts)
        with ui.element("div").classes("rf-value"):
            ui.label("Install ID")
            _copy_button().props(f'data-copy="{accounts.install_id}"')
            ui.html(accounts.install_id, tag="code", sanitize=False)
    with ui.element("section").classes("rf-card"):
        ui.html("Session", tag="h2", sanitize=False)
        ui.label(f"Logged in as {record.email if record else 'nobody'}.").classes("rf-muted")
        with ui.element("form").props('method="post" action="/logout"'):
            ui.element("input").props(f'type="hidden" name="csrf" value="{visit.csrf}"')
            with _button().props('type="submit"').classes("rf-quiet"):
                ui.label("Log out")


class _Key:
    """The row of the API key: hidden, shown, replaced."""

    def __init__(self, visit: Visit, accounts: Accounts) -> None:
        self._visit = visit
        self._accounts = accounts
        self._question = self._ask()
        with ui.element("div").classes("rf-value"):
            ui.label("API key")
            with ui.element("div").classes("rf-buttons"):
                self._copy = _copy_button()
                self._copy.visible = False
                with _button().classes("rf-quiet").on("click", self._toggle):
                    self._word = ui.label("Show")
                with _button().classes("rf-quiet").on("click", self._question.open):
                    ui.label("Replace")
            self._shown = ui.html(HIDDEN, tag="code", sanitize=False)

    def _ask(self) -> ui.dialog:
        with ui.dialog() as dialog, ui.element("section").classes("rf-card rf-dialog"):
            ui.html("Replace the API key?", tag="h2", sanitize=False)
            ui.label("Programs that send the old key are refused from that moment on.")
            with ui.element("div").classes("rf-buttons"):
                with _button().on("click", self._replace):
                    ui.label("Replace the key")
                with _button().classes("rf-quiet").on("click", dialog.close):
                    ui.label("Keep it")
        return dialog

    async def _toggle(self) -> None:
        if self._copy.visible:
            self._hide()
        else:
            await self._reveal(replace=False)

    async def _replace(self) -> None:
        self._question.close()
        await self._reveal(replace=True)

    async def _reveal(self, replace: bool) -> None:
        try:
            if await self._visit.goes_on():
                key = await run.io_bound(self._accounts.replace_key if replace else self._accounts.api_key)
                self._show(key or "")
                if replace:
                    ui.notify("The key is replaced.")
        except RowferryError as error:
            ui.notify(error.message, type="negative")
        except Exception:
            _LOG.exception("the API key could not be shown or replaced")
            ui.notify(FAILED, type="negative")

    def _show(self, key: str) -> None:
        self._shown.content, self._word.text = key, "Hide"
        self._copy.props(f'data-copy="{key}"')
        self._copy.visible = True

    def _hide(self) -> None:
        self._shown.content, self._word.text = HIDDEN, "Show"
        self._copy.props(remove="data-copy")
        self._copy.visible = False


def _button() -> ui.element:
    return ui.element("button").classes("rf-button").props('type="button"')


def _copy_button() -> ui.element:
    with _button().classes("rf-quiet") as button:
        ui.label("Copy")
    return button
