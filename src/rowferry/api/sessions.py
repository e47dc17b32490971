"""Browser sessions, by the name under which pages know them; they are made in `rowferry.control.sessions`."""

from rowferry.control.sessions import COOKIE, COOKIE_OPTIONS, CSRF_HEADER, LIFETIME_SECONDS, Sessions

__all__ = ["COOKIE", "COOKIE_OPTIONS", "CSRF_HEADER", "LIFETIME_SECONDS", "Sessions"]
