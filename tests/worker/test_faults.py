"""A programming error in a worker ends the stream at once; what it was stands in the worker's log alone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from rowferry.control.fleet import LOG_FILE
from tests.servers import MariaDb, Postgres
from tests.serving import Rowferry, serving

FAULTS = {
    "a driver that is not there": ("raise ImportError('no such library')", "no such library"),
    "a driver with another interface": ("", "AttributeError: module 'connectorx'"),
    "a defect": ("def read_sql(*_, **__): raise ZeroDivisionError('value ' * 2)", "ZeroDivisionError"),
    "a driver's panic": ("def read_sql(*_, **__): raise BaseException('value ' * 2)", "BaseException"),
}
"""What stands in place of a driver, and what the worker's log says of it."""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for the server's data and for modules that its workers find first."""
    return tmp_path_factory.mktemp("faults")


@pytest.fixture(scope="module")
def rowferry(home: Path) -> Iterator[Rowferry]:
    """A server that starts a worker when it is needed, not before."""
    path = os.pathsep.join([str(home), os.environ.get("PYTHONPATH", "")])
    with serving(home / "data", PYTHONPATH=path, ROWFERRY_WARM_WORKERS="0") as server:
        yield server


@pytest.mark.parametrize(("code", "told"), FAULTS.values(), ids=list(FAULTS))
def test_it_fails_at_once(
    rowferry: Rowferry, home: Path, mariadb: MariaDb, postgres: Postgres, code: str, told: str
) -> None:
    database = mariadb.new_database()
    filled = "INSERT INTO t SELECT seq FROM seq_1_to_20000"
    mariadb.execute("CREATE TABLE t (id INT PRIMARY KEY)", filled, database=database)
    target = {"db": {"database": postgres.new_database()}}
    source = rowferry.connect_mariadb(mariadb)
    config = rowferry.configure(source, database, rowferry.connect_postgres(postgres), target)
    driver = home / "connectorx.py"
    driver.write_text(code)
    stream = rowferry.begin(config)
    stats = rowferry.wait(stream)
    driver.unlink()
    assert stats["status"] == "FAILED"
    assert stats["error"]["code"] == "internal_error"
    assert stats["error"]["error"].startswith("Rowferry itself failed")
    logs = rowferry.client.get(f"/streams/{stream}/logs").json()
    assert [entry["level"] for entry in logs].count("error") == 1
    assert not [entry for entry in logs if "another" in entry["message"]]
    said = (home / "data" / LOG_FILE).read_text()
    assert told in said
    assert told not in f"{stats} {logs}"
    assert "value value" not in f"{said} {rowferry.log()}"
    rowferry.post(f"/streams/{stream}/resume")
    assert rowferry.wait(stream)["status"] == "FINISHED"
