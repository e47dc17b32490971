"""What tables lack for being followed: how they are kept, and what the log tells of a row as it was."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rowferry.connectors.postgres.catalog import Session
from rowferry.connectors.postgres.names import qualified
from rowferry.connectors.postgres.replication.identity import identity_statement
from rowferry.connectors.postgres.types import base_type
from rowferry.connectors.postgres.versions import Since, spelled
from rowferry.model.findings import Finding, Severity
from rowferry.model.tables import Table, TableName

STORED = """
WITH RECURSIVE parts(root, oid) AS (
    SELECT c.oid, c.oid
    FROM unnest(%(schemas)s::text[], %(names)s::text[]) AS wanted(schema, name)
    JOIN pg_namespace n ON n.nspname = wanted.schema
    JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = wanted.name
    UNION ALL
    SELECT parts.root, i.inhrelid
    FROM parts JOIN pg_class c ON c.oid = parts.oid AND c.relkind = 'p' JOIN pg_inherits i ON i.inhparent = parts.oid
), indexes AS (
    SELECT i.indrelid, c.relname, i.indisprimary, i.indisreplident,
           ARRAY(SELECT a.attname::text FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS k(number, at)
                 JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number
                 WHERE k.at <= {index_keys} ORDER BY k.at) AS columns
    FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
    WHERE i.indisunique AND i.indimmediate AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL
)
SELECT rn.nspname::text, r.relname::text, n.nspname::text, c.relname::text, c.relkind::text, c.relpersistence::text,
       c.relreplident::text, o.rolname::text, pg_has_role(c.relowner, 'USAGE'),
       (SELECT columns FROM indexes i WHERE i.indrelid = c.oid AND CASE c.relreplident::text
            WHEN 'd' THEN i.indisprimary WHEN 'i' THEN i.indisreplident ELSE false END),
       coalesce((SELECT json_object_agg(i.relname, i.columns) FROM indexes i WHERE i.indrelid = c.oid), '{{}}'),
       (SELECT i.columns FROM indexes i WHERE i.indrelid = c.oid AND i.indisprimary)
FROM parts
JOIN pg_class r ON r.oid = parts.root
JOIN pg_namespace rn ON rn.oid = r.relnamespace
JOIN pg_class c ON c.oid = parts.oid
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_roles o ON o.oid = c.relowner
ORDER BY parts.root, parts.root <> parts.oid, n.nspname::text, c.relname::text
"""
"""The tables, and of a partitioned one all parts: each row is logged by the part that holds it."""

_FULL = "f"


@dataclass(frozen=True, slots=True)
class Stored:
    """A table, or a part of one, as the server keeps it.

    `kind`, `persistence` and `identity` are pg_class's letters; `told`: the columns that its replica identity tells,
    where it is an index. `unique`: the columns of each index that could be one. `primary`: those of the primary key.
    """

    name: TableName
    kind: str
    persistence: str
    identity: str
    owner: str
    owned: bool
    told: tuple[str, ...]
    unique: dict[str, list[str]]
    primary: tuple[str, ...]


def stored_tables(session: Session, names: Sequence[TableName]) -> dict[TableName, list[Stored]]:
    """Each table that is there, itself first, then its parts."""
    wanted = {"schemas": [name.schema for name in names], "names": [name.name for name in names]}
    found: defaultdict[TableName, list[Stored]] = defaultdict(list)
    for row in session.execute(spelled(STORED, session.info.server_version), wanted):
        root_schema, root, schema, name, kind, persistence, identity, owner, owned, told, unique, primary = row
        found[TableName(root_schema, root)].append(
            Stored(
                TableName(schema, name), kind, persistence, identity, owner, owned, tuple(told or ()), unique,
                tuple(primary or ()),
            )
        )  # fmt: skip
    return dict(found)


def about_table(table: Table, stored: Sequence[Stored], version: int, identified: bool) -> Iterator[Finding]:
    """What keeps it from being followed; `identified`: changes of its rows are wanted, not only new ones."""
    name = str(table.name)
    if not stored:
        yield Finding(Severity.ERROR, name, f"There is no table {name} any more: leave it out.")
        return
    if stored[0].kind == "p" and version < Since.ROOT_PUBLICATIONS:
        yield Finding(
            Severity.ERROR,
            name,
            f"{name} is partitioned, which can be followed from PostgreSQL 13 on: leave it out.",
        )
    for one in stored:
        yield from _about_storage(name, one)
        if identified:
            yield from _about_identity(table, one)
    yield from _about_columns(table, version)


def _about_storage(name: str, one: Stored) -> Iterator[Finding]:
    statement = qualified(one.name.schema, one.name.name)
    if one.persistence == "u" and one.kind != "p":
        yield Finding(
            Severity.ERROR,
            name,
            f"{one.name} is unlogged, so the log tells nothing of it: run ALTER TABLE {statement} SET LOGGED;",
        )
    elif one.persistence == "t":
        yield Finding(
            Severity.ERROR, name, f"{one.name} is a temporary table, of which the log tells nothing: leave it out."
        )
    if one.kind not in ("r", "p"):
        yield Finding(
            Severity.ERROR, name, f"{one.name} is no table that this server keeps, so its log tells nothing of it."
        )


def _about_identity(table: Table, one: Stored) -> Iterator[Finding]:
    if one.identity == _FULL or (table.key and set(table.key) <= set(one.told)) or one.kind not in ("r", "p"):
        return
    lack = "has no key" if not table.key else "has a key that the log does not tell"
    yield Finding(
        Severity.ERROR,
        str(table.name),
        f"{one.name} {lack}, so rows that are updated or deleted cannot be told apart: run {_mending(table, one)}",
    )


def _mending(table: Table, one: Stored) -> str:
    if table.key and set(table.key) == set(one.primary):
        return f"ALTER TABLE {qualified(one.name.schema, one.name.name)} REPLICA IDENTITY DEFAULT;"
    fitting = [index for index, columns in sorted(one.unique.items()) if set(columns) == set(table.key)]
    return identity_statement(one.name, fitting[0] if fitting else None)


def _about_columns(table: Table, version: int) -> Iterator[Finding]:
    name = str(table.name)
    for column in table.columns:
        place = f"{name}.{column.name}"
        if column.generated is not None and column.name in table.key and version < Since.CONSTRAINTS_OF_18:
            yield Finding(
                Severity.ERROR,
                name,
                f"{place} is computed and part of the key, and the log of this server does not tell it: follow the "
                "table from PostgreSQL 18 on, or give it another key.",
                column.name,
            )
        if base_type(column.native).name == "xml":
            yield Finding(
                Severity.WARNING,
                name,
                f"{place}: the log leaves out the XML declaration of a document, so what is followed comes without it.",
                column.name,
            )
