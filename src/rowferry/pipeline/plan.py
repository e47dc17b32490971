"""Planning: which tables, what they become, and whether the stream may begin. Nothing is written here."""

from __future__ import annotations

import hashlib
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from rowferry.config.connection import Connection
from rowferry.connectors.base import PlannedTable, Source, Target, TargetRequest, Unwatched, UploadWatch
from rowferry.connectors.changes import Applier, ChangeSource, ChangesRequest, Recorder
from rowferry.connectors.registry import connector
from rowferry.errors import InvalidInput, Refused
from rowferry.model.changes import Op
from rowferry.model.findings import Finding, Severity
from rowferry.model.policies import Holds
from rowferry.model.streams import Mode
from rowferry.model.tables import Table, TableName
from rowferry.pipeline.job import Job
from rowferry.pipeline.origins import Origin, aliases_of, apart, origins
from rowferry.pipeline.treat import Shaped, Wishes, shape


@dataclass(frozen=True, slots=True)
class Plan:
    """The tables of a stream, each with the source it is read from, and what planning found.

    `places`: by the target table's name, which of the config's source connections it comes from, or the number behind
    the last for a query over several. `holds`: likewise, what the target holds of that source's values. `found`: the
    tables as their sources describe them.
    """

    tables: tuple[PlannedTable, ...]
    sources: Mapping[str, Source]
    places: Mapping[str, int]
    findings: tuple[Finding, ...]
    holds: Mapping[str, Holds] = field(default_factory=dict)
    found: tuple[Table, ...] = ()

    def source_of(self, table: PlannedTable) -> Source:
        """Where a table is read."""
        return self.sources[str(table.target.name)]

    def read_at(self, source: Source) -> list[PlannedTable]:
        """The tables that are read at this source."""
        return [table for table in self.tables if self.source_of(table) is source]

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


def open_target(job: Job, uploads: UploadWatch | None = None) -> Target:
    """The target of the config; `uploads` is told of files on their way into a store."""
    connection = job.connections[job.config.target.id]
    opener = connector(connection.engine).open_target
    if opener is None:
        raise InvalidInput(f"A connection of type {connection.type.value} cannot be a target yet.")
    return opener(_target_request(job, connection, uploads))


def _target_request(job: Job, connection: Connection, uploads: UploadWatch | None = None) -> TargetRequest:
    config = job.config
    return TargetRequest(
        connection=connection,
        spec=config.target.spec,
        stream_id=job.stream_id,
        schema_policy=config.schema_policy,
        write_mode=config.write_mode,
        uploads=uploads or Unwatched(),
        followed=config.mode is Mode.CDC,
    )


def open_changes(job: Job, memory: dict[str, Any] | None = None) -> ChangeSource:
    """The log of the config's one source; `memory` is what the logs of one run share."""
    (part,) = job.config.source.connections
    connection = job.connections[part.connection_id]
    opener = connector(connection.engine).open_changes
    if opener is None:
        raise InvalidInput(f"The log of a connection of type {connection.type.value} cannot be followed.")
    options = job.config.source.options
    place, kept = (part.database, part.schema_), {} if memory is None else memory
    return opener(ChangesRequest(connection, *place, job.stream_id, options, whole=records(job), memory=kept))


def open_applier(job: Job, tables: Sequence[PlannedTable]) -> Applier:
    """What applies changes to these tables of the target; whoever did so before is fenced off."""
    connection = job.connections[job.config.target.id]
    opener = connector(connection.engine).open_applier
    if opener is None:
        raise InvalidInput(f"A connection of type {connection.type.value} cannot be kept in step.")
    return opener(_target_request(job, connection), tables)


def records(job: Job) -> bool:
    """Whether the target keeps changes as they come, and does not apply them."""
    return connector(job.connections[job.config.target.id].engine).open_recorder is not None


def echoes(job: Job) -> bool:
    """Whether what foreign keys do to other rows stands in the source's log, too."""
    (part,) = job.config.source.connections
    return connector(job.connections[part.connection_id].engine).capabilities.echoes


def open_recorder(job: Job, tables: Sequence[PlannedTable], uploads: UploadWatch) -> Recorder:
    """What keeps changes of these tables at the target; whoever did so before is fenced off. `uploads`: see
    `open_target`."""
    connection = job.connections[job.config.target.id]
    opener = connector(connection.engine).open_recorder
    if opener is None:
        raise InvalidInput(f"A connection of type {connection.type.value} keeps no files of changes.")
    return opener(_target_request(job, connection, uploads), tables)


