"""What the tests of whole streams stand on: a server, and a source worth interrupting."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.servers import MariaDb
from tests.serving import Rowferry, serving

ROWS = 400_000


@pytest.fixture(scope="module")
def rowferry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rowferry]:
    """A server for the module's tests, each of which brings its own connections and targets."""
    with serving(tmp_path_factory.mktemp("server") / "data") as server:
        yield server


@pytest.fixture(scope="session")
def big(mariadb: MariaDb) -> str:
    """A database with a table of `ROWS` rows in several chunks, one without a key, and a small one."""
    database = mariadb.new_database()
    mariadb.execute(
        "CREATE TABLE items (id INT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(200) NOT NULL, price DECIMAL(12,4), "
        "made DATETIME(6), parent INT, KEY (parent))",
        f"INSERT INTO items SELECT seq, REPEAT(CONCAT('item ', seq, ' '), 8), seq * 0.0101, "
        f"'2001-01-01' + INTERVAL seq SECOND, NULLIF(seq % 100, 0) FROM seq_1_to_{ROWS}",
        "CREATE TABLE loose (word VARCHAR(20), n INT)",
        "INSERT INTO loose SELECT CONCAT('w', seq), seq FROM seq_1_to_5000",
        "CREATE TABLE small (code CHAR(3) PRIMARY KEY, label VARCHAR(20))",
        "INSERT INTO small VALUES ('a', 'one'), ('b', NULL), ('c', '')",
        "ALTER TABLE items ADD FOREIGN KEY (parent) REFERENCES items (id)",
        database=database,
    )
    return database
