"""What planning found out: each thing that will not cross exactly as it is, said before anything is written."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """`info`: crosses, in other words. `warning`: left out or changed in structure. `error`: the stream refuses."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding about `table` (and `column` or the named `item`, such as an index), and what can be done."""

    severity: Severity
    table: str
    message: str
    column: str | None = None
    item: str | None = None


@dataclass(frozen=True, slots=True)
class Remark:
    """A part of a structure that a source has and a target may not take over; `text` goes on from the table's name.

    `since`: the first version of the source's own engine that can take it over (None: no target does).
    """

    text: str
    column: str | None = None
    item: str | None = None
    severity: Severity = Severity.WARNING
    since: int | None = None

    def about(self, table: str) -> Finding:
        """The remark as a finding about that table."""
        return Finding(self.severity, table, f"{table}{self.text}", self.column, self.item)
