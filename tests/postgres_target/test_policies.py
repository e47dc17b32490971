"""What is there already: each policy, each write mode."""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

import psycopg
import pytest

from rowferry.errors import ConnectionFailed, Refused, TargetExists
from rowferry.model import types as t
from rowferry.model.findings import Severity
from rowferry.model.tables import ForeignKey, Table, TableName
from tests.postgres_target.conftest import Place, load, prepared, write
from tests.servers import Postgres
from tests.tables import column, simple, table

ITEM = "CREATE TABLE item (id bigint PRIMARY KEY, name text)"


def test_fail_if_exists_names_every_table(place: Place) -> None:
    place.run("CREATE TABLE a (x int)", "CREATE VIEW b AS SELECT 1")
    with pytest.raises(TargetExists, match=r"public\.a, public\.b"):
        place.target().plan([simple("a"), simple("b"), simple("c")], "mysql", prepared=False)


def test_validate_existing_names_what_is_missing_and_what_does_not_fit(place: Place) -> None:
    with pytest.raises(Refused, match=r"public\.item.*validate_existing"):
        place.target(policy="validate_existing").plan([simple()], "mysql", prepared=False)
    place.run("CREATE TABLE item (id smallint, extra int NOT NULL, fine int NOT NULL DEFAULT 1)")
    with pytest.raises(Refused) as refused:
        place.target(policy="validate_existing").plan([simple()], "mysql", prepared=False)
    for words in ("column id is smallint", "column name is missing", "column extra must be filled"):
        assert words in refused.value.message
    assert "fine" not in refused.value.message


FITTING: list[tuple[t.NeutralType, str, bool]] = [
    (t.Integer(32), "bigint", True), (t.Integer(32), "numeric(10,0)", True), (t.Integer(32), "numeric(9,0)", False),
    (t.Integer(64, False), "bigint", False), (t.Integer(8), "boolean", False),
    (t.Decimal(10, 2), "numeric(12,3)", True), (t.Decimal(10, 2), "numeric(10,3)", False),
    (t.Decimal(10, 2), "numeric", True), (t.Decimal(10, 2), "double precision", False),
    (t.Number(), "numeric(50,2)", False),
    (t.Float(32), "double precision", True), (t.Float(64), "real", False),
    (t.Text(20), "varchar(20)", True), (t.Text(20), "varchar(19)", False), (t.Text(None), "varchar(19)", False),
    (t.Text(20), "char(20)", False), (t.Text(20, fixed=True), "char(20)", True), (t.Text(20), "text", True),
    (t.DateTime(6), "timestamp(3)", False), (t.DateTime(3), "timestamp", True), (t.DateTime(3), "timestamptz", False),
    (t.Duration(6), "time", False), (t.Duration(6), "interval", True), (t.Duration(6), "interval hour", False),
    (t.Bits(3), "bit(3)", True), (t.Bits(3), "bit(4)", False), (t.Bits(3), "bit varying(4)", True),
    (t.Json(), "jsonb", True), (t.Json(normalised=True), "json", True),
    (t.Enum(("a", "b")), "en", True), (t.Enum(("a", "z")), "en", False), (t.Enum(("a", "bcd")), "varchar(2)", False),
    (t.Text(20), "dom", True), (t.Text(None), "dom", False), (t.Year(), "int", True),
    (t.Array(t.Integer(32), "postgresql", "integer[]"), "int[]", True),
    (t.Array(t.Integer(32), "postgresql", "integer[]"), "bigint[]", False),
]  # fmt: skip


def test_which_types_hold_which(place: Place) -> None:
    place.run("CREATE TYPE en AS ENUM ('a', 'b', 'c')", "CREATE DOMAIN dom AS varchar(20) NOT NULL")
    place.run(*(f"CREATE TABLE t{at} (v {declared})" for at, (_, declared, _) in enumerate(FITTING)))
    target = place.target(policy="create_missing_only")
    for at, (neutral, declared, fits) in enumerate(FITTING):
        try:
            target.plan([table(f"t{at}", column("v", neutral))], "mysql", prepared=False)
            fitted = True
        except Refused:
            fitted = False
        assert fitted is fits, (neutral, declared)


