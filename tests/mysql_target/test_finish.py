"""What comes after the rows: indexes, checks, defaults, numbering, comments, references."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pymysql
import pytest

from rowferry.connectors.mysql.target import MySqlTarget
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
    NativeType,
    Table,
    TableName,
)
from tests.mysql_target.conftest import Place, load, prepared, write
from tests.tables import column, simple, table

LITERAL, NOW, EXPRESSION = DefaultKind.LITERAL, DefaultKind.NOW, DefaultKind.EXPRESSION


def index(name: str, *names: str, **more: Any) -> Index:
    return Index(name, tuple(IndexPart(each) for each in names), **more)


def about(findings: list[Finding]) -> list[tuple[str, str | None]]:
    return [(finding.severity.value, finding.item or finding.column) for finding in findings]


def made(place: Place, name: str) -> str:
    [(_, statement)] = place.run(f"SHOW CREATE TABLE `{name}`")
    return str(statement)


def test_keys_and_indexes_of_the_same_engine(place: Place) -> None:
    source = simple(
        indexes=(
            index("by_name", "name"),
            index("only_one", "name", "id", unique=True),
            Index("down", (IndexPart("name", descending=True),)),
            Index("begin", (IndexPart("name", prefix=3),)),
            index("words", "name", method="fulltext"),
            Index("computed", (IndexPart(None, "lower(`name`)"), IndexPart("id"))),
            index("primary", "name"),
        )
    )
    own = NativeType("int", "int(11)"), NativeType("varchar", "varchar(20)", 20, charset="utf8mb4")
    columns = tuple(replace(one, native=native) for one, native in zip(source.columns, own, strict=True))
    findings = load(place.target(), (replace(source, columns=columns), [[1, "a"], [2, "b"]]), dialect="mysql")
    stored = made(place, "item")
    for expected in (
        "PRIMARY KEY (`id`)", "UNIQUE KEY `only_one` (`name`,`id`)", "KEY `by_name` (`name`)",
        "KEY `down` (`name` DESC)", "KEY `begin` (`name`(3))", "FULLTEXT KEY `words` (`name`)",
        "KEY `primary_` (`name`)",
    ):  # fmt: skip
        assert expected in stored
    assert sorted(about(findings)) == [("info", "primary"), ("warning", "computed")]


def test_keys_on_text_of_another_engine(place: Place) -> None:
    """A key has at most 3072 bytes: its texts become shorter, an index holds their beginnings."""
    cells = [
        column("a", t.Text(), nullable=False), column("b", t.Text(5000), nullable=False),
        column("n", t.Integer(64), nullable=False), column("raw", t.Binary()), column("long", t.Text()),
        column("free", t.Text(3)), column("doc", t.Json(normalised=True)),
    ]  # fmt: skip
    source = table(
        "t", *cells, primary_key=("a", "n", "b"),
        indexes=(
            index("raws", "raw", unique=True), index("longs", "long", "free"), index("docs", "doc", method="gin"),
            Index("part", (IndexPart("n"),), predicate="n > 0"), index("hashed", "n", method="hash"),
        ),
    )  # fmt: skip
    target = place.target()
    plan = prepared(target, source)
    [planned] = plan.tables
    declared = [cell.native.declared for cell in planned.target.columns]
    assert declared == ["varchar(383)", "varchar(383)", "bigint", "varbinary(3072)", "longtext", "varchar(3)", "json"]
    assert about(list(plan.findings)) == [
        ("warning", "a"), ("warning", "b"), ("warning", "raw"), ("info", "longs"), ("warning", "docs"),
        ("warning", "part"), ("info", "hashed"),
    ]  # fmt: skip
    write(target, planned, [["x", "y" * 383, 1, b"z" * 3072, "l" * 5000, "f", "{}"]])
    assert target.finish_table(planned) == []
    for expected in ("UNIQUE KEY `raws` (`raw`)", "KEY `longs` (`long`(765),`free`)", "KEY `hashed` (`n`)"):
        assert expected in made(place, "t")
    with pytest.raises(WriteFailed, match=r"column a\)"):
        write(target, planned, [["x" * 384, "y", 2, b"", "", "", "{}"]], number=1)


def test_rows_that_would_be_too_wide_keep_their_texts_outside(place: Place) -> None:
    cells = [column(f"c{size}", t.Text(size)) for size in (16000, 9000, 200)]
    target = place.target()
    plan = prepared(target, table("t", *cells))
    assert [c.native.declared for c in plan.tables[0].target.columns] == ["longtext", "varchar(9000)", "varchar(200)"]
    assert about(list(plan.findings)) == [("info", "c16000")]


def test_finishing_twice_changes_nothing(place: Place) -> None:
    source = simple(
        indexes=(index("by_name", "name"),),
        checks=(Check("positive", "name <> ''"),),
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
    assert target.finish_table(planned) == []
    assert target.finish([planned]) == []
    stored = made(place, "item")
    again = place.target()
    assert again.finish_table(planned) == []
    assert again.finish([planned]) == []
    assert made(place, "item") == stored
    for words in ("COMMENT='It''s a table'", "COMMENT 'a ''number''", "CONSTRAINT `positive`", "CONSTRAINT `self`"):
        assert words in stored
    insert = "INSERT INTO item (name) VALUES ('b')"
    assert place.run("SET foreign_key_checks = 0", insert, "SELECT MAX(id) FROM item") == [(50,)]


@pytest.mark.parametrize(
    ("neutral", "highest", "source_next", "following"),
    [
        (t.Integer(16), 7, None, 8),
        (t.Integer(32), 7, 100, 100),
        (t.Integer(64), 7, 3, 8),
        (t.Integer(64, False), 2**63, None, 2**63 + 1),
        (t.Integer(8), 127, 128, None),
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
    insert = "INSERT INTO t (v) VALUES ('z')"
    if following is None:
        with pytest.raises(pymysql.MySQLError):
            place.run(insert)
    else:
        assert place.run(insert, "SELECT MAX(id) FROM t") == [(following,)]


def test_numbering_of_a_table_that_is_there_goes_on(place: Place) -> None:
    place.run("CREATE TABLE item (id int AUTO_INCREMENT PRIMARY KEY, name varchar(20))")
    load(place.target(policy="validate_existing"), (simple(next_identity=90), [[41, "a"]]))
    assert place.run("INSERT INTO item (name) VALUES ('b')", "SELECT MAX(id) FROM item") == [(90,)]


def test_numbering_without_a_key_of_its_own(place: Place) -> None:
    numbered = column("n", t.Integer(32), nullable=False, identity=True)
    more = column("m", t.Integer(32), nullable=False, identity=True)
    wide = column("d", t.Decimal(20, 0), nullable=False, identity=True)
    source = table("t", column("id", t.Integer(32), nullable=False), numbered, more, wide, primary_key=("id",))
    findings = load(place.target(), (source, [[1, 5, 1, 2]]))
    assert about(findings) == [("warning", "m"), ("warning", "d"), ("info", "n_number")]
    place.run("INSERT INTO t (id, m, d) VALUES (2, 0, 0)")
    assert place.run("SELECT MAX(n) FROM t") == [(6,)]


def test_what_the_target_computes_is_not_written(place: Place) -> None:
    place.run("CREATE TABLE item (id int PRIMARY KEY, name varchar(20) AS ('computed') VIRTUAL)")
    findings = load(place.target(policy="validate_existing"), (simple(), [[41, "a"]]))
    assert place.run("SELECT * FROM item") == [(41, "computed")]
    assert about(findings) == [("info", "name")]


def test_computed_columns(place: Place) -> None:
    """Of the same engine they are computed here too; of another, or when the server does not agree, they are copied."""
    cells = [
        column("a", t.Integer(32)),
        column("g", t.Integer(32), generated="`a` * 2", extra="stored generated"),
        column("odd", t.Integer(32), generated="no_such(`a`)", extra="virtual generated"),
    ]
    own = [replace(cell, native=NativeType("int", "int(11)")) for cell in cells]
    findings = load(place.target("s1"), (table("own", *own), [[1, 99, 5]]), dialect="mysql")
    assert about(findings) == [("info", "odd")]
    assert place.run("SELECT * FROM own") == [(1, 2, 5)]
    findings = load(place.target("s2"), (table("other", *cells), [[1, 99, 5]]))
    assert about(findings) == [("info", "g"), ("info", "odd")]
    assert place.run("SELECT * FROM other") == [(1, 99, 5)]


def test_defaults(place: Place) -> None:
    cells: dict[str, tuple[t.NeutralType, Default]] = {
        "n": (t.Integer(32), Default(LITERAL, "-7")), "s": (t.Text(20), Default(LITERAL, "it's \\n")),
        "e": (t.Text(20), Default(LITERAL, "")), "b": (t.Boolean(), Default(LITERAL, "true")),
        "bits": (t.Bits(3), Default(LITERAL, "101")), "x": (t.Binary(), Default(LITERAL, "\\x6162")),
        "d": (t.Decimal(10, 2), Default(LITERAL, "1.50")), "j": (t.Json(), Default(LITERAL, '{"a": 1}')),
        "day": (t.Date(), Default(LITERAL, "2020-01-02")), "long": (t.Text(), Default(LITERAL, "l")),
        "m": (t.DateTime(0), Default(NOW)), "i": (t.Instant(6), Default(NOW)),
        "u": (t.Uuid(), Default(EXPRESSION, "gen_random_uuid()")), "sum": (t.Integer(32), Default(EXPRESSION, "1 + 2")),
        "bad": (t.Date(), Default(LITERAL, "infinity")), "odd": (t.Integer(32), Default(EXPRESSION, "no_such(1)")),
        "evil": (t.Text(), Default(EXPRESSION, "1); DROP TABLE t; --")),
        "kind": (t.Enum(("a", "b"), "mood"), Default(LITERAL, "b")),
    }  # fmt: skip
    source = table("t", *(column(name, kind, default=default) for name, (kind, default) in cells.items()))
    findings = load(place.target(), (source, []))
    assert {finding.column or finding.item for finding in findings if "default" in finding.message} == {
        "bad", "odd", "evil",
    }  # fmt: skip
    place.run("INSERT INTO t () VALUES ()")
    [row] = place.run("SELECT n, s, e, b, BIN(bits), x, d, j, CAST(day AS CHAR), sum, kind, `long`, bad FROM t")
    assert [str(value) for value in row] == [
        "-7", "it's \\n", "", "1", "101", "b'ab'", "1.50", '{"a": 1}', "2020-01-02", "3", "b", "l", "None",
    ]  # fmt: skip
    assert place.run("SELECT m IS NOT NULL AND i IS NOT NULL AND u IS NOT NULL FROM t") == [(1,)]


def test_checks(place: Place) -> None:
    cells = [column("id", t.Integer(32)), column("k", t.Text(9)), column("doc", t.Json())]
    checks = (
        Check("low", "id > 0 and k <> 'z'"), Check("json", "json_valid(doc)"), Check("broken", "id >"),
        Check("unknown", "no_such(id)"), Check("held", "id < 5"),
    )  # fmt: skip
    findings = load(place.target(), (table("t", *cells, checks=checks), [[7, "a", "{}"], [8, None, None]]))
    assert sorted(about(findings)) == [("warning", "broken"), ("warning", "held"), ("warning", "unknown")]
    names = place.run(
        "SELECT CONSTRAINT_NAME FROM information_schema.CHECK_CONSTRAINTS "
        "WHERE TABLE_NAME = 't' AND CONSTRAINT_SCHEMA = DATABASE()"
    )
    assert sorted(names) == [("doc",), ("low",)]
    with pytest.raises(pymysql.OperationalError):
        place.run("INSERT INTO t (id) VALUES (-1)")


def _linked(name: str, *keys: ForeignKey, **more: Any) -> Table:
    return table(
        name, column("id", t.Integer(32), nullable=False), column("other", t.Integer(32)),
        primary_key=("id",), foreign_keys=keys, **more,
    )  # fmt: skip


def _reference(name: str, to: str, **more: Any) -> ForeignKey:
    return ForeignKey(name, ("other",), TableName("shop", to), ("id",), **more)


def test_references_in_circles_and_to_what_is_there(place: Place) -> None:
    place.run(
        "CREATE TABLE resting (id int PRIMARY KEY)", "INSERT INTO resting VALUES (1)",
        "CREATE TABLE wide (id bigint PRIMARY KEY)", "INSERT INTO wide VALUES (1)", "CREATE TABLE bare (id int)",
        "INSERT INTO bare VALUES (1)",
    )  # fmt: skip
    one = _linked("one", _reference("a", "two", on_delete="CASCADE", on_update="SET NULL"))
    two = _linked(
        "two", _reference("a", "one", on_delete="RESTRICT"), _reference("b", "two"), _reference("c", "resting"),
        _reference("unlike", "wide"), _reference("keyless", "bare"),
    )  # fmt: skip
    three = _linked(
        "three", _reference("orphans", "one"), _reference("nowhere", "missing"),
        _reference("odd", "one", on_delete="SET DEFAULT"),
    )  # fmt: skip
    findings = load(place.target(), (one, [[1, 1]]), (two, [[1, 1]]), (three, [[1, 9]]))
    assert about(findings) == [
        ("info", "a"), ("warning", "nowhere"), ("warning", "odd"), ("warning", "unlike"), ("warning", "keyless"),
        ("warning", "orphans"),
    ]  # fmt: skip
    rows = place.run(
        "SELECT TABLE_NAME, CONSTRAINT_NAME, DELETE_RULE, UPDATE_RULE FROM information_schema.REFERENTIAL_CONSTRAINTS "
        "WHERE CONSTRAINT_SCHEMA = DATABASE() ORDER BY 1, 2"
    )
    assert rows == [
        ("one", "a", "CASCADE", "SET NULL"), ("two", "b", "RESTRICT", "RESTRICT"),
        ("two", "c", "RESTRICT", "RESTRICT"), ("two", "two_a", "RESTRICT", "RESTRICT"),
    ]  # fmt: skip


def test_comments_are_kept_as_far_as_there_is_room(place: Place) -> None:
    cells = column("id", t.Integer(32), comment="c" * 1025), column("b", t.Integer(32), comment="é" * 1024)
    findings = load(place.target(), (table("t", *cells, comment="t" * 2049), []))
    assert sorted(about(findings), key=str) == [("info", "id"), ("info", None)]
    stored = made(place, "t")
    assert "c" * 1024 in stored
    assert "é" * 1024 in stored
    assert "t" * 2048 in stored


def test_a_table_without_columns_is_refused_by_name(place: Place) -> None:
    [finding] = place.target().plan([table("bare")], "postgres", prepared=False).findings
    assert (finding.severity, finding.table) == (Severity.ERROR, "shop.bare")


def test_structure_options(place: Place) -> None:
    options = {"indexes": False, "foreignKeys": False, "checkConstraints": False}
    source = _linked("one", _reference("a", "one"), indexes=(index("i", "other"),), checks=(Check("c", "id > 0"),))
    assert load(place.target(structureOptions=options), (source, [[1, 1]])) == []
    stored = made(place, "one")
    assert "PRIMARY KEY" in stored
    assert "CONSTRAINT" not in stored
    assert stored.count("KEY") == 1


def test_a_key_that_the_rows_break_stops_the_stream(place: Place) -> None:
    """The primary key is there from the beginning: the rows lie in its order."""
    target: MySqlTarget = place.target()
    [planned] = prepared(target, simple()).tables
    with pytest.raises(WriteFailed, match="same key"):
        write(target, planned, [[1, "a"], [1, "b"]])
    assert write(target, planned, [[1, "a"]]).rows == 1


def test_a_unique_index_that_the_rows_break_is_left_out(place: Place) -> None:
    source = simple(indexes=(index("one", "name", unique=True), index("fine", "name")))
    [finding] = load(place.target(), (source, [[1, "a"], [2, "a"]]))
    assert (finding.severity, finding.item) == (Severity.WARNING, "one")
    assert "same key" in finding.message
    assert "KEY `fine`" in made(place, "item")


def test_text_of_another_engine_is_told_apart_by_every_character(place: Place) -> None:
    source = table("t", column("v", t.Text(9), nullable=False), primary_key=("v",))
    load(place.target(), (source, [["a"], ["A"], ["a "], ["ä"], [""]]))
    assert place.run("SELECT COUNT(*) FROM t") == [(5,)]


def test_findings_say_which_table(place: Place) -> None:
    findings = load(place.target(), (simple(indexes=(index("words", "name", method="gin"),)), []))
    assert [(f.severity, f.table) for f in findings] == [(Severity.WARNING, "shop.item")]
    assert findings[0].message.startswith("shop.item: the index words is left out")
