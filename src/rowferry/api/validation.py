"""What is wrong with a request: which of its parts, and what to change there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rowferry.config.wording import distinct, explained, message
from rowferry.errors import Detail


def bad_fields(errors: Iterable[Mapping[str, Any]], body_field: Any, body: Any) -> list[Detail]:
    """One entry for each bad field, by its path as it was written in the request, with what to change."""
    model = getattr(getattr(body_field, "field_info", None), "annotation", None)
    return distinct(_explain(error, model, body) for error in errors)


def _explain(error: Mapping[str, Any], model: Any, body: Any) -> tuple[str, str]:
    place, *steps = error["loc"]
    if place != "body":
        name = steps[0] if steps else place
        return _header(str(name)) if place == "header" else str(name), message(error)
    if not steps and error["type"] == "missing":
        return "", "the body is missing: send JSON, with the header Content-Type: application/json"
    path, text = explained(error, steps, model, body)
    if not path and error["type"] not in ("value_error", "extra_forbidden"):
        return "", f"the body {text}"
    return path, text


def _header(name: str) -> str:
    special = {"id": "ID", "api": "API"}
    return "-".join(special.get(word, word.capitalize()) for word in name.split("-"))
