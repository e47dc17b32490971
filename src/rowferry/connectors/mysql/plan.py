"""From source tables to what the target will hold, and everything worth saying before it is written."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from pymysql.connections import Connection as Session

from rowferry.config.stream import WriteMode
from rowferry.connectors.base import PlannedTable, TargetPlan, TargetRequest
from rowferry.connectors.mysql.expressions import refused
from rowferry.connectors.mysql.facts import PLAIN_KINDS, Facts, not_empty, unique_keys
from rowferry.connectors.mysql.mapping import Doubt, Notes, Origin, fitting, map_columns
from rowferry.connectors.mysql.names import LIMIT, Names, column_names, folded, shortened
from rowferry.connectors.mysql.policies import (
    Situation,
    check_engines,
    check_schema_policy,
    check_write_mode,
    misfits,
)
from rowferry.connectors.mysql.secondary import (
    Translator,
    map_checks,
    map_foreign_keys,
    map_indexes,
    unique_key,
)
from rowferry.connectors.mysql.widths import fit_keys, fit_row
from rowferry.errors import Refused
from rowferry.model import types as t
from rowferry.model.findings import Severity
from rowferry.model.tables import Column, Index, IndexPart, Table, TableName

LONGEST_TABLE_COMMENT = 2048
"""Characters of a table's comment."""

NUMBERED = frozenset({"tinyint", "smallint", "mediumint", "int", "bigint"})
"""Types that the server numbers."""


COLUMN_DOUBTS = frozenset({"default", "computed"})
"""Kinds of doubt that are about a column."""


@dataclass(frozen=True)
class Question:
    """What is planned: `created` are the tables that this stream made itself before, None when it has not begun."""

    request: TargetRequest
    database: str
    dialect: str
    created: Collection[str] | None

    def dialect_of(self, draft: Draft) -> str:
        """The SQL of a table's expressions."""
        return draft.notes.table.dialect or self.dialect

    def origin(self, draft: Draft, facts: Facts) -> Origin:
        """Where a table comes from."""
        return Origin(self.dialect_of(draft), facts.variant, facts.collations)


@dataclass
class Draft:
    """A table half planned; `name` is its name on the target, `columns` its columns' names there."""

    notes: Notes
    name: str
    columns: Mapping[str, str]
    existing: bool
    target: Table = field(init=False)


def target_names(tables: Sequence[Table], folds: bool) -> dict[str, Table]:
    """The tables by their names on the target; Refused when two would have the same."""
    found: dict[str, Table] = {}
    for table in tables:
        name = shortened(table.name.name.lower() if folds else table.name.name)
        if name in found:
            raise Refused(
                f"{found[name].name} and {table.name} would both be called {name} on the target: "
                "leave one out, or give their connections an alias."
            )
        found[name] = table
    return found


def make_plan(question: Question, tables: Sequence[Table], facts: Facts, session: Session) -> TargetPlan:
    """Apply the policies and map the tables; `session` answers what only the server knows."""
    situation = Situation(question.request, question.database, target_names(tables, facts.folds), facts)
    if question.created is None:
        check_schema_policy(situation)
        kept = situation.kept()
    else:
        kept = set(situation.tables) - set(question.created)
    check_engines(situation, kept)
    drafts = [
        Draft(Notes(table), name, column_names(table.column_names()), name in kept)
        for name, table in situation.tables.items()
    ]
    _refuse_misfits(question, drafts, facts)
    for draft in drafts:
        origin = question.origin(draft, facts)
        draft.target = _kept(question, draft, facts, situation) if draft.existing else _new(question, draft, origin)
    _map_structure(question, drafts, facts)
    _resolve_doubts(drafts, session)
    if question.created is None:
        _check_rows(question, situation, drafts, session)
    findings = tuple(finding for draft in drafts for finding in draft.notes.findings)
    return TargetPlan(
        tuple(PlannedTable(draft.notes.table, draft.target, draft.existing) for draft in drafts), findings
    )


