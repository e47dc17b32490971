"""Which tables of a stream come from where: each source connection by itself, and the queries over all of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from rowferry.config.aliases import bare_name
from rowferry.config.stream import QuerySpec, SourceConnection, StreamConfig, TableSpec
from rowferry.connectors.base import Source, SourceRequest, TableRequest
from rowferry.connectors.members import Member
from rowferry.connectors.registry import connector, federation
from rowferry.errors import InvalidInput, MissingTable
from rowferry.model.findings import Finding, Severity
from rowferry.model.tables import Selection, Table, TableName
from rowferry.pipeline.job import Job

Spec = TableSpec | QuerySpec
"""What a config asks of a source."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Tables of one source: what of the config asks for them (nothing: all that there are).

    `place` is the source's number, and that of its connection in the config; the source behind them all is the one
    that runs queries over several. `alias`: of the connection that lists them.
    """

    place: int
    alias: str
    source: Source
    specs: tuple[Spec, ...]

    def tables(self, aliases: Sequence[str]) -> list[Table]:
        """What the source says of them; InvalidInput, with the aliases, for a name that may begin with a wrong one."""
        requests = [_request(spec, self.alias) for spec in self.specs]
        try:
            return self.source.tables(requests)
        except MissingTable as error:
            pointed = sorted(one.name for one in requests if one.query is None and "." in one.name)
            if len(aliases) < 2 or not any(name in error.message for name in pointed):
                raise
            raise InvalidInput(
                f"{error.message} Under {self.alias} a table is called by its own name or by {self.alias}.name; "
                f"the aliases of this stream are {', '.join(aliases)}."
            ) from error


def aliases_of(config: StreamConfig) -> list[str]:
    """The aliases of a stream with several connections."""
    return [part.alias for part in config.source.connections if part.alias]


def members_of(job: Job) -> list[Member]:
    """The source connections, as a query names them."""
    return [_member(job, part) for part in job.config.source.connections]


def open_sources(job: Job) -> list[Source]:
    """One source for each source connection of the config, in order; behind them the one for queries over several."""
    opened = [member.open(member.request) for member in members_of(job)]
    if any(queries_of(job.config, part) for part in job.config.source.connections):
        opened.append(federation().open(members_of(job), job.config.type_policies))
    return opened


def queries_of(config: StreamConfig, part: SourceConnection) -> tuple[Spec, ...]:
    """What of the connection's list is a query over several sources: every query, where there are several."""
    if len(config.source.connections) < 2:
        return ()
    return (*(spec for spec in part.tables if spec.query), *part.queries)


def origins(job: Job, sources: Sequence[Source]) -> tuple[list[Origin], list[Finding]]:
    """The tables by their sources, and what is said of sources of which no table is moved."""
    config = job.config
    named = _named(job)
    made, findings = [], []
    for place, part in enumerate(config.source.connections):
        alias, queries = part.alias or "", queries_of(config, part)
        own = _listed(part, queries)
        if own or part.files or part.s3 or not (queries or alias in named):
            made.append(Origin(place, alias, sources[place], own))
        elif not queries:
            message = f"{alias} is only read by queries, because it lists no tables of its own and a query names it."
            findings.append(Finding(Severity.INFO, "", message))
        if queries:
            made.append(Origin(len(config.source.connections), alias, sources[-1], queries))
    return made, findings


def _listed(part: SourceConnection, queries: tuple[Spec, ...]) -> tuple[Spec, ...]:
    """What the connection lists for itself."""
    listed: list[Spec] = [*part.tables, *part.queries]
    return tuple(spec for spec in listed if spec not in queries)


def _named(job: Job) -> frozenset[str]:
    """The aliases that queries over several sources name."""
    queries = [spec for part in job.config.source.connections for spec in queries_of(job.config, part)]
    members = members_of(job) if queries else []
    return frozenset(alias for spec in queries for alias in federation().named(spec.query or "", members))


def _member(job: Job, part: SourceConnection) -> Member:
    connection = job.connections[part.connection_id]
    opener = connector(connection.engine).open_source
    if opener is None:
        raise InvalidInput(f"A connection of type {connection.type.value} cannot be a source yet.")
    request = SourceRequest(connection, part.database, part.schema_, part.files, job.skipping, part.s3)
    return Member(part.alias or "", request, opener)


def _request(spec: Spec, alias: str) -> TableRequest:
    if isinstance(spec, QuerySpec):
        return TableRequest(spec.name, query=spec.query)
    selection = spec.selection.to_selection() if spec.selection else Selection()
    return TableRequest(bare_name(spec.name, alias), selection, spec.query or None)


def apart(tables: Sequence[tuple[str, Table]]) -> tuple[list[Table], list[Finding]]:
    """The tables with names that differ: one that comes from several sources becomes `alias_name`, which is told.

    Each is given with its alias. References among the tables of a source follow their new names.
    """
    sources: dict[str, set[str]] = defaultdict(set)
    for alias, table in tables:
        sources[table.name.name].add(alias)
    names = {
        (alias, table.name): TableName(table.name.schema, f"{alias}_{table.name.name}")
        for alias, table in tables
        if len(sources[table.name.name]) > 1
    }
    findings = [
        Finding(
            Severity.WARNING,
            str(table.name),
            f"{table.name} of {alias} is called {names[alias, table.name].name} on the target, because "
            f"{' and '.join(sorted(sources[table.name.name] - {alias}))} has a {table.name.name}, too.",
        )
        for alias, table in tables
        if (alias, table.name) in names
    ]
    return [_renamed(alias, table, names) for alias, table in tables], findings


def _renamed(alias: str, table: Table, names: dict[tuple[str, TableName], TableName]) -> Table:
    keys = tuple(
        replace(key, referenced=names.get((alias, key.referenced), key.referenced)) for key in table.foreign_keys
    )
    return replace(table, name=names.get((alias, table.name), table.name), foreign_keys=keys)
