"""A publication of the user's own: what it lacks for the tables of a stream."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from rowferry.config.stream import SourceOptions
from rowferry.connectors.postgres.catalog import Session
from rowferry.connectors.postgres.names import qualified, quoted
from rowferry.connectors.postgres.replication.slots import Names, published
from rowferry.connectors.postgres.replication.tables import Stored
from rowferry.connectors.postgres.versions import spelled
from rowferry.model.findings import Finding, Severity
from rowferry.model.tables import Table, TableName

PUBLICATION = """
SELECT pubinsert, pubupdate, pubdelete, {publishes_truncate}, {publishes_root} FROM pg_publication WHERE pubname = %s
"""

COVERED = """
SELECT DISTINCT t.schemaname::text, t.tablename::text FROM pg_publication_tables t WHERE t.pubname = %s
"""

NARROWED = """
SELECT n.nspname::text, c.relname::text
FROM pg_publication p
JOIN pg_publication_rel r ON r.prpubid = p.oid
JOIN pg_class c ON c.oid = r.prrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE p.pubname = %s AND ({narrowed})
"""
"""Tables of which only some rows, or some columns, are published."""


class Published(NamedTuple):
    """Which operations are published, and whether partitions are published as the table that they are parts of."""

    insert: bool
    update: bool
    delete: bool
    truncate: bool
    as_root: bool


def about_publication(
    session: Session,
    tables: Sequence[Table],
    stored: Mapping[TableName, Sequence[Stored]],
    names: Names,
    options: SourceOptions,
) -> Iterator[Finding]:
    """What the user's own publication lacks; of one that the stream makes there is nothing to say."""
    if names.own_publication:
        return
    name, version = names.publication, session.info.server_version
    found = session.execute(spelled(PUBLICATION, version), (name,)).fetchone()
    listed = ", ".join(_only(table) for table in tables)
    if found is None:
        settings = f"publish = '{published(options)}', publish_via_partition_root = true"
        yield Finding(
            Severity.ERROR,
            "",
            f"There is no publication {name}: run CREATE PUBLICATION {quoted(name)} FOR TABLE {listed} "
            f"WITH ({settings});",
        )
        return
    has = Published(*found)
    lacking = [word for word in published(options).split(", ") if not getattr(has, word)]
    if lacking:
        yield Finding(
            Severity.ERROR,
            "",
            f"The publication {name} leaves out {', '.join(lacking)}: run ALTER PUBLICATION {quoted(name)} "
            f"SET (publish = '{published(options)}');",
        )
    partitioned = [table for table in tables if any(one.kind == "p" for one in stored.get(table.name, ()))]
    if partitioned and not has.as_root:
        yield Finding(
            Severity.ERROR,
            str(partitioned[0].name),
            f"The publication {name} tells changes of {partitioned[0].name} as changes of its partitions: run "
            f"ALTER PUBLICATION {quoted(name)} SET (publish_via_partition_root = true);",
        )
        return
    covered = {TableName(*row) for row in session.execute(COVERED, (name,))}
    narrowed = {TableName(*row) for row in session.execute(spelled(NARROWED, version), (name,))}
    for table in tables:
        add = f"ALTER PUBLICATION {quoted(name)} ADD TABLE {_only(table)};"
        if table.name not in covered:
            yield Finding(
                Severity.ERROR, str(table.name), f"The publication {name} does not have {table.name}: run {add}"
            )
        elif table.name in narrowed:
            drop = f"ALTER PUBLICATION {quoted(name)} DROP TABLE {_only(table)};"
            yield Finding(
                Severity.ERROR,
                str(table.name),
                f"The publication {name} has only some rows or columns of {table.name}: run {drop} {add}",
            )


def _only(table: Table) -> str:
    return f"ONLY {qualified(table.name.schema, table.name.name)}"
