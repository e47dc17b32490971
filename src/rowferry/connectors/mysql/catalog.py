"""What information_schema says of a database: its tables with their whole structure, in a few statements."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pymysql
from pymysql.connections import Connection as Session

from rowferry.connectors.mysql.columns import ResultField, Row, column, column_of_result, native_type
from rowferry.connectors.mysql.connect import Variant, variant_of
from rowferry.connectors.mysql.failures import failed, query_refused
from rowferry.connectors.mysql.keys import KeyColumn
from rowferry.errors import InvalidInput
from rowferry.model.tables import Check, Column, ForeignKey, Index, IndexPart, Table, TableName

Rows = Sequence[Row]
_BASE_TABLES = "('BASE TABLE', 'SYSTEM VERSIONED')"
_JSON_CHECK = re.compile(r"\(?\s*json_valid\s*\(\s*`((?:[^`]|``)+)`\s*\)\s*\)?\Z", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Answers:
    """The rows that describe a database, by table."""

    tables: Rows
    columns: Mapping[str, Rows]
    statistics: Mapping[str, Rows] = field(default_factory=dict)
    references: Mapping[str, Rows] = field(default_factory=dict)
    checks: Mapping[str, Rows] = field(default_factory=dict)


def table_names(session: Session, database: str) -> list[str]:
    """The base tables, sorted; views, sequences and the server's own are none."""
    return _names(session, database, f"TABLE_TYPE IN {_BASE_TABLES}")


def view_names(session: Session, database: str) -> list[str]:
    """The views, sorted."""
    return _names(session, database, "TABLE_TYPE IN ('VIEW', 'SYSTEM VIEW')")


def describe(session: Session, database: str, names: Iterable[str] | None = None) -> list[Table]:
    """The base tables (only those called `names`, when given) with their structure, sorted by name."""
    wanted = None if names is None else sorted(set(names))
    if wanted == []:
        return []
    try:
        return described(session, database, wanted)
    except pymysql.Error as error:
        raise failed(error, f"the catalogue of {database}") from error


def described(session: Session, database: str, names: Sequence[str] | None) -> list[Table]:
    """The same, with the driver's errors as they are."""
    return assemble(database, _ask(session, database, names), variant_of(session))


def live_columns(session: Session, name: TableName) -> dict[str, KeyColumn]:
    """The columns that the table has at this moment, with their collations; none when it is not there."""
    rows = _rows(session, name.schema, [name.name], _COLUMNS.replace("SRS_ID", "NULL AS SRS_ID"))
    return {
        row["COLUMN_NAME"]: KeyColumn(row["COLUMN_NAME"], native_type(row), row["COLLATION_NAME"])
        for row in rows
        if row["TABLE_NAME"] == name.name
    }


def is_versioned(session: Session, name: TableName) -> bool:
    """Whether the table keeps its history (MariaDB's system versioning)."""
    with session.cursor() as cursor:
        cursor.execute(
            "SELECT 1 FROM information_schema.TABLES"
            " WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s AND TABLE_TYPE = 'SYSTEM VERSIONED'",
            (name.schema, name.name),
        )
        return bool(cursor.fetchall())


def describe_query(session: Session, name: TableName, query: str) -> Table:
    """The result of `query` as a table; the server plans the query but does not run it."""
    with session.cursor() as cursor:
        try:
            cursor.execute(f"SELECT * FROM (\n{bare_query(query)}\n) AS `q` LIMIT 0")
        except pymysql.Error as error:
            raise query_refused(error, name.name) from error
        packets: Sequence[ResultField] = cursor._result.fields  # type: ignore[attr-defined]  # the charset is only here
        columns = tuple(column_of_result(packet) for packet in packets)
    if any(not column.name.strip() for column in columns):
        raise InvalidInput(f"The query {name.name} has a column without a name: give it one by AS.")
    return Table(name=name, columns=columns, query=query)


def bare_query(query: str) -> str:
    """The query without the semicolon at its end."""
    return query.strip().rstrip(";").rstrip()


def _ask(session: Session, database: str, names: Sequence[str] | None) -> Answers:
    variant = variant_of(session)
    ask = partial(_rows, session, database, names)
    return Answers(
        tables=ask(_TABLES),
        columns=_by_table(ask(_COLUMNS.replace("SRS_ID", _if_known(variant, "SRS_ID")))),
        statistics=_by_table(ask(_STATISTICS.replace("EXPRESSION", _if_known(variant, "EXPRESSION")))),
        references=_by_table(ask(_REFERENCES)),
        checks=_by_table(ask(_checks_query(variant))),
    )


_SINCE = {"SRS_ID": (8, 0, 3), "EXPRESSION": (8, 0, 13)}
"""Columns that only MySQL's catalogue has, and since when. To ask the catalogue about itself can crash MariaDB."""


