"""Places in the log, as text: `file:offset`, and behind a slash the transactions that lie before it, where they have
numbers."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from rowferry.connectors.mysql.binlog.gtids import Gtids, parse
from rowferry.errors import InvalidInput
from rowferry.model.changes import Position

BEGINNING = 4
"""Where the first event of a file lies."""

_PLACE = re.compile(r"(?P<file>[^/\s]+\.\d+):(?P<offset>\d+)(?:/(?P<gtids>.*))?\Z", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Place:
    """Between two transactions. `gtids`: what has happened before; None where transactions have no numbers."""

    file: str
    offset: int
    gtids: Gtids | None = field(default=None, compare=False)

    @classmethod
    def parse(cls, position: Position) -> Place:
        """The place that is written so; InvalidInput when it is none."""
        found = _PLACE.match(position.strip())
        try:
            if found:
                gtids = parse(found["gtids"]) if found["gtids"] else None
                return cls(found["file"], int(found["offset"]), gtids)
        except ValueError:
            pass
        raise InvalidInput(
            f"{position} is no position in a binary log: write it as mysql-bin.000042:1234, as SHOW BINARY LOGS and "
            "SHOW MASTER STATUS name file and offset."
        )

    def __str__(self) -> str:
        return f"{self.file}:{self.offset}" + (f"/{self.gtids}" if self.gtids is not None and str(self.gtids) else "")

    @property
    def order(self) -> tuple[int, int]:
        """What grows along the log of one server."""
        return int(self.file.rpartition(".")[2]), self.offset

    def reached(self, mark: Place) -> bool:
        """Whether this is the mark or lies behind it; by the transactions' numbers where both have them."""
        if self.gtids is not None and mark.gtids is not None and str(self.gtids) and str(mark.gtids):
            return self.gtids.covers(mark.gtids)
        return self.order >= mark.order
