"""What is there already: each policy, each write mode."""

from __future__ import annotations

from contextlib import closing
from typing import Any
from unittest.mock import patch

import pymysql
import pytest

from rowferry.connectors.base import SourceRequest
from rowferry.connectors.mysql.source import MySqlSource
from rowferry.errors import (
    ConnectionFailed,
    Forbidden,
    InvalidInput,
    Refused,
    TargetExists,
    WriteFailed,
)
from rowferry.model import types as t
from rowferry.model.findings import Severity
from rowferry.model.tables import ForeignKey, Index, IndexPart, Table, TableName
from tests.mysql.conftest import connection
from tests.mysql_target.conftest import Place, load, prepared, write
from tests.servers import MariaDb
from tests.tables import column, simple, table

ITEM = "CREATE TABLE item (id bigint PRIMARY KEY, name longtext)"


def test_fail_if_exists_names_every_table(place: Place) -> None:
    place.run("CREATE TABLE a (x int)", "CREATE VIEW b AS SELECT 1")
    with pytest.raises(TargetExists, match=r"db_.*\.a, db_.*\.b"):
        place.target().plan([simple("a"), simple("b"), simple("c")], "postgres", prepared=False)


def test_validate_existing_names_what_is_missing_and_what_does_not_fit(place: Place) -> None:
    with pytest.raises(Refused, match=r"db_.*\.item.*validate_existing"):
        place.target(policy="validate_existing").plan([simple()], "postgres", prepared=False)
    place.run("CREATE TABLE item (id smallint, extra int NOT NULL, fine int NOT NULL DEFAULT 1)")
    with pytest.raises(Refused) as refused:
        place.target(policy="validate_existing").plan([simple()], "postgres", prepared=False)
    for words in ("column id is smallint(6)", "column name is missing", "column extra must be filled"):
        assert words in refused.value.message
    assert "fine" not in refused.value.message


FITTING: list[tuple[t.NeutralType, str, bool]] = [
    (t.Integer(32), "bigint", True), (t.Integer(32), "decimal(10,0)", True), (t.Integer(32), "decimal(9,0)", False),
    (t.Integer(64, False), "bigint", False), (t.Integer(8), "tinyint(1)", True), (t.Integer(8), "bit(8)", False),
    (t.Integer(8, False), "tinyint", False), (t.Integer(8), "int unsigned", False), (t.Integer(8, False), "int", True),
    (t.Decimal(10, 2), "decimal(12,3)", True), (t.Decimal(10, 2), "decimal(10,3)", False),
    (t.Decimal(10, 2), "double", False), (t.Decimal(10, 2), "decimal(12,3) unsigned", False),
    (t.Number(), "decimal(65,30)", False), (t.Number(), "longtext", True),
    (t.Float(32), "double", True), (t.Float(64), "float", False), (t.Float(64), "double(20,2)", False),
    (t.Text(20), "varchar(20)", True), (t.Text(20), "varchar(19)", False), (t.Text(None), "varchar(190)", False),
    (t.Text(20), "char(20)", False), (t.Text(20, fixed=True), "char(20)", False), (t.Text(20), "longtext", True),
    (t.Text(20), "varchar(20) character set latin1", False), (t.Text(20), "tinytext", True), (t.Text(), "text", False),
    (t.Binary(), "blob", False), (t.Binary(), "longblob", True), (t.Binary(9), "varbinary(9)", True),
    (t.DateTime(6), "datetime(3)", False), (t.DateTime(3), "datetime(6)", True), (t.DateTime(3), "timestamp(3)", False),
    (t.Instant(3), "datetime(3)", True), (t.Instant(3), "timestamp(3)", False),
    (t.Duration(6), "time", False), (t.Duration(6), "time(6)", True), (t.Time(0), "time", True),
    (t.Bits(3), "bit(3)", True), (t.Bits(3), "bit(4)", False), (t.Bits(3), "varchar(4)", True),
    (t.Json(), "json", True), (t.Json(normalised=True), "longtext", True), (t.Json(), "text", False),
    (t.Enum(("a", "b")), "enum('b','a','c')", True), (t.Enum(("a", "z")), "enum('a')", False),
    (t.Enum(("a", "bcd")), "varchar(2)", False), (t.Set(("a",)), "set('a','b')", True),
    (t.Set(("b", "a")), "set('a','b')", False), (t.Year(), "int", True), (t.Year(), "year", True),
    (t.Uuid(), "uuid", True), (t.Uuid(), "char(36)", True), (t.Uuid(), "binary(16)", False),
    (t.Inet(4), "inet4", True), (t.Inet(), "inet6", False), (t.Inet(), "varchar(43)", True),
    (t.Geometry("point"), "geometry", True), (t.Geometry(), "point", False),
    (t.Array(t.Integer(32), "postgresql", "integer[]"), "longtext", True), (t.Interval(), "varchar(99)", False),
    (t.Boolean(), "tinyint(1)", True), (t.Boolean(), "bit(1)", False), (t.Date(), "date", True),
]  # fmt: skip


