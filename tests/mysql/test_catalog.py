"""What the catalogue says of tables, on MariaDB as it is and on MySQL by its rows."""

# ruff: noqa: E501 - cases and statements are read more easily on one line each

from __future__ import annotations

from typing import Any

import pytest

from rowferry.connectors.mysql.catalog import Answers, assemble
from rowferry.connectors.mysql.columns import column, members
from rowferry.connectors.mysql.connect import Variant, settings_statement
from rowferry.model import types as t
from rowferry.model.tables import Check, Default, DefaultKind, ForeignKey, Index, IndexPart, TableName
from tests.mysql.conftest import Place

NOW = Default(DefaultKind.NOW)


def _literal(value: str) -> Default:
    return Default(DefaultKind.LITERAL, value)


def _expression(value: str) -> Default:
    return Default(DefaultKind.EXPRESSION, value)


DEFAULTS: list[tuple[str, Default | None]] = [
    ("INT", None),
    ("INT NOT NULL", None),
    ("INT DEFAULT NULL", None),
    ("INT DEFAULT 5", _literal("5")),
    ("INT DEFAULT -5", _literal("-5")),
    ("DECIMAL(5,2) DEFAULT 1.5", _literal("1.50")),
    ("VARCHAR(20) DEFAULT ''", _literal("")),
    ("VARCHAR(20) DEFAULT 'NULL'", _literal("NULL")),
    ("VARCHAR(20) DEFAULT 'current_timestamp()'", _literal("current_timestamp()")),
    (r"VARCHAR(20) DEFAULT 'it''s \\ \n é'", _literal("it's \\ \n é")),
    ("DATETIME DEFAULT CURRENT_TIMESTAMP", NOW),
    ("DATETIME(3) DEFAULT CURRENT_TIMESTAMP(3) ON UPDATE CURRENT_TIMESTAMP(3)", NOW),
    ("TIMESTAMP NOT NULL DEFAULT '2020-01-01 00:00:00'", _literal("2020-01-01 00:00:00")),
    ("DATE DEFAULT '2020-01-01'", _literal("2020-01-01")),
    ("DATE DEFAULT (CURDATE())", _expression("curdate()")),
    ("VARCHAR(36) DEFAULT (UUID())", _expression("uuid()")),
    ("BIT(4) DEFAULT b'101'", _literal("0101")),
    ("ENUM('a','b') DEFAULT 'b'", _literal("b")),
    ("INT DEFAULT (1 + 2)", _expression("(1 + 2)")),
]


@pytest.mark.parametrize(("declared", "wanted"), DEFAULTS)
def test_defaults(place: Place, declared: str, wanted: Default | None) -> None:
    place.run(f"CREATE TABLE d (id INT, v {declared})")
    assert place.table("d").column("v").default == wanted


def test_members_of_an_enum(place: Place) -> None:
    place.run(r"""CREATE TABLE e (v ENUM('a,b','c''d','e\\f','g\nh','','"q"',')','é'), s SET('x','y'''))""")
    table = place.table("e")
    assert table.column("v").type == t.Enum(("a,b", "c'd", "e\\f", "g\nh", "", '"q"', ")", "é"))
    assert table.column("s").type == t.Set(("x", "y'"))
    place.run(f"CREATE TABLE big (v ENUM({', '.join(repr(f'm{n}') for n in range(300))}))")
    assert place.table("big").column("v").native.members == tuple(f"m{n}" for n in range(300))


