"""What all models of the configuration share."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict
from pydantic.alias_generators import to_camel


class Spec(BaseModel):
    """A part of a document: camelCase outside, unknown fields refused by name, values frozen."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        extra="forbid",
        frozen=True,
        use_enum_values=False,
        ser_json_inf_nan="null",
        hide_input_in_errors=True,
    )


def _not_blank(value: str) -> str:
    if not value.strip():
        raise ValueError("must not be empty")
    if "\x00" in value:
        raise ValueError("must not contain a NUL character")
    return value


def _no_nul(value: str) -> str:
    if "\x00" in value:
        raise ValueError("must not contain a NUL character")
    return value


def _one_word(value: str) -> str:
    if any(character.isspace() or not character.isprintable() for character in value):
        raise ValueError("must not contain blanks or control characters")
    return value


def _address(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.query or parts.username:
        raise ValueError("must look like https://host:port")
    return value.rstrip("/")


def _reference(value: str) -> str:
    kind, separator, rest = value.partition(":")
    if separator and "/" not in kind and (kind not in ("env", "file") or not rest):
        raise ValueError("must be env:NAME, file:/path, or the path of a secret such as secret/data/db#password")
    return value


def _no_detour(value: str) -> str:
    parts = value.strip("/").split("/")
    if {".", "..", ""} & set(parts) and parts != [""]:
        raise ValueError("must have no empty part, no . and no .. in it")
    return value


def _folder(value: str) -> str:
    if not value.endswith("/"):
        raise ValueError("must end with /: a single object belongs under objects")
    return value


def _no_folder(value: str) -> str:
    if value.endswith("/"):
        raise ValueError("must not end with /: a folder belongs under prefixes")
    return value


def _no_boolean(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("must be a number")
    return value


Name = Annotated[str, AfterValidator(_not_blank)]
"""Text that says something."""

Words = Annotated[str, AfterValidator(_no_nul)]
"""Text that may be empty."""

Host = Annotated[Name, AfterValidator(_one_word)]
"""The name or address of a machine."""

Endpoint = Annotated[Host, AfterValidator(_address)]
"""The address of a server that speaks HTTP."""

Reference = Annotated[Name, AfterValidator(_reference)]
"""Where a secret is kept: `env:NAME`, `file:/path`, or a path in Vault or OpenBao; `#field` picks one of its fields."""

Prefix = Annotated[Name, AfterValidator(_no_detour), AfterValidator(_folder)]
"""A folder of an object store."""

Key = Annotated[Name, AfterValidator(_no_detour), AfterValidator(_no_folder)]
"""The name of an object, or a pattern of such names."""

Whole = Annotated[int, BeforeValidator(_no_boolean)]
"""A whole number, which true and false are not."""

Number = Annotated[float, BeforeValidator(_no_boolean)]
"""A number, likewise."""

MOST = 2**63 - 1
"""The largest whole number that every database and file format here takes."""

LONGEST = 1_000_000_000
"""Seconds that a clock may be told to wait: about thirty years."""
