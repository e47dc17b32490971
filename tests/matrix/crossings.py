"""Streams from one source to each target, each run when it is first asked for, and what stands at their ends."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from rowferry.config.stream import StreamConfig
from rowferry.connectors.base import TableRequest
from rowferry.connectors.mysql.connect import Variant
from rowferry.connectors.mysql.types_write import DIALECT, own_type, write_rule
from rowferry.control import oneshot
from rowferry.control.oneshot import job_from_urls
from rowferry.model.digests import Comparison
from rowferry.model.streams import StreamState
from rowferry.model.tables import Column
from rowferry.pipeline.job import Job, Outcome
from rowferry.pipeline.origins import open_sources
from rowferry.pipeline.signals import Signals
from rowferry.state.ids import new_id
from tests.matrix.cases import Case, Matrix
from tests.matrix.ends import End, Values
from tests.matrix.forms import FORMS, Form
from tests.verify.conftest import Silent, compared

Differences = list[tuple[str, int, object, object]]
"""Table, key, what is there and what should be."""


@dataclass
class Crossings:
    """All streams of one source. `new_end`: a fresh end of that kind."""

    matrix: Matrix = field(repr=False)
    start: End
    new_end: Callable[[str], End] = field(repr=False)
    _moved: dict[tuple[str, str], End | str] = field(default_factory=dict, repr=False)
    _jobs: dict[str, Job] = field(default_factory=dict, repr=False)
    _seen: dict[tuple[Case, Form], Values] = field(default_factory=dict, repr=False)

    def moved(self, target: str) -> End:
        """The end that has got all that arrives there as it is."""
        return self._run(target, "", self.matrix.equal(target))

    def treated(self, target: str, policy: str) -> End:
        """The end that has got what a policy makes of the rest."""
        cases = [case for case in self.matrix.refused(target) if policy in case.policies(target)]
        return self._run(target, policy, cases)

    def verified(self, target: str) -> Comparison:
        """What a verification of the stream to `moved` says."""
        self.moved(target)
        return compared(self._jobs[target])

    def refusal(self, target: str, case: Case) -> str:
        """Why a stream of that table alone fails."""
        key = (target, "refused")
        if key not in self._moved:
            self._moved[key] = self.new_end(target)
        end = self._moved[key]
        assert not isinstance(end, str)
        outcome = self._outcome(self._job(end, [case], {}))
        assert outcome.state is StreamState.FAILED, f"{case} crosses"
        assert outcome.error is not None
        return outcome.error.message

    def on_mysql(self, cases: Sequence[Case]) -> dict[str, str]:
        """By declaration: what MySQL 8.0 would be told instead, or "refused"."""
        (source,) = open_sources(self._job(self.start, cases, {}))
        with contextlib.closing(source):
            tables = source.tables([TableRequest(case.table) for case in cases])
        columns = [table.column("v") for table in tables]
        return {case.declared: _declared(column, source.dialect) for case, column in zip(cases, columns, strict=True)}

    def close(self) -> None:
        """Let go of all sessions."""
        for end in (self.start, *self._moved.values()):
            if not isinstance(end, str):
                end.close()

    def _run(self, target: str, policy: str, cases: Sequence[Case]) -> End:
        key = (target, policy)
        if key not in self._moved:
            end = self.new_end(target)
            kinds = {case.refused[target] for case in cases if policy}
            job = self._job(end, cases, dict.fromkeys(kinds, policy))
            outcome = self._outcome(job)
            error = outcome.error.message if outcome.error else ""
            self._moved[key] = end if outcome.state is StreamState.FINISHED else error
            if not policy:
                self._jobs[target] = job
        found = self._moved[key]
        assert not isinstance(found, str), found
        return found

    def _job(self, end: End, cases: Sequence[Case], policies: Mapping[str, str]) -> Job:
        made = job_from_urls(
            self.start.url, end.url, tables=[case.table for case in cases],
            policies={"schemaPolicy": "drop_and_recreate"},
        )  # fmt: skip
        document = made.config.model_dump(mode="json", by_alias=True, exclude_unset=True)
        config = StreamConfig.model_validate({**document, "typePolicies": dict(policies)})
        return made.model_copy(update={"config": config, "stream_id": new_id("stream").id})

    def _outcome(self, job: Job) -> Outcome:
        return oneshot.run(job, Silent(), Signals())

    def unequal(self, target: str, cases: Sequence[Case]) -> Differences:
        """Where the target shows another value than the source."""
        end = self.moved(target)
        return [row for case in cases for row in self._compared(end, case, case.form_at(target), None)]

    def differences(self, end: End, cases: Sequence[Case], by_way_of: str) -> Differences:
        """Where an end shows another value than the source, after a way that keeps what that target keeps."""
        return [row for case in cases for row in self._compared(end, case, case.form_at(by_way_of), None)]

    def untreated(self, target: str, policy: str, cases: Sequence[Case]) -> Differences:
        """Where the target shows another value than the policy says."""
        end = self.treated(target, policy)
        found: Differences = []
        for case in cases:
            form = FORMS["text"] if policy == "text" else case.form
            wanted = None if policy == "text" else case.becomes[policy, target]
            found += self._compared(end, case, form, wanted)
        return found

    def _compared(self, end: End, case: Case, form: Form, wanted: Sequence[str | None] | None) -> Differences:
        there = end.shown(case, form)
        if (case, form) not in self._seen:
            self._seen[case, form] = self.start.shown(case, form)
        here = self._seen[case, form]
        if wanted is not None:
            here = {**here, **dict(enumerate(wanted, start=int(case.nulls)))}
        assert len(here) == case.cells
        return [
            (case.table, key, _short(got), _short(value))
            for key, value in sorted(here.items())
            for got in [there.get(key, "no row")]
            if _normal(form, got) != _normal(form, value)
        ] + [(case.table, key, "one row too many", None) for key in there.keys() - here.keys()]


_MYSQL = Variant("mysql", (8, 0, 36))


def _declared(column: Column, dialect: str) -> str:
    own = own_type(column, _MYSQL) if dialect == DIALECT else None
    rule = write_rule(column.type, _MYSQL)
    return own.declared if own else rule.declare(column.type) if rule else "refused"


def _normal(form: Form, shown: object) -> object:
    if shown is None or shown == "no row":
        return shown
    return form.normal(shown)  # type: ignore[arg-type]


def _short(shown: object) -> str:
    return repr(shown)[:200]