def test_columns(place: Place) -> None:
    place.run(
        "CREATE TABLE c (id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY COMMENT 'the \"key\"', hidden INT INVISIBLE,"
        " l VARCHAR(7) CHARACTER SET latin1 NOT NULL, v INT AS (hidden + 1) VIRTUAL, s VARCHAR(9) AS (CONCAT(l, '''x')) STORED,"
        " j JSON, k LONGTEXT CHECK (JSON_VALID(l)), z INT(5) ZEROFILL) AUTO_INCREMENT = 77 COMMENT 'all'"
    )
    table = place.table("c")
    assert [one.name for one in table.columns] == ["id", "hidden", "l", "v", "s", "j", "k", "z"]
    identity = table.column("id")
    assert identity.identity
    assert identity.type == t.Integer(64, signed=False)
    assert identity.comment == 'the "key"'
    assert not identity.nullable
    assert table.next_identity == 77
    assert table.comment == "all"
    assert table.column("l").native.charset == "latin1"
    assert table.column("v").generated == "`hidden` + 1"
    assert table.column("s").generated == "concat(`l`,'\\'x')"
    assert table.column("v").default is None
    assert table.column("j").type == t.Json()
    assert table.column("k").type == t.Text()
    assert [check.name for check in table.checks] == ["k"]
    assert table.column("z").native.unsigned


def test_indexes_keys_and_references(place: Place) -> None:
    place.run(
        "CREATE TABLE parent (a INT, b INT, PRIMARY KEY (b, a))",
        "CREATE TABLE child (id INT PRIMARY KEY, a INT, b INT, parent INT, t TEXT, g POINT NOT NULL, CONSTRAINT `a >` CHECK (id > 0),"
        " UNIQUE KEY u (a, b), KEY prefix (t(10), a), FULLTEXT KEY f (t), SPATIAL KEY s (g), KEY h (a) USING HASH,"
        " CONSTRAINT `to parent` FOREIGN KEY (a, b) REFERENCES parent (b, a) ON DELETE CASCADE ON UPDATE SET NULL,"
        " CONSTRAINT self FOREIGN KEY (parent) REFERENCES child (id))",
    )
    parent, child = place.table("parent"), place.table("child")
    assert parent.primary_key == parent.key == ("b", "a")
    assert child.primary_key == child.key == ("id",)
    indexes = {index.name: index for index in child.indexes}
    assert indexes["u"] == Index("u", (IndexPart("a"), IndexPart("b")), unique=True)
    assert indexes["prefix"].parts == (IndexPart("t", prefix=10), IndexPart("a"))
    assert indexes["f"] == Index("f", (IndexPart("t"),), method="fulltext")
    assert indexes["s"] == Index("s", (IndexPart("g"),), method="spatial")
    assert child.checks == (Check("a >", "`id` > 0"),)
    assert child.foreign_keys == (
        ForeignKey("self", ("parent",), child.name, ("id",), "RESTRICT", "RESTRICT"),
        ForeignKey("to parent", ("a", "b"), parent.name, ("b", "a"), "SET NULL", "CASCADE"),
    )


@pytest.mark.parametrize(
    ("declared", "primary", "key"),
    [
        ("a INT, b INT", (), ()),
        ("a INT NOT NULL, b INT NOT NULL, UNIQUE x (a, b), UNIQUE y (b)", (), ("b",)),
        ("a INT, b INT NOT NULL, UNIQUE (a), UNIQUE (b)", (), ("b",)),
        ("a INT, UNIQUE (a)", (), ()),
        ("a VARCHAR(20) NOT NULL, UNIQUE (a(5))", (), ()),
        ("a VARCHAR(20), PRIMARY KEY (a(5))", ("a",), ()),
    ],
)
def test_the_key_is_whole_and_never_null(
    place: Place, declared: str, primary: tuple[str, ...], key: tuple[str, ...]
) -> None:
    place.run(f"CREATE TABLE k ({declared})")
    table = place.table("k")
    assert (table.primary_key, table.key) == (primary, key)


