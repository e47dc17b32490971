"""Verification: both sides make checksums of the same parts of each table, and only parts that differ are looked into.

While all is equal, nothing but checksums crosses the wire. A part that differs is compared row by row, by the rows'
keys and checksums, and for the rows that differ each column's checksum says which columns do.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from typing import TypeVar

from rowferry.config.stream import SourceConnection, WriteMode
from rowferry.connectors.base import DigestRequest, Digests, PlannedTable, TableRequest
from rowferry.connectors.registry import connector
from rowferry.errors import Different, InvalidInput, MissingTable, Refused
from rowferry.model.chunks import Chunk
from rowferry.model.digests import (
    NOTHING,
    Bucket,
    Comparison,
    Digest,
    KeyRange,
    RowDigest,
    RowKind,
    TableComparison,
)
from rowferry.model.streams import Mode
from rowferry.model.tables import Table
from rowferry.pipeline.job import Events, Job
from rowferry.pipeline.origins import open_sources
from rowferry.pipeline.pairs import Pair, Sides, missing_columns, pair
from rowferry.pipeline.plan import Plan, make_plan, open_target
from rowferry.pipeline.signals import Signals
from rowferry.pipeline.tally import MOST_NAMED, Found, Tally, differences

BUCKET_ROWS = 8000
"""About how many rows of a table without an order share a checksum."""

TOGETHER = 50_000
"""How many rows of such a table are compared one by one at the same time."""

AHEAD = 64
"""How many parts of a table are asked for before the first of them is looked at."""

NOT_COMPARED = "is a query over several sources, of which none could make the checksums, so it was not compared"

T = TypeVar("T")


def verify(job: Job, events: Events, signals: Signals) -> Comparison:
    """Plan the job's stream once more, and compare what it read with what is on the target; neither is written to.

    Refused, in one sentence, where it cannot be known which rows were meant.
    """
    check_comparable(job)
    with ExitStack() as stack:
        sources = [stack.enter_context(closing(source)) for source in open_sources(job)]
        target = stack.enter_context(closing(open_target(job)))
        for source in sources:
            signals.on_break(source.close)
        signals.on_break(target.close)
        plan = make_plan(job, sources, target, prepared=True)
        signals.check()
        return compare(job, plan, events, signals)


def check_comparable(job: Job) -> None:
    """Refused where the config itself says that source and target do not hold the same rows."""
    config = job.config
    if config.target.spec.db is not None and config.target.spec.db.skip_data:
        raise Refused("skipData moves no rows, so there is nothing to verify.")
    if config.mode is Mode.CDC and config.target.spec.db is None:
        raise Refused("Changes in files are kept beside the rows, so the two sides are not meant to be equal.")


def compare(job: Job, plan: Plan, events: Events, signals: Signals) -> Comparison:
    """Compare the tables of a plan; the differences are in the result, not raised."""
    began = time.monotonic()
    with ExitStack() as stack:
        team = stack.enter_context(ThreadPoolExecutor(2 * job.workers, "digest"))
        tables = stack.enter_context(ThreadPoolExecutor(job.workers, "verify"))
        for pool in (team, tables):
            stack.callback(pool.shutdown, wait=False, cancel_futures=True)
        # Opened last and so closed first: whatever is still asked when one table fails ends with its connection.
        ends = _open(job, plan, stack, signals)
        there = _there(ends, plan.tables)
        followed = job.config.mode is Mode.CDC
        extra_allowed = not followed and job.config.write_mode in (WriteMode.APPEND, WriteMode.UPSERT)

        def one(table: PlannedTable) -> TableComparison:
            signals.check()
            sides = ends.get(str(table.target.name))
            if sides is None:
                found = TableComparison(str(table.source.name), str(table.target.name), equal=True, reason=NOT_COMPARED)
                events.log("warning", f"Not verified {found.summary}.", table=found.target)
                return found
            found = _TableRun(sides, team, signals, extra_allowed).compare(table, there.get(str(table.target.name)))
            events.log("info" if found.equal else "warning", f"Verified {found.summary}.", table=found.target)
            return found

        compared = [future.result() for future in [tables.submit(one, table) for table in plan.tables]]
    return Comparison(tuple(compared), time.monotonic() - began)


def _there(ends: Mapping[str, Sides], planned: Sequence[PlannedTable]) -> dict[str, Table]:
    """What the target has of the tables, by name; it is asked once for all of them, unless some are missing."""
    names = [str(table.target.name) for table in planned if str(table.target.name) in ends]
    if not names:
        return {}
    target = ends[names[0]].target
    try:
        return dict(zip(names, target.tables([TableRequest(name) for name in names]), strict=True))
    except MissingTable:
        found = {}
        for name in names:
            with suppress(MissingTable):
                (found[name],) = target.tables([TableRequest(name)])
        return found


def refuse_differences(found: Comparison) -> None:
    """Different, naming the tables and their counts, unless everything is equal."""
    wrong = [table.summary for table in found.tables if not table.equal]
    if wrong:
        more = f"; and {len(wrong) - 10} more tables" if len(wrong) > 10 else ""
        raise Different(f"Source and target differ: {'; '.join(wrong[:10])}{more}.")


def _open(job: Job, plan: Plan, stack: ExitStack, signals: Signals) -> Mapping[str, Sides]:
    """Both ends of each table, by the target table's name; a query over several sources has but one."""
    config = job.config

    def opened(request: DigestRequest) -> Digests:
        opener = connector(request.connection.engine).open_digests
        if opener is None:
            raise InvalidInput(f"A connection of type {request.connection.type.value} cannot be verified yet.")
        digests = stack.enter_context(closing(opener(request)))
        signals.on_break(digests.close)
        return digests

    def source(part: SourceConnection) -> Digests:
        connection = job.connections[part.connection_id]
        return opened(
            DigestRequest(
                connection, part.database, part.schema_, files=part.files, s3=part.s3, skipping=job.skipping is not None
            )
        )

    db, connection = config.target.spec.db, job.connections[config.target.id]
    database, schema = (db.database, db.schema_) if db else (None, None)
    target = opened(DigestRequest(connection, database, schema, config.target.spec, plan.tables))
    sides = {
        place: Sides(source(part), target, job.connections[part.connection_id].engine == connection.engine)
        for place, part in enumerate(config.source.connections)
        if place in plan.places.values()
    }
    return {name: sides[place] for name, place in plan.places.items() if place in sides}


