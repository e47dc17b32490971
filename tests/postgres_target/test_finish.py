"""What comes after the rows: keys, indexes, checks, defaults, numbering, comments, references."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import psycopg
import pytest

from rowferry.connectors.postgres.target import PostgresTarget
from rowferry.errors import WriteFailed
from rowferry.model import types as t
from rowferry.model.findings import Finding, Severity
from rowferry.model.tables import (
    Check,
    Default,
    DefaultKind,
    ForeignKey,
    Index,
    IndexPart,
    NativeIndex,
    Table,
    TableName,
)
from tests.postgres_target.conftest import Place, load, prepared, write
from tests.tables import column, simple, table

LITERAL, NOW, EXPRESSION = DefaultKind.LITERAL, DefaultKind.NOW, DefaultKind.EXPRESSION


def index(name: str, *names: str, **more: Any) -> Index:
    return Index(name, tuple(IndexPart(each) for each in names), **more)


def about(findings: list[Finding]) -> list[tuple[str, str | None]]:
    return [(finding.severity.value, finding.item or finding.column) for finding in findings]


def definitions(place: Place, name: str) -> list[str]:
    rows = place.run(f"SELECT indexdef FROM pg_indexes WHERE tablename = '{name}' ORDER BY indexname")
    return [row[0] for row in rows]


def test_keys_and_indexes(place: Place) -> None:
    source = simple(
        indexes=(
            index("by_name", "name"),
            index("only_one", "name", "id", unique=True),
            Index("down", (IndexPart("name", descending=True),), method="HASH"),
            Index("begin", (IndexPart("name", prefix=3),)),
            Index("all_of_it", (IndexPart("name", prefix=20),)),
            Index("computed", (IndexPart(None, "lower(`name`)"), IndexPart("id"))),
            index("words", "name", method="FULLTEXT"),
            Index("strange", (IndexPart(None, "no_such_function(`name`)"),)),
        )
    )
    findings = load(place.target(), (source, [[1, "a"], [2, "b"]]))
    stored = definitions(place, "item")
    for expected in (
        "INDEX all_of_it ON public.item USING btree (name)",
        'INDEX begin ON public.item USING btree ("left"((name)::text, 3))',
        "INDEX by_name ON public.item USING btree (name)",
        "INDEX computed ON public.item USING btree (lower((name)::text), id)",
        "INDEX down ON public.item USING btree (name DESC)",
        "UNIQUE INDEX item_pkey ON public.item USING btree (id)",
        "UNIQUE INDEX only_one ON public.item USING btree (name, id)",
    ):
        assert any(definition.endswith(expected) for definition in stored), expected
    assert len(stored) == 7
    assert about(findings) == [("info", "begin"), ("warning", "words"), ("warning", "strange")]


def test_index_names_are_unique_in_the_schema(place: Place) -> None:
    place.run("CREATE TABLE other (x int)", "CREATE INDEX taken ON other (x)")
    one = simple("one", indexes=(index("same", "name"), index("taken", "name"), index("one", "name")))
    two = simple("two", indexes=(index("same", "name"), index("three_pkey", "name")))
    load(place.target(), (one, []), (two, []), (simple("three"), []))
    names = {row[0] for row in place.run("SELECT indexname FROM pg_indexes WHERE schemaname = 'public'")}
    assert names == {
        "same", "two_same", "taken", "one_taken", "one_one", "two_three_pkey", "one_pkey", "two_pkey", "three_pkey",
    }  # fmt: skip


def test_finishing_twice_changes_nothing(place: Place) -> None:
    source = simple(
        indexes=(index("by_name", "name"),),
        checks=(Check("positive", "`id` > 0"),),
        comment="It's a table",
        next_identity=50,
    )
    numbered = replace(source.columns[0], identity=True, comment="a 'number'")
    source = replace(source, columns=(numbered, source.columns[1]))
    own = ForeignKey("self", ("id",), source.name, ("id",))
    source = replace(source, foreign_keys=(own,))
    target = place.target()
    [planned] = prepared(target, source).tables
    write(target, planned, [[1, "a"]])
    for step in (target, place.target()):
        assert step.finish_table(planned) == []
        assert step.finish([planned]) == []
    assert len(definitions(place, "item")) == 2
    assert place.run("SELECT count(*) FROM pg_constraint WHERE conrelid = 'item'::regclass AND contype <> 'n'") == [
        (3,)
    ]
    assert place.run("INSERT INTO item (name) VALUES ('b') RETURNING id") == [(50,)]
    assert place.run("SELECT obj_description('item'::regclass), col_description('item'::regclass, 1)") == [
        ("It's a table", "a 'number'")
    ]


@pytest.mark.parametrize(
    ("neutral", "highest", "source_next", "following"),
    [
        (t.Integer(16), 7, None, 8),
        (t.Integer(32), 7, 100, 100),
        (t.Integer(64), 7, 3, 8),
        (t.Integer(64, False), 2**63, None, None),
        (t.Integer(64, False), 10, 12, 12),
        (t.Integer(16), 32767, 32768, None),
    ],
)
def test_numbering_goes_on(
    place: Place, neutral: t.NeutralType, highest: int, source_next: int | None, following: int | None
) -> None:
    source = table(
        "t", column("id", neutral, nullable=False, identity=True), column("v", t.Text()),
        primary_key=("id",), next_identity=source_next,
    )  # fmt: skip
    load(place.target(), (source, [[1, "x"], [highest, "y"]]))
    insert = "INSERT INTO t (v) VALUES ('z') RETURNING id::text"
    if following is None:
        with pytest.raises(psycopg.errors.SequenceGeneratorLimitExceeded):
            place.run(insert)
    else:
        assert place.run(insert) == [(str(following),)]


def test_numbering_of_a_table_that_is_there_goes_on(place: Place) -> None:
    place.run("CREATE TABLE item (id serial, name text)")
    load(place.target(policy="validate_existing"), (simple(), [[41, "a"]]))
    assert place.run("INSERT INTO item (name) VALUES ('b') RETURNING id") == [(42,)]


def test_what_the_target_computes_is_not_written(place: Place) -> None:
    place.run(
        "CREATE TABLE item (id int GENERATED ALWAYS AS IDENTITY, name text GENERATED ALWAYS AS ('computed') STORED)"
    )
    findings = load(place.target(policy="validate_existing"), (simple(), [[41, "a"]]))
    assert place.run("SELECT * FROM item") == [(41, "computed")]
    assert about(findings) == [("info", "name")]


def test_defaults(place: Place) -> None:
    cells: dict[str, tuple[t.NeutralType, Default]] = {
        "n": (t.Integer(32), Default(LITERAL, "-7")), "s": (t.Text(20), Default(LITERAL, "it's \\n")),
        "e": (t.Text(20), Default(LITERAL, "")), "b": (t.Boolean(), Default(LITERAL, "1")),
        "bits": (t.Bits(3), Default(LITERAL, "b'101'")), "x": (t.Binary(), Default(LITERAL, "ab")),
        "d": (t.Decimal(10, 2), Default(LITERAL, "1.50")), "j": (t.Json(), Default(LITERAL, '{"a": 1}')),
        "day": (t.Date(), Default(LITERAL, "2020-01-02")),
        "m": (t.DateTime(0), Default(NOW)), "i": (t.Instant(6), Default(NOW)),
        "u": (t.Uuid(), Default(EXPRESSION, "uuid()")), "sum": (t.Integer(32), Default(EXPRESSION, "1 + 2")),
        "zero": (t.Date(), Default(LITERAL, "0000-00-00")), "odd": (t.Integer(32), Default(EXPRESSION, "no_such(1)")),
        "evil": (t.Text(), Default(EXPRESSION, "1); DROP TABLE t; --")),
        "kind": (t.Enum(("a", "b")), Default(LITERAL, "b")),
    }  # fmt: skip
    source = table("t", *(column(name, kind, default=default) for name, (kind, default) in cells.items()))
    findings = load(place.target(), (source, []))
    assert {finding.column or finding.item for finding in findings} == {"zero", "odd", "evil"}
    [row] = place.run(
        "INSERT INTO t DEFAULT VALUES RETURNING n, s, e, b, bits, x, d::text, j, day::text, sum, zero, kind"
    )
    assert row == (-7, "it's \\n", "", True, "101", b"ab", "1.50", {"a": 1}, "2020-01-02", 3, None, "b")
    assert place.run("SELECT m IS NOT NULL AND i IS NOT NULL AND u IS NOT NULL FROM t") == [(True,)]


def test_not_null_and_generated(place: Place) -> None:
    cells = [column("a", t.Integer(32), nullable=False), column("g", t.Integer(32), generated="`a` * 2")]
    cells.append(column("r", t.Float(64), generated="rand(`a`)"))
    findings = load(place.target(), (table("t", *cells), [[1, 2, 0.5]]))
    assert about(findings) == [("info", "g"), ("info", "r")]
    assert place.run("SELECT a, g, r FROM t") == [(1, 2, 0.5)]
    assert place.run("INSERT INTO t (a) VALUES (4) RETURNING g, r") == [(8, None)]
    with pytest.raises(psycopg.errors.NotNullViolation):
        place.run("INSERT INTO t (r) VALUES (1)")


def test_checks_and_enums(place: Place) -> None:
    cells = [
        column("id", t.Integer(32)), column("k", t.Enum(("a", "it's"))), column("Bad", t.Enum(("a",))),
        column("doc", t.Json()),
    ]  # fmt: skip
    checks = (
        Check("low", "`id` > 0 and `k` <> _utf8mb4'z'"), Check("json", "json_valid(`doc`)"),
        Check("broken", "`id` >"), Check("unknown", "no_such(`id`)"), Check("held", "`id` < 5"),
    )  # fmt: skip
    findings = load(place.target(), (table("t", *cells, checks=checks), [[7, "a", "", "{}"], [8, None, "a", None]]))
    assert sorted(about(findings), key=str) == [
        ("warning", "broken"), ("warning", "held"), ("warning", "t_Bad_check"), ("warning", "unknown"),
    ]  # fmt: skip
    names = place.run("SELECT conname FROM pg_constraint WHERE conrelid = 't'::regclass ORDER BY conname")
    assert names == [("low",), ("t_Bad_check",), ("t_k_check",)]
    for values in ("-1, 'a', 'a'", "1, 'b', 'a'", "1, '', 'a'", "1, 'a', 'b'"):
        with pytest.raises(psycopg.errors.CheckViolation):
            place.run(f"""INSERT INTO t (id, k, "Bad") VALUES ({values})""")


def _linked(name: str, *keys: ForeignKey, **more: Any) -> Table:
    return table(
        name, column("id", t.Integer(32), nullable=False), column("other", t.Integer(32)),
        primary_key=("id",), foreign_keys=keys, **more,
    )  # fmt: skip


def _reference(name: str, to: str, **more: Any) -> ForeignKey:
    return ForeignKey(name, ("other",), TableName("shop", to), ("id",), **more)


def test_references_in_circles_and_to_what_is_there(place: Place) -> None:
    place.run("CREATE TABLE resting (id int PRIMARY KEY)", "INSERT INTO resting VALUES (1)")
    one = _linked("one", _reference("a", "two", on_delete="CASCADE", on_update="SET NULL"))
    two = _linked(
        "two", _reference("a", "one", on_delete="RESTRICT"), _reference("b", "two"), _reference("c", "resting")
    )
    three = _linked("three", _reference("orphans", "one"), _reference("nowhere", "missing"))
    findings = load(place.target(), (one, [[1, 1]]), (two, [[1, 1]]), (three, [[1, 9]]))
    assert about(findings) == [("warning", "nowhere"), ("warning", "orphans")]
    rows = place.run(
        "SELECT conrelid::regclass::text, conname, confdeltype, confupdtype FROM pg_constraint "
        "WHERE contype = 'f' AND connamespace = 'public'::regnamespace ORDER BY 1, 2"
    )
    assert rows == [("one", "a", "c", "n"), ("two", "a", "r", "a"), ("two", "b", "a", "a"), ("two", "c", "a", "a")]


def test_structure_options(place: Place) -> None:
    options = {"indexes": False, "foreignKeys": False, "checkConstraints": False}
    source = _linked("one", _reference("a", "one"), indexes=(index("i", "other"),), checks=(Check("c", "id > 0"),))
    assert load(place.target(structureOptions=options), (source, [[1, 1]])) == []
    assert [d.split(" ON ")[0] for d in definitions(place, "one")] == ["CREATE UNIQUE INDEX one_pkey"]
    assert place.run("SELECT contype FROM pg_constraint WHERE conrelid = 'one'::regclass AND contype <> 'n'") == [
        ("p",)
    ]


def test_a_key_that_the_rows_break_stops_the_stream(place: Place) -> None:
    target: PostgresTarget = place.target()
    [planned] = prepared(target, simple()).tables
    write(target, planned, [[1, "a"], [1, "b"]])
    with pytest.raises(WriteFailed, match=r"has the key.*finishing public\.item"):
        target.finish_table(planned)
    place.run("DELETE FROM item WHERE name = 'b'")
    assert target.finish_table(planned) == []


def test_structure_of_a_postgres_source_is_kept_to_the_letter(place: Place) -> None:
    source = table(
        "t", column("tags", t.Json(normalised=True)),
        column("n", t.Integer(32), default=Default(EXPRESSION, "(1 + 1)")),
        indexes=(
            index("inside", "tags", method="gin"),
            Index("part", (IndexPart("n"),), unique=True, predicate="(n > 0)"),
        ),
        checks=(Check("c", "(n = ANY (ARRAY[1, 2, 3]))"),), schema="public",
    )  # fmt: skip
    assert load(place.target(), (source, [["{}", 1]]), dialect="postgres") == []
    assert [d.split(" USING ")[1] for d in definitions(place, "t")] == ["gin (tags)", "btree (n) WHERE (n > 0)"]


def test_own_words_are_said_once(place: Place) -> None:
    """Also where the server refuses them and has the plain form instead, or was interrupted in between."""
    fine = NativeIndex("pair", "CONSTRAINT", "UNIQUE (name) DEFERRABLE", ("fillfactor=70",), "why", "an index")
    strange = NativeIndex("strange", "INDEX", "USING btree (name no_such_ops)", comment="gone")
    broken = NativeIndex("broken", "INDEX", "USING btree (name); DROP TABLE item")
    indexes = [replace(index(native.name, "name"), native=native) for native in (fine, strange, broken)]
    source = simple(
        indexes=tuple(indexes),
        native_key=NativeIndex("the key", "CONSTRAINT", "PRIMARY KEY (id) INCLUDE (no_such)"),
        exclusions=(NativeIndex("apart", "CONSTRAINT", "EXCLUDE USING btree (id WITH =)", comment="apart"),),
        schema="public",
    )
    target = place.target()
    [planned] = prepared(target, source, dialect="postgres").tables
    write(target, planned, [[1, "a"]])
    place.run("ALTER TABLE item ADD CONSTRAINT pair UNIQUE (name)")
    findings = target.finish_table(planned)
    assert about(findings) == [("warning", "the key"), ("warning", "strange")]
    assert target.finish_table(planned) == []
    assert definitions(place, "item") == [
        "CREATE INDEX apart ON public.item USING btree (id)",
        "CREATE INDEX broken ON public.item USING btree (name)",
        "CREATE UNIQUE INDEX pair ON public.item USING btree (name)",
        "CREATE INDEX strange ON public.item USING btree (name)",
        'CREATE UNIQUE INDEX "the key" ON public.item USING btree (id)',
    ]


def test_findings_say_which_table(place: Place) -> None:
    findings = load(place.target(), (simple(indexes=(index("words", "name", method="fulltext"),)), []))
    assert [(f.severity, f.table) for f in findings] == [(Severity.WARNING, "shop.item")]
    assert findings[0].message.startswith("shop.item: the index words is left out")
