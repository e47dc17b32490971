"""Structure as the catalogue tells it."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from rowferry.connectors.base import TableRequest
from rowferry.connectors.postgres import catalog
from rowferry.errors import InvalidInput, MissingTable
from rowferry.model import types as t
from rowferry.model.tables import (
    Check,
    Default,
    DefaultKind,
    Filter,
    FilterOperator,
    ForeignKey,
    Index,
    IndexPart,
    NativeIndex,
    Selection,
    Sort,
    Table,
    TableName,
)
from tests.postgres_source.conftest import Place


class Counted(psycopg.Connection[tuple[Any, ...]]):
    """A session that counts what it is asked."""

    statements: int = 0

    def execute(self, *asked: Any, **how: Any) -> psycopg.Cursor[tuple[Any, ...]]:
        """One more."""
        self.statements += 1
        return super().execute(*asked, **how)


LITERAL, NOW, EXPRESSION = DefaultKind.LITERAL, DefaultKind.NOW, DefaultKind.EXPRESSION


@pytest.mark.parametrize(
    ("column", "default"),
    [
        ("text DEFAULT 'it''s'", Default(LITERAL, "it's")),
        ("text DEFAULT ''", Default(LITERAL, "")),
        ("text DEFAULT NULL", None),
        ("text DEFAULT 'a\\b'", Default(LITERAL, "a\\b")),
        ("char(3) DEFAULT 'x'", Default(LITERAL, "x")),
        ("int DEFAULT -5", Default(LITERAL, "-5")),
        ("smallint DEFAULT 5::smallint", Default(LITERAL, "5")),
        ("numeric(10,2) DEFAULT 1.50", Default(LITERAL, "1.50")),
        ("double precision DEFAULT -1.5e10", Default(LITERAL, "-15000000000")),
        ("boolean DEFAULT false", Default(LITERAL, "false")),
        ("date DEFAULT '2020-01-31'", Default(LITERAL, "2020-01-31")),
        ("bit(3) DEFAULT B'101'", Default(LITERAL, "101")),
        ("jsonb DEFAULT '{}'", Default(LITERAL, "{}")),
        ("int[] DEFAULT '{1,2}'", Default(LITERAL, "{1,2}")),
        ("mood DEFAULT 'o''k'", Default(LITERAL, "o'k")),
        ("bytea DEFAULT '\\x00ff'", Default(LITERAL, "\\x00ff")),
        ("timestamptz DEFAULT now()", Default(NOW)),
        ("timestamp(3) DEFAULT CURRENT_TIMESTAMP(3)", Default(NOW)),
        ("timestamp DEFAULT LOCALTIMESTAMP", Default(NOW)),
        ("date DEFAULT CURRENT_DATE", Default(EXPRESSION, "CURRENT_DATE")),
        ("text DEFAULT upper('a')", Default(EXPRESSION, "upper('a'::text)")),
        ("text DEFAULT now()", Default(EXPRESSION, "now()")),
        ("uuid DEFAULT gen_random_uuid()", Default(EXPRESSION, "gen_random_uuid()")),
        ("text DEFAULT nextval('numbers')", Default(EXPRESSION, "nextval('numbers'::regclass)")),
    ],
)
def test_defaults(place: Place, column: str, default: Default | None) -> None:
    place.run("CREATE SEQUENCE numbers", "CREATE TYPE mood AS ENUM ('o''k')", f"CREATE TABLE t (v {column})")
    assert place.table("t").column("v").default == default


def test_structure(place: Place) -> None:
    place.run(
        'CREATE SCHEMA "Other"',
        "CREATE TABLE parent (id int, kind text, PRIMARY KEY (id, kind))",
        """CREATE TABLE "Other"."T.1" (
            n bigint GENERATED ALWAYS AS IDENTITY (START 5 INCREMENT 5), p int, k text DEFAULT 'x' NOT NULL,
            twice int GENERATED ALWAYS AS (p * 2) STORED,
            CONSTRAINT up FOREIGN KEY (p, k) REFERENCES parent ON DELETE CASCADE ON UPDATE SET NULL,
            CONSTRAINT positive CHECK (p > 0), UNIQUE (p), UNIQUE (n, k))""",
        """CREATE UNIQUE INDEX part ON "Other"."T.1" (k DESC, upper(k)) WHERE p > 3""",
        """CREATE INDEX words ON "Other"."T.1" USING gin (to_tsvector('simple', k))""",
        """COMMENT ON TABLE "Other"."T.1" IS 'a table'""",
        """COMMENT ON COLUMN "Other"."T.1".p IS 'a ''column'''""",
        "INSERT INTO parent VALUES (1, 'x')",
        """INSERT INTO "Other"."T.1" (p) VALUES (1)""",
    )
    table = place.table("Other.T.1")
    assert table.name == TableName("Other", "T.1")
    assert table.primary_key == ()
    assert table.key == ("n", "k")
    assert table.comment == "a table"
    assert table.column("p").comment == "a 'column'"
    assert table.column("twice").generated == "(p * 2)"
    assert table.column("twice").default is None
    assert table.column("n").identity
    assert table.next_identity == 10
    assert table.checks == (Check("positive", "(p > 0)"),)
    parent = TableName("public", "parent")
    assert table.foreign_keys == (ForeignKey("up", ("p", "k"), parent, ("id", "kind"), "SET NULL", "CASCADE"),)
    indexes = {index.name: index for index in table.indexes}
    descending, upper = IndexPart("k", descending=True), IndexPart(None, "upper(k)")
    words = NativeIndex("part", "UNIQUE INDEX", "USING btree (k DESC, upper(k)) WHERE (p > 3)")
    assert indexes["part"] == Index("part", (descending, upper), unique=True, predicate="(p > 3)", native=words)
    assert indexes["words"].method == "gin"
    assert indexes["words"].parts[0].expression == "to_tsvector('simple'::regconfig, k)"
    assert indexes["T.1_p_key"].unique
    assert place.table("parent").primary_key == ("id", "kind")


@pytest.mark.parametrize(
    ("column", "after", "number"),
    [
        ("serial", "SELECT 1", 1),
        ("serial", "INSERT INTO t DEFAULT VALUES", 2),
        ("bigint GENERATED BY DEFAULT AS IDENTITY (START 7)", "SELECT 1", 7),
        ("serial", "SELECT setval('t_v_seq', 41)", 42),
        ("serial", "SELECT setval('t_v_seq', 41, false)", 41),
        ("int NOT NULL DEFAULT nextval('shared')", "SELECT nextval('shared')", 101),
    ],
)
def test_next_identity(place: Place, column: str, after: str, number: int) -> None:
    place.run("CREATE SEQUENCE shared START 100", f"CREATE TABLE t (v {column})", after)
    table = place.table("t")
    assert table.column("v").identity
    assert table.column("v").default is None
    assert table.next_identity == number


@pytest.mark.parametrize(
    ("columns", "key"),
    [
        ("a int, b int NOT NULL, UNIQUE (a), UNIQUE (a, b)", ()),
        ("a int NOT NULL UNIQUE DEFERRABLE", ()),
        ("a int NOT NULL, b int NOT NULL, UNIQUE (a, b), UNIQUE (b)", ("b",)),
        ("a int NOT NULL UNIQUE, b int PRIMARY KEY", ("b",)),
    ],
)
def test_key(place: Place, columns: str, key: tuple[str, ...]) -> None:
    place.run(f"CREATE TABLE t ({columns})")
    assert place.table("t").key == key


def test_which_tables_there_are(place: Place) -> None:
    place.run(
        "CREATE SCHEMA s",
        "CREATE SCHEMA _rowferry",
        "CREATE TABLE _rowferry.journal (id int)",
        "CREATE TABLE s.b (id int)",
        "CREATE TABLE a (id int)",
        'CREATE TABLE "B" (id int)',
        "CREATE TABLE whole (id int) PARTITION BY LIST (id)",
        "CREATE TABLE part PARTITION OF whole FOR VALUES IN (1)",
        "CREATE TABLE child () INHERITS (a)",
        "CREATE TEMP TABLE passing (id int)",
        "CREATE VIEW seen AS SELECT 1 AS one",
        "CREATE MATERIALIZED VIEW kept AS SELECT 1 AS one",
    )
    wanted = ["public.B", "public.a", "public.child", "public.whole", "s.b"]
    assert [str(table.name) for table in place.source().tables([])] == wanted
    assert [str(table.name) for table in place.source("s").tables([])] == ["s.b"]
    with place.server.connect(place.database) as session:
        assert [str(name) for name in catalog.list_tables(session)] == wanted
        assert [str(name) for name in catalog.list_views(session)] == ["public.kept", "public.seen"]
        assert catalog.describe(session, ["_rowferry", "information_schema", "pg_catalog"]) == []


def test_a_name_may_have_points(place: Place) -> None:
    place.run(
        "CREATE SCHEMA s", 'CREATE TABLE "s.t" (a int)', 'CREATE TABLE s."t.u" (b int)', "CREATE TABLE s.t (c int)"
    )
    source = place.source()
    found = source.tables([TableRequest("s.t"), TableRequest("s.t.u"), TableRequest("public.s.t")])
    assert [next(table.column_names()) for table in found] == ["c", "b", "a"]
    assert next(place.source("s").tables([TableRequest("t")])[0].column_names()) == "c"


def test_a_schema_that_is_not_there(place: Place) -> None:
    with pytest.raises(MissingTable, match="nowhere"):
        place.source("nowhere").tables([])
    assert place.source("public").tables([]) == []


def test_what_is_missing_is_named(place: Place) -> None:
    place.run("CREATE TABLE there (a int)", "CREATE VIEW seen AS SELECT 1 AS one")
    with pytest.raises(MissingTable, match=r"gone, s\.away, seen"):
        place.source().tables([TableRequest(name) for name in ("there", "s.away", "gone", "seen")])


@pytest.mark.parametrize(
    "selection",
    [
        Selection(filters=(Filter("a", FilterOperator.EQ, "many"),)),
        Selection(filters=(Filter("b", FilterOperator.EQ, "{}"),)),
        Selection(sorts=(Sort("b"),)),
    ],
)
def test_a_selection_that_makes_no_sense(place: Place, selection: Selection) -> None:
    place.run("CREATE TABLE t (a int, b json)")
    with pytest.raises(InvalidInput, match=r"public\.t"):
        place.table("t", selection)


def test_columns_of_a_query(place: Place) -> None:
    place.run("CREATE TYPE mood AS ENUM ('sad')", "CREATE DOMAIN money2 AS numeric(9,2)")
    query = "SELECT 1::money2 AS a, NULL::mood AS b, 'x' AS c, ARRAY[1] AS d, '1'::varchar(3) AS \"E e\", now() AS f;  "
    table = place.table("shop.q", query=query)
    assert table.name == TableName("shop", "q")
    assert [column.type for column in table.columns] == [
        t.Decimal(9, 2),
        t.Enum(("sad",), "mood"),
        t.Text(),
        t.Array(t.Integer(32), "postgresql", "integer[]"),
        t.Text(3),
        t.Instant(),
    ]
    assert place.rows(table).num_rows == 1


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("SELECT 1 AS a, 2 AS a", "more than one column called a"),
        ("SELECT 1", "without a name"),
        ("SELECT FROM pg_class", "no columns"),
        ("SELECT * FROM nowhere", "nowhere"),
        ("SELEC 1", "syntax error"),
        ("SELECT 1 AS a) AS t; CREATE TABLE evil (a int); SELECT * FROM (SELECT 1 AS b", "while preparing"),
        ("DELETE FROM pg_class", "while preparing"),
    ],
)
def test_queries_that_cannot_be_read(place: Place, query: str, said: str) -> None:
    with pytest.raises((InvalidInput, MissingTable), match=said):
        place.table("q", query=query)
    assert place.source().tables([]) == []


def test_estimates(place: Place) -> None:
    place.run(
        "CREATE TABLE counted (id int, v text)",
        "INSERT INTO counted SELECT g, 'x' FROM generate_series(1, 10000) g",
        "CREATE TABLE whole (LIKE counted) PARTITION BY RANGE (id)",
        "CREATE TABLE part PARTITION OF whole FOR VALUES FROM (0) TO (20000)",
        "INSERT INTO whole SELECT * FROM counted",
        "ANALYZE counted, part",
        "CREATE TABLE guessed (LIKE counted)",
        "INSERT INTO guessed SELECT * FROM counted",
        "CREATE TABLE empty (LIKE counted)",
    )
    tables: dict[str, Table] = {table.name.name: table for table in place.source().tables([])}
    assert tables["counted"].estimated_rows == 10000
    assert tables["whole"].estimated_rows == 10000
    assert tables["whole"].estimated_bytes == tables["counted"].estimated_bytes > 100_000
    assert 2000 < tables["guessed"].estimated_rows < 50_000
    assert tables["empty"].estimated_rows == 0


def test_the_number_of_queries_does_not_grow(place: Place) -> None:
    place.run(*[f"CREATE TABLE t{n} (id serial PRIMARY KEY, a int CHECK (a > {n}), m text)" for n in range(30)])
    counts = []
    for names in (["t0"], None):
        with Counted.connect(place.server.url(place.database), autocommit=True) as asked:
            assert len(catalog.describe(asked, [], names)) == (30 if names is None else 1)
            counts.append(asked.statements)
    assert counts[0] == counts[1] <= 10
