"""Who looks at a page, and what the browser remembers."""

from __future__ import annotations

from typing import Literal
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection

from rowferry.control.sessions import COOKIE, Sessions

THEME_COOKIE = "rowferry_theme"

_OWN_SITE = frozenset({"same-origin", "none"})


def session_of(connection: HTTPConnection, sessions: Sessions) -> str | None:
    """The browser's session, if it is a valid one. It asks the store."""
    value = connection.cookies.get(COOKIE)
    return value if value and sessions.verify(value) is not None else None


def theme_of(connection: HTTPConnection) -> Literal["light", "dark"] | None:
    """What was chosen in this browser; None follows the system."""
    chosen = connection.cookies.get(THEME_COOKIE)
    return "dark" if chosen == "dark" else "light" if chosen == "light" else None


def from_own_page(connection: HTTPConnection) -> bool:
    """Whether a page of this server made the request, as far as the browser tells.

    Browsers send `Sec-Fetch-Site` to https and localhost, and `Origin` with every form that is posted. A client
    that sends neither is no browser, so nobody can misuse it.
    """
    site = connection.headers.get("sec-fetch-site")
    if site is not None:
        return site in _OWN_SITE
    origin = connection.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == connection.headers.get("host")