def test_only_base_tables_are_discovered(place: Place) -> None:
    place.run(
        "CREATE TABLE b (n INT)",
        "CREATE TABLE a (n INT) WITH SYSTEM VERSIONING",
        "CREATE TABLE p (n INT) PARTITION BY HASH (n) PARTITIONS 3",
        "CREATE VIEW v AS SELECT * FROM b",
        "CREATE SEQUENCE q",
        "CREATE TABLE r (n INT, f TIMESTAMP(6) GENERATED ALWAYS AS ROW START, u TIMESTAMP(6) GENERATED ALWAYS AS ROW END,"
        " PERIOD FOR SYSTEM_TIME (f, u)) WITH SYSTEM VERSIONING",
    )
    tables = place.source.tables([])
    assert [table.name.name for table in tables] == ["a", "b", "p", "r"]
    assert all(one.generated is None for one in tables[-1].columns)


def test_estimates(place: Place) -> None:
    place.run(
        "CREATE TABLE e (id INT PRIMARY KEY, t VARCHAR(100))",
        "INSERT INTO e SELECT seq, REPEAT('x', 100) FROM seq_1_to_5000",
        "ANALYZE TABLE e",
    )
    table = place.table("e")
    assert 4000 < table.estimated_rows < 6000
    assert table.estimated_bytes > 500_000


def _row(**changes: Any) -> dict[str, Any]:
    row: dict[str, Any] = {
        "TABLE_NAME": "t", "COLUMN_NAME": "c", "COLUMN_DEFAULT": None, "IS_NULLABLE": "YES", "DATA_TYPE": "varchar",
        "CHARACTER_MAXIMUM_LENGTH": 20, "NUMERIC_PRECISION": None, "NUMERIC_SCALE": None, "DATETIME_PRECISION": None,
        "CHARACTER_SET_NAME": "utf8mb4", "COLLATION_NAME": "utf8mb4_0900_ai_ci", "COLUMN_TYPE": "varchar(20)", "EXTRA": "",
        "COLUMN_COMMENT": "", "GENERATION_EXPRESSION": "", "SRS_ID": None,
    }  # fmt: skip
    return row | changes


MOMENT = {"DATA_TYPE": "datetime", "COLUMN_TYPE": "datetime", "DATETIME_PRECISION": 0, "CHARACTER_SET_NAME": None}
BYTES = {"DATA_TYPE": "binary", "COLUMN_TYPE": "binary(2)", "CHARACTER_SET_NAME": None}
BITS = {"DATA_TYPE": "bit", "COLUMN_TYPE": "bit(4)", "NUMERIC_PRECISION": 4, "CHARACTER_SET_NAME": None}


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"COLUMN_DEFAULT": "it's"}, _literal("it's")),
        ({"COLUMN_DEFAULT": "NULL"}, _literal("NULL")),
        ({"COLUMN_DEFAULT": "'quoted'"}, _literal("'quoted'")),
        ({"COLUMN_DEFAULT": "CURRENT_TIMESTAMP"}, _literal("CURRENT_TIMESTAMP")),
        ({"COLUMN_DEFAULT": "uuid()", "EXTRA": "DEFAULT_GENERATED"}, _expression("uuid()")),
        ({"COLUMN_DEFAULT": "concat(_utf8mb4\\'a\\')", "EXTRA": "DEFAULT_GENERATED"}, _expression("concat(_utf8mb4'a')")),
        ({**MOMENT, "COLUMN_DEFAULT": "CURRENT_TIMESTAMP"}, NOW),
        ({**MOMENT, "COLUMN_DEFAULT": "CURRENT_TIMESTAMP(3)", "EXTRA": "DEFAULT_GENERATED on update CURRENT_TIMESTAMP(3)"}, NOW),
        ({**MOMENT, "COLUMN_DEFAULT": "2020-01-01 00:00:00"}, _literal("2020-01-01 00:00:00")),
        ({**BYTES, "COLUMN_DEFAULT": "0x6162"}, _expression("0x6162")),
        ({**BITS, "COLUMN_DEFAULT": "b'11'"}, _literal("0011")),
    ],
)  # fmt: skip
def test_defaults_of_mysql(changes: dict[str, Any], wanted: Default) -> None:
    assert column(_row(**changes), mariadb=False).default == wanted


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"DATA_TYPE": "json", "COLUMN_TYPE": "json", "CHARACTER_SET_NAME": None}, t.Json(normalised=True)),
        ({"DATA_TYPE": "point", "COLUMN_TYPE": "point", "SRS_ID": 4326}, t.Geometry("point", 4326)),
        ({"DATA_TYPE": "geomcollection", "COLUMN_TYPE": "geomcollection"}, t.Geometry("geometrycollection")),
        ({"DATA_TYPE": "vector", "COLUMN_TYPE": "vector(3)"}, t.Unknown("mysql", "vector(3)")),
        ({"DATA_TYPE": "int", "COLUMN_TYPE": "int unsigned", "NUMERIC_PRECISION": 10}, t.Integer(32, signed=False)),
        ({"DATA_TYPE": "enum", "COLUMN_TYPE": "enum('unsigned','B')"}, t.Enum(("unsigned", "B"))),
    ],
)
def test_types_of_mysql(changes: dict[str, Any], wanted: t.NeutralType) -> None:
    found = column(_row(**changes), mariadb=False)
    assert found.type == wanted
    assert isinstance(wanted, t.Integer) is found.native.unsigned


