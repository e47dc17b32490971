"""What is on the target already, as far as a plan must know it; a constant number of statements."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from pymysql.connections import Connection as Session

from rowferry.connectors.mysql.catalog import described
from rowferry.connectors.mysql.connect import Variant, variant_of
from rowferry.connectors.mysql.names import literal, place
from rowferry.connectors.mysql.sessions import rows
from rowferry.connectors.mysql.sql import SYSTEM_DATABASES
from rowferry.model.tables import Column, Table, TableName

PLAIN_KINDS = frozenset({"BASE TABLE", "SYSTEM VERSIONED"})
"""Kinds of relation that take rows."""


@dataclass(frozen=True, slots=True)
class Relation:
    """Something that has a name in the database. `transactional`: its engine can commit and roll back."""

    name: str
    kind: str
    transactional: bool
    comment: str


@dataclass(frozen=True)
class Facts:
    """The target's database. `tables` describes those of the wanted tables that are there.

    `referring`: tables that are not wanted, by the wanted table that a foreign key of theirs leads to.
    `constraints`: names of foreign keys and checks of the tables that are not wanted. `folds`: the server writes
    names of tables in lower case.
    """

    variant: Variant
    database: bool = True
    folds: bool = False
    relations: Mapping[str, Relation] = field(default_factory=dict)
    tables: Mapping[str, Table] = field(default_factory=dict)
    referring: Mapping[str, Sequence[str]] = field(default_factory=dict)
    constraints: frozenset[str] = frozenset()
    collations: frozenset[str] = frozenset()

    def without(self, names: Iterable[str]) -> Facts:
        """The same as if these tables were not there."""
        gone = set(names)
        return replace(
            self,
            relations={name: relation for name, relation in self.relations.items() if name not in gone},
            tables={name: table for name, table in self.tables.items() if name not in gone},
        )


_RELATIONS = """
SELECT t.TABLE_NAME, t.TABLE_TYPE, COALESCE(e.TRANSACTIONS, 'NO') = 'YES', COALESCE(t.TABLE_COMMENT, '')
FROM information_schema.TABLES t LEFT JOIN information_schema.ENGINES e ON e.ENGINE = t.ENGINE
WHERE t.TABLE_SCHEMA = {database}
"""

_REFERRING = """
SELECT REFERENCED_TABLE_NAME, TABLE_SCHEMA, TABLE_NAME FROM information_schema.KEY_COLUMN_USAGE
WHERE TABLE_SCHEMA = {other} AND REFERENCED_TABLE_SCHEMA = {database} AND REFERENCED_TABLE_NAME IN ({names})
"""
"""Asked for each database by itself: MariaDB finds its tables only so, and would open the system's views as well."""

_CONSTRAINTS = """
SELECT CONSTRAINT_NAME FROM information_schema.TABLE_CONSTRAINTS
WHERE TABLE_SCHEMA = {database} AND CONSTRAINT_TYPE IN ('FOREIGN KEY', 'CHECK') AND TABLE_NAME NOT IN ({names})
"""

_COLLATIONS = "SELECT * FROM information_schema.COLLATION_CHARACTER_SET_APPLICABILITY"


def server_facts(session: Session) -> Facts:
    """What is true of the server, whatever databases it has."""
    ((case,),) = rows(session, "SELECT @@lower_case_table_names")
    found = rows(session, _COLLATIONS)
    return Facts(
        variant_of(session),
        database=False,
        folds=int(str(case)) == 1,
        collations=frozenset(str(word) for row in found for word in row if word is not None),
    )


def read_facts(session: Session, database: str, names: Iterable[str]) -> Facts:
    """The server, the database's names, and more about those of its tables that are called one of `names`.

    Who refers to them is not looked up (`with_references`).
    """
    server = server_facts(session)
    wanted = sorted(set(names))
    if not has_database(session, database):
        return server
    listed = ", ".join(literal(name) for name in wanted) or "NULL"

    def ask(query: str) -> list[tuple[object, ...]]:
        return rows(session, query.format(database=literal(database), names=listed))

    relations = {str(r[0]): Relation(str(r[0]), str(r[1]), bool(r[2]), str(r[3])) for r in ask(_RELATIONS)}
    return replace(
        server,
        database=True,
        relations=relations,
        tables={table.name.name: table for table in described(session, database, wanted)} if wanted else {},
        constraints=frozenset(str(row[0]) for row in ask(_CONSTRAINTS)),
    )


def with_references(session: Session, facts: Facts, database: str, names: Iterable[str]) -> Facts:
    """The same, with the tables of all databases that refer to those of `names` that are there."""
    wanted = set(names)
    there = sorted(wanted & facts.relations.keys())
    if not there:
        return facts
    listed = ", ".join(literal(name) for name in there)
    strangers: dict[str, list[str]] = {}
    for (other,) in rows(session, "SELECT SCHEMA_NAME FROM information_schema.SCHEMATA"):
        if str(other).lower() not in SYSTEM_DATABASES:
            query = _REFERRING.format(other=literal(str(other)), database=literal(database), names=listed)
            for referenced, schema, table in rows(session, query):
                if schema != database or table not in wanted:
                    strangers.setdefault(str(referenced), []).append(f"{schema}.{table}")
    return replace(facts, referring=strangers)


def has_database(session: Session, database: str) -> bool:
    """Whether the database is there."""
    query = f"SELECT 1 FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = {literal(database)}"
    return bool(rows(session, query))


def not_empty(session: Session, database: str, names: Sequence[str]) -> list[str]:
    """Those of the tables that hold at least one row; one statement, one row of each table at most."""
    if not names:
        return []
    parts = [
        f"SELECT {literal(name)} FROM DUAL WHERE EXISTS (SELECT 1 FROM {place(TableName(database, name))} LIMIT 1)"
        for name in names
    ]
    return sorted(str(row[0]) for row in rows(session, " UNION ALL ".join(parts)))


def unique_keys(table: Table) -> list[tuple[str, ...]]:
    """The unique keys over whole columns of a table that is there, the primary key first."""
    keys = [table.primary_key] if table.primary_key else []
    unique = [
        index.columns
        for index in table.indexes
        if index.unique and all(part.column is not None and part.prefix is None for part in index.parts)
    ]
    return keys + sorted(unique, key=len)


def filled(column: Column) -> bool:
    """Whether the server gives the column a value when nobody writes one."""
    return column.identity or column.default is not None or column.generated is not None
