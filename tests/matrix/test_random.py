"""Random tables there and back: what the first and the last database show is the same."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.matrix import kinds
from tests.matrix.forms import FORMS
from tests.matrix.kinds import Kind
from tests.servers import MariaDb, Postgres
from tests.verify.conftest import compared, moved

EXAMPLES = settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True)

Rows = Counter[tuple[object, ...]]


@dataclass(frozen=True)
class Random:
    """A table with its rows as literals; `key`: the declaration of a column that is its key, if any."""

    names: tuple[str, ...]
    kinds: tuple[Kind, ...]
    nullable: tuple[bool, ...]
    key: str | None
    rows: tuple[tuple[str, ...], ...]

    def statements(self, quoted: Callable[[str], str]) -> list[str]:
        """How it is made."""
        name, *names = map(quoted, self.names)
        columns = [
            f"{column} {kind.declared}{' NULL' if nullable else ' NOT NULL'}"
            for column, kind, nullable in zip(names, self.kinds, self.nullable, strict=True)
        ]
        if self.key is not None:
            columns.insert(0, f"{quoted('the key')} {self.key} PRIMARY KEY")
        keys = [[f"'{place}'"] if self.key is not None else [] for place in range(len(self.rows))]
        rows = [f"({', '.join([*key, *row])})" for key, row in zip(keys, self.rows, strict=True)]
        return [
            f"CREATE TABLE {name} ({', '.join(columns)})",
            *([f"INSERT INTO {name} VALUES {', '.join(rows)}"] if rows else []),
        ]


@st.composite
def tables(draw: st.DrawFn, known: Sequence[Kind], keys: Sequence[str]) -> Random:
    """One to eight columns of these kinds, and up to ten rows."""
    chosen = tuple(draw(st.lists(st.sampled_from(known), min_size=1, max_size=8)))
    stems = [draw(st.sampled_from(kinds.STEMS)) for _ in range(len(chosen) + 1)]
    nullable = tuple(draw(st.booleans()) for _ in chosen)
    row = st.tuples(
        *(
            st.one_of(st.just("NULL"), kind.values) if may else kind.values
            for kind, may in zip(chosen, nullable, strict=True)
        )
    )
    return Random(
        names=tuple(f"{stem}{number}" for number, stem in enumerate(stems)),
        kinds=chosen,
        nullable=nullable,
        key=draw(st.sampled_from([None, *keys])),
        rows=tuple(draw(st.lists(row, max_size=10))),
    )


def in_backticks(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def in_quotes(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


COLUMNS = (
    "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = '{}' "
    "ORDER BY table_name, ordinal_position"
)


def shown(engine: str, random: Random, run: Callable[..., list[tuple[Any, ...]]], schema: str) -> Rows:
    """The rows as the server tells them, in their normal forms; the key is told as text."""
    quoted = in_backticks if engine == "mariadb" else in_quotes
    listed = run(COLUMNS.format(schema))
    names = [str(name) for _, name in listed]
    every = ([] if random.key is None else [Kind(random.key, st.nothing(), "text")]) + list(random.kinds)
    sql = [_asked(engine, kind, quoted(name)) for kind, name in zip(every, names, strict=True)]
    rows = run(f"SELECT {', '.join(sql)} FROM {quoted(str(listed[0][0]))}")
    return Counter(
        tuple(None if value is None else FORMS[kind.form].normal(value) for kind, value in zip(every, row, strict=True))
        for row in rows
    )


def _asked(engine: str, kind: Kind, name: str) -> str:
    size = re.search(r"\((\d+)\)", kind.declared)
    asked = str(getattr(FORMS[kind.form], engine)).replace("{n}", size[1] if size else "1")
    return re.sub(r"\bv\b", lambda _: name, asked)


@pytest.fixture(scope="module")
def middle(postgres: Postgres) -> str:
    return postgres.new_database()


@pytest.fixture(scope="module")
def outer(postgres: Postgres) -> str:
    return postgres.new_database()


@EXAMPLES
@given(random=tables(kinds.MARIADB, ["INT", "VARCHAR(20)", "BIGINT UNSIGNED", "DECIMAL(20,5)"]))
def test_from_mariadb_and_back(mariadb: MariaDb, postgres: Postgres, middle: str, random: Random) -> None:
    first, last = mariadb.new_database(), mariadb.new_database()
    postgres.empty(middle)
    try:
        mariadb.execute("SET time_zone = '+00:00'", *random.statements(in_backticks), database=first)
        there = moved(mariadb.url(first), postgres.url(middle))
        assert compared(there).equal
        back = moved(postgres.url(middle), mariadb.url(last))
        assert compared(back).equal
        held = [shown("mariadb", random, _in_mariadb(mariadb, database), database) for database in (first, last)]
        assert held[0].total() == len(random.rows)
        assert held[0] == held[1]
    finally:
        mariadb.execute(f"DROP DATABASE {first}", f"DROP DATABASE {last}")


@EXAMPLES
@given(random=tables(kinds.POSTGRESQL, ["integer", "varchar(20)", "bigint", "text"]))
def test_from_postgres_and_back(mariadb: MariaDb, postgres: Postgres, middle: str, outer: str, random: Random) -> None:
    between = mariadb.new_database()
    postgres.empty(middle)
    postgres.empty(outer)
    try:
        postgres.execute(*random.statements(in_quotes), database=middle)
        there = moved(postgres.url(middle), mariadb.url(between))
        assert compared(there).equal
        back = moved(mariadb.url(between), postgres.url(outer))
        assert compared(back).equal
        held = [shown("postgresql", random, _in_postgres(postgres, database), "public") for database in (middle, outer)]
        assert held[0].total() == len(random.rows)
        assert held[0] == held[1]
    finally:
        mariadb.execute(f"DROP DATABASE {between}")


def _in_mariadb(server: MariaDb, database: str) -> Callable[..., list[tuple[Any, ...]]]:
    return lambda query: server.execute("SET time_zone = '+00:00'", query, database=database)


def _in_postgres(server: Postgres, database: str) -> Callable[..., list[tuple[Any, ...]]]:
    settings = ("SET TimeZone = 'UTC'", "SET extra_float_digits = 3", "SET IntervalStyle = postgres")
    return lambda query: server.execute(*settings, query, database=database)