def test_which_types_hold_which(place: Place) -> None:
    place.run(*(f"CREATE TABLE t{at} (v {declared})" for at, (_, declared, _) in enumerate(FITTING)))
    target = place.target(policy="create_missing_only")
    for at, (neutral, declared, fits) in enumerate(FITTING):
        try:
            target.plan([table(f"t{at}", column("v", neutral))], "postgres", prepared=False)
            fitted = True
        except Refused:
            fitted = False
        assert fitted is fits, (neutral, declared)


OWN_FITTING: list[tuple[str, str, bool]] = [
    ("text", "text", True), ("text", "mediumtext", True), ("text", "tinytext", False), ("char(5)", "char(5)", True),
    ("char(5)", "char(6)", True), ("char(5)", "varchar(5)", True), ("varchar(5)", "char(5)", False),
    ("varchar(5) character set latin1", "varchar(5)", True), ("varchar(5)", "varchar(5) character set latin1", False),
    ("varchar(5) character set latin1", "varchar(5) character set latin1", True), ("int(11)", "int(11)", True),
    ("timestamp(3)", "timestamp", False), ("timestamp(3)", "timestamp(3)", True),
    ("decimal(10,2) unsigned", "decimal(12,2)", True),
    ("decimal(10,2) unsigned", "decimal(10,2) unsigned", True), ("decimal(10,2)", "decimal(10,2) unsigned", False),
    ("enum('a','b')", "enum('a','b')", True), ("float(7,2)", "float(7,2)", True), ("blob", "tinyblob", False),
    ("json", "json", True), ("set('a','b')", "set('a','b')", True),
]  # fmt: skip


def test_which_types_of_the_same_engine_hold_which(place: Place) -> None:
    other = place.server.new_database()
    place.server.execute(
        *(f"CREATE TABLE {other}.t{at} (v {there} NULL)" for at, (there, _, _) in enumerate(OWN_FITTING)),
        *(f"CREATE TABLE t{at} (v {here} NULL)" for at, (_, here, _) in enumerate(OWN_FITTING)),
        database=place.database,
    )
    with closing(MySqlSource(SourceRequest(connection(place.server), other))) as source:
        tables = {table.name.name: table for table in source.tables([])}
    target = place.target(policy="create_missing_only")
    for at, (there, here, fits) in enumerate(OWN_FITTING):
        try:
            target.plan([tables[f"t{at}"]], "mysql", prepared=False)
            fitted = True
        except Refused:
            fitted = False
        assert fitted is fits, (there, here)
    place.server.execute(f"DROP DATABASE {other}")


def test_values_go_into_wider_columns_that_are_there(place: Place) -> None:
    place.run(
        "CREATE TABLE t (V bigint, n decimal(10,0), s varchar(30), e double, j longtext, extra INT AUTO_INCREMENT, "
        "KEY (extra))"
    )
    source = table(
        "t", column("v", t.Integer(8)), column("n", t.Integer(32, False)), column("s", t.Text(30)),
        column("e", t.Float(32)), column("j", t.Json()),
    )  # fmt: skip
    findings = load(
        place.target(policy="validate_existing"),
        (source, [[-5, 4294967295, "x", 0.5, '{"a":1}'], [1, 0, "y", None, None]]),
    )
    assert place.run("SELECT V, n, s, e, j, extra FROM t ORDER BY v") == [
        (-5, 4294967295, "x", 0.5, '{"a":1}', 1), (1, 0, "y", None, None, 2),
    ]  # fmt: skip
    assert findings == []


def test_create_missing_only_keeps_what_is_there(place: Place) -> None:
    place.run(ITEM)
    place.run("CREATE INDEX mine ON item (name(9))")
    other = simple("other")
    load(place.target(policy="create_missing_only"), (simple(), [[1, "a"]]), (other, [[2, "b"]]))
    assert place.run("SELECT * FROM item UNION ALL SELECT * FROM other ORDER BY 1") == [(1, "a"), (2, "b")]
    assert "`mine`" in place.run("SHOW CREATE TABLE item")[0][1]


def test_drop_and_recreate_refuses_to_leave_references_behind(place: Place) -> None:
    place.run(ITEM, "CREATE TABLE other (item bigint REFERENCES item (id))")
    target = place.target(policy="drop_and_recreate")
    with pytest.raises(Refused, match=r"\.other refer to .*\.item"):
        target.plan([simple()], "postgres", prepared=False)
    load(place.target(policy="drop_and_recreate"), (simple(), [[1, "a"]]), (simple("other"), []))
    assert place.run("SELECT * FROM item") == [(1, "a")]


