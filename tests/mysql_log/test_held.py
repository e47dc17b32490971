"""A load begins at a place in the log: what it reads lies before it, what follows lies behind."""

from __future__ import annotations

import threading

import pytest

from tests.mysql_log.conftest import Log


@pytest.mark.parametrize("readers", [1, 3])
def test_no_gap_and_no_overlap(log: Log, readers: int) -> None:
    """While rows come in: those that the snapshot has, and those in the log behind its place, are all of them, once."""
    log.run("CREATE TABLE bare (id INT)")
    table = log.table("bare")
    stop = threading.Event()
    written = 0

    def write() -> None:
        nonlocal written
        connection = log.server.connect(log.database)
        with connection, connection.cursor() as cursor:
            while not stop.is_set():
                cursor.execute(f"INSERT INTO bare VALUES ({written})")
                written += 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        while written < 20:
            pass
        log.source.hold_logged([table], readers)
        seen = written
        while written < seen + 20:
            pass
    finally:
        stop.set()
        writer.join()
    place = log.source.held_at()
    assert place is not None
    loaded = log.read(table)["id"].to_pylist()
    followed = [after["id"] for _, _, after in log.happened(place, table) if after]
    assert len(loaded) >= 20
    assert len(followed) >= 20
    assert sorted(loaded) + followed == list(range(written))


def test_with_keys_nothing_is_held(log: Log) -> None:
    """A key makes up for the time that a load takes."""
    log.run("CREATE TABLE t (id INT PRIMARY KEY)")
    log.source.hold_logged([log.table("t")], 2)
    assert log.source.held_at() is None
