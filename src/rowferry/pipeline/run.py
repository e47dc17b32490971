"""One run of a stream, from the plan to the last foreign key."""

from __future__ import annotations

import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from rowferry.config.stream import Consistency
from rowferry.connectors.base import ChunkSize, Journal, PlannedTable, Source, Target, TargetPlan
from rowferry.errors import Cancelled, Refused, RowferryError, SourceChanged
from rowferry.model.digests import Comparison
from rowferry.model.findings import Finding, Severity
from rowferry.model.streams import Mode, Stage, StreamState
from rowferry.pipeline.copy import CHUNK_BYTES, Budget, Copy, Watch
from rowferry.pipeline.follow import Following, release
from rowferry.pipeline.job import Events, Job, Outcome
from rowferry.pipeline.meter import Meter
from rowferry.pipeline.origins import open_sources
from rowferry.pipeline.plan import Plan, make_plan, open_target
from rowferry.pipeline.signals import Signals
from rowferry.pipeline.uploads import Uploads
from rowferry.pipeline.verify import compare, refuse_differences, verify
from rowferry.telemetry.faults import trace

TICK = 0.25
"""Seconds between two progress reports to whoever watches the run; the log's interval is the user's."""

MANY = 500
"""Tables whose progress may be told so often; of more, it is told less often."""

LAST_WAIT = 0.4
"""Seconds that a driver is given to notice that its connection was closed under it; then it is left behind."""

_NOTHING_DONE = Journal(fingerprints={}, chunks={}, committed=())


