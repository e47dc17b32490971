"""Planning: which tables, what they become, and whether the stream may begin. Nothing is written here."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field, replace

from rowferry.config.stream import QuerySpec, SourceConnection, TableSpec
from rowferry.connectors.base import (
    PlannedTable,
    Source,
    SourceRequest,
    TableRequest,
    Target,
    TargetRequest,
    Unwatched,
    UploadWatch,
)
from rowferry.connectors.registry import connector
from rowferry.errors import InvalidInput, Refused
from rowferry.model.findings import Finding, Severity
from rowferry.model.policies import Holds
from rowferry.model.tables import Selection, Table, TableName
from rowferry.pipeline.job import Job
from rowferry.pipeline.treat import Shaped, Wishes, shape


@dataclass(frozen=True, slots=True)
class Plan:
    """The tables of a stream, each with the source it is read from, and what planning found.

    `places`: by the target table's name, which of the config's source connections it comes from. `holds`: likewise,
    what the target holds of that source's values.
    """

    tables: tuple[PlannedTable, ...]
    sources: Mapping[str, Source]
    places: Mapping[str, int]
    findings: tuple[Finding, ...]
    holds: Mapping[str, Holds] = field(default_factory=dict)

    def source_of(self, table: PlannedTable) -> Source:
        """Where a table is read."""
        return self.sources[str(table.target.name)]

    @property
    def fingerprints(self) -> dict[str, str]:
        """What each source table looked like, by target name: a resumed run must see the same."""
        return {str(table.target.name): fingerprint(table.source) for table in self.tables}

    def only(self, names: Container[str]) -> Plan:
        """The plan without the tables of other names, and without what was found about those."""
        kept = tuple(table for table in self.tables if str(table.target.name) in names)
        left = {
            str(name) for table in self.tables if table not in kept for name in (table.source.name, table.target.name)
        }
        return replace(self, tables=kept, findings=tuple(found for found in self.findings if found.table not in left))

    def refuse_errors(self) -> None:
        """Refused, naming every finding that forbids the stream to begin."""
        errors = [finding for finding in self.findings if finding.severity is Severity.ERROR]
        if errors:
            raise Refused(" ".join(finding.message for finding in errors))


def fingerprint(table: Table) -> str:
    """A short text that changes when the columns of the table (or its query) do."""
    words = [f"{column.name}\x1f{column.native.declared}\x1f{column.nullable}" for column in table.columns]
    return hashlib.sha256("\x1e".join([table.query or "", *words]).encode()).hexdigest()[:32]


def open_sources(job: Job) -> list[Source]:
    """One source for each source connection of the config, in order."""
    return [_open_source(job, part) for part in job.config.source.connections]


def open_target(job: Job, uploads: UploadWatch | None = None) -> Target:
    """The target of the config; `uploads` is told of files on their way into a store."""
    connection = job.connections[job.config.target.id]
    opener = connector(connection.engine).open_target
    if opener is None:
        raise InvalidInput(f"A connection of type {connection.type.value} cannot be a target yet.")
    config = job.config
    return opener(
        TargetRequest(
            connection=connection,
            spec=config.target.spec,
            stream_id=job.stream_id,
            schema_policy=config.schema_policy,
            write_mode=config.write_mode,
            uploads=uploads or Unwatched(),
        )
    )


def make_plan(job: Job, sources: Sequence[Source], target: Target, prepared: bool) -> Plan:
    """Read both sides and decide. With `prepared` the target's structure is already made."""
    wishes = Wishes.of(job.config, target)
    holds = {source.dialect: target.holds(source.dialect) for source in sources}
    found: list[_Found] = []
    for place, (source, part) in enumerate(zip(sources, job.config.source.connections, strict=True)):
        tables = source.tables(_requests(part))
        specs: list[TableSpec | QuerySpec] = [*part.tables, *part.queries]
        own = [spec.type_policies for spec in specs] or [{}] * len(tables)
        for table, policies in zip(tables, own, strict=True):
            shaped = shape(table, source, holds[source.dialect], wishes, policies)
            found.append(_Found(place, part.alias or "", shaped))
    if not found:
        raise Refused("The source has no user tables: name another database or schema, or write a query.")
    wishes.check_used([one.shaped.planned for one in found])
    planned = target.plan(_without_clashes(found), sources[0].dialect, prepared)
    pairs = list(zip(planned.tables, found, strict=True))
    return Plan(
        tables=tuple(one.shaped.of(table) for table, one in pairs),
        sources={str(table.target.name): sources[one.place] for table, one in pairs},
        places={str(table.target.name): one.place for table, one in pairs},
        findings=(
            *(finding for one in found for finding in one.shaped.findings),
            *planned.findings,
            *_remarks(job, sources, planned.tables),
        ),
        holds={str(table.target.name): holds[sources[one.place].dialect] for table, one in pairs},
    )


def _remarks(job: Job, sources: Sequence[Source], planned: Sequence[PlannedTable]) -> list[Finding]:
    """What stays behind of the sources' structure, where a database takes it over."""
    if job.config.target.spec.db is None:
        return []
    new = [table for table in planned if not table.existing]
    found = [remark.about(str(table.source.name)) for table in new for remark in table.target.remarks]
    for source, part in zip(sources, job.config.source.connections, strict=True):
        if not (part.tables or part.queries):
            found += [remark.about("") for remark in source.besides()]
    return found


@dataclass(frozen=True, slots=True)
class _Found:
    """A table of the source connection at `place`, as the config wants it."""

    place: int
    alias: str
    shaped: Shaped


def _open_source(job: Job, part: SourceConnection) -> Source:
    connection = job.connections[part.connection_id]
    opener = connector(connection.engine).open_source
    if opener is None:
        raise InvalidInput(f"A connection of type {connection.type.value} cannot be a source yet.")
    return opener(SourceRequest(connection, part.database, part.schema_, part.files, job.skipping))


def _requests(part: SourceConnection) -> list[TableRequest]:
    tables = [
        TableRequest(spec.name, spec.selection.to_selection() if spec.selection else Selection(), spec.query or None)
        for spec in part.tables
    ]
    return tables + [TableRequest(spec.name, query=spec.query) for spec in part.queries]


def _without_clashes(found: Sequence[_Found]) -> list[Table]:
    """A name that comes from several sources becomes `alias_name`."""
    tables = [one.shaped.planned for one in found]
    names = Counter(table.name.name for table in tables)
    return [
        replace(table, name=TableName(table.name.schema, f"{one.alias}_{table.name.name}"))
        if one.alias and names[table.name.name] > 1
        else table
        for one, table in zip(found, tables, strict=True)
    ]
