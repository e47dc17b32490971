"""A short campaign in each direction: whatever dies while a stream loads, hands over and follows, nothing is lost."""

from __future__ import annotations

import os
import pwd

import pytest

from tests.cdc.campaign import DIRECTIONS, Size, campaign
from tests.cdc.pairs import Pair
from tests.disks import small_disk
from tests.servers import MariaDb, Postgres
from tests.serving import Rowferry


@pytest.mark.timeout(900)
@pytest.mark.parametrize("direction", DIRECTIONS, ids=" to ".join)
def test_nothing_is_lost_and_nothing_is_doubled(direction: tuple[str, str]) -> None:
    with campaign(direction, seed=11) as running:
        running.round(Size(kills=4, others=3, stock=10_000, bulk=1000))
        outcome = running.outcome
    assert outcome.kills == 4
    assert (outcome.lost, outcome.doubled, outcome.backwards) == (0, 0, 0)
    assert outcome.counters > 20


@pytest.mark.timeout(300)
def test_a_target_without_room(rowferry: Rowferry, logged: MariaDb, postgres: Postgres) -> None:
    """The stream fails and says so; once there is room, it goes on with the transaction that did not fit."""
    with small_disk("8m") as disk:
        owner = pwd.getpwnam("postgres")
        os.chown(disk.folder, owner.pw_uid, owner.pw_gid)
        pair = Pair(rowferry, logged, postgres, logged.new_database(), postgres.new_database())
        space = f"space_{pair.there}"
        postgres.execute(f"CREATE TABLESPACE {space} LOCATION '{disk.folder}'")
        postgres.execute(f"ALTER DATABASE {pair.there} SET default_tablespace = '{space}'")
        try:
            pair.begin("CREATE TABLE t (id int PRIMARY KEY, word char(32))", "CREATE TABLE bare (n int, word char(32))")
            for first in range(1, 120_001, 20_000):
                numbers = f"SELECT seq, MD5(seq) FROM seq_{first}_to_{first + 19_999}"
                pair.together(f"INSERT INTO t {numbers}", f"INSERT INTO bare {numbers}")
            stats = rowferry.wait(pair.stream)
            assert stats["status"] == "FAILED"
            assert stats["error"]["code"] == "target_full"
            kept = [len(pair.rows(table, "word") or ()) for table in ("t", "bare")]
            assert kept[0] == kept[1] < 120_000
            disk.room("200m")
            pair.resume()
            assert pair.arrives("bare", "t").total() == 120_000
        finally:
            pair.stop()
            postgres.execute(f"DROP DATABASE {pair.there} WITH (FORCE)", f"DROP TABLESPACE {space}")
