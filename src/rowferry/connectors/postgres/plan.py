"""From source tables to what the target will hold, and everything worth saying before it is written."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from rowferry.config.stream import WriteMode
from rowferry.connectors.base import PlannedTable, TargetPlan, TargetRequest
from rowferry.connectors.postgres.columns import Doubt, Notes, enum_name, map_columns, named_enum
from rowferry.connectors.postgres.expressions import refused_queries
from rowferry.connectors.postgres.facts import PLAIN_KINDS, Facts, Session, computes, missing_types, not_empty
from rowferry.connectors.postgres.names import Names, column_names, shortened
from rowferry.connectors.postgres.own import Own, find_own
from rowferry.connectors.postgres.policies import Situation, check_schema_policy, check_write_mode, misfits
from rowferry.connectors.postgres.secondary import (
    Translator,
    map_checks,
    map_exclusions,
    map_foreign_keys,
    map_indexes,
    map_key,
    unique_key,
)
from rowferry.connectors.postgres.types_write import ENGINE
from rowferry.errors import Refused
from rowferry.model import types as t
from rowferry.model.findings import Finding, Severity
from rowferry.model.tables import Column, Table, TableName

COLUMN_DOUBTS = frozenset({"default", "computed"})
"""Kinds of doubt that are about a column."""


@dataclass(frozen=True)
class Question:
    """What is planned: `created` are the tables that this stream made itself before, None when it has not begun."""

    request: TargetRequest
    schema: str
    dialect: str
    created: Collection[str] | None

    def dialect_of(self, draft: Draft) -> str:
        """The SQL of a table's expressions."""
        return draft.notes.table.dialect or self.dialect


@dataclass
class Draft:
    """A table half planned; `name` is its name on the target, `columns` its columns' names there.

    `own`: what the server can take over of it as it is.
    """

    notes: Notes
    name: str
    columns: Mapping[str, str]
    existing: bool
    target: Table = field(init=False)
    own: Own = field(default_factory=Own)


def target_names(tables: Sequence[Table]) -> dict[str, Table]:
    """The tables by their names on the target; Refused when two would have the same."""
    found: dict[str, Table] = {}
    for table in tables:
        name = shortened(table.name.name)
        if name in found:
            raise Refused(
                f"{found[name].name} and {table.name} would both be called {name} on the target: "
                "leave one out, or give their connections an alias."
            )
        found[name] = table
    return found


def make_plan(question: Question, tables: Sequence[Table], facts: Facts, session: Session) -> TargetPlan:
    """Apply the policies and map the tables; `session` answers what only the server knows."""
    situation = Situation(question.request, question.schema, target_names(tables), facts)
    if question.created is None:
        check_schema_policy(situation)
        kept = situation.kept()
    else:
        kept = set(situation.tables) - set(question.created)
    drafts = [
        Draft(Notes(table), name, _column_names(table, name in kept, facts.columns.get(name, ())), name in kept)
        for name, table in situation.tables.items()
    ]
    _refuse_misfits(question, drafts, facts)
    for dialect in {question.dialect_of(draft) for draft in drafts}:
        same = [draft for draft in drafts if question.dialect_of(draft) == dialect]
        own = find_own(session, dialect, [draft.notes.table for draft in same], facts.database)
        for draft in same:
            draft.own = own
    for draft in drafts:
        draft.target = _kept(question, draft, facts) if draft.existing else _new_columns(question, draft, session)
    _map_structure(question, drafts, facts)
    _resolve_doubts(drafts, session)
    for draft in drafts:
        draft.target = replace(draft.target, remarks=draft.own.left(draft.notes))
    if question.created is None:
        _check_rows(question, situation, drafts, session)
    findings = [finding for draft in drafts for finding in draft.notes.findings]
    findings += _type_findings(drafts, facts, session)
    planned = tuple(PlannedTable(draft.notes.table, draft.target, draft.existing) for draft in drafts)
    return TargetPlan(planned, tuple(findings))


def _column_names(table: Table, existing: bool, there: Sequence[object]) -> dict[str, str]:
    if existing and there:
        return {name: shortened(name) for name in table.column_names()}
    return column_names(table.column_names())