class Run:
    """A run and the connections it holds, as a context manager: `execute` once, `forget` when the end is recorded."""

    def __init__(self, job: Job, events: Events, signals: Signals) -> None:
        self._job = job
        self._events = events
        self._signals = signals
        self._meter = Meter(job.elapsed)
        self._uploads = Uploads(self._meter, events, job.stream_id)
        self._sources: list[Source] = []
        self._target: Target | None = None
        self._report: dict[Finding, None] = {}
        self._noting = threading.Lock()
        self._comparison: Comparison | None = None
        self._over = threading.Event()
        self._result: tuple[StreamState, RowferryError | None] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def execute(self) -> Outcome:
        """Run to an end of whatever kind; errors end it as FAILED and are in the outcome, not raised."""
        limit = self._job.config.limits.elapsed_time
        if limit:
            self._signals.end_after(limit - self._job.elapsed, StreamState.TIME_LIMIT_REACHED)
        reporter = threading.Thread(target=self._report_progress, name="progress", daemon=True)
        reporter.start()
        worker = threading.Thread(target=self._work, name="run", daemon=True)
        worker.start()
        while worker.is_alive() and not self._signals.overdue(LAST_WAIT):
            worker.join(0.05)
        self._over.set()
        reporter.join()
        self._signals.close()
        return self._ended(*(self._result or (self._signals.ending or StreamState.FAILED, self._signals.cause)))

    def _work(self) -> None:
        """Run the stages; how they ended becomes the result."""
        try:
            self._result = (self._worked(), None)
        except Cancelled:
            self._result = (self._signals.ending or StreamState.FAILED, None)
        except RowferryError as error:
            # What breaks after somebody asked for an end is that end, not a failure.
            ending = self._signals.ending or StreamState.FAILED
            self._result = (ending, error if ending is StreamState.FAILED else None)
        except BaseException as error:  # a driver's panic is no Exception
            sys.stderr.write(trace(error))
            fault = RowferryError("Rowferry itself failed: the worker's log has the details.")
            self._result = (StreamState.FAILED, fault)

    def _worked(self) -> StreamState:
        if self._job.verify_only:
            return self._compared()
        return self._following().run() if self._job.config.mode is Mode.CDC else self._stages()

    @property
    def _skips_data(self) -> bool:
        spec = self._job.config.target.spec.db
        return spec is not None and spec.skip_data

    def forget(self) -> None:
        """Remove the stream's journal from the target, and what it left at the source."""
        target = self._target or open_target(self._job)
        try:
            target.forget()
        finally:
            target.close()
            if self._job.config.mode is Mode.CDC:
                release(self._job)

    def close(self) -> None:
        """Give back every connection."""
        for source in self._sources:
            source.close()
        if self._target is not None:
            self._target.close()

    def _following(self) -> Following:
        target = self._open()
        watch = Watch(self._meter, self._signals, self._events)
        return Following(self._job, self._sources[0], target, watch, self._note, self._uploads)

    def _stages(self) -> StreamState:
        target = self._open()
        journal = target.journal()
        for entry in journal.committed if journal else ():
            self._meter.resumed(entry)
        plan = self._planned(target) if journal is None else self._planned_again(target, journal)
        self._expect(plan)
        self._signals.check()
        self._hold(plan, journal or _NOTHING_DONE)
        self._meter.stage = Stage.CREATE_META
        if journal is None:
            target.prepare(TargetPlan(plan.tables, plan.findings), plan.fingerprints)
        self._meter.stage = Stage.DATA_TRANSFER
        cut = self._copy(plan, target, journal or _NOTHING_DONE)
        self._finish(plan, target, cut)
        if self._job.config.verify:
            self._verify(plan, cut)
        self._meter.stage = Stage.FINISHED
        return StreamState.EVENT_LIMIT_REACHED if cut else StreamState.FINISHED

    def _verify(self, plan: Plan, cut: bool) -> None:
        """Different when the target does not hold what was read."""
        if cut or self._skips_data:
            self._events.log("warning", "The stream did not move all rows that are meant: it is not verified.")
            return
        self._meter.stage = Stage.VERIFY
        self._comparison = compare(self._job, plan, self._events, self._signals)
        refuse_differences(self._comparison)

    def _compared(self) -> StreamState:
        """Verify, and nothing else; a difference is a result here."""
        self._meter.stage = Stage.VERIFY
        self._comparison = verify(self._job, self._events, self._signals)
        return StreamState.FINISHED

    def _open(self) -> Target:
        self._sources = open_sources(self._job)
        self._target = open_target(self._job, self._uploads)
        self._meter.rejected = lambda: sum(one.rows for each in self._sources for one in each.rejected().values())
        for source in self._sources:
            self._signals.on_break(source.close)
        self._signals.on_break(self._target.close)
        return self._target

    def _planned(self, target: Target) -> Plan:
        """The plan of a stream that begins; Refused when it may not."""
        plan = make_plan(self._job, self._sources, target, prepared=False)
        self._note(plan.findings)
        plan.refuse_errors()
        return plan

    def _planned_again(self, target: Target, journal: Journal) -> Plan:
        """The plan for the tables that the stream began with; SourceChanged when they are no longer what they were."""
        try:
            plan = self._as_begun(make_plan(self._job, self._sources, target, prepared=True), journal)
            self._note(plan.findings)
            plan.refuse_errors()
        except Refused as error:
            told = error.message.rstrip(".")
            raise SourceChanged(
                f"{told}; that was otherwise when this stream began: undo it and resume, or start a new stream."
            ) from error
        return plan

    def _as_begun(self, plan: Plan, journal: Journal) -> Plan:
        seen, now = journal.fingerprints, plan.fingerprints
        gone = [f"the table {name} is no longer there" for name in sorted(seen.keys() - now.keys())]
        other = [f"the columns of {name} have changed" for name in now if seen.get(name, now[name]) != now[name]]
        if gone or other:
            what = "; ".join(other + gone)
            raise SourceChanged(f"At the source {what}: undo that and resume, or start a new stream.")
        for name in sorted(now.keys() - seen.keys()):
            text = f"{name} appeared at the source after this stream began: it is left out."
            self._note([Finding(Severity.WARNING, name, text)])
        return plan.only(seen)

    def _expect(self, plan: Plan) -> None:
        """Tell what the plan holds."""
        for table in plan.tables:
            name, source = str(table.target.name), table.source
            self._meter.expect(name, source.estimated_rows, source.estimated_bytes)
            self._events.log(
                "info", f"{name}: about {source.estimated_rows} rows.", "table_metadata",
                table=name, estimatedRows=source.estimated_rows, estimatedSizeBytes=source.estimated_bytes,
            )  # fmt: skip

    def _hold(self, plan: Plan, journal: Journal) -> None:
        """Before anything is written, since a snapshot may be refused."""
        if self._skips_data:
            return
        wish = self._job.config.source.options.consistency
        for source in self._sources:
            if tables := [table.source for table in plan.read_at(source)]:
                source.hold(wish, tables, self._job.workers)
        if wish is Consistency.SNAPSHOT and journal.committed:
            text = "What was copied before this run is of an earlier moment than what it reads in its new snapshot."
            self._note([Finding(Severity.WARNING, "", text)])

    def _copy(self, plan: Plan, target: Target, journal: Journal) -> bool:
        """Copy what is missing; whether the limit of events left rows out."""
        config = self._job.config
        if self._skips_data:
            return False
        limit = config.limits.number_of_events
        rows = config.source.options.data_bundle_size * 1000
        budget = Budget(limit, sum(entry.rows for entry in journal.committed))
        self._note(_torn(plan, journal))
        Copy(
            plan, target, journal,
            size=ChunkSize(min(rows, limit) if limit else rows, CHUNK_BYTES), budget=budget,
            watch=Watch(self._meter, self._signals, self._events),
            finish=lambda table: self._finish_table(target, table),
        ).run(self._job.workers)  # fmt: skip
        self._note([finding for source in self._sources for finding in _left_out(source)])
        said = dict.fromkeys(source.consistency() for source in self._sources if plan.read_at(source))
        self._note([Finding(Severity.INFO, "", sentence) for sentence in said])
        return budget.reached

    def _finish(self, plan: Plan, target: Target, cut: bool) -> None:
        """What waits for the data of all tables. Foreign keys would miss the rows that a limit left out: none then."""
        complete = {table.name for table in self._meter.snapshot().tables if table.status == "FINISHED"}
        for table in plan.tables:
            if str(table.target.name) not in complete:
                self._finish_table(target, table)
        if cut:
            self._note(_unlinked(plan))
            return
        self._signals.check()
        self._note(target.finish(plan.tables))

    def _finish_table(self, target: Target, table: PlannedTable) -> None:
        self._signals.check()
        self._note(target.finish_table(table))

    def _note(self, findings: Sequence[Finding]) -> None:
        """Findings go into the log as they come, and into the run's report."""
        levels = {Severity.INFO: "info", Severity.WARNING: "warning", Severity.ERROR: "error"}
        with self._noting:
            new = [finding for finding in dict.fromkeys(findings) if finding not in self._report]
            self._report.update(dict.fromkeys(new))
        if new:
            self._events.found(new)
        for finding in new:
            self._events.log(levels[finding.severity], finding.message, table=finding.table)

    def _ended(self, state: StreamState, error: RowferryError | None) -> Outcome:
        if error is not None:
            self._events.log("error", error.message, "error")
        self._events.progress(self._meter.snapshot())
        return Outcome(state, self._meter.elapsed, error, tuple(self._report), self._comparison)

    def _report_progress(self) -> None:
        """Progress for whoever watches, every tick; for the log as often as the config asks."""
        interval = self._job.config.reporting_interval
        due = time.monotonic() + interval
        while not self._over.wait(TICK * (1 + self._meter.tables // MANY)):
            progress = self._meter.snapshot()
            self._events.progress(progress)
            if time.monotonic() < due or self._meter.stage is Stage.VERIFY:
                continue
            due = time.monotonic() + interval
            self._events.log(
                "info", f"{progress.written} rows written.", "stat",
                table="total", events=progress.written, size=progress.written_size, elapsed=progress.elapsed,
                rate=progress.written_size / progress.elapsed if progress.elapsed else 0.0, status="RUNNING",
            )  # fmt: skip


def _left_out(source: Source) -> list[Finding]:
    """What is said of malformed rows."""
    return [
        Finding(
            Severity.WARNING, str(table), f"{table}: {one.rows} malformed rows were left out; they are in {one.place}."
        )
        for table, one in source.rejected().items()
    ]


def _unlinked(plan: Plan) -> list[Finding]:
    """The foreign keys that are left out because a limit left rows out."""
    return [
        Finding(
            Severity.WARNING,
            str(table.source.name),
            f"{table.source.name}: the limit of events was reached, so the foreign key {key.name} is not created.",
            item=key.name,
        )
        for table in plan.tables
        for key in table.target.foreign_keys
    ]


def _torn(plan: Plan, journal: Journal) -> list[Finding]:
    """Tables without a key of which a part was copied before: rows that moved on disk since then may be amiss."""
    begun = Counter(entry.table for entry in journal.committed)
    torn = [
        (str(table.target.name), str(table.source.name))
        for table in plan.tables
        if not table.source.key and table.source.query is None and not plan.source_of(table).steady
    ]
    return [
        Finding(
            Severity.WARNING,
            source,
            f"{source} has no key and its copy was interrupted: if its rows were updated meanwhile, some may be "
            "missing or double. Start a new stream to be sure.",
        )
        for target, source in torn
        if 0 < begun[target] < len(journal.chunks.get(target, ()))
    ]
