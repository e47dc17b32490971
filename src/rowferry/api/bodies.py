"""Request bodies: read up to a bound, and refused with a sentence when they are not what JSON should be."""

from __future__ import annotations

import json
import math
from typing import Any, Never

from starlette.requests import ClientDisconnect, Request

from rowferry.errors import InvalidInput

_DRAINED = 64 * 1024 * 1024
"""How much of a body that is too large is still taken from the wire, so that the client can read our answer."""


async def read_body(request: Request, limit: int) -> bytes:
    """The body, for the request to keep; InvalidInput when it has more than `limit` bytes, which are not kept."""
    announced = request.headers.get("content-length", "")
    too_large = InvalidInput(f"The body is too large: the largest that is taken has {limit} bytes.")
    if announced.isdecimal() and len(announced) < 20 and int(announced) > _DRAINED:
        raise too_large
    parts: list[bytes] = []
    size = 0
    try:
        async for part in request.stream():
            size += len(part)
            if size > limit:
                parts.clear()
            else:
                parts.append(part)
            if size > _DRAINED:
                break
    except ClientDisconnect as error:
        raise InvalidInput("The body ended too early.") from error
    if size > limit:
        raise too_large
    request._body = b"".join(parts)  # what Request.body() returns from now on
    return request._body


def is_json(request: Request) -> bool:
    """Whether the request says that its body is JSON."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))


def check_json(body: bytes) -> None:
    """Return if the body is JSON as other programs would understand it, too; InvalidInput if not.

    Refused beyond bad syntax: doubled fields, NaN and infinity, NUL characters and halves of characters.
    """
    try:
        _check_value(json.loads(body.decode("utf-8"), object_pairs_hook=_object, parse_constant=_constant))
    except UnicodeDecodeError as error:
        raise InvalidInput(f"The body is not valid UTF-8: see its byte {error.start}.") from error
    except json.JSONDecodeError as error:
        raise InvalidInput(
            f"The body is not valid JSON: {error.msg.lower()} at line {error.lineno}, column {error.colno}."
        ) from error
    except RecursionError as error:
        raise InvalidInput("The body is nested too deeply.") from error
    except ValueError as error:  # Python refuses whole numbers of more than 4300 digits
        raise InvalidInput("A number in the body is too long.") from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        doubled = next(name for name in names if names.count(name) > 1)
        raise InvalidInput(f"The field {doubled!r} is written twice in the body.")
    return found


def _constant(name: str) -> Never:
    raise InvalidInput(f"The body is not valid JSON: {name} is not a number there.")


def _check_value(value: Any) -> None:
    if isinstance(value, dict):
        for name, part in value.items():
            _check_text(name)
            _check_value(part)
    elif isinstance(value, list):
        for part in value:
            _check_value(part)
    elif isinstance(value, str):
        _check_text(value)
    elif isinstance(value, float) and not math.isfinite(value):
        raise InvalidInput("A number in the body is too large.")


def _check_text(text: str) -> None:
    if "\x00" in text:
        raise InvalidInput("The body must not contain NUL characters.")
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise InvalidInput("The body contains half of a character: write it as UTF-8, or both halves.")
