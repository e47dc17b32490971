"""A stream configuration as the user writes it: source, target, mode, scope."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from rowferry.config.aliases import check_aliases, check_name
from rowferry.config.fields import LONGEST, MOST, Name, Number, Spec, Whole, Words
from rowferry.config.policies import TypePolicies
from rowferry.config.source_files import SourceFiles, SourceS3
from rowferry.model.streams import Mode
from rowferry.model.tables import Filter, FilterOperator, Selection, Sort


class SchemaPolicy(StrEnum):
    """What to do about tables that are already on the target."""

    FAIL_IF_EXISTS = "fail_if_exists"
    VALIDATE_EXISTING = "validate_existing"
    CREATE_MISSING_ONLY = "create_missing_only"
    DROP_AND_RECREATE = "drop_and_recreate"


class WriteMode(StrEnum):
    """What to do about rows that are already on the target."""

    FAIL_IF_NOT_EMPTY = "fail_if_not_empty"
    APPEND = "append"
    TRUNCATE_AND_LOAD = "truncate_and_load"
    UPSERT = "upsert"


class Consistency(StrEnum):
    """Of which moment rows are: all of them of one (`snapshot`), or each chunk of its own."""

    SNAPSHOT = "snapshot"
    CHUNK = "chunk"


class MalformedRows(StrEnum):
    """What becomes of a row of a file that cannot be read: the stream fails, or the row is left out and kept aside."""

    ERROR = "error"
    SKIP = "skip"


class DdlPolicy(StrEnum):
    """What becomes of a change of a table's columns while its stream follows the log."""

    APPLY = "apply"
    IGNORE = "ignore"
    FAIL = "fail"


class Operation(StrEnum):
    """A kind of change."""

    INSERT = "insert"
    UPDATE = "update"
    DELETE = "delete"


class FileFormat(StrEnum):
    """How rows lie in a file."""

    CSV = "csv"
    JSONL = "jsonl"
    PARQUET = "parquet"


class Compression(StrEnum):
    """How a file is compressed; snappy is for Parquet alone."""

    NONE = "none"
    GZIP = "gzip"
    ZSTD = "zstd"
    SNAPPY = "snappy"


def _fold_compression(value: Any) -> Any:
    return "none" if value == "uncompressed" else value


def _fold_upper(value: Any) -> Any:
    return value.upper() if isinstance(value, str) else value


def _fold_mode(value: Any) -> Any:
    return "convert" if value == "load" else value


class FilterSpec(Spec):
    """A condition on a column. IN, NOT IN and BETWEEN take a comma list; IS NULL takes no value."""

    id: Words | int | None = None
    column: Name
    operator: Annotated[FilterOperator, BeforeValidator(_fold_upper)]
    value: Words | int | float | bool | None = None

    @model_validator(mode="after")
    def _value_fits(self) -> Self:
        unary = self.operator in (FilterOperator.IS_NULL, FilterOperator.IS_NOT_NULL)
        if not unary and self.value is None:
            raise ValueError(f"operator {self.operator.value} needs a value")
        if self.operator is FilterOperator.BETWEEN and len(str(self.value).split(",")) != 2:
            raise ValueError("operator BETWEEN needs two values joined by a comma")
        return self

    def to_filter(self) -> Filter:
        """The condition in the model's words."""
        return Filter(self.column, self.operator, None if self.value is None else str(self.value))


class SortSpec(Spec):
    """One ordering."""

    column: Name
    direction: Annotated[Literal["ASC", "DESC"], BeforeValidator(_fold_upper)] = "ASC"


class SelectionSpec(Spec):
    """The part of a table to take: no columns means all, no limit means every row."""

    selected_columns: tuple[Name, ...] = ()
    filters: tuple[FilterSpec, ...] = ()
    sorts: tuple[SortSpec, ...] = ()
    limit: Whole | None = Field(default=None, ge=0, le=MOST)

    def to_selection(self) -> Selection:
        """The selection in the model's words."""
        return Selection(
            columns=self.selected_columns,
            filters=tuple(spec.to_filter() for spec in self.filters),
            sorts=tuple(Sort(spec.column, spec.direction == "DESC") for spec in self.sorts),
            limit=self.limit,
        )


class TableSpec(Spec):
    """A table of the source: `name` or `schema.name`; `query` replaces what is read under that name."""

    name: Name
    selection: SelectionSpec | None = None
    query: Words | None = None
    operations: tuple[Operation, ...] | None = None
    type_policies: TypePolicies = Field(default_factory=dict)


