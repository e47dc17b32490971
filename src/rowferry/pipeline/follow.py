"""Keeping a target in step: load what is there, then apply what the source's log tells, each transaction exactly once.

The position up to which changes were applied commits on the target in the transaction that applies them. Whatever
dies, the next run asks the target how far it is, and follows the log from there.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any

from rowferry.connectors.base import ChunkSize, Journal, PlannedTable, Source, Target, TargetPlan, UploadWatch
from rowferry.connectors.changes import Applier, ChangeSource, LoggedSource, Recorder, Standing
from rowferry.errors import Cancelled, InvalidInput, Refused, RowferryError
from rowferry.model.changes import Position
from rowferry.model.findings import Finding, Severity
from rowferry.model.streams import Stage, StreamState
from rowferry.pipeline.alter import Altering
from rowferry.pipeline.apply import Applying, Changer
from rowferry.pipeline.copy import CHUNK_BYTES, Budget, Copy, Pauses, Watch
from rowferry.pipeline.job import Job
from rowferry.pipeline.load import check_emptying, keyed_only, seen, seen_at_once
from rowferry.pipeline.notes import Notes, counts_of
from rowferry.pipeline.plan import (
    Plan,
    echoes,
    kinds_of,
    make_plan,
    missing,
    open_applier,
    open_changes,
    open_recorder,
    records,
)
from rowferry.pipeline.record import Recording
from rowferry.pipeline.session import Ends, Session, Writer

PATIENCE = 600.0
"""Seconds for which lost servers are looked for, since something was committed last."""

Note = Callable[[Sequence[Finding]], None]


def release(job: Job) -> None:
    """Remove what the stream left at its source."""
    with closing(open_changes(job)) as log:
        log.release()


class Following:
    """The stages of one run of a followed stream."""

    def __init__(
        self, job: Job, source: Source, target: Target, watch: Watch, note: Note, uploads: UploadWatch
    ) -> None:
        self._job = job
        self._source = source
        self._target = target
        self._watch = watch
        self._note = note
        self._uploads = uploads
        self._counted = False
        self._memory: dict[str, Any] = {}

    def run(self) -> StreamState:
        """Load and follow, until somebody ends it or the limit of events does."""
        pauses = Pauses(PATIENCE, reached=self._job.again or self._job.elapsed > 0)
        while True:
            try:
                self._prepare()
                break
            except RowferryError as error:
                pauses.reached |= self._counted
                self._rest(pauses, error)
        return self._follow()

    def _prepare(self) -> None:
        """Everything before changes are applied; what an earlier run has done of it is not done again."""
        journal = self._target.journal()
        standing = Standing() if journal is None else self._standing()
        plan = self._plan(standing, prepared=journal is not None)
        self._note(plan.findings)
        plan.refuse_errors()
        if journal and journal.committed and self._acting(plan) and Notes.of(standing).loaded is None:
            journal = self._uncopied(plan, standing)
        self._count(plan, journal, standing)
        self._watch.signals.check()
        with closing(open_changes(self._job)) as log:
            self._watch.signals.on_break(log.close)
            self._check(log, plan)
            begin = log.prepare([table.reading for table in plan.tables])
            self._watch.meter.stage = Stage.CREATE_META
            if journal is None:
                self._target.prepare(TargetPlan(plan.tables, plan.findings), plan.fingerprints)
            if standing.position is None:
                standing = self._commit(plan, Standing(begin, Notes(plan.found).document))
            self._watch.meter.stage = Stage.DATA_TRANSFER
            if Notes.of(standing).loaded is None:
                standing = self._load(log, plan, standing)
            notes = Notes.of(standing)
            if self._acting(plan) and not notes.finished:
                self._complete(plan)
                self._commit(plan, replace(standing, notes=replace(notes, finished=True).document))
        for table in plan.tables:
            self._watch.meter.status(str(table.target.name), "RUNNING")

    def _uncopied(self, plan: Plan, standing: Standing) -> Journal | None:
        """The journal after a copy at one moment, which was interrupted, has been taken back."""
        check_emptying(plan.tables)
        with closing(open_applier(self._job, plan.tables)) as applier:
            applier.uncopy(plan.tables)
            applier.commit(standing)
        self._watch.meter.clear()
        self._counted = False
        message = "The copy begins anew: its rows have to be of one moment, and it was interrupted."
        self._watch.events.log("info", message)
        return self._target.journal()

    def _rest(self, pauses: Pauses, error: RowferryError) -> None:
        """Wait before the next try; raises where there is to be none."""
        ending = self._watch.signals.ending
        if ending not in (None, StreamState.FAILED):
            raise Cancelled("The run ends.") from error
        pause = None if ending else pauses.after(error)  # a copy that failed has ended the run already
        if pause is None:
            raise error
        self._watch.events.log("warning", f"{error.message} Following again in {pause} s.", "error")
        self._watch.signals.wait(pause)

    def _standing(self) -> Standing:
        with closing(self._opened(())) as writer:
            return writer.standing()

    def _commit(self, plan: Plan, standing: Standing) -> Standing:
        with closing(self._opened(plan.tables)) as writer:
            writer.commit(standing)
        return standing

    def _opened(self, tables: Sequence[PlannedTable]) -> Applier | Recorder:
        return self._recorder(tables) if records(self._job) else open_applier(self._job, tables)

    def _recorder(self, tables: Sequence[PlannedTable]) -> Recorder:
        return open_recorder(self._job, tables, self._uploads)

    def _writer(self, plan: Plan) -> Writer:
        if records(self._job):
            return Recording(self._recorder(plan.tables), self._changer, plan)
        return Applying(open_applier(self._job, plan.tables), self._changer, plan)

    def _plan(self, standing: Standing, prepared: bool) -> Plan:
        """The plan, of the tables as they are at the position that the target has."""
        tables = None if standing.position is None else Notes.of(standing).planned()
        return make_plan(self._job, [self._source], self._target, prepared, tables)

    def _count(self, plan: Plan, journal: Journal | None, standing: Standing) -> None:
        meter = self._watch.meter
        if self._counted:
            return
        self._counted = True
        for table in plan.tables:
            meter.expect(str(table.target.name), table.source.estimated_rows, table.source.estimated_bytes)
        for entry in journal.committed if journal else ():
            meter.resumed(entry)
        if standing.position is not None:
            meter.position = standing.position
            for name, (rows, size) in counts_of(standing).items():
                meter.applied(name, rows, size)

    def _check(self, log: ChangeSource, plan: Plan) -> None:
        """Refused, with everything that is missing in one answer."""
        found = missing(self._job, log, plan)
        self._note(found)
        errors = [one.message for one in found if one.severity is Severity.ERROR]
        if errors:
            raise Refused(" ".join(errors))

    def _load(self, log: ChangeSource, plan: Plan, standing: Standing) -> Standing:
        """Copy what is there, and write down how far the log had come by then."""
        spec = self._job.config.target.spec.db
        known: dict[str, Position] = {}
        if self._job.config.source.options.initial_load and not (spec and spec.skip_data):
            known = self._copy(log, plan)
        notes = replace(Notes.of(standing), loaded=log.position(), known=known)
        return self._commit(plan, replace(standing, notes=notes.document))

    def _copy(self, log: ChangeSource, plan: Plan) -> dict[str, Position]:
        source, target = self._source, self._target
        if not isinstance(source, LoggedSource):
            raise InvalidInput("This source cannot be loaded before its log is followed: set initialLoad to false.")
        tables = [table.reading for table in plan.tables]
        rows = self._job.config.source.options.data_bundle_size * 1000
        try:
            source.hold_logged(tables, self._job.workers)
            moment = source.held_at()
            Copy(
                replace(plan, tables=tuple(keyed_only(table) for table in plan.tables)),
                target,
                target.journal() or Journal({}, {}, ()),
                size=ChunkSize(rows, CHUNK_BYTES), budget=Budget(0, 0), watch=self._watch,
                finish=lambda table: self._note(target.finish_table(table)), moment=source.held_at,
            ).run(self._job.workers)  # fmt: skip
            self._note([Finding(Severity.INFO, "", source.consistency())])
        finally:
            source.let_go()
        done = target.journal()
        committed = done.committed if done else ()
        return seen_at_once(plan.tables, committed, moment) if self._acting(plan) else seen(log, plan.tables, committed)

    def _acting(self, plan: Plan) -> bool:
        """Whether foreign keys of the target have to do what those of the source did, untold by its log."""
        keys = (key for table in plan.tables for key in table.reading.foreign_keys)
        return not echoes(self._job) and not records(self._job) and any(key.actions for key in keys)

    def _follow(self) -> StreamState:
        """Sessions, one after another where connections are lost; each begins with what the target has."""
        pauses = Pauses(PATIENCE, reached=True)
        before: Position | None = None
        while True:
            try:
                standing = self._standing()
                if standing.position != before:
                    pauses, before = Pauses(PATIENCE, reached=True), standing.position
                plan = self._plan(standing, prepared=True)
                end = Session(self._ends(), plan, self._watch, self._job.config.limits.number_of_events).run()
                if end is not None:
                    return end
            except RowferryError as error:
                self._rest(pauses, error)

    def _ends(self) -> Ends:
        altering = Altering(self._job, self._source, self._target, self._note)
        return Ends(
            log=lambda: open_changes(self._job, self._memory),
            writer=self._writer,
            alter=altering.carry,
            complete=self._complete,
            number=self._number,
        )

    def _changer(self, plan: Plan) -> Changer:
        return Changer(plan.tables, plan.holds, kinds_of(self._job, plan), echoes=echoes(self._job))

    def _number(self, plan: Plan, tables: Collection[str]) -> None:
        if records(self._job):
            return
        for table in plan.tables:
            if str(table.target.name) in tables and any(column.identity for column in table.target.columns):
                self._note(self._target.finish_table(table))

    def _complete(self, plan: Plan) -> None:
        """What had to wait until changes had caught up with the copy: unique values, checks and references."""
        if records(self._job):
            return
        for table in plan.tables:
            self._note(self._target.finish_table(table))
        self._note(self._target.finish(plan.tables))
