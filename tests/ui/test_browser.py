"""The pages in a browser, light and dark, wide and narrow."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.ui.chromium import PROGRAM, Page, chromium
from tests.ui.conftest import EMAIL, PASSWORD, App

pytestmark = pytest.mark.skipif(not PROGRAM.exists(), reason="Chromium is not installed")

_FILL = (
    "document.querySelector('[name=email]').value = {email!r};"
    "document.querySelector('[name=password]').value = {password!r};"
)
_KEY = "document.querySelector('main code').innerText"


def _theme(page: Page) -> tuple[str, bool]:
    return (
        str(page.run("document.documentElement.dataset.theme")),
        bool(page.run("document.body.classList.contains('body--dark')")),
    )


def test_from_set_up_to_log_out(fresh: App, tmp_path: Path) -> None:
    with chromium(tmp_path) as page:
        page.resize(1200, 800)
        page.send("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "light"}])
        page.open(f"{fresh.url}/setup?token={fresh.token}")
        page.wait_for("Create the account")
        page.picture(tmp_path / "setup.png")
        page.run(_FILL.format(email=EMAIL, password=PASSWORD))
        page.click("Create the account")
        page.wait_for("API key", "Install ID", "curl http://")
        page.picture(tmp_path / "done.png")
        key = page.run(_KEY)
        page.click("Go on")
        page.wait_for("orders", "Running", "customers", "Finished", "100 %", "<b>No room</b> is left")
        assert _theme(page) == ("light", False)
        page.picture(tmp_path / "overview-light.png")
        page.click("Light / dark")
        assert _theme(page) == ("dark", True)
        page.open(f"{fresh.url}/")
        page.wait_for("orders")
        assert _theme(page) == ("dark", True)
        page.picture(tmp_path / "overview-dark.png")
        page.resize(390, 800)
        assert page.run("document.documentElement.scrollWidth") <= 390
        page.picture(tmp_path / "overview-phone.png")
        page.click("Account")
        page.wait_for("Access for programs", EMAIL)
        assert key not in page.run("document.documentElement.outerHTML")
        page.click("Show")
        page.wait_for(str(key))
        assert page.run("document.documentElement.scrollWidth") <= 390
        page.picture(tmp_path / "account-phone.png")
        page.resize(1200, 800)
        page.click("Replace")
        page.wait_for("Replace the API key?")
        page.picture(tmp_path / "replace.png")
        page.click("Replace the key")
        page.wait_for("The key is replaced.")
        assert page.run(_KEY).startswith("rf_")
        assert page.run(_KEY) != key
        page.picture(tmp_path / "account-dark.png")
        page.click("Log out")
        page.wait_for("Password")
        assert page.run("location.pathname") == "/login"
        page.picture(tmp_path / "login-dark.png")
        elsewhere = [a for a in page.addresses if not a.startswith((fresh.url, "data:", "about:"))]
        assert (elsewhere, page.complaints) == ([], [])
