"""Sets of transactions by their global numbers, as each of the two servers writes them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

_MARIADB = re.compile(r"(\d+)-(\d+)-(\d+)\Z")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")
_TAG = re.compile(r"[a-z_][a-z0-9_]{0,31}\Z")
_INTERVAL = re.compile(r"(\d+)(?:-(\d+))?\Z")


class Gtids(Protocol):
    """Which transactions have happened."""

    def copy(self) -> Gtids:
        """One that goes on by itself."""

    def covers(self, other: Gtids) -> bool:
        """Whether everything of the other has happened here, too."""

    def __str__(self) -> str:
        """As the server writes it."""


@dataclass
class Domains:
    """MariaDB's: of each domain the last number, and which server gave it."""

    last: dict[int, tuple[int, int]] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> Domains:
        """The set that is written so; ValueError when it is none."""
        found = cls()
        for part in filter(None, (one.strip() for one in text.split(","))):
            numbers = _MARIADB.match(part)
            if numbers is None:
                raise ValueError(text)
            found.add(int(numbers[1]), int(numbers[2]), int(numbers[3]))
        return found

    def add(self, domain: int, server: int, number: int) -> None:
        """One more has happened."""
        self.last[domain] = server, number

    def copy(self) -> Domains:
        """See `Gtids.copy`."""
        return Domains(dict(self.last))

    def covers(self, other: Gtids) -> bool:
        """See `Gtids.covers`."""
        if not isinstance(other, Domains):
            return False
        return all(self.last.get(domain, (0, -1))[1] >= number for domain, (_, number) in other.last.items())

    def __str__(self) -> str:
        return ",".join(f"{domain}-{server}-{number}" for domain, (server, number) in sorted(self.last.items()))


@dataclass
class Sources:
    """MySQL's: by the server (and the tag) that gave the numbers, intervals of them, both ends included."""

    intervals: dict[str, list[tuple[int, int]]] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> Sources:
        """The set that is written so; ValueError when it is none."""
        found = cls()
        for part in filter(None, (one.strip().lower() for one in text.split(","))):
            source, *rest = part.split(":")
            if not _UUID.match(source) or not rest:
                raise ValueError(text)
            for name, low, high in _numbers(source, rest):
                found.add(name, low, high)
        return found

    def add(self, source: str, low: int, high: int) -> None:
        """These have happened, too."""
        there = self.intervals.setdefault(source, [])
        if there and low == there[-1][1] + 1:
            there[-1] = there[-1][0], high
            return
        merged: list[tuple[int, int]] = []
        for one in sorted([*there, (low, high)]):
            if merged and one[0] <= merged[-1][1] + 1:
                merged[-1] = merged[-1][0], max(one[1], merged[-1][1])
            else:
                merged.append(one)
        self.intervals[source] = merged

    @property
    def tagged(self) -> bool:
        """Whether any numbers have a tag."""
        return any(":" in source for source in self.intervals)

    def copy(self) -> Sources:
        """See `Gtids.copy`."""
        return Sources({source: list(there) for source, there in self.intervals.items()})

    def covers(self, other: Gtids) -> bool:
        """See `Gtids.covers`."""
        if not isinstance(other, Sources):
            return False
        return all(self._has(source, *one) for source, there in other.intervals.items() for one in there)

    def _has(self, source: str, low: int, high: int) -> bool:
        return any(first <= low and high <= last for first, last in self.intervals.get(source, ()))

    def __str__(self) -> str:
        return ",".join(
            f"{source}:{':'.join(str(a) if a == b else f'{a}-{b}' for a, b in there)}"
            for source, there in sorted(self.intervals.items())
        )


def _numbers(source: str, parts: list[str]) -> Iterator[tuple[str, int, int]]:
    """Intervals, each with whose numbers they are: a tag among them goes for those behind it."""
    name = source
    for part in parts:
        found = _INTERVAL.match(part)
        if found:
            yield name, int(found[1]), int(found[2] or found[1])
        elif _TAG.match(part):
            name = f"{source}:{part}"
        else:
            raise ValueError(part)


def parse(text: str) -> Gtids:
    """Either kind of set; ValueError when it is neither."""
    return Domains.parse(text) if _MARIADB.match(text.split(",", 1)[0].strip()) else Sources.parse(text)