def test_a_view_of_that_name_is_refused(place: Place) -> None:
    place.run("CREATE VIEW item AS SELECT 1")
    for policy in ("create_missing_only", "drop_and_recreate"):
        with pytest.raises(Refused, match="item is a view"):
            place.target(policy=policy).plan([simple()], "postgres", prepared=False)


def test_a_table_without_transactions_is_refused(place: Place) -> None:
    place.run(f"{ITEM} ENGINE=MyISAM")
    for target in (
        place.target(policy="create_missing_only"),
        place.target(policy="create_missing_only", mode="upsert", followed=True, skipData=True),
    ):
        with pytest.raises(Refused, match=r"item are of an engine without transactions"):
            target.plan([simple()], "postgres", prepared=False)


def test_skip_data_does_not_care_for_rows(place: Place) -> None:
    place.run(ITEM, "INSERT INTO item (id) VALUES (7)")
    prepared(place.target(policy="create_missing_only", skipData=True), simple())
    assert place.run("SELECT id FROM item") == [(7,)]


def test_truncate_refuses_when_strangers_refer_to_the_table(place: Place) -> None:
    place.run(ITEM, "INSERT INTO item (id) VALUES (7)", "CREATE TABLE other (item bigint REFERENCES item (id))")
    with pytest.raises(Refused, match="refer"):
        prepared(place.target(policy="create_missing_only", mode="truncate_and_load"), simple())
    assert place.run("SELECT id FROM item") == [(7,)]


def test_upsert_updates_and_inserts_and_the_last_duplicate_wins(each_way: Place) -> None:
    each_way.run(ITEM, "INSERT INTO item VALUES (1, 'old'), (9, 'kept')")
    target = each_way.target(policy="create_missing_only", mode="upsert")
    load(target, (simple(), [[1, "new"], [2, "first"], [2, "last"]]))
    assert each_way.run("SELECT * FROM item ORDER BY id") == [(1, "new"), (2, "last"), (9, "kept")]


def test_upsert_into_a_new_table_has_its_key_first(each_way: Place) -> None:
    load(each_way.target(mode="upsert"), (simple(), [[1, "a"], [1, "b"]]))
    assert each_way.run("SELECT * FROM item") == [(1, "b")]


def test_upsert_by_a_unique_index_of_a_new_table(each_way: Place) -> None:
    cells = (column("a", t.Integer(32), nullable=False), column("b", t.Text()))
    index = Index("one", (IndexPart("a"),), unique=True)
    load(each_way.target(mode="upsert"), (table("t", *cells, indexes=(index,)), [[1, "x"], [1, "y"]]))
    assert each_way.run("SELECT * FROM t") == [(1, "y")]


def test_upsert_with_a_nullable_unique_key(each_way: Place) -> None:
    each_way.run(
        "CREATE TABLE t (a int, b varchar(43), `we``ird` varchar(9) COLLATE utf8mb4_bin, UNIQUE (a, `we``ird`))"
    )
    each_way.run("INSERT INTO t VALUES (1, NULL, 'x')")
    source = table("t", column("a", t.Integer(32)), column("b", t.Inet()), column("we`ird", t.Text(5)))
    rows: list[list[Any]] = [[1, "10.0.0.1", "x"], [None, "10.0.0.2", "x"], [None, "10.0.0.3", "x"]]
    load(each_way.target(policy="validate_existing", mode="upsert"), (source, rows))
    assert each_way.run("SELECT a, b FROM t ORDER BY b") == [(1, "10.0.0.1"), (None, "10.0.0.2"), (None, "10.0.0.3")]


def test_upsert_touches_no_row_that_only_another_unique_key_shares(each_way: Place) -> None:
    each_way.run(
        "CREATE TABLE item (id bigint PRIMARY KEY, name varchar(20) UNIQUE)", "INSERT INTO item VALUES (1, 'a')"
    )
    target = each_way.target(policy="create_missing_only", mode="upsert")
    [planned] = prepared(target, simple()).tables
    with pytest.raises(WriteFailed, match="same key"):
        write(target, planned, [[2, "a"], [3, "c"]])
    assert each_way.run("SELECT * FROM item") == [(1, "a")]
    write(target, planned, [[2, "a"], [1, "b"]], number=1)
    assert each_way.run("SELECT * FROM item ORDER BY id") == [(1, "b"), (2, "a")]


def test_upsert_needs_a_key(place: Place) -> None:
    bare = table("bare", column("v", t.Integer(32)))
    with pytest.raises(Refused, match=r"upsert db_.*\.bare"):
        place.target(mode="upsert").plan([simple(), bare], "postgres", prepared=False)


