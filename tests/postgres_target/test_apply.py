"""One writer of a stream at a time, whatever happened to the one before; and what ends a writer."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import psycopg
import pytest

from rowferry.connectors.changes import Standing
from rowferry.connectors.postgres import follows, stage
from rowferry.connectors.postgres.connect import PATIENT
from rowferry.errors import Cancelled, Conflict, ConnectionLost, FencedOff, WriteFailed
from rowferry.model.chunks import Chunk
from tests.followed import merge_of, rows_of, standing
from tests.postgres_target.applying import Followed, Row, followed
from tests.postgres_target.conftest import Place, prepared, write
from tests.servers import wait_until
from tests.tables import batch, simple

ROWS: list[Row] = [(1, "a"), (2, "b"), (3, "c")]


@pytest.fixture
def stream(place: Place) -> Iterator[Followed]:
    """A stream with three rows."""
    with followed(place, simple(), rows=ROWS) as made:
        yield made


@contextmanager
def held(place: Place, statement: str) -> Iterator[psycopg.Connection]:
    """A session of somebody else's, with the locks of a statement."""
    with place.connect() as session, session.transaction(force_rollback=True):
        session.execute(statement.encode())
        yield session


def test_a_writer_left_in_the_middle_is_ended(stream: Followed) -> None:
    """Its locks are gone as well, so that the next one goes on at once."""
    older = stream.open()
    older.merge(merge_of(stream.table, deletes=[(1,)]))
    newer = stream.open()
    newer.merge(merge_of(stream.table, deletes=[(1,)]))
    newer.commit(standing("newer"))
    with pytest.raises(FencedOff):
        older.merge(merge_of(stream.table, deletes=[(2,)]))
    with pytest.raises(Conflict):
        older.commit(standing("older"))
    assert stream.rows() == ROWS[1:]


def test_a_writer_that_cannot_be_ended_commits_nothing(place: Place) -> None:
    """The users differ, so that the newer may not end the older's session; its epoch is over all the same."""
    place.run(
        "CREATE ROLE other LOGIN PASSWORD 'ferry'",
        f"GRANT ALL ON DATABASE {place.database} TO other",
        "GRANT ALL ON SCHEMA public TO other",
    )
    try:
        with followed(place, simple(), rows=ROWS) as stream:
            older = stream.open()
            older.merge(merge_of(stream.table, deletes=[(1,)]))
            place.run("GRANT ALL ON item TO other", "GRANT ALL ON SCHEMA _rowferry TO other")
            place.run("GRANT ALL ON ALL TABLES IN SCHEMA _rowferry TO other")
            stream.request = place.request(user="other")
            newer = stream.open()
            with pytest.raises(FencedOff):
                older.commit(standing("older"))
            newer.merge(merge_of(stream.table, deletes=[(2,)]))
            newer.commit(standing("newer"))
            assert stream.rows() == [ROWS[0], ROWS[2]]
    finally:
        place.run("DROP OWNED BY other", "DROP ROLE other")


def test_a_writer_waits_for_a_commit_under_way(stream: Followed) -> None:
    """What the older one has committed is what the newer one finds."""
    older = stream.open()
    older.merge(merge_of(stream.table, deletes=[(1,)]))
    follows.move(older._session, older._turn, standing("older"))
    with ThreadPoolExecutor(1) as pool:
        opening = pool.submit(stream.open)
        waiting = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        wait_until(lambda: stream.place.run(waiting), what="the newer writer to wait")
        older.commit(standing("older"))
        newer = opening.result()
    assert newer.standing() == standing("older")
    assert stream.rows() == ROWS[1:]