def test_values_go_into_wider_columns_that_are_there(place: Place) -> None:
    place.run("CREATE TABLE t (v bigint, n numeric, s numeric, e double precision, j jsonb, extra serial)")
    source = table(
        "t", column("v", t.Integer(8)), column("n", t.Integer(32, False)), column("s", t.Integer(64)),
        column("e", t.Float(32)), column("j", t.Json()),
    )  # fmt: skip
    findings = load(
        place.target(policy="validate_existing"),
        (source, [[-5, 4294967295, -(2**63), 0.5, '{"a":1}'], [1, 0, 2**63 - 1, None, None]]),
    )
    assert place.run("SELECT v, n::text, s::text, e, j, extra FROM t ORDER BY v") == [
        (-5, "4294967295", str(-(2**63)), 0.5, {"a": 1}, 1),
        (1, "0", str(2**63 - 1), None, None, 2),
    ]
    assert [(f.severity, f.column) for f in findings] == [(Severity.WARNING, "j")]


def test_create_missing_only_keeps_what_is_there(place: Place) -> None:
    place.run(ITEM)
    place.run("CREATE INDEX mine ON item (name)")
    other = simple("other")
    load(place.target(policy="create_missing_only"), (simple(), [[1, "a"]]), (other, [[2, "b"]]))
    assert place.run("SELECT * FROM item UNION ALL SELECT * FROM other ORDER BY 1") == [(1, "a"), (2, "b")]
    assert place.run("SELECT to_regclass('mine') IS NOT NULL") == [(True,)]


def test_drop_and_recreate_refuses_to_drop_more_than_its_tables(place: Place) -> None:
    place.run("CREATE TABLE item (other text)", "CREATE VIEW v AS SELECT * FROM item")
    target = place.target(policy="drop_and_recreate")
    with pytest.raises(Refused, match="depend"):
        prepared(target, simple())
    assert place.run("SELECT item.other FROM item, v") == []
    assert target.journal() is None


def test_a_view_or_index_of_that_name_is_refused(place: Place) -> None:
    place.run("CREATE TABLE x (a int)", "CREATE INDEX item ON x (a)")
    for policy in ("create_missing_only", "drop_and_recreate"):
        with pytest.raises(Refused, match="item is an index"):
            place.target(policy=policy).plan([simple()], "mysql", prepared=False)


def test_skip_data_does_not_care_for_rows(place: Place) -> None:
    place.run(ITEM, "INSERT INTO item VALUES (7)")
    prepared(place.target(policy="create_missing_only", skipData=True), simple())
    assert place.run("SELECT id FROM item") == [(7,)]


def test_truncate_refuses_when_strangers_refer_to_the_table(place: Place) -> None:
    place.run(ITEM, "INSERT INTO item VALUES (7)", "CREATE TABLE other (item bigint REFERENCES item)")
    with pytest.raises(Refused, match="refer"):
        prepared(place.target(policy="create_missing_only", mode="truncate_and_load"), simple())
    assert place.run("SELECT id FROM item") == [(7,)]


def test_upsert_updates_and_inserts_and_the_last_duplicate_wins(place: Place) -> None:
    place.run(ITEM, "INSERT INTO item VALUES (1, 'old'), (9, 'kept')")
    target = place.target(policy="create_missing_only", mode="upsert")
    load(target, (simple(), [[1, "new"], [2, "first"], [2, "last"]]))
    assert place.run("SELECT * FROM item ORDER BY id") == [(1, "new"), (2, "last"), (9, "kept")]


def test_upsert_into_a_new_table_has_its_key_first(place: Place) -> None:
    load(place.target(mode="upsert"), (simple(), [[1, "a"], [1, "b"]]))
    assert place.run("SELECT * FROM item") == [(1, "b")]


def test_upsert_as_text_with_a_nullable_unique_key(place: Place) -> None:
    place.run(
        'CREATE TABLE t (a int, b inet, "we""ird" text, UNIQUE (a, "we""ird"))', "INSERT INTO t VALUES (1, NULL, 'x')"
    )
    source = table("t", column("a", t.Integer(32)), column("b", t.Inet()), column('we"ird', t.Text(5)))
    rows: list[list[Any]] = [[1, "10.0.0.1", "x"], [None, "10.0.0.2", "x"], [None, "10.0.0.3", "x"]]
    load(place.target(policy="validate_existing", mode="upsert"), (source, rows))
    assert place.run("SELECT a, host(b) FROM t ORDER BY b") == [(1, "10.0.0.1"), (None, "10.0.0.2"), (None, "10.0.0.3")]