def _refuse_misfits(question: Question, drafts: Sequence[Draft], facts: Facts) -> None:
    found = []
    for draft in drafts:
        if draft.existing:
            problems = misfits(draft.notes.table, draft.columns, facts.tables[draft.name], question.dialect_of(draft))
            found += [f"{question.database}.{draft.name}: {problem}" for problem in problems]
    if found:
        raise Refused(f"Tables on the target do not fit the source. {'; '.join(found)}.")


def _kept(question: Question, draft: Draft, facts: Facts, situation: Situation) -> Table:
    """The table as it stands there, in the order of the source's columns.

    It keeps the references that lead to another table of the stream: they wait for the rows of both.
    """
    source, notes = draft.notes.table, draft.notes
    there = facts.tables[draft.name]
    by_name = {folded(column.name): column for column in there.columns}
    columns: list[Column] = []
    for column in source.columns:
        found = by_name[folded(draft.columns[column.name])]
        generated = None if found.generated is None else ""
        columns.append(
            Column(found.name, column.type, found.native, found.nullable, identity=found.identity, generated=generated)
        )
        _note_existing(notes, column, columns[-1])
    written = {column.name for column in columns if column.generated is None}
    keys = [key for key in unique_keys(there) if written.issuperset(key)]
    inside = any(
        key.referenced.schema == question.database and key.referenced.name in situation.tables
        for key in there.foreign_keys
    )
    return replace(
        source, name=TableName(question.database, draft.name), columns=tuple(columns), primary_key=(), indexes=(),
        key=keys[0] if keys else (), foreign_keys=there.foreign_keys if inside else (), checks=(), comment="",
    )  # fmt: skip


def _note_existing(notes: Notes, source: Column, there: Column) -> None:
    if there.generated is not None:
        notes.say(
            Severity.INFO,
            f", column {source.name}: the target computes it, so the source's values are not written.",
            column=source.name,
        )
    elif _spells_anew(there) and not _spells_anew(source) and isinstance(source.type, t.Json):
        message = "is json on the target, which spells documents anew and rounds long numbers"
        notes.say(Severity.WARNING, f", column {source.name}: {message}.", column=source.name)
    if source.nullable and not there.nullable:
        notes.say(
            Severity.WARNING,
            f", column {source.name}: may be NULL on the source but not on the target; a NULL will stop the stream.",
            column=source.name,
        )


def _spells_anew(column: Column) -> bool:
    """Whether it is MySQL's json; MariaDB's is text."""
    return column.native.name == "json" and column.native.charset is None


def _new(question: Question, draft: Draft, origin: Origin) -> Table:
    """The new table with its columns and primary key, as wide as keys and rows may be."""
    source, notes = draft.notes.table, draft.notes
    if draft.name != source.name.name:
        notes.say(
            Severity.INFO, f": is called {draft.name} on the target, where names have at most {LIMIT} characters."
        )
    if not source.columns:
        notes.say(Severity.ERROR, ": has no columns, and a table here must have one. Leave the table out.")
    columns = _numbered(notes, map_columns(notes, draft.columns, origin))
    return replace(
        source,
        name=TableName(question.database, draft.name),
        columns=columns,
        comment=fitting(notes, source.comment, LONGEST_TABLE_COMMENT),
        primary_key=tuple(draft.columns[name] for name in source.primary_key),
        key=(),
        indexes=(),
        foreign_keys=(),
        checks=(),
    )


def _numbered(notes: Notes, columns: tuple[Column, ...]) -> tuple[Column, ...]:
    """One column of whole numbers can be numbered by the server."""
    possible = [column.name for column in columns if column.identity and column.native.name in NUMBERED]
    found = []
    for column in columns:
        if column.identity and column.name not in possible[:1]:
            message = f", column {column.name}: its numbering is left out; the server numbers one whole number a table."
            notes.say(Severity.WARNING, message, column=column.name)
            found.append(replace(column, identity=False))
        else:
            found.append(column)
    return tuple(found)