class QuerySpec(Spec):
    """A query whose result is written as a table called `name`."""

    name: Name
    query: Name
    type_policies: TypePolicies = Field(default_factory=dict)


class SourceConnection(Spec):
    """One source. Without tables, queries, files and s3 every user table is discovered."""

    alias: Words | None = None
    connection_id: Name
    database: Words | None = None
    schema_: Annotated[Words | None, Field(alias="schema")] = None
    tables: tuple[TableSpec, ...] = ()
    queries: tuple[QuerySpec, ...] = ()
    files: SourceFiles | None = None
    s3: SourceS3 | None = None

    @model_validator(mode="after")
    def _files_alone(self) -> Self:
        if (self.files or self.s3) and (self.database or self.schema_ or self.tables or self.queries):
            raise ValueError("a source with files or s3 takes no database, schema, tables or queries")
        if self.files and self.s3:
            raise ValueError("takes files or s3, not both")
        return self

    @property
    def discovers(self) -> bool:
        """Whether every user table is meant."""
        return not (self.tables or self.queries or self.files or self.s3)


class SourceOptions(Spec):
    """How the source is read.

    `dataBundleSize` is the number of rows (in thousands) that a chunk holds at the most; wide rows make it
    smaller. `consistency` left out means `snapshot` where that costs nothing (PostgreSQL), else `chunk`; the run's
    report says which it was. For a snapshot, MySQL and MariaDB lock out commits for a moment: the user needs RELOAD,
    or LOCK TABLES on the database, and every table an engine with transactions. `malformedRows` is about files. The
    options from `operations` on belong to cdc. `ddlPolicy` says whether a column that is added, dropped, renamed or
    given another type at the source changes the target, too; left out, only one that is added does. `ignore` leaves
    added columns out and lets those that were dropped stay.
    """

    data_bundle_size: Whole = Field(default=500, ge=10, le=1000)
    consistency: Consistency | None = None
    malformed_rows: MalformedRows = MalformedRows.ERROR
    operations: tuple[Operation, ...] = tuple(Operation)
    replication_slot: Words = ""
    publication_name: Words = ""
    binlog_position: Words = ""
    initial_load: bool = True
    ddl_policy: DdlPolicy | None = None


class Source(Spec):
    """Where the rows come from."""

    connections: tuple[SourceConnection, ...] = Field(min_length=1)
    options: SourceOptions = SourceOptions()

    @model_validator(mode="after")
    def _aliases(self) -> Self:
        check_aliases([part.alias for part in self.connections])
        aliases = [part.alias for part in self.connections if part.alias]
        for part in self.connections:
            for table in part.tables if part.alias else ():
                check_name(table.name, part.alias or "", aliases)
        return self


class StructureOptions(Spec):
    """Which parts of a table's structure are created."""

    tables: bool = True
    indexes: bool = True
    foreign_keys: bool = True
    check_constraints: bool = True


class DatabaseTarget(Spec):
    """A database to write to. Policies left out are the mode's defaults (`StreamConfig.schema_policy`)."""

    database: Name
    schema_: Annotated[Words | None, Field(alias="schema")] = None
    structure_options: StructureOptions = StructureOptions()
    schema_policy: SchemaPolicy | None = None
    write_mode: WriteMode | None = None
    skip_data: bool = False


class CsvOptions(Spec):
    """The dialect of a CSV file."""

    delimiter: str = Field(default=",", min_length=1, max_length=1)
    quote: str = Field(default='"', min_length=1, max_length=1)
    header: bool = True


class ParquetOptions(Spec):
    """How Parquet files are laid out. Sizes: rows for a row group, MiB for `targetRowGroupSizeMB`."""

    compression_level: Whole | None = Field(default=None, ge=1, le=22)
    max_row_group_size: Whole = Field(default=122880, ge=1, le=MOST)
    target_row_group_size_mb: Annotated[Whole, Field(alias="targetRowGroupSizeMB", ge=1, le=2**20)] = 128
    enable_dictionary: bool = True
    enable_statistics: bool = True
    timestamp_unit: Literal["ms", "us", "ns"] = "us"


class FormatOptions(Spec):
    """Compression and the format's own options."""

    compression: Annotated[Compression | None, BeforeValidator(_fold_compression)] = None
    csv: CsvOptions = CsvOptions()
    parquet: ParquetOptions = ParquetOptions()


class ChangeFileOptions(Spec):
    """When a file of changes ends, mode cdc: after so many `seconds`, or at about `sizeMB` MiB in memory."""

    seconds: Number = Field(default=10, ge=1, le=86_400)
    size_mb: Annotated[Whole, Field(alias="sizeMB", ge=1, le=2**20)] = 128


