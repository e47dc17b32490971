"""Columns that are added, dropped and renamed while their table is followed, by each ddlPolicy, in both directions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack

import pytest

from tests.cdc.pairs import Pair, pair_of
from tests.servers import MariaDb, Postgres
from tests.serving import Rowferry

TABLE = (
    "CREATE TABLE t (id int PRIMARY KEY, word varchar(20), n int)",
    "INSERT INTO t VALUES (1, 'a', 1), (2, 'b', 2)",
)
ADDED = ("ALTER TABLE t ADD COLUMN more varchar(20)", "INSERT INTO t (id, more) VALUES (3, 'new')")
DROPPED = ("ALTER TABLE t DROP COLUMN n", "INSERT INTO t (id, word) VALUES (4, 'short')")
RENAMED = ("ALTER TABLE t RENAME COLUMN word TO text", "UPDATE t SET text = 'renamed' WHERE id = 1")

Begin = Callable[[str | None], Pair]


@pytest.fixture(params=["mariadb to postgresql", "postgresql to mariadb"])
def begin(request: pytest.FixtureRequest, rowferry: Rowferry, logged: MariaDb, postgres: Postgres) -> Iterator[Begin]:
    """Starts a stream with that policy."""
    ends = (logged, postgres) if request.param == "mariadb to postgresql" else (postgres, logged)
    with ExitStack() as stack:

        def begun(policy: str | None) -> Pair:
            made: AbstractContextManager[Pair] = pair_of(rowferry, *ends)
            pair = stack.enter_context(made)
            pair.begin(*TABLE, options={} if policy is None else {"ddlPolicy": policy})
            return pair

        yield begun


def test_apply(begin: Begin) -> None:
    """Everything is carried over, each where it stands among the changes of rows."""
    pair = begin("apply")
    pair.run("UPDATE t SET n = 5 WHERE id = 1", *ADDED, "UPDATE t SET more = 'old' WHERE id = 2")
    pair.arrives("t", columns="id, word, n, more")
    pair.run(*DROPPED, *RENAMED)
    rows = pair.arrives("t", columns="id, text, more")
    assert set(rows) == {(1, "renamed", None), (2, "b", "old"), (3, None, "new"), (4, "short", None)}
    columns = (
        "SELECT count(*) FROM information_schema.columns WHERE table_name = 't' AND table_schema IN ('public', '{}')"
    )
    assert pair.target.execute(columns.format(pair.there), database=pair.there) == [(3,)]


def test_left_out_added_columns_come_and_others_end_the_stream(begin: Begin) -> None:
    pair = begin(None)
    pair.run(*ADDED)
    pair.arrives("t", columns="id, word, n, more")
    pair.run(*DROPPED)
    assert "ddlPolicy" in pair.fails()["error"]
    assert len(pair.rows("t") or ()) == 3


@pytest.mark.parametrize("change", [ADDED, DROPPED, RENAMED], ids=["added", "dropped", "renamed"])
def test_fail(begin: Begin, change: tuple[str, str]) -> None:
    """Nothing of what comes after the change is applied, and everything that came before it."""
    pair = begin("fail")
    pair.run("UPDATE t SET n = 7 WHERE id = 2", *change)
    error = pair.fails()["error"]
    assert "ddlPolicy" in error
    assert "resume" in error
    assert pair.rows("t") == [(1, "a", 1), (2, "b", 7)]


def test_ignore(begin: Begin) -> None:
    """The target stays as it is; the rest of each row goes on arriving."""
    pair = begin("ignore")
    pair.run(*ADDED, *DROPPED, "UPDATE t SET word = 'z' WHERE id = 1")
    pair.caught_up()
    assert pair.rows("t", "id, word") == [(1, "z"), (2, "b"), (3, None), (4, "short")]
    columns = (
        "SELECT column_name FROM information_schema.columns WHERE table_name = 't' AND table_schema IN ('public', '{}')"
    )
    names = {name for (name,) in pair.target.execute(columns.format(pair.there), database=pair.there)}
    assert names == {"id", "word", "n"}