def test_a_table_of_mysql() -> None:
    statistics: dict[str, Any] = {
        "TABLE_NAME": "t", "INDEX_NAME": "i", "NON_UNIQUE": 1, "COLUMN_NAME": None, "SUB_PART": None, "COLLATION": "A",
        "INDEX_TYPE": "BTREE", "EXPRESSION": "lower(`c`) = _utf8mb4\\'x\\'",
    }  # fmt: skip
    down = statistics | {"INDEX_NAME": "j", "COLUMN_NAME": "c", "EXPRESSION": None, "COLLATION": "D"}
    answers = Answers(
        tables=[{"TABLE_NAME": "t", "TABLE_ROWS": None, "DATA_LENGTH": None, "AUTO_INCREMENT": None, "TABLE_COMMENT": ""}],
        columns={"t": [_row(GENERATION_EXPRESSION="concat(`a`,_utf8mb4\\'x\\')", EXTRA="STORED GENERATED")]},
        statistics={"t": [statistics, down]},
        checks={"t": [{"TABLE_NAME": "t", "CONSTRAINT_NAME": "x", "CHECK_CLAUSE": "(`c` <> _utf8mb4\\'a\\')"}]},
    )  # fmt: skip
    (table,) = assemble("d", answers, Variant.of("8.4.0"))
    assert table.name == TableName("d", "t")
    assert table.columns[0].generated == "concat(`a`,_utf8mb4'x')"
    assert table.indexes[0].parts == (IndexPart(None, expression="lower(`c`) = _utf8mb4'x'"),)
    assert table.indexes[1].parts == (IndexPart("c", descending=True),)
    assert table.checks == (Check("x", "(`c` <> _utf8mb4'a')"),)


@pytest.mark.parametrize(
    ("version", "name", "numbers"),
    [
        ("8.0.36", "mysql", (8, 0, 36)),
        ("5.7.44-log", "mysql", (5, 7, 44)),
        ("9.1.0-commercial", "mysql", (9, 1, 0)),
        ("5.5.5-10.4.32-MariaDB-log", "mariadb", (10, 4, 32)),
        ("10.11.19-MariaDB-0+deb12u1", "mariadb", (10, 11, 19)),
        ("11.4.2-MariaDB", "mariadb", (11, 4, 2)),
    ],
)
def test_variants(version: str, name: str, numbers: tuple[int, ...]) -> None:
    variant = Variant.of(version)
    assert (variant.name, variant.version) == (name, numbers)
    statement = settings_statement(variant)
    assert ("information_schema_stats_expiry=0" in statement) is (name == "mysql" and numbers[0] >= 8)
    assert ("max_statement_time=0" in statement) is (name == "mariadb")


def test_members_may_hold_anything() -> None:
    assert members("set('','a''','\\\\','b,''c')") == ("", "a'", "\\", "b,'c")