def _map_structure(question: Question, drafts: Sequence[Draft], facts: Facts) -> None:
    """Indexes, checks and foreign keys of the new tables; names are given in the order of the tables."""
    options = question.request.structure
    targets = {draft.notes.table.name: (draft.target.name, draft.columns) for draft in drafts}
    there = {r.name: TableName(question.database, r.name) for r in facts.relations.values() if r.kind in PLAIN_KINDS}
    pool = Names(taken={folded(name) for name in facts.constraints})
    for draft in drafts:
        if draft.existing:
            continue
        origin = question.origin(draft, facts)
        if not origin.own(draft.notes.table):
            _fit(question, draft, drafts, origin)
        by = Translator(draft.notes, draft.target, draft.columns, origin)
        draft.target = replace(
            draft.target,
            indexes=map_indexes(by) if options.indexes else (),
            checks=map_checks(by, pool) if options.check_constraints else (),
            foreign_keys=map_foreign_keys(by, pool, targets, there) if options.foreign_keys else (),
        )
        draft.target = _with_numbered_key(draft.notes, draft.target)
        draft.target = replace(draft.target, key=unique_key(draft.target))


def _fit(question: Question, draft: Draft, drafts: Sequence[Draft], origin: Origin) -> None:
    options, source = question.request.structure, draft.notes.table
    keys = [source.primary_key] if source.primary_key else []
    if options.indexes:
        keys += [i.columns for i in source.indexes if i.unique and not i.predicate and len(i.columns) == len(i.parts)]
    if options.foreign_keys:
        keys += [key.columns for key in source.foreign_keys]
        keys += [
            key.referenced_columns
            for other in drafts
            for key in other.notes.table.foreign_keys
            if key.referenced == source.name and set(key.referenced_columns) <= set(draft.columns)
        ]
    names = [[draft.columns[name] for name in key] for key in keys]
    columns = fit_keys(draft.notes, draft.target.columns, names, origin.variant)
    kept = dict.fromkeys(name for key in names for name in key)
    draft.target = replace(draft.target, columns=fit_row(draft.notes, columns, kept, origin.variant))


def _with_numbered_key(notes: Notes, table: Table) -> Table:
    """What the server numbers must lead a key."""
    numbered = next((column.name for column in table.columns if column.identity), None)
    leading = {table.primary_key[:1], *(index.columns[:1] for index in table.indexes if index.method == "btree")}
    if numbered is None or (numbered,) in leading:
        return table
    name = Names(taken={folded(index.name) for index in table.indexes}).take(f"{numbered}_number")
    message = f", column {numbered}: gets the index {name}, without which the server would not number it."
    notes.say(Severity.INFO, message, column=numbered, item=name)
    return replace(table, indexes=(*table.indexes, Index(name, (IndexPart(numbered),))))


def _resolve_doubts(drafts: Sequence[Draft], session: Session) -> None:
    doubts = [(draft, doubt) for draft in drafts for doubt in draft.notes.doubts]
    for place in sorted(refused(session, [doubt.query for _, doubt in doubts])):
        draft, doubt = doubts[place]
        names = {given: name for name, given in draft.columns.items()} if doubt.kind in COLUMN_DOUBTS else {}
        column = names.get(doubt.name)
        draft.notes.say(doubt.severity, doubt.message, column=column, item=None if column else doubt.name)
        draft.target = _without(draft.target, doubt)


def _without(table: Table, doubt: Doubt) -> Table:
    if doubt.kind == "check":
        return replace(table, checks=tuple(check for check in table.checks if check.name != doubt.name))
    changed = {"default": {"default": None}, "computed": {"generated": None, "extra": ""}}[doubt.kind]
    columns = tuple(replace(c, **changed) if c.name == doubt.name else c for c in table.columns)  # type: ignore[arg-type]
    return replace(table, columns=columns)


def _check_rows(question: Question, situation: Situation, drafts: Sequence[Draft], session: Session) -> None:
    followed = question.request.followed
    looks = (followed or question.request.write_mode is WriteMode.FAIL_IF_NOT_EMPTY) and not question.request.skip_data
    keyless = [draft.name for draft in drafts if not draft.target.key]
    kept = [draft.name for draft in drafts if draft.existing and (not followed or draft.name in keyless)]
    full = not_empty(session, question.database, kept) if looks else []
    check_write_mode(situation, full, keyless)