class FilesTarget(Spec):
    """Files under the connection's folder: one folder a table."""

    file_format: FileFormat
    format: FormatOptions = FormatOptions()
    change_files: ChangeFileOptions = ChangeFileOptions()
    schema_policy: SchemaPolicy | None = None
    write_mode: WriteMode | None = None

    @model_validator(mode="after")
    def _compression_fits(self) -> Self:
        if self.format.compression is Compression.SNAPPY and self.file_format is not FileFormat.PARQUET:
            raise ValueError("compression snappy is for parquet: use none, gzip or zstd")
        return self

    @property
    def compression(self) -> Compression:
        """What was asked for, or the format's default: zstd for Parquet, none for the others."""
        if self.format.compression is not None:
            return self.format.compression
        return Compression.ZSTD if self.file_format is FileFormat.PARQUET else Compression.NONE


class S3Upload(Spec):
    """Where in the store the files go, and how they are kept there."""

    bucket: Name
    prefix: Words = ""
    storage_class: Words = ""
    server_side_enc: Literal["", "AES256", "aws:kms"] = ""
    kms_key_id: Words = ""
    keep_local_files: bool = False


class S3Target(FilesTarget):
    """The same files, in an object store. `outputDirectory` is the folder that files are kept in, if they are."""

    upload: S3Upload
    output_directory: Words = ""


class TargetSpec(Spec):
    """Exactly one kind of target."""

    db: DatabaseTarget | None = None
    files: FilesTarget | None = None
    s3: S3Target | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if sum(part is not None for part in (self.db, self.files, self.s3)) != 1:
            raise ValueError("needs exactly one of db, files and s3")
        return self


class Target(Spec):
    """Where the rows go."""

    id: Name
    spec: TargetSpec


class Limits(Spec):
    """When to stop by itself; 0 means never. Events are rows, time is in seconds."""

    number_of_events: Whole = Field(default=0, ge=0, le=MOST)
    elapsed_time: Number = Field(default=0, ge=0, le=LONGEST)


class StreamConfig(Spec):
    """The whole document."""

    name: Name
    mode: Annotated[Mode, BeforeValidator(_fold_mode)]
    description: Words | None = None
    reporting_interval: Number = Field(default=3, ge=1, le=LONGEST)
    limits: Limits = Limits()
    verify: bool = Field(
        default=False, description="Compare source and target after the load; a difference fails the stream."
    )
    type_policies: TypePolicies = Field(default_factory=dict)
    type_overrides: dict[Name, Name] = Field(
        default_factory=dict, description='Types that columns shall have on the target, by "table.column".'
    )
    source: Source
    target: Target

    @model_validator(mode="after")
    def _mode_fits(self) -> Self:
        if self.mode is Mode.CDC:
            self._check_cdc()
        for connection in self.source.connections:
            for table in connection.tables:
                if self.mode is Mode.CONVERT and table.operations is not None:
                    raise ValueError(f"table {table.name}: operations are for mode cdc")
        return self

    def _check_cdc(self) -> None:
        if self.verify:
            raise ValueError("verify compares once, after a load: it is for mode convert")
        if len(self.source.connections) != 1:
            raise ValueError("mode cdc takes exactly one source connection")
        source = self.source.connections[0]
        if source.files or source.s3 or source.queries:
            raise ValueError("mode cdc reads a database's log: files, s3 and queries are for mode convert")
        for table in source.tables:
            if table.query or table.selection:
                raise ValueError(f"table {table.name}: query and selection are for mode convert")
        if self.target.spec.db and self.target.spec.db.write_mode not in (None, WriteMode.UPSERT):
            raise ValueError("mode cdc writes by upsert: leave writeMode out")

    @property
    def schema_policy(self) -> SchemaPolicy:
        """What was asked for, or the mode's default, which never destroys data."""
        part = self.target.spec.db or self.target.spec.files or self.target.spec.s3
        if part is not None and part.schema_policy is not None:
            return part.schema_policy
        return SchemaPolicy.FAIL_IF_EXISTS if self.mode is Mode.CONVERT else SchemaPolicy.CREATE_MISSING_ONLY

    @property
    def write_mode(self) -> WriteMode:
        """What was asked for, or the mode's default, which never destroys data."""
        part = self.target.spec.db or self.target.spec.files or self.target.spec.s3
        if part is not None and part.write_mode is not None:
            return part.write_mode
        applied = self.mode is Mode.CDC and self.target.spec.db is not None
        return WriteMode.UPSERT if applied else WriteMode.FAIL_IF_NOT_EMPTY
