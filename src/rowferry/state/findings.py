"""What each stream found worth saying about the structure it moved: the report of a run, kept with it."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import orjson
from sqlalchemy import func, insert, select

from rowferry.state.database import Database
from rowferry.state.tables import FINDINGS

KEPT = 1000
"""How many findings of a stream are kept."""

LONGEST = 1000
"""How many characters of a text in a finding are kept."""

_MORE = {
    "severity": "warning",
    "table": "",
    "message": f"More was found than the {KEPT} findings that a report holds: the stream's log has the rest.",
    "column": None,
    "item": None,
}


class FindingRepository:
    """The streams' findings, each stream's bounded; they go with their streams."""

    def __init__(self, database: Database, kept: int = KEPT) -> None:
        self._database = database
        self._kept = kept

    def add(self, stream_id: str, findings: Sequence[Mapping[str, Any]]) -> None:
        """Store those that the stream does not have yet, in their order.

        When there are too many, a last one says that there are more.
        """
        rows = {row["digest"]: row for row in (_row(stream_id, one) for one in findings[: self._kept + 1])}
        mine = FINDINGS.c.stream_id == stream_id
        with self._database.write() as connection:
            known = select(FINDINGS.c.digest).where(mine, FINDINGS.c.digest.in_(rows))
            there = set(connection.execute(known).scalars())
            new = [row for digest, row in rows.items() if digest not in there]
            count = connection.execute(select(func.count()).select_from(FINDINGS).where(mine)).scalar_one()
            if count + len(new) > self._kept:
                room = max(0, self._kept - count)
                new = new[:room] + ([_row(stream_id, _MORE)] if count <= self._kept else [])
            if new:
                connection.execute(insert(FINDINGS), new)

    def list(self, stream_id: str) -> list[dict[str, Any]]:
        """The stream's findings, in the order in which they came."""
        query = select(FINDINGS.c.document).where(FINDINGS.c.stream_id == stream_id).order_by(FINDINGS.c.number)
        with self._database.read() as connection:
            return list(connection.execute(query).scalars())

    def counts(self, stream_ids: Collection[str]) -> Mapping[str, Mapping[str, int]]:
        """How many findings of each severity each of the streams has; those without any are left out."""
        query = (
            select(FINDINGS.c.stream_id, FINDINGS.c.severity, func.count())
            .where(FINDINGS.c.stream_id.in_(stream_ids))
            .group_by(FINDINGS.c.stream_id, FINDINGS.c.severity)
        )
        found: dict[str, dict[str, int]] = defaultdict(dict)
        with self._database.read() as connection:
            for stream_id, severity, count in connection.execute(query):
                found[stream_id][severity] = count
        return found


def _row(stream_id: str, finding: Mapping[str, Any]) -> dict[str, Any]:
    document = {name: _cut(value) for name, value in finding.items()}
    digest = hashlib.sha256(orjson.dumps(document, option=orjson.OPT_SORT_KEYS)).hexdigest()
    return {"stream_id": stream_id, "digest": digest, "severity": document["severity"], "document": document}


def _cut(value: Any) -> Any:
    return f"{value[: LONGEST - 1]}…" if isinstance(value, str) and len(value) > LONGEST else value
