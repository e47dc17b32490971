"""Forms as they are posted: small, and from our own pages only."""

from __future__ import annotations

from urllib.parse import parse_qsl

from starlette.requests import Request

from rowferry.errors import Forbidden, InvalidInput
from rowferry.ui.visitor import from_own_page

LARGEST = 16 * 1024


async def read_form(request: Request) -> dict[str, str]:
    """The fields; Forbidden when another site posts them, InvalidInput when they are too large or not UTF-8."""
    if not from_own_page(request):
        raise Forbidden("The form came from another site: open this page again and send it from here.")
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > LARGEST:
            raise InvalidInput("The form is too large.")
    try:
        return dict(parse_qsl(body.decode("ascii"), keep_blank_values=True, errors="strict"))
    except ValueError as error:
        raise InvalidInput("The form cannot be read: reload the page and send it again.") from error
