"""What a folder will hold: names, types and policies, all before anything is written."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rowferry.config.stream import FileFormat, FilesTarget, SchemaPolicy, WriteMode
from rowferry.connectors.base import PlannedTable, TargetPlan
from rowferry.connectors.files.encode import Layout
from rowferry.connectors.files.encode_csv import check_dialect
from rowferry.connectors.files.encode_parquet import WIDEST_DECIMAL, check_compression
from rowferry.connectors.files.inspection import Place, difference, holds_rows
from rowferry.connectors.files.layout import Contents, F, FolderName, changes_folder, folder_names
from rowferry.connectors.files.record import Record
from rowferry.errors import InvalidInput, MissingTable, Refused, TargetExists, TargetNotEmpty
from rowferry.model import types as t
from rowferry.model.findings import Finding, Severity
from rowferry.model.tables import Column, NativeType, Table, TableName


@dataclass(frozen=True, slots=True)
class Policies:
    """What to do about folders and rows that are there. `followed`: changes go to folders of their own."""

    schema: SchemaPolicy
    write: WriteMode
    followed: bool = False

    @property
    def replaces(self) -> bool:
        """Whether files that are there go."""
        return self.schema is SchemaPolicy.DROP_AND_RECREATE or self.write is WriteMode.TRUNCATE_AND_LOAD


def check_options(spec: FilesTarget, policies: Policies) -> None:
    """Refused for what no file can be written with."""
    if policies.write is WriteMode.UPSERT:
        raise Refused("writeMode upsert needs a database: choose append or truncate_and_load for files.")
    if spec.file_format is FileFormat.CSV:
        check_dialect(spec.format.csv.delimiter, spec.format.csv.quote)
    if spec.file_format is FileFormat.PARQUET:
        check_compression(spec.compression, spec.format.parquet.compression_level)


def map_tables(tables: Sequence[Table], spec: FilesTarget, followed: bool = False) -> TargetPlan:
    """The tables as folders, whatever lies there already."""
    folders = folder_names([table.name for table in tables])
    findings: list[Finding] = []
    planned = []
    for table, folder in zip(tables, folders, strict=True):
        findings += _name_findings(table, folder)
        findings += _structure_findings(table)
        findings += _column_findings(table, spec)
        columns = tuple(replace(column, native=_native(column, spec)) for column in table.columns)
        target = replace(
            table, name=TableName("", folder.name), columns=columns, indexes=(), foreign_keys=(), checks=()
        )  # fmt: skip
        planned.append(PlannedTable(table, target))
    findings += _same_folder(planned, followed)
    return TargetPlan(tuple(planned), tuple(findings))


def folders_of(plan: TargetPlan, policies: Policies) -> list[str]:
    """The folders that a stream writes into."""
    names = [str(table.target.name) for table in plan.tables]
    return [*names, *map(changes_folder, names)] if policies.followed else names


def layout_of(table: PlannedTable, spec: FilesTarget) -> Layout:
    """What the parts of the table hold."""
    return Layout(str(table.target.name), table.target.columns, spec)


def as_prepared(plan: TargetPlan, record: Record | None) -> TargetPlan:
    """The plan with `existing` as it was when the stream was prepared."""
    existing = record.existing if record else frozenset[str]()
    return replace(plan, tables=tuple(replace(t, existing=str(t.target.name) in existing) for t in plan.tables))


def refuse_declared(types: Collection[str]) -> Mapping[str, Column]:
    """`Target.declared` of files, whose types come from their format."""
    if types:
        raise InvalidInput("typeOverrides is for databases: in files a column's type comes from its format.")
    return {}


def apply_policies(place: Place[F], plan: TargetPlan, spec: FilesTarget, policies: Policies) -> TargetPlan:
    """The plan with `existing` filled in; refused when a policy forbids what is there."""
    found = [place.contents(table.target.name.name) for table in plan.tables]
    pairs = list(zip(plan.tables, found, strict=True))
    there = _There(pairs, spec, policies, place)
    _SCHEMA_POLICIES[policies.schema](there)
    if policies.followed and not policies.replaces:
        _check_unchanged(there)
    if policies.write is WriteMode.FAIL_IF_NOT_EMPTY:
        _check_empty(there)
    kept = policies.schema is not SchemaPolicy.DROP_AND_RECREATE
    tables = tuple(replace(table, existing=kept and bool(held.data)) for table, held in pairs)
    left = tuple(_left(table, held) for table, held in pairs if policies.replaces and held.others)
    return replace(plan, tables=tables, findings=plan.findings + left)


@dataclass(frozen=True, slots=True)
class _There:
    """The planned tables with what lies in their folders, and what is asked of that."""

    pairs: Sequence[tuple[PlannedTable, Contents[Any]]]
    spec: FilesTarget
    policies: Policies
    place: Place[Any]


def _fail_if_exists(there: _There) -> None:
    full = [str(table.target.name) for table, held in there.pairs if held.data]
    if full:
        raise TargetExists(
            f"schemaPolicy fail_if_exists: {_folders(full)} already. Choose another schemaPolicy or basePath."
        )


def _validate_existing(there: _There) -> None:
    missing = [str(table.target.name) for table, held in there.pairs if not held.data]
    if missing:
        raise MissingTable(
            f"schemaPolicy validate_existing: there are no data files in {', '.join(missing)}. "
            "Choose create_missing_only to have them made."
        )
    _check_same(there)


def _create_missing_only(there: _There) -> None:
    if not there.policies.replaces:
        _check_same(there)


def _drop_and_recreate(there: _There) -> None:
    """Nothing is in its way."""


_SCHEMA_POLICIES: dict[SchemaPolicy, Callable[[_There], None]] = {
    SchemaPolicy.FAIL_IF_EXISTS: _fail_if_exists,
    SchemaPolicy.VALIDATE_EXISTING: _validate_existing,
    SchemaPolicy.CREATE_MISSING_ONLY: _create_missing_only,
    SchemaPolicy.DROP_AND_RECREATE: _drop_and_recreate,
}


def _check_same(there: _There) -> None:
    unlike = [
        f"{table.target.name} ({how})"
        for table, held in there.pairs
        if held.data and (how := difference(held, layout_of(table, there.spec), there.place))
    ]
    if unlike:
        raise Refused(
            f"The files that are there do not fit the tables: {'; '.join(unlike)}. "
            "Choose schemaPolicy drop_and_recreate or another basePath."
        )


def _check_empty(there: _There) -> None:
    dropped = there.policies.schema is SchemaPolicy.DROP_AND_RECREATE
    full = [
        str(table.target.name)
        for table, held in there.pairs
        if any(holds_rows(path, there.spec.format.csv, there.place) for path in _kept(held, dropped))
    ]
    if full:
        raise TargetNotEmpty(
            f"writeMode fail_if_not_empty: {_folders(full)} already. Choose append or truncate_and_load."
        )


def _check_unchanged(there: _There) -> None:
    """Refused where changes of another stream lie: what is numbered from 1 on must not come twice."""
    names = [changes_folder(str(table.target.name)) for table, _ in there.pairs]
    full = [name for name in names if there.place.contents(name).data]
    if full:
        raise TargetNotEmpty(
            f"Changes of another stream: {_folders(full)} already. Choose truncate_and_load or another folder."
        )


def _kept(held: Contents[Any], dropped: bool) -> Sequence[Any]:
    return held.others if dropped else held.data


def _folders(names: Sequence[str]) -> str:
    return f"folder {names[0]} holds data" if len(names) == 1 else f"folders {', '.join(names)} hold data"


def _left(table: PlannedTable, held: Contents[Any]) -> Finding:
    names = ", ".join(path.name for path in held.others[:5])
    more = f" and {len(held.others) - 5} more" if len(held.others) > 5 else ""
    return Finding(
        Severity.WARNING,
        str(table.source.name),
        f"Folder {table.target.name} keeps {names}{more}: only files that Rowferry wrote are removed.",
    )


def _name_findings(table: Table, folder: FolderName) -> list[Finding]:
    if not folder.reason:
        return []
    message = f"The table goes to folder {folder.name}: {folder.reason}."
    return [Finding(Severity.INFO, str(table.name), message)]


def _same_folder(planned: Sequence[PlannedTable], followed: bool) -> list[Finding]:
    seen: set[str] = set()
    findings = []
    changes = {changes_folder(str(table.target.name)).casefold() for table in planned} if followed else set()
    for table in planned:
        name = str(table.target.name)
        if name.casefold() in seen:
            message = f"Two tables would be written to folder {name}: leave one out, or read it by a query."
            findings.append(Finding(Severity.ERROR, str(table.source.name), message))
        if name.casefold() in changes:
            message = f"Folder {name} would hold a table and another one's changes: leave one of the two out."
            findings.append(Finding(Severity.ERROR, str(table.source.name), message))
        seen.add(name.casefold())
    return findings


def _structure_findings(table: Table) -> list[Finding]:
    if not table.columns:
        message = "The table has no columns, and a file needs at least one: leave the table out."
        return [Finding(Severity.ERROR, str(table.name), message)]
    parts = {"indexes": table.indexes, "foreign keys": table.foreign_keys, "checks": table.checks}
    left = [word for word, part in parts.items() if part]
    if not left:
        return []
    return [Finding(Severity.WARNING, str(table.name), f"Files hold rows only: {' and '.join(left)} are left out.")]


def _column_findings(table: Table, spec: FilesTarget) -> list[Finding]:
    findings = []
    for column in table.columns:
        for severity, holds, message in _COLUMN_RULES:
            if holds(column.type, spec):
                text = message.format(declared=column.native.declared, unit=spec.format.parquet.timestamp_unit)
                findings.append(Finding(severity, str(table.name), text, column.name))
    return findings


def _wide(neutral: t.NeutralType, spec: FilesTarget) -> bool:
    parquet = spec.file_format is FileFormat.PARQUET
    return parquet and isinstance(neutral, t.Decimal) and neutral.precision > WIDEST_DECIMAL


def _cut(neutral: t.NeutralType, spec: FilesTarget) -> bool:
    coarse = spec.file_format is FileFormat.PARQUET and spec.format.parquet.timestamp_unit == "ms"
    return coarse and isinstance(neutral, t.DateTime | t.Instant) and neutral.precision > 3


_COLUMN_RULES: tuple[tuple[Severity, Callable[[t.NeutralType, FilesTarget], bool], str], ...] = (
    (
        Severity.ERROR,
        lambda neutral, _: isinstance(neutral, t.Unknown),
        "No rule carries type {declared} exactly: leave the column out by selectedColumns, or cast it in a query.",
    ),
    (Severity.INFO, _wide, "Type {declared} is written as text: readers of Parquet hold 38 digits at the most."),
    (Severity.WARNING, _cut, "timestampUnit {unit} cuts microseconds off: choose us to keep them."),
)


_PARQUET: dict[type, Callable[[Any], str]] = {
    t.Boolean: lambda _: "BOOLEAN",
    t.Integer: lambda n: f"INT({32 if n.bits == 24 else n.bits}, {'signed' if n.signed else 'unsigned'})",
    t.Year: lambda _: "INT(16, signed)",
    t.Decimal: lambda n: "STRING" if n.precision > WIDEST_DECIMAL else f"DECIMAL({n.precision}, {n.scale})",
    t.Float: lambda n: "FLOAT" if n.bits == 32 else "DOUBLE",
    t.Binary: lambda _: "BYTE_ARRAY",
    t.Geometry: lambda _: "BYTE_ARRAY",
    t.Date: lambda _: "DATE",
    t.Time: lambda _: "TIME",
    t.DateTime: lambda _: "TIMESTAMP",
    t.Instant: lambda _: "TIMESTAMP (UTC)",
    t.Duration: lambda _: "INT64",
    t.Json: lambda _: "JSON",
    t.Uuid: lambda _: "UUID",
}

_JSON: dict[type, Callable[[Any], str]] = {
    t.Boolean: lambda _: "boolean",
    t.Integer: lambda _: "number",
    t.Year: lambda _: "number",
    t.Decimal: lambda _: "number",
    t.Number: lambda _: "number",
    t.Float: lambda _: "number",
    t.Json: lambda _: "any",
}

_NATIVES: dict[FileFormat, tuple[dict[type, Callable[[Any], str]], str]] = {
    FileFormat.PARQUET: (_PARQUET, "STRING"),
    FileFormat.JSONL: (_JSON, "string"),
    FileFormat.CSV: ({}, "text"),
}


def _native(column: Column, spec: FilesTarget) -> NativeType:
    words, otherwise = _NATIVES[spec.file_format]
    word = words.get(type(column.type))
    declared = word(column.type) if word else otherwise
    return NativeType(declared.partition("(")[0].strip().lower(), declared)