class _TableRun:
    """The comparison of one table."""

    def __init__(self, sides: Sides, team: ThreadPoolExecutor, signals: Signals, extra_allowed: bool) -> None:
        self._sides = sides
        self._team = team
        self._signals = signals
        self._tally = Tally(extra_allowed)

    def compare(self, table: PlannedTable, there: Table | None) -> TableComparison:
        """Compare with what is there; a table that is not, or lacks a column, is no error but a difference."""
        source, target = str(table.source.name), str(table.target.name)
        if there is None:
            return TableComparison(source, target, equal=False, reason="is not on the target")
        missing = missing_columns(table, there)
        if missing:
            reason = f"lacks the column {', '.join(missing)} on the target"
            return TableComparison(source, target, equal=False, reason=reason)
        both = pair(table, there, self._sides)
        (self._by_ranges if both.source.ordered else self._by_buckets)(both)
        tally = self._tally
        return TableComparison(
            source,
            target,
            equal=tally.equal,
            source_rows=tally.source_rows,
            target_rows=tally.target_rows,
            missing=tally.counts[RowKind.MISSING],
            extra=tally.counts[RowKind.EXTRA],
            different=tally.counts[RowKind.DIFFERENT],
            extra_allowed=tally.extra_allowed,
            complete=tally.complete,
            key=both.key_names,
            ranges=tuple(tally.ranges),
            rows=tuple(tally.rows),
            skipped=both.skipped,
        )

    def _by_ranges(self, both: Pair) -> None:
        """Parts are ranges of the key, in its order."""
        asked: deque[tuple[Chunk, Future[Digest], Future[Digest]]] = deque()
        for chunk in self._sides.source.chunks(both.source.table, both.size):
            source = self._team.submit(self._sides.source.sequence, both.source, chunk)
            asked.append((chunk, source, self._team.submit(self._sides.target.sequence, both.target, chunk)))
            if len(asked) >= AHEAD:
                self._range(both, *asked.popleft())
        for one in asked:
            self._range(both, *one)

    def _range(self, both: Pair, chunk: Chunk, source: Future[Digest], target: Future[Digest]) -> None:
        """Count one range, and look into it where it differs."""
        self._signals.check()
        if self._counted(source.result(), target.result()):
            return
        if len(self._tally.ranges) < MOST_NAMED and not self._tally.extra_allowed:
            self._tally.ranges.append(KeyRange(chunk.low, chunk.high))
        self._look_into(both, chunk)

    def _by_buckets(self, both: Pair) -> None:
        """Parts are rows whose keys (or, without a key, whose values) have checksums that begin alike."""
        expected = max(both.source.table.estimated_rows, both.target.table.estimated_rows)
        digits = 2
        while digits < 5 and expected > BUCKET_ROWS * 16**digits:
            digits += 1
        source, target = self._both(
            lambda: self._sides.source.buckets(both.source, digits),
            lambda: self._sides.target.buckets(both.target, digits),
        )
        wrong = []
        for prefix in sorted({*source, *target}):
            here, there = source.get(prefix, NOTHING), target.get(prefix, NOTHING)
            if not self._counted(here, there):
                wrong.append((prefix, here.rows + there.rows))
        for bucket in _together(wrong):
            self._look_into(both, bucket)

    def _counted(self, source: Digest, target: Digest) -> bool:
        """Count the rows of a part; whether it is the same on both sides."""
        self._tally.source_rows += source.rows
        self._tally.target_rows += target.rows
        return source.equals(target)

    def _look_into(self, both: Pair, part: Chunk | Bucket) -> None:
        """Find the rows of a part that differ, unless enough are known."""
        self._signals.check()
        if self._tally.full:
            self._tally.put_off()
            return
        source, target = self._both(
            lambda: list(self._sides.source.rows(both.source, part)),
            lambda: list(self._sides.target.rows(both.target, part)),
        )
        self._note(both, differences(source, target))

    def _note(self, both: Pair, found: Found) -> None:
        tally = self._tally
        for row in found.missing:
            tally.note(RowKind.MISSING, row.key)
        for row in found.extra:
            tally.note(RowKind.EXTRA, row.key if both.source.key else None)
        named = found.changed[: MOST_NAMED - len(tally.rows)]
        columns = self._columns(both, named)
        for at, row in enumerate(found.changed):
            tally.note(RowKind.DIFFERENT, row.key, columns[at] if at < len(named) else ())

    def _columns(self, both: Pair, rows: Sequence[RowDigest]) -> list[tuple[str, ...]]:
        """For each of the rows the columns that differ."""
        if not rows:
            return []
        ids = [row.id for row in rows]
        source, target = self._both(
            lambda: self._sides.source.cells(both.source, ids), lambda: self._sides.target.cells(both.target, ids)
        )
        nothing: Sequence[str | None] = [None] * len(both.names)
        return [
            tuple(
                name
                for name, here, there in zip(
                    both.names, source.get(one, nothing), target.get(one, nothing), strict=True
                )
                if here != there
            )
            for one in ids
        ]

    def _both(self, source: Callable[[], T], target: Callable[[], T]) -> tuple[T, T]:
        """Ask both sides at the same time."""
        asked = self._team.submit(source), self._team.submit(target)
        return asked[0].result(), asked[1].result()


def _together(wrong: Sequence[tuple[str, int]]) -> Iterator[Bucket]:
    """The buckets that differ, as many together as may be compared at once: each costs a reading of the table."""
    prefixes: list[str] = []
    rows = 0
    for prefix, size in wrong:
        if prefixes and rows + size > TOGETHER:
            yield Bucket(tuple(prefixes))
            prefixes, rows = [], 0
        prefixes.append(prefix)
        rows += size
    if prefixes:
        yield Bucket(tuple(prefixes))