def _if_known(variant: Variant, name: str) -> str:
    return name if not variant.mariadb and variant.version >= _SINCE[name] else f"NULL AS {name}"


_TABLES = f"""SELECT TABLE_NAME, TABLE_ROWS, DATA_LENGTH, AUTO_INCREMENT, TABLE_COMMENT
 FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s AND {{names}} AND TABLE_TYPE IN {_BASE_TABLES}
 ORDER BY TABLE_NAME"""
_COLUMNS = """SELECT TABLE_NAME, COLUMN_NAME, COLUMN_DEFAULT, IS_NULLABLE, DATA_TYPE, CHARACTER_MAXIMUM_LENGTH,
 NUMERIC_PRECISION, NUMERIC_SCALE, DATETIME_PRECISION, CHARACTER_SET_NAME, COLLATION_NAME, COLUMN_TYPE, EXTRA,
 COLUMN_COMMENT, GENERATION_EXPRESSION, SRS_ID
 FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = %s AND {names} ORDER BY TABLE_NAME, ORDINAL_POSITION"""
_STATISTICS = """SELECT TABLE_NAME, INDEX_NAME, NON_UNIQUE, COLUMN_NAME, SUB_PART, COLLATION, INDEX_TYPE, EXPRESSION
 FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = %s AND {names}
 ORDER BY TABLE_NAME, INDEX_NAME, SEQ_IN_INDEX"""
_REFERENCES = """SELECT k.TABLE_NAME, k.CONSTRAINT_NAME, k.COLUMN_NAME, k.REFERENCED_TABLE_SCHEMA,
 k.REFERENCED_TABLE_NAME, k.REFERENCED_COLUMN_NAME, r.UPDATE_RULE, r.DELETE_RULE
 FROM information_schema.KEY_COLUMN_USAGE k JOIN information_schema.REFERENTIAL_CONSTRAINTS r
 ON r.CONSTRAINT_SCHEMA = k.CONSTRAINT_SCHEMA AND r.CONSTRAINT_NAME = k.CONSTRAINT_NAME AND r.TABLE_NAME = k.TABLE_NAME
 WHERE k.TABLE_SCHEMA = %s AND r.CONSTRAINT_SCHEMA = %s AND {names} AND k.REFERENCED_TABLE_NAME IS NOT NULL
 ORDER BY k.TABLE_NAME, k.CONSTRAINT_NAME, k.ORDINAL_POSITION"""
"""Both tables are asked for one database, or MariaDB would open every table of every database."""
_CHECKS_MARIADB = """SELECT TABLE_NAME, CONSTRAINT_NAME, CHECK_CLAUSE FROM information_schema.CHECK_CONSTRAINTS
 WHERE CONSTRAINT_SCHEMA = %s AND {names} ORDER BY TABLE_NAME, CONSTRAINT_NAME"""
_CHECKS_MYSQL = """SELECT t.TABLE_NAME, c.CONSTRAINT_NAME, c.CHECK_CLAUSE FROM information_schema.CHECK_CONSTRAINTS c
 JOIN information_schema.TABLE_CONSTRAINTS t
 ON t.CONSTRAINT_SCHEMA = c.CONSTRAINT_SCHEMA AND t.CONSTRAINT_NAME = c.CONSTRAINT_NAME
 WHERE t.CONSTRAINT_TYPE = 'CHECK' AND t.TABLE_SCHEMA = %s AND {names} ORDER BY t.TABLE_NAME, c.CONSTRAINT_NAME"""


def _checks_query(variant: Variant) -> str:
    if variant.mariadb:
        return _CHECKS_MARIADB if variant.version >= (10, 2, 22) and variant.version[:3] not in _WITHOUT_CHECKS else ""
    return _CHECKS_MYSQL if variant.version >= (8, 0, 16) else ""


_WITHOUT_CHECKS = frozenset((10, 3, patch) for patch in range(10))
"""The table of checks came to two series of MariaDB at the same time."""


def _rows(session: Session, database: str, names: Sequence[str] | None, query: str) -> Rows:
    if not query:
        return []
    owner = re.search(r"(\w\.)?TABLE_NAME", query)
    condition = "1 = 1" if names is None else f"{owner[0] if owner else 'TABLE_NAME'} IN %s"
    arguments: list[Any] = [database] * query.count("%s") + ([] if names is None else [names])
    with session.cursor() as cursor:
        cursor.execute(query.format(names=condition), arguments)
        labels = [str(item[0]).upper() for item in cursor.description]
        return [dict(zip(labels, row, strict=True)) for row in cursor.fetchall()]


def _names(session: Session, database: str, condition: str) -> list[str]:
    try:
        with session.cursor() as cursor:
            cursor.execute(
                f"SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s AND {condition}"
                " ORDER BY TABLE_NAME",
                (database,),
            )
            return [str(row[0]) for row in cursor.fetchall()]
    except pymysql.Error as error:
        raise failed(error, f"the catalogue of {database}") from error


