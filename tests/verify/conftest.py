"""Streams that are run and then verified, without a server of ours."""

from __future__ import annotations

from collections.abc import Sequence

from rowferry.bus.messages import Progress
from rowferry.control import oneshot
from rowferry.control.oneshot import job_from_urls
from rowferry.model.digests import Comparison, RowDifference, TableComparison
from rowferry.model.findings import Finding
from rowferry.model.streams import StreamState
from rowferry.pipeline.job import Job
from rowferry.pipeline.signals import Signals
from rowferry.pipeline.verify import verify


class Silent:
    """`Events` that keep their lines."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def progress(self, progress: Progress) -> None:
        """Nobody watches."""

    def log(self, level: str, message: str, category: str = "general", **extra: object) -> None:
        self.lines.append(message)

    def found(self, findings: Sequence[Finding]) -> None:
        """The outcome has them, too."""


def run(job: Job) -> None:
    """Run the stream to its end."""
    outcome = oneshot.run(job, Silent(), Signals())
    assert outcome.state is StreamState.FINISHED, outcome.error and outcome.error.message


def moved(source: str, target: str, tables: Sequence[str] = ()) -> Job:
    """A stream from one URL to another that has been run."""
    job = job_from_urls(source, target, tables=tables)
    run(job)
    return job


def compared(job: Job) -> Comparison:
    """What a verification of the stream finds."""
    return verify(job, Silent(), Signals())


def compared_table(job: Job) -> TableComparison:
    """The same for a stream of one table."""
    (table,) = compared(job).tables
    return table


def named(found: TableComparison) -> list[tuple[str, tuple[str, ...] | None, tuple[str, ...]]]:
    """The rows that differ, in order."""

    def words(row: RowDifference) -> tuple[str, tuple[str, ...] | None, tuple[str, ...]]:
        return row.kind.value, row.key, row.columns

    return sorted(map(words, found.rows), key=str)