def test_upsert_needs_a_key(place: Place) -> None:
    bare = table("bare", column("v", t.Integer(32)))
    with pytest.raises(Refused, match=r"upsert public\.bare"):
        place.target(mode="upsert").plan([simple(), bare], "mysql", prepared=False)


def test_without_tables_in_the_structure_they_must_be_there(place: Place) -> None:
    options: dict[str, Any] = {"structureOptions": {"tables": False}}
    with pytest.raises(Refused, match=r"lacks public\.item"):
        place.target(**options).plan([simple()], "mysql", prepared=False)
    place.run(ITEM)
    load(place.target(**options), (simple(), [[1, "a"]]))
    assert place.run("SELECT * FROM item") == [(1, "a")]


def test_two_sources_of_one_name_are_refused(place: Place) -> None:
    with pytest.raises(Refused, match=r"shop\.item and stock\.item"):
        place.target().plan([simple(), simple(schema="stock")], "mysql", prepared=False)


def test_a_missing_database_is_planned_for_and_created(place: Place) -> None:
    place.database = f'{place.database} new "one"'
    cells = [column("n", t.Integer(32), nullable=False), column("h", t.Foreign("postgresql", "hstore"))]
    target = place.target(schema="Mixed Case")
    assert target.journal() is None
    target.forget()
    assert [f.column for f in target.plan([table("t", *cells)], "postgres", prepared=False).findings] == ["h"]
    load(target, (simple(), [[1, "a"]]))
    assert place.run('SELECT * FROM "Mixed Case".item') == [(1, "a")]


def test_a_wrong_password_is_no_missing_database(place: Place, postgres: Postgres) -> None:
    place.server = Postgres(postgres.host, postgres.port, postgres.user, "wrong")
    with pytest.raises(ConnectionFailed, match="password") as refused:
        place.target().plan([simple()], "mysql", prepared=False)
    assert "wrong" not in refused.value.message.replace("is wrong", "")


def _family() -> tuple[Table, Table]:
    parent, child = simple("parent"), simple("child")
    key = ForeignKey("child_parent", ("id",), TableName("shop", "parent"), ("id",))
    return parent, Table(child.name, child.columns, child.primary_key, foreign_keys=(key,))


def test_references_between_tables_that_are_there_wait_for_the_rows(place: Place) -> None:
    parent, child = _family()
    load(place.target("s1"), (parent, [[1, "a"]]), (child, [[1, "a"]]))
    again = place.target("s2", "validate_existing", "truncate_and_load")
    findings = load(again, (child, [[1, "a"], [2, "b"]]), (parent, [[1, "a"], [2, "b"]]))
    assert findings == []
    assert place.run(
        "SELECT count(*), bool_and(convalidated) FROM pg_constraint "
        "WHERE contype = 'f' AND conrelid = 'child'::regclass"
    ) == [(1, True)]
    again.forget()


def test_a_stream_that_ends_early_puts_references_back(place: Place) -> None:
    parent, child = _family()
    load(place.target("s1"), (parent, [[1, "a"]]), (child, [[1, "a"]]))
    target = place.target("s2", "validate_existing", "truncate_and_load")
    plan = prepared(target, child, parent)
    write(target, plan.tables[0], [[2, "orphan"]])
    count = "SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND conrelid = 'child'::regclass"
    assert place.run(count) == [(0,)]
    target.forget()
    assert place.run(count) == [(1,)]
    assert place.run("SELECT name FROM child") == [("orphan",)]


def test_many_tables_are_planned_with_as_many_statements_as_one(place: Place) -> None:
    tables = [simple(f"t{at}") for at in range(80)]
    place.run(*(ITEM.replace("item", f"t{at}") for at in range(80)))
    target = place.target(policy="validate_existing")
    target.plan(tables[:1], "mysql", prepared=False)
    ask = psycopg.Cursor.execute
    with patch.object(psycopg.Cursor, "execute", autospec=True, side_effect=ask) as asked:
        target.plan(tables[:1], "mysql", prepared=False)
        one = asked.call_count
        target.plan(tables, "mysql", prepared=False)
    assert 0 < one == asked.call_count - one