def _refuse_misfits(question: Question, drafts: Sequence[Draft], facts: Facts) -> None:
    found = []
    for draft in drafts:
        if draft.existing:
            problems = misfits(draft.notes.table, draft.columns, facts.columns.get(draft.name, ()))
            found += [f"{question.schema}.{draft.name}: {problem}" for problem in problems]
    if found:
        raise Refused(f"Tables on the target do not fit the source. {'; '.join(found)}.")


def _kept(question: Question, draft: Draft, facts: Facts) -> Table:
    """The table as it stands there, in the order of the source's columns."""
    source, notes = draft.notes.table, draft.notes
    there = {column.name: column for column in facts.columns[draft.name]}
    columns: list[Column] = []
    for column in source.columns:
        found = there[draft.columns[column.name]]
        generated = "" if found.generated else None
        columns.append(
            Column(found.name, column.type, found.native, found.nullable, identity=column.identity, generated=generated)
        )
        _note_existing(notes, column, columns[-1])
    written = {column.name for column in columns if column.generated is None}
    keys = [key for key in facts.keys.get(draft.name, ()) if written.issuperset(key)]
    name = TableName(question.schema, draft.name)
    return replace(
        source, name=name, columns=tuple(columns), primary_key=(), key=keys[0] if keys else (),
        indexes=(), foreign_keys=(), checks=(), comment="", native_key=None, exclusions=(), unlogged=False,
    )  # fmt: skip


def _note_existing(notes: Notes, source: Column, there: Column) -> None:
    if there.generated is not None:
        notes.say(
            Severity.INFO,
            f", column {source.name}: the target computes it, so the source's values are not written.",
            column=source.name,
        )
    elif isinstance(source.type, t.Json) and not source.type.normalised and there.native.name == "jsonb":
        notes.say(
            Severity.WARNING,
            f", column {source.name}: is jsonb on the target, which keeps a document's meaning but not its spelling.",
            column=source.name,
        )
    if source.nullable and not there.nullable:
        notes.say(
            Severity.WARNING,
            f", column {source.name}: may be NULL on the source but not on the target; a NULL will stop the stream.",
            column=source.name,
        )


def _new_columns(question: Question, draft: Draft, session: Session) -> Table:
    source, notes, own = draft.notes.table, draft.notes, draft.own
    if draft.name != source.name.name:
        notes.say(Severity.INFO, f": is called {draft.name} on the target, where names have at most 63 bytes.")
    columns = map_columns(notes, draft.columns, question.dialect_of(draft), question.schema, computes(session))
    if own.version and source.unlogged:
        notes.carried.add((None, None))
    return replace(
        source,
        name=TableName(question.schema, draft.name),
        columns=tuple(own.column(notes, *pair) for pair in zip(source.columns, columns, strict=True)),
        unlogged=source.unlogged and own.version > 0,
        native_key=None,
        exclusions=(),
        primary_key=tuple(draft.columns[name] for name in source.primary_key),
        key=(),
        indexes=(),
        foreign_keys=(),
        checks=(),
    )


def _map_structure(question: Question, drafts: Sequence[Draft], facts: Facts) -> None:
    """Keys, indexes, checks and foreign keys of the new tables; names are given in the order of the tables."""
    options, upsert = question.request.structure, question.request.write_mode is WriteMode.UPSERT
    ours = {draft.name for draft in drafts if not draft.existing}
    pool = Names({r.name for r in facts.relations.values() if r.name not in ours and r.owner not in ours})
    pool.taken.update(draft.name for draft in drafts)
    keys = {draft.name: _key_name(draft, pool) for draft in drafts}
    unnamed = [draft.name for draft in drafts if draft.notes.table.primary_key and keys[draft.name] is None]
    pool.taken.update(shortened(f"{name}_pkey") for name in unnamed)
    targets = {draft.notes.table.name: (draft.target.name, draft.columns) for draft in drafts}
    there = {r.name: TableName(question.schema, r.name) for r in facts.relations.values() if r.kind in PLAIN_KINDS}
    for draft in drafts:
        if draft.existing:
            continue
        by = Translator(draft.notes, draft.target.columns, draft.columns, question.dialect_of(draft), draft.own, upsert)
        key = map_key(by, keys[draft.name])
        indexes = map_indexes(by, pool) if options.indexes else ()
        exclusions = map_exclusions(by, pool) if options.indexes else ()
        named = [one.native for one in indexes if one.native] + [*exclusions]
        constraints = Names({key.name if key else shortened(f"{draft.name}_pkey"), *(one.name for one in named)})
        draft.target = replace(
            draft.target,
            native_key=key,
            indexes=indexes,
            exclusions=exclusions,
            checks=map_checks(by, constraints) if options.check_constraints else (),
            foreign_keys=map_foreign_keys(by, constraints, targets, there) if options.foreign_keys else (),
        )
        draft.target = replace(draft.target, key=unique_key(draft.target))