def test_a_commit_that_never_ends_is_ended(stream: Followed, monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as after the network was cut between its last statement and its COMMIT."""
    monkeypatch.setattr(follows, "BRIEFLY", 1)
    older = stream.open()
    older.merge(merge_of(stream.table, deletes=[(1,)]))
    follows.move(older._session, older._turn, standing("older"))
    newer = stream.open()
    assert newer.standing() == Standing()
    newer.merge(merge_of(stream.table, deletes=[(3,)]))
    newer.commit(standing("newer"))
    with pytest.raises(FencedOff):
        older.commit(standing("older"))
    assert stream.rows() == ROWS[:2]


def test_a_lost_connection(stream: Followed) -> None:
    applier = stream.open()
    applier.merge(merge_of(stream.table, deletes=[(1,)]))
    stream.place.run(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    with pytest.raises(ConnectionLost):
        applier.commit(standing("p"))
    assert stream.rows() == ROWS
    again = stream.open()
    assert again.standing() == Standing()


def test_locks_of_others(stream: Followed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rowferry.connectors.postgres.apply._SETTINGS", ("SET lock_timeout = '200ms'",))
    assert PATIENT == "SET lock_timeout = '60s'"
    applier = stream.open()
    with (
        held(stream.place, "SELECT FROM item WHERE id = 2 FOR UPDATE"),
        pytest.raises(ConnectionLost, match=r"held locks .*public\.item"),
    ):
        applier.merge(merge_of(stream.table, deletes=[(2,)]))
    assert stream.rows() == ROWS


def test_closing_ends_what_is_under_way(stream: Followed) -> None:
    applier = stream.open()
    applier.merge(merge_of(stream.table, deletes=[(1,)]))
    with held(stream.place, "SELECT FROM item WHERE id = 2 FOR UPDATE"), ThreadPoolExecutor(1) as pool:
        merging = pool.submit(applier.merge, merge_of(stream.table, deletes=[(2,)]))
        waiting = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        wait_until(lambda: stream.place.run(waiting), what="the merge to wait")
        applier.close()
        assert isinstance(merging.exception(), Cancelled)
    applier.close()
    with pytest.raises(Cancelled):
        applier.commit(standing("p"))
    assert stream.rows() == ROWS


def test_commits_wait_for_the_disk(place: Place) -> None:
    place.run(f"ALTER DATABASE {place.database} SET synchronous_commit = off")
    with followed(place, simple(), rows=ROWS) as stream:
        applier = stream.open()
        assert applier._session.execute("SHOW synchronous_commit").fetchone() == ("on",)
    place.run(f"ALTER DATABASE {place.database} RESET synchronous_commit")


def test_an_odd_database(place: Place) -> None:
    """Neither its isolation nor that it is read-only by default is of any matter."""
    with followed(place, simple(), rows=ROWS) as stream:
        name = place.database
        place.run(
            f"ALTER DATABASE {name} SET default_transaction_isolation = serializable",
            f"ALTER DATABASE {name} SET default_transaction_read_only = on",
        )
        try:
            older = stream.open()
            older.merge(merge_of(stream.table, deletes=[(1,)]))
            older.commit(standing("p"))
            assert stream.rows() == ROWS[1:]
        finally:
            place.run(
                "SET default_transaction_read_only = off",
                f"ALTER DATABASE {name} RESET default_transaction_isolation",
                f"ALTER DATABASE {name} RESET default_transaction_read_only",
            )


def test_a_journal_of_an_older_version(place: Place) -> None:
    """It has neither table; a stream that is prepared brings it up to date, and one that was resumed can be read."""
    old = place.target("old")
    [planned] = prepared(old, simple("old")).tables
    place.run("DROP TABLE _rowferry.moments, _rowferry.follows")
    done = write(old, planned, ROWS)
    journal = place.target("old").journal()
    assert journal is not None
    assert list(journal.committed) == [done]
    with followed(place, simple(), rows=ROWS, stream="new") as stream:
        place.run("DROP TABLE _rowferry.follows")
        stream.open().commit(standing("p"))
        assert stream.open().standing() == standing("p")
        place.target("new").forget()
        assert place.run("SELECT count(*) FROM _rowferry.follows") == [(0,)]
    place.run("DROP TABLE _rowferry.moments, _rowferry.follows")
    old.forget()
    assert place.run("SELECT 1 FROM pg_namespace WHERE nspname = '_rowferry'") == []


def test_moments_go_with_their_chunks(place: Place) -> None:
    """A chunk that fails leaves none; a stream that is forgotten takes its own along."""
    target = place.target()
    [planned] = prepared(target, simple()).tables
    chunk = Chunk(planned.source.name, 0, at="here")
    with pytest.raises(WriteFailed):
        target.write(planned, chunk, iter([batch(planned.source.columns, [(1, "x" * 99)])]))
    assert place.run("SELECT count(*) FROM _rowferry.moments") == [(0,)]
    other = place.target("stream_2")
    prepared(other, simple("two"))
    target.write(planned, chunk, iter([batch(planned.source.columns, ROWS)]))
    target.forget()
    assert place.run("SELECT count(*) FROM _rowferry.moments") == [(0,)]


def test_stages_are_made_anew(stream: Followed, monkeypatch: pytest.MonkeyPatch) -> None:
    """When they are old, and when there are too many."""
    count = "SELECT count(*) FROM pg_class WHERE relpersistence = 't' AND relkind = 'r'"
    applier = stream.open()
    updates = [rows_of(stream.table.source, [(1, "x")])]
    for place, (most, oldest, left) in enumerate([(64, 3600.0, 2), (1, 3600.0, 1), (64, -1.0, 0)]):
        monkeypatch.setattr(stage, "MOST", most)
        monkeypatch.setattr(stage, "OLDEST", oldest)
        applier.merge(merge_of(stream.table, deletes=[(3,)], updates=updates, upserts=[(3 + place, "new")]))
        applier.commit(standing("p"))
        assert stream.place.run(count) == [(left,)]
    assert stream.rows() == [(1, "x"), (2, "b"), (4, "new"), (5, "new")]
