"""What endpoints are given."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Depends, Header, Query, Request

from rowferry.control.services import Services
from rowferry.errors import InvalidInput


def _services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


def _plain_text(
    search: Annotated[str, Query(description="Only those whose name holds this, in any case.")] = "",
) -> str:
    if "\x00" in search:
        raise InvalidInput("search must not contain a NUL character.")
    return search


Given = Annotated[Services, Depends(_services)]
"""The use cases."""

Search = Annotated[str, Depends(_plain_text)]
"""The search words of a list."""

ConfirmDelete = Annotated[
    Literal["true"], Header(alias="X-Confirm-Delete", description="Must be true: nothing is deleted by accident.")
]
"""The header that a delete wants."""
