"""Identifiers: a prefix and a KSUID, so that they sort by the second in which they were made."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from datetime import UTC, datetime

from ksuid import Ksuid

_SHAPE = re.compile(r"(conn|config|stream)_[0-9A-Za-z]{27}\Z")


@dataclass(frozen=True, slots=True)
class NewId:
    """A fresh identifier and the Unix second that it carries."""

    id: str
    created: int


def new_id(prefix: str, created: int | None = None) -> NewId:
    """Make an identifier "<prefix>_<27 characters>" whose time is `created` (Unix seconds, default: now)."""
    second = int(time.time()) if created is None else created
    return NewId(f"{prefix}_{Ksuid(datetime.fromtimestamp(second, UTC))}", second)


def has_id_shape(prefix: str, text: str) -> bool:
    """Whether `text` could be an identifier with that prefix; anything else need not be looked up."""
    found = _SHAPE.match(text)
    return found is not None and found[1] == prefix