def test_without_tables_in_the_structure_they_must_be_there(place: Place) -> None:
    options: dict[str, Any] = {"structureOptions": {"tables": False}}
    with pytest.raises(Refused, match=r"lacks db_.*\.item"):
        place.target(**options).plan([simple()], "postgres", prepared=False)
    place.run(ITEM)
    load(place.target(**options), (simple(), [[1, "a"]]))
    assert place.run("SELECT * FROM item") == [(1, "a")]


def test_two_sources_of_one_name_are_refused(place: Place) -> None:
    with pytest.raises(Refused, match=r"shop\.item and stock\.item"):
        place.target().plan([simple(), simple(schema="stock")], "postgres", prepared=False)


def test_a_missing_database_is_planned_for_and_created(place: Place) -> None:
    place.database = f"{place.database} new `one`"
    cells = [column("n", t.Integer(32), nullable=False), column("a", t.Array(t.Text(), "postgresql", "text[]"))]
    target = place.target()
    assert target.journal() is None
    target.forget()
    assert [f.column for f in target.plan([table("t", *cells)], "postgres", prepared=False).findings] == ["a"]
    load(target, (simple(), [[1, "a"]]))
    assert place.run("SELECT * FROM item") == [(1, "a")]


def test_databases_that_are_nobodys_own_are_refused(place: Place) -> None:
    for name in ("mysql", "information_schema", "_rowferry"):
        place.database = name
        with pytest.raises(InvalidInput, match=name):
            place.target()
    with pytest.raises(InvalidInput, match="schema"):
        place.target(schema="public")


def test_a_wrong_password_is_said(place: Place, mariadb: MariaDb) -> None:
    place.server = MariaDb(mariadb.host, mariadb.port, mariadb.user, "sesame")
    with pytest.raises(ConnectionFailed, match="password") as refused:
        place.target().plan([simple()], "postgres", prepared=False)
    assert "sesame" not in refused.value.message


def test_a_user_who_may_not_is_told(place: Place, mariadb: MariaDb) -> None:
    place.run("CREATE USER reader@'%' IDENTIFIED BY 'x'", f"GRANT SELECT ON `{place.database}`.* TO reader@'%'")
    place.server = MariaDb(mariadb.host, mariadb.port, "reader", "x")
    target = place.target()
    plan = target.plan([simple()], "postgres", prepared=False)
    with pytest.raises(Forbidden, match="grant"):
        target.prepare(plan, {})
    mariadb.execute("DROP USER reader@'%'")


def _family() -> tuple[Table, Table]:
    parent, child = simple("parent"), simple("child")
    key = ForeignKey("child_parent", ("id",), TableName("shop", "parent"), ("id",))
    return parent, Table(child.name, child.columns, child.primary_key, foreign_keys=(key,))


def test_references_between_tables_that_are_there_wait_for_the_rows(each_way: Place) -> None:
    parent, child = _family()
    load(each_way.target("s1"), (parent, [[1, "a"]]), (child, [[1, "a"]]))
    again = each_way.target("s2", "validate_existing", "truncate_and_load")
    findings = load(again, (child, [[1, "a"], [2, "b"]]), (parent, [[1, "a"], [2, "b"]]))
    assert findings == []
    again.forget()
    third = each_way.target("s3", "validate_existing", "append")
    [finding] = load(third, (child, [[7, "orphan"]]), (parent, []))
    assert (finding.severity, finding.item) == (Severity.WARNING, "child_parent")
    with pytest.raises(pymysql.IntegrityError):
        each_way.run("INSERT INTO child VALUES (8, 'x')")


def test_references_to_strangers_are_checked_at_once(each_way: Place) -> None:
    each_way.run("CREATE TABLE other (id int PRIMARY KEY)", f"{ITEM[:-1]}, r int REFERENCES other (id))")
    source = table("item", column("id", t.Integer(32)), column("r", t.Integer(32)))
    target = each_way.target(policy="validate_existing")
    [planned] = prepared(target, source).tables
    with pytest.raises(WriteFailed, match="refers to a row that is not on the target"):
        write(target, planned, [[1, None], [2, 5]])
    assert each_way.run("SELECT COUNT(*) FROM item") == [(0,)]


def test_many_tables_are_planned_with_as_many_statements_as_one(place: Place) -> None:
    tables = [simple(f"t{at}") for at in range(80)]
    place.run(*(ITEM.replace("item", f"t{at}") for at in range(80)))
    target = place.target(policy="validate_existing")
    target.plan(tables[:1], "postgres", prepared=False)
    ask = pymysql.connections.Connection.query
    with patch.object(pymysql.connections.Connection, "query", autospec=True, side_effect=ask) as asked:
        target.plan(tables[:1], "postgres", prepared=False)
        one = asked.call_count
        target.plan(tables, "postgres", prepared=False)
    assert 0 < one == asked.call_count - one
