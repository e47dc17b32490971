"""How a connector names what opens its roles."""

from __future__ import annotations

from collections.abc import Callable
from pkgutil import resolve_name
from typing import Any


def role(place: str) -> Callable[..., Any]:
    """The function at `place` ("package.module:name"), imported when it is first called.

    A server that browses needs no Arrow, and a worker not every engine.
    """

    def opened(*given: Any) -> Any:
        return resolve_name(place)(*given)

    return opened
