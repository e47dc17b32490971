"""Aliases: how the connections of a stream with several sources are told apart, and the names that begin with one."""

from __future__ import annotations

import re
from collections.abc import Sequence

_ALIAS = re.compile(r"[A-Za-z][A-Za-z0-9_]*\Z")


def check_aliases(aliases: Sequence[str | None]) -> None:
    """ValueError, saying what to change, unless each of several connections has an alias of its own.

    Large and small letters are one, as they are to DuckDB.
    """
    if len(aliases) == 1:
        if aliases[0]:
            raise ValueError("alias is for several connections: leave it out with a single one")
        return
    for alias in aliases:
        if not alias:
            raise ValueError("each of several connections needs an alias")
        if not _ALIAS.match(alias):
            raise ValueError(f"alias {alias!r} must be a letter followed by letters, digits or underscores")
    folded = [alias.lower() for alias in aliases if alias]
    doubled = sorted({alias for alias in aliases if alias and folded.count(alias.lower()) > 1})
    if doubled:
        raise ValueError(f"alias {', '.join(doubled)} is used twice: give each connection its own")


def check_name(name: str, alias: str, aliases: Sequence[str]) -> None:
    """ValueError when a table that is listed under one alias is called by another, or by what cannot be one."""
    first, *rest = name.split(".")
    if not rest or first.lower() == alias.lower():
        return
    if len(rest) > 1 or first.lower() in {other.lower() for other in aliases}:
        raise ValueError(
            f"table {name} is listed under the alias {alias}, so it cannot be one of {first}: the aliases are "
            f"{', '.join(aliases)}, and a table is listed under its own"
        )


def bare_name(name: str, alias: str) -> str:
    """The table's name without the alias it is listed under."""
    first, point, rest = name.partition(".")
    return rest if alias and point and rest and first.lower() == alias.lower() else name
