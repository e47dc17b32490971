"""Secrets inside documents: taken out before storing, put back before use, never shown."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, SecretStr

REDACTED = "********"
"""What stands in the place of a secret wherever a person looks."""


def reveal(model: BaseModel) -> dict[str, Any]:
    """The whole document as JSON-ready data, secrets in clear: for a worker's ears, never for storage or logs."""
    document: dict[str, Any] = _walk(model.model_dump(mode="python", by_alias=True, exclude_none=True))
    return document


def split(model: BaseModel) -> tuple[dict[str, Any], dict[str, str]]:
    """The document without its secrets, and the secrets by their dotted path ("spec.database.password")."""
    secrets: dict[str, str] = {}
    public: dict[str, Any] = _walk(model.model_dump(mode="python", by_alias=True, exclude_none=True), secrets)
    return public, secrets


REFERENCES = {"passwordRef": ("password",), "credentialsRef": ("accessKey", "secretKey", "sessionToken")}
"""Fields that say where a secret is kept, and the secrets beside them that they stand for."""


def join(public: dict[str, Any], secrets: dict[str, str]) -> dict[str, Any]:
    """The document with its secrets in their places again; what `split` took apart.

    A secret whose surroundings are gone (its part of the document was removed), or in whose place a reference stands
    now, is left out.
    """
    document = _walk(public)
    for path, secret in secrets.items():
        *parents, leaf = path.split(".")
        place: Any = document
        for parent in parents:
            place = place.get(parent) if isinstance(place, dict) else None
        if isinstance(place, dict) and not any(place.get(name) and leaf in own for name, own in REFERENCES.items()):
            place.setdefault(leaf, secret)
    return dict(document)


def _walk(value: Any, taken: dict[str, str] | None = None, path: str = "") -> Any:
    if isinstance(value, dict):
        walked = {}
        for key, part in value.items():
            here = f"{path}.{key}" if path else str(key)
            if isinstance(part, SecretStr) and taken is not None:
                taken[here] = part.get_secret_value()
                continue
            walked[str(key)] = _walk(part, taken, here)  # a kind of values is one, too, but not to JSON
        return walked
    if isinstance(value, list | tuple):
        return [_walk(part, taken, f"{path}.{at}") for at, part in enumerate(value)]
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return value
