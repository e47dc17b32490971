"""Names as PostgreSQL can hold them: at most 63 bytes, unique where it wants them unique, always quoted."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field

LIMIT = 63
"""The most bytes of UTF-8 that PostgreSQL keeps of a name; it cuts the rest off in silence."""

SYSTEM_COLUMNS = frozenset({"tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"})
"""Names that no column of a table can have."""

_DIGITS = 8


def quoted(name: str) -> str:
    """The name as an identifier, its case kept."""
    return '"' + name.replace('"', '""') + '"'


def quoted_list(names: Iterable[str]) -> str:
    """The names as identifiers, with commas between."""
    return ", ".join(quoted(name) for name in names)


def qualified(schema: str, name: str) -> str:
    """A table's, a type's or a sequence's whole name as SQL."""
    return f"{quoted(schema)}.{quoted(name)}"


def literal(text: str) -> str:
    """The text as a literal, whatever `standard_conforming_strings` says."""
    body = text.replace("'", "''")
    return "E'" + body.replace("\\", "\\\\") + "'" if "\\" in body else f"'{body}'"


def shortened(name: str) -> str:
    """The name itself, or its beginning and a hash of the whole, so that two long names stay apart."""
    if len(name.encode()) <= LIMIT:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:_DIGITS]
    return f"{_cut(name, LIMIT - _DIGITS - 1)}_{digest}"


@dataclass
class Names:
    """Names that are unique together: the columns of a table, or the tables and indexes of a schema."""

    taken: set[str] = field(default_factory=set)

    def take(self, *wishes: str) -> str:
        """The first wish that is free, shortened; else the last one with a number. It is taken from then on."""
        candidates = [shortened(wish) for wish in wishes]
        chosen = next((name for name in candidates if name not in self.taken), None)
        number = 2
        while chosen is None:
            tail = f"_{number}"
            name = _cut(candidates[-1], LIMIT - len(tail)) + tail
            chosen = name if name not in self.taken else None
            number += 1
        self.taken.add(chosen)
        return chosen


def column_names(names: Iterable[str]) -> dict[str, str]:
    """What each column of one table is called; a name that fits stays, whatever its neighbours need."""
    wanted = list(names)
    fitting = {name for name in wanted if _fits(name)}
    pool = Names(taken=set(fitting) | SYSTEM_COLUMNS)
    return {name: name if name in fitting else pool.take(name, f"{name}_") for name in wanted}


def _fits(name: str) -> bool:
    return len(name.encode()) <= LIMIT and name not in SYSTEM_COLUMNS


def _cut(name: str, size: int) -> str:
    """The longest beginning of whole characters within `size` bytes."""
    return name.encode()[:size].decode(errors="ignore")
