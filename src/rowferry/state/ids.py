"""Identifiers: a prefix and a KSUID, so that they sort by the second in which they were made."""

from __future__ import annotations

import re
import secrets
import time
from dataclasses import dataclass

_SHAPE = re.compile(r"(conn|config|stream|verify)_[0-9A-Za-z]{27}\Z")

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_EPOCH = 1_400_000_000
"""The Unix second that a KSUID counts from."""


@dataclass(frozen=True, slots=True)
class NewId:
    """A fresh identifier and the Unix second that it carries."""

    id: str
    created: int


def new_id(prefix: str, created: int | None = None) -> NewId:
    """Make an identifier "<prefix>_<27 characters>" whose time is `created` (Unix seconds, default: now)."""
    second = int(time.time()) if created is None else created
    return NewId(f"{prefix}_{_ksuid(second)}", second)


def has_id_shape(prefix: str, text: str) -> bool:
    """Whether `text` could be an identifier with that prefix; anything else need not be looked up."""
    found = _SHAPE.match(text)
    return found is not None and found[1] == prefix


def _ksuid(second: int) -> str:
    """A KSUID: 32 bits of time and 128 random bits, as 27 digits of base 62 that sort as the number does."""
    number = (second - _EPOCH) << 128 | secrets.randbits(128)
    digits = []
    for _ in range(27):
        number, digit = divmod(number, 62)
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))
