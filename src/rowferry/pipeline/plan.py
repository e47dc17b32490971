"""Planning: which tables, what they become, and whether the stream may begin. Nothing is written here."""

from __future__ import annotations

import hashlib
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace

from rowferry.config.stream import SourceConnection
from rowferry.connectors.base import PlannedTable, Source, SourceRequest, TableRequest, Target, TargetRequest
from rowferry.connectors.registry import connector
from rowferry.errors import InvalidInput, Refused
from rowferry.model.findings import Finding, Severity
from rowferry.model.tables import Selection, Table, TableName
from rowferry.pipeline.job import Job


@dataclass(frozen=True, slots=True)
class Plan:
    """The tables of a stream, each with the source it is read from, and what planning found.

    `places`: by the target table's name, which of the config's source connections it comes from.
    """

    tables: tuple[PlannedTable, ...]
    sources: Mapping[str, Source]
    places: Mapping[str, int]
    findings: tuple[Finding, ...]

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


def open_target(job: Job) -> Target:
    """The target of the config."""
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
        )
    )


def make_plan(job: Job, sources: Sequence[Source], target: Target, prepared: bool) -> Plan:
    """Read both sides and decide. With `prepared` the target's structure is already made."""
    parts = job.config.source.connections
    found: list[tuple[int, str, Table]] = []
    for place, (source, part) in enumerate(zip(sources, parts, strict=True)):
        found += [(place, part.alias or "", table) for table in source.tables(_requests(part))]
    if not found:
        raise Refused("The source has no user tables: name another database or schema, or write a query.")
    tables = _without_clashes([(alias, table) for _, alias, table in found])
    planned = target.plan(tables, sources[0].dialect, prepared)
    pairs = list(zip(planned.tables, found, strict=True))
    return Plan(
        tables=tuple(replace(table, source=original) for table, (_, _, original) in pairs),
        sources={str(table.target.name): sources[place] for table, (place, _, _) in pairs},
        places={str(table.target.name): place for table, (place, _, _) in pairs},
        findings=planned.findings,
    )


def _open_source(job: Job, part: SourceConnection) -> Source:
    connection = job.connections[part.connection_id]
    opener = connector(connection.engine).open_source
    if opener is None:
        raise InvalidInput(f"A connection of type {connection.type.value} cannot be a source yet.")
    return opener(SourceRequest(connection, part.database, part.schema_))


def _requests(part: SourceConnection) -> list[TableRequest]:
    tables = [
        TableRequest(spec.name, spec.selection.to_selection() if spec.selection else Selection(), spec.query or None)
        for spec in part.tables
    ]
    return tables + [TableRequest(spec.name, query=spec.query) for spec in part.queries]


def _without_clashes(found: Sequence[tuple[str, Table]]) -> list[Table]:
    """A name that comes from several sources becomes `alias_name`."""
    names = [table.name.name for _, table in found]
    return [
        replace(table, name=TableName(table.name.schema, f"{alias}_{table.name.name}"))
        if alias and names.count(table.name.name) > 1
        else table
        for alias, table in found
    ]