def _by_table(rows: Rows) -> dict[str, list[Row]]:
    grouped: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        grouped[row["TABLE_NAME"]].append(row)
    return grouped


def assemble(database: str, answers: Answers, variant: Variant) -> list[Table]:
    """The tables that the catalogue's rows describe."""
    return [_table(database, row, answers, variant) for row in answers.tables]


def _table(database: str, row: Row, answers: Answers, variant: Variant) -> Table:
    name = row["TABLE_NAME"]
    json, checks = _split_checks(answers.checks.get(name, []), answers.columns.get(name, []), variant)
    columns = tuple(
        column(one, variant.mariadb, json=one["COLUMN_NAME"] in json) for one in answers.columns.get(name, [])
    )
    indexes = _indexes(answers.statistics.get(name, []))
    primary = indexes.pop("PRIMARY", None)
    numbered = any(one.identity for one in columns)
    return Table(
        name=TableName(database, name),
        columns=columns,
        primary_key=primary.columns if primary else (),
        key=_key(primary, indexes.values(), columns),
        indexes=tuple(indexes.values()),
        foreign_keys=tuple(_foreign_keys(answers.references.get(name, []))),
        checks=tuple(checks),
        comment=row["TABLE_COMMENT"] or "",
        estimated_rows=int(row["TABLE_ROWS"] or 0),
        estimated_bytes=int(row["DATA_LENGTH"] or 0),
        next_identity=int(row["AUTO_INCREMENT"] or 1) if numbered else None,
    )


def _split_checks(rows: Rows, columns: Rows, variant: Variant) -> tuple[frozenset[str], list[Check]]:
    """The columns whose check says that they hold MariaDB's JSON, and the other checks."""
    long_texts = {one["COLUMN_NAME"] for one in columns if str(one["DATA_TYPE"]).lower() == "longtext"}
    json, checks = set(), []
    for row in rows:
        clause = str(row["CHECK_CLAUSE"])
        guarded = _JSON_CHECK.match(clause) if variant.mariadb else None
        if guarded and guarded[1].replace("``", "`") in long_texts:
            json.add(guarded[1].replace("``", "`"))
        else:
            checks.append(Check(row["CONSTRAINT_NAME"], clause if variant.mariadb else clause.replace("\\'", "'")))
    return frozenset(json), checks


def _indexes(rows: Rows) -> dict[str, Index]:
    grouped: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        grouped[row["INDEX_NAME"]].append(row)
    return {
        name: Index(
            name=name,
            parts=tuple(_part(part) for part in parts),
            unique=not int(parts[0]["NON_UNIQUE"]),
            method=_METHODS.get(parts[0]["INDEX_TYPE"].lower(), parts[0]["INDEX_TYPE"].lower()),
        )
        for name, parts in grouped.items()
    }


_METHODS = {"rtree": "spatial"}
_WHOLE = frozenset({"fulltext", "spatial"})


def _part(row: Row) -> IndexPart:
    whole = str(row["INDEX_TYPE"]).lower() in _WHOLE | set(_METHODS)
    expression = row.get("EXPRESSION")
    return IndexPart(
        column=row["COLUMN_NAME"],
        expression=str(expression).replace("\\'", "'") if expression else None,
        prefix=int(row["SUB_PART"]) if row["SUB_PART"] and not whole else None,
        descending=row["COLLATION"] == "D",
    )


def _key(primary: Index | None, others: Iterable[Index], columns: Sequence[Column]) -> tuple[str, ...]:
    """The primary key, or else the shortest unique index over whole columns that are never null."""
    filled = {one.name for one in columns if not one.nullable}
    if primary is not None and _tells_rows_apart(primary, filled):
        return primary.columns
    unique = [index for index in others if _tells_rows_apart(index, filled)]
    return min(unique, key=lambda index: (len(index.parts), index.name)).columns if unique else ()


def _tells_rows_apart(index: Index, filled: Set[str]) -> bool:
    ordered = index.unique and index.method == "btree"
    return ordered and all(part.column in filled and part.prefix is None for part in index.parts)


def _foreign_keys(rows: Rows) -> Iterable[ForeignKey]:
    grouped: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        grouped[row["CONSTRAINT_NAME"]].append(row)
    for name, parts in grouped.items():
        first = parts[0]
        yield ForeignKey(
            name=name,
            columns=tuple(part["COLUMN_NAME"] for part in parts),
            referenced=TableName(first["REFERENCED_TABLE_SCHEMA"], first["REFERENCED_TABLE_NAME"]),
            referenced_columns=tuple(part["REFERENCED_COLUMN_NAME"] for part in parts),
            on_update=first["UPDATE_RULE"],
            on_delete=first["DELETE_RULE"],
        )
