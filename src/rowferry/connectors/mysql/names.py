"""Names as MySQL and MariaDB can hold them: at most 64 characters, told apart as the servers do, always quoted."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from rowferry.connectors.mysql.sql import quoted
from rowferry.model.tables import TableName

LIMIT = 64
"""The most characters of a name."""

_DIGITS = 8
_INSTEAD = "_"
_ESCAPES = str.maketrans({"'": "''", "\\": "\\\\", "\0": "\\0"})


def quoted_list(names: Iterable[str]) -> str:
    """The names as identifiers, with commas between."""
    return ", ".join(quoted(name) for name in names)


def place(name: TableName) -> str:
    """A table's whole name as SQL."""
    return f"{quoted(name.schema)}.{quoted(name.name)}"


def literal(text: str) -> str:
    """The text as a literal, in a session whose backslashes escape, as ours do."""
    return f"'{text.translate(_ESCAPES)}'"


def folded(name: str) -> str:
    """The same text for all names that the servers take for one: case and accents make no difference to a column."""
    plain = unicodedata.normalize("NFKD", name)
    return "".join(character for character in plain if not unicodedata.combining(character)).casefold()


def unfolded(name: str) -> str:
    """The name itself, for what the servers tell apart by every character."""
    return name


def shortened(name: str) -> str:
    """The name itself, or what can be kept of it and a hash of the whole, so that two such names stay apart.

    Characters beyond the basic plane, a NUL and blanks at the end cannot be kept.
    """
    kept = "".join(_INSTEAD if character > "\uffff" or character == "\0" else character for character in name)
    kept = kept.rstrip(" ")
    if kept == name and len(name) <= LIMIT:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:_DIGITS]
    return f"{kept[: LIMIT - _DIGITS - 1]}_{digest}"


@dataclass
class Names:
    """Names that are unique together, as `fold` compares them: the columns or indexes of a table, a database's keys."""

    taken: set[str] = field(default_factory=set)
    fold: Callable[[str], str] = folded

    def take(self, *wishes: str) -> str:
        """The first wish that is free, shortened; else the last one with a number. It is taken from then on."""
        candidates = [shortened(wish) for wish in wishes]
        chosen = next((name for name in candidates if self.fold(name) not in self.taken), None)
        number = 2
        while chosen is None:
            tail = f"_{number}"
            name = candidates[-1][: LIMIT - len(tail)] + tail
            chosen = name if self.fold(name) not in self.taken else None
            number += 1
        self.taken.add(self.fold(chosen))
        return chosen


def column_names(names: Iterable[str]) -> dict[str, str]:
    """What each column of one table is called; the first of several names that the servers take for one stays."""
    wanted = list(names)
    pool = Names()
    fitting = {}
    for name in wanted:
        if shortened(name) == name and folded(name) not in pool.taken:
            fitting[name] = pool.take(name)
    return {name: fitting.get(name) or pool.take(name, f"{name}_") for name in wanted}
