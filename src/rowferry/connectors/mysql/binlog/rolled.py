"""Parts of transactions that were given out before the log said that they had been rolled back.

That happens only to transactions that also changed tables which cannot roll back, and that are longer than a batch.
Nothing of them is committed anywhere yet; so they are read once more, this time without those parts.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NoReturn

from rowferry.connectors.mysql.binlog.history import History
from rowferry.errors import ConnectionLost, ReadFailed
from rowferry.model.tables import TableName


@dataclass
class Undone:
    """What is left out, by file: from behind the first place up to the second."""

    places: dict[str, list[tuple[int, int]]] = field(default_factory=dict)

    def again(self, file: str, since: int, until: int) -> NoReturn:
        """Note that this part is to be left out; the log must be read again from what was committed."""
        if since >= until or (since, until) in self.places.get(file, ()):
            raise ReadFailed(
                f"A transaction before {file}:{until} was rolled back in part, and the log does not tell which: start "
                "a new stream, which loads the tables anew."
            )
        self.places.setdefault(file, []).append((since, until))
        raise ConnectionLost(
            f"A transaction before {file}:{until} was rolled back in part: it is read again without that part."
        )

    def skips(self, file: str, after: int, table: TableName, history: History) -> bool:
        """Whether the changes of an event that ends there are left out."""
        if table not in history.transactional:
            return False
        return any(since < after <= until for since, until in self.places.get(file, ()))
