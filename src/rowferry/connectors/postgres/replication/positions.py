"""Places in PostgreSQL's log: LSNs as text and as numbers."""

from __future__ import annotations

import re

from rowferry.errors import SourceChanged
from rowferry.model.changes import Position

_LSN = re.compile(r"([0-9A-Fa-f]{1,8})/([0-9A-Fa-f]{1,8})")


def number(position: Position) -> int:
    """The bytes of log that lie before it; SourceChanged when it is no position of PostgreSQL's."""
    found = _LSN.fullmatch(position)
    if found is None:
        raise SourceChanged("The position is none of PostgreSQL's log: start a new stream.")
    return int(found[1], 16) << 32 | int(found[2], 16)


def position(at: int) -> Position:
    """The place as PostgreSQL writes it."""
    return f"{at >> 32:X}/{at & 0xFFFFFFFF:X}"
