"""The pages that need no live connection, as HTML: before anybody is logged in, nothing is kept for a visitor."""

from __future__ import annotations

from html import escape
from importlib.resources import files

from starlette.responses import HTMLResponse, Response

from rowferry.errors import NotFound

ASSETS = {"style.css": "text/css", "page.js": "text/javascript", "icon.svg": "image/svg+xml"}
HEAD = (
    '<link rel="stylesheet" href="/assets/style.css"><link rel="icon" href="/assets/icon.svg">'
    '<script src="/assets/page.js"></script>'
)
"""What every page loads. The script comes first of all, so that the right theme is there before anything is seen."""

SAFETY = {
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""Headers of every page: not in a frame, not in a cache, and its address (a set-up link) not to others."""

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
_SWITCH = '<button class="rf-switch" type="button" data-theme-switch aria-label="Light or dark">Light / dark</button>'


def document(title: str, content: str, status: int = 200) -> HTMLResponse:
    """A page with one card. `content` is HTML, its values escaped."""
    page = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)} - Rowferry</title>{HEAD}</head><body>"
        f'<header class="rf-bare-header"><a class="rf-brand" href="/">Rowferry</a>{_SWITCH}</header>'
        f'<main class="rf-narrow"><section class="rf-card"><h1>{escape(title)}</h1>{content}</section></main>'
        "</body></html>"
    )
    return HTMLResponse(page, status, headers={**SAFETY, "Content-Security-Policy": _POLICY})


def sentence(text: str, kind: str = "rf-muted") -> str:
    """A paragraph."""
    role = ' role="alert"' if kind == "rf-error" else ""
    return f'<p class="{kind}"{role}>{escape(text)}</p>'


def field(name: str, label: str, kind: str, value: str = "", more: str = "") -> str:
    """A labelled input that must be filled in."""
    return (
        f'<label class="rf-field"><span>{escape(label)}</span>'
        f'<input name="{name}" type="{kind}" value="{escape(value)}" required {more}></label>'
    )


def copyable(label: str, value: str, block: bool = False) -> str:
    """A value with a button that copies it."""
    shown = f"<pre>{escape(value)}</pre>" if block else f"<code>{escape(value)}</code>"
    button = f'<button class="rf-button rf-quiet" type="button" data-copy="{escape(value)}">Copy</button>'
    return f'<div class="rf-value"><span>{escape(label)}</span>{button}{shown}</div>'


def asset(name: str) -> Response:
    """A file that the pages load."""
    if name not in ASSETS:
        raise NotFound("There is no such file.")
    content = files("rowferry.ui").joinpath("assets", name).read_bytes()
    headers = {"Cache-Control": "public, max-age=300", "X-Content-Type-Options": "nosniff"}
    return Response(content, media_type=ASSETS[name], headers=headers)