def _key_name(draft: Draft, pool: Names) -> str | None:
    """What the primary key is called there, if that can be said and is free; the server's own choice is kept for it."""
    native = draft.notes.table.native_key
    if draft.existing or native is None or not draft.own.version:
        return None
    return draft.notes.named("primary key", native.name, pool.take(native.name, f"{draft.name}_pkey"))


def _resolve_doubts(drafts: Sequence[Draft], session: Session) -> None:
    doubts = [(draft, doubt) for draft in drafts for doubt in draft.notes.doubts]
    refused = refused_queries(session, [doubt.query for _, doubt in doubts])
    for place in sorted(refused):
        draft, doubt = doubts[place]
        names = {given: name for name, given in draft.columns.items()} if doubt.kind in COLUMN_DOUBTS else {}
        column = names.get(doubt.name)
        draft.notes.say(doubt.severity, doubt.message, column=column, item=None if column else doubt.name)
        draft.target = _without(draft.target, doubt)


def _without(table: Table, doubt: Doubt) -> Table:
    if doubt.kind == "check":
        return replace(table, checks=tuple(check for check in table.checks if check.name != doubt.name))
    if doubt.kind == "index":
        return replace(table, indexes=tuple(index for index in table.indexes if index.name != doubt.name))
    columns = tuple(replace(c, default=None, generated=None) if c.name == doubt.name else c for c in table.columns)
    return replace(table, columns=columns)


def _check_rows(question: Question, situation: Situation, drafts: Sequence[Draft], session: Session) -> None:
    followed = question.request.followed
    looks = (followed or question.request.write_mode is WriteMode.FAIL_IF_NOT_EMPTY) and not question.request.skip_data
    keyless = [draft.name for draft in drafts if not draft.target.key]
    kept = [draft.name for draft in drafts if draft.existing and (not followed or draft.name in keyless)]
    filled = not_empty(session, question.schema, kept) if looks else []
    check_write_mode(situation, filled, keyless)


def _type_findings(drafts: Sequence[Draft], facts: Facts, session: Session) -> list[Finding]:
    """Types of PostgreSQL that the target does not have, or has in another shape."""
    new = [(draft, column) for draft in drafts if not draft.existing for column in draft.notes.table.columns]
    missing = missing_types(session, [declared for _, column in new if (declared := _own_type(column))])
    findings = []
    for draft, column in new:
        enum, declared = named_enum(column.type), _own_type(column)
        if declared in missing:
            message = f"the target has no type {declared}: create it (or its extension) there"
            findings.append(_type_error(draft, column, message))
        if enum and facts.enums.get(enum_name(enum), enum.members) != enum.members:
            message = f"the target's enum type {enum_name(enum)} has other members: drop or rename it"
            findings.append(_type_error(draft, column, message))
    return findings


def _own_type(column: Column) -> str | None:
    """The declaration of a type that only PostgreSQL knows and that the stream does not create."""
    if isinstance(column.type, t.Array | t.Foreign) and column.type.engine == ENGINE and not named_enum(column.type):
        return column.type.declared
    return None


def _type_error(draft: Draft, column: Column, message: str) -> Finding:
    table = str(draft.notes.table.name)
    text = f"{table}, column {column.name}: {message}, or leave the column out by selectedColumns."
    return Finding(Severity.ERROR, table, text, column.name)
