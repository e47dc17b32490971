"""Databases with every case of a structure, moved to the other engine and back: what was said, and what is lost.

What a database looks like is asked of the server in its own words (SHOW CREATE TABLE, pg_get_constraintdef …), so that
nothing rests on Rowferry's reading alone.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rowferry.control import oneshot
from rowferry.control.oneshot import job_from_urls
from rowferry.model.findings import Finding
from rowferry.model.streams import StreamState
from rowferry.pipeline.job import Job
from rowferry.pipeline.signals import Signals
from tests.servers import MariaDb, Postgres
from tests.structure.looks import look_mariadb, look_postgres

DATA = Path(__file__).parent / "data"
ANEW = "ROWFERRY_EXPECT_ANEW"
"""With this in the environment the expected texts are written, not compared; look at what changed before you commit."""

Server = MariaDb | Postgres


class Silent:
    """`Events` that nobody watches."""

    def progress(self, progress: object) -> None:
        """Nobody watches."""

    def log(self, level: str, message: str, category: str = "general", **extra: object) -> None:
        """Nobody listens."""

    def found(self, findings: Sequence[Finding]) -> None:
        """The outcome has them, too."""


@dataclass
class Journey:
    """A database, where it went, and the reports of its legs."""

    places: list[tuple[Server, str]]
    reports: list[list[str]] = field(default_factory=list)

    def travel(self, server: Server) -> None:
        """Move the last place's tables to a new database of `server`."""
        source, database = self.places[-1]
        there = fresh(server, f"leg{len(self.reports) + 1}")
        job = job_from_urls(source.url(database), server.url(there))
        outcome = oneshot.run(job, Silent(), Signals())
        assert outcome.state is StreamState.FINISHED, outcome.error and outcome.error.message
        assert_equal(job)
        # Findings of tables come as the tables end, in any order.
        said = (f"{finding.severity}: {finding.message}" for finding in outcome.report)
        self.reports.append(sorted(line.replace("\n", "\\n") for line in said))
        self.places.append((server, there))

    def difference(self) -> list[str]:
        """What is otherwise in the last place than in the first: its lines, marked - and +."""
        first, last = (look(server, database) for server, database in (self.places[0], self.places[-1]))
        lines = difflib.unified_diff(first, last, lineterm="", n=0)
        return [line for line in lines if not line.startswith(("---", "+++", "@@"))]


def assert_equal(job: Job) -> None:
    """The rows that a job has moved are the source's."""
    outcome = oneshot.run(job.model_copy(update={"verify_only": True}), Silent(), Signals())
    assert outcome.comparison is not None, outcome.error and outcome.error.message
    assert outcome.comparison.equal, [table.summary for table in outcome.comparison.tables if not table.equal]


def look(server: Server, database: str) -> list[str]:
    """Everything that the server says about the structure of a database."""
    return look_mariadb(server, database) if isinstance(server, MariaDb) else look_postgres(server, database)


def fresh(server: Server, name: str) -> str:
    """A new database of that name, which stands in findings."""
    if isinstance(server, MariaDb):
        server.execute(f"DROP DATABASE IF EXISTS {name}", f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
    else:
        server.execute(f"DROP DATABASE IF EXISTS {name} (FORCE)", f"CREATE DATABASE {name}")
    return name


def begin(server: Server, script: str) -> Journey:
    """A journey from a new database that a script of the data folder fills."""
    database = fresh(server, "origin")
    text = (DATA / script).read_text()
    statements = [part for part in text.partition("\n\n")[2].split(";\n") if part.strip()]
    server.execute(*statements, database=database)
    return Journey([(server, database)])


def expect(lines: Sequence[str], name: str) -> None:
    """The lines are those of a file of the data folder."""
    path = DATA / name
    if os.environ.get(ANEW):
        path.write_text("".join(f"{line}\n" for line in lines))
    assert list(lines) == path.read_text().splitlines()