def make_plan(
    job: Job, sources: Sequence[Source], target: Target, prepared: bool, tables: Sequence[Table] | None = None
) -> Plan:
    """Read both sides and decide. With `prepared` the target's structure is already made.

    `tables` are those of the one source as they were, where it is not to be asked what they are now.
    """
    wishes = Wishes.of(job.config, target)
    holds = {source.dialect: target.holds(source.dialect) for source in sources}
    places, told = origins(job, sources)
    found: list[_Found] = []
    raw: list[Table] = []
    for origin in places:
        described = origin.tables(aliases_of(job.config)) if tables is None else tables
        own = [spec.type_policies for spec in origin.specs] or [{}] * len(described)
        for table, policies in zip(described, own, strict=True):
            raw.append(table)
            found.append(_Found(origin, shape(table, origin.source, holds[origin.source.dialect], wishes, policies)))
    if not found:
        raise Refused("The source has no user tables: name another database or schema, or write a query.")
    wishes.check_used([one.shaped.planned for one in found])
    named, renamed = apart([(one.origin.alias, one.spoken) for one in found])
    planned = target.plan(named, found[0].origin.source.dialect, prepared)
    pairs = list(zip(planned.tables, found, strict=True))
    return Plan(
        tables=tuple(one.shaped.of(table) for table, one in pairs),
        sources={str(table.target.name): one.origin.source for table, one in pairs},
        places={str(table.target.name): one.origin.place for table, one in pairs},
        findings=(
            *told,
            *(finding for one in found for finding in one.shaped.findings),
            *(renamed if not prepared else ()),
            *planned.findings,
            *_remarks(job, places, planned.tables),
        ),
        holds={str(table.target.name): holds[one.origin.source.dialect] for table, one in pairs},
        found=tuple(raw),
    )


def kinds_of(job: Job, plan: Plan) -> dict[TableName, frozenset[Op]]:
    """Which kinds of changes are wanted, by the source's table."""
    (part,) = job.config.source.connections
    own = {spec.name: spec.operations for spec in part.tables if spec.operations is not None}
    found = {}
    for table in plan.tables:
        name = table.source.name
        wanted = own.get(name.name, own.get(str(name), job.config.source.options.operations))
        found[name] = frozenset(Op[operation.name] for operation in wanted)
    return found


def missing(job: Job, log: ChangeSource, plan: Plan) -> list[Finding]:
    """Everything that is in the way of following these tables to their target, and what files will lack."""
    found, kept = log.prerequisites([table.reading for table in plan.tables]), records(job)
    wanted = kinds_of(job, plan)
    for table in plan.tables:
        if not (kept or table.source.key or Op.INSERT in wanted[table.source.name]):
            message = (
                f"{table.source.name} has no key, so its updates and deletes find their rows only where its inserts "
                "are followed, too: add insert to its operations, or leave the table out."
            )
            found.append(Finding(Severity.ERROR, str(table.source.name), message))
        untold = log.untold(table.reading)
        pairs = zip(table.source.columns, table.target.columns, strict=True)
        lost = [one.name for one, there in pairs if one.name in untold and (kept or there.generated is None)]
        for name in lost:
            message = (
                f"{table.source.name}.{name} is computed by the source, whose log does not tell it, and the target "
                "cannot compute it itself: drop the column there, or follow a server whose log has it (PostgreSQL 18)."
            )
            found.append(Finding(Severity.ERROR, str(table.source.name), message, name))
    return [*found, *_unechoed(job, plan)]


def _unechoed(job: Job, plan: Plan) -> list[Finding]:
    """What files of changes lack: what foreign keys do to rows, at a source whose log does not tell it."""
    if not records(job) or echoes(job):
        return []
    return [
        Finding(
            Severity.WARNING,
            str(table.source.name),
            f"What the foreign key {key.name} does to rows of {table.source.name} when rows of {key.referenced} change "
            "is not in the source's log, and so not in the files: do the same where you use them.",
            item=key.name,
        )
        for table in plan.tables
        for key in table.source.foreign_keys
        if key.actions
    ]


def _remarks(job: Job, places: Sequence[Origin], planned: Sequence[PlannedTable]) -> list[Finding]:
    """What stays behind of the sources' structure, where a database takes it over."""
    if job.config.target.spec.db is None:
        return []
    new = [table for table in planned if not table.existing]
    found = [remark.about(str(table.source.name)) for table in new for remark in table.target.remarks]
    for origin in places:
        if not origin.specs:
            found += [remark.about("") for remark in origin.source.besides()]
    return found


@dataclass(frozen=True, slots=True)
class _Found:
    """A table as the config wants it, and where it comes from."""

    origin: Origin
    shaped: Shaped

    @property
    def spoken(self) -> Table:
        """The table to be planned, with the name of the SQL in which its expressions are written."""
        return replace(self.shaped.planned, dialect=self.origin.source.dialect)
