"""What a comparison of one table has found so far."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from rowferry.model.digests import KeyRange, RowDifference, RowDigest, RowId, RowKind

MOST_NAMED = 100
"""How many rows of a table that differ are named; then the search of that table ends."""


@dataclass
class Tally:
    """Counts and names. `extra_allowed`: rows that only the target has are no difference."""

    extra_allowed: bool = False
    source_rows: int = 0
    target_rows: int = 0
    complete: bool = True
    counts: Counter[RowKind] = field(default_factory=Counter)
    ranges: list[KeyRange] = field(default_factory=list)
    rows: list[RowDifference] = field(default_factory=list)

    @property
    def full(self) -> bool:
        """Whether enough differences are known."""
        return self._wrong >= MOST_NAMED

    @property
    def equal(self) -> bool:
        """Whether nothing that counts differs."""
        return self._wrong == 0 and self.complete

    @property
    def _wrong(self) -> int:
        return sum(self.counts.values()) - (self.counts[RowKind.EXTRA] if self.extra_allowed else 0)

    def put_off(self) -> None:
        """A part differs, and is not searched."""
        self.complete = False

    def note(self, kind: RowKind, key: tuple[str, ...] | None, columns: Iterable[str] = ()) -> None:
        """A row differs."""
        self.counts[kind] += 1
        if len(self.rows) < MOST_NAMED and not (kind is RowKind.EXTRA and self.extra_allowed):
            self.rows.append(RowDifference(kind, key, tuple(columns)))


@dataclass(frozen=True, slots=True)
class Found:
    """The rows of one part that differ: `changed` have the same key on both sides. By id, with the key as shown."""

    missing: Sequence[RowDigest]
    extra: Sequence[RowDigest]
    changed: Sequence[RowDigest]


def differences(source: Iterable[RowDigest], target: Iterable[RowDigest]) -> Found:
    """Which rows of a part differ. A row that is there twice must be there twice on the other side."""
    left: dict[RowId, list[RowDigest]] = defaultdict(list)
    for row in source:
        left[row.id].append(row)
    extra: dict[RowId, list[RowDigest]] = defaultdict(list)
    for row in target:
        if not _take(left, row):
            extra[row.id].append(row)
    missing, changed = [], []
    for identity, rows in left.items():
        there = extra.get(identity, [])
        both = min(len(rows), len(there))
        changed += rows[:both]
        missing += rows[both:]
        del there[:both]
    return Found(missing, [row for rows in extra.values() for row in rows], changed)


def _take(left: dict[RowId, list[RowDigest]], row: RowDigest) -> bool:
    rows = left.get(row.id, [])
    for at, other in enumerate(rows):
        if other.checksum == row.checksum:
            del rows[at]
            if not rows:
                del left[row.id]
            return True
    return False
