"""The demo, with a smaller shop: it succeeds, can be left running and stopped, and cleans up when interrupted."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from demo.postgres import remove_database, start_postgres
from demo.verify import in_postgres, shapes
from tests.servers import wait_until

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "ROWFERRY_DEMO_ORDERS": "3000", "COLUMNS": "120"}


def run(place: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the demo in a folder of its own."""
    command = [sys.executable, "-m", "demo", *arguments]
    return subprocess.run(command, cwd=place, env=ENVIRONMENT, capture_output=True, text=True, check=False)


def processes(place: Path) -> list[psutil.Process]:
    """Whatever runs with the demo's folder, or its database's, in its command line."""
    folders = {str(place), str((place / ".rowferry-demo" / "database").resolve())}
    return [
        process
        for process in psutil.process_iter(["cmdline"])
        if any(folder in word for word in process.info["cmdline"] or () for folder in folders)
    ]


def test_demo_succeeds_twice(tmp_path: Path) -> None:
    """It exits with 0, says that all copies are equal, leaves files and no process; a second run works as well."""
    for _ in range(2):
        done = run(tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
        assert done.stdout.count("equal") == 10
        assert len(list((tmp_path / ".rowferry-demo" / "parquet").rglob("*.parquet"))) >= 5
        assert processes(tmp_path) == []


def test_demo_left_running(tmp_path: Path) -> None:
    """With --keep the server answers at the printed address until --stop."""
    done = run(tmp_path, "--keep")
    left = len(processes(tmp_path))
    try:
        assert done.returncode == 0, done.stdout + done.stderr
        assert re.search(r"Left running: +http://127\.0\.0\.1:\d+", done.stdout)
        command = re.search(r"List the streams: +(curl .*)", done.stdout)
        assert command is not None
        answer = subprocess.run(["bash", "-c", command[1]], capture_output=True, text=True, check=True)
        assert answer.stdout.count("FINISHED") >= 2
        assert left >= 2
    finally:
        stopped = run(tmp_path, "--stop")
    assert "Stopped 2 processes" in stopped.stdout
    wait_until(lambda: processes(tmp_path) == [], what="no process of the demo")


@pytest.mark.parametrize(
    ("moment", "number"),
    [
        ("start an embedded", signal.SIGTERM),
        ("fill the shop", signal.SIGINT),
        ("create three", signal.SIGTERM),
        ("side by side", signal.SIGINT),
    ],
)
def test_demo_interrupted(tmp_path: Path, moment: str, number: signal.Signals) -> None:
    """Ctrl-C, or a kill, at any moment leaves nothing running."""
    command = [sys.executable, "-u", "-m", "demo"]
    with subprocess.Popen(command, cwd=tmp_path, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if moment in line:
                break
        process.send_signal(number)
        rest = process.stdout.read()
    assert process.returncode == 130, rest
    wait_until(lambda: processes(tmp_path) == [], what="no process of the demo")


COMPARING = """
from pathlib import Path
from demo.verify import Shape, in_parquet
print("begun", flush=True)
try:
    while True:
        in_parquet(Path("."), Shape("t", (("n", "bigint"),), ("n",)))
except KeyboardInterrupt:
    raise SystemExit(130)
"""


def test_the_comparison_interrupted(tmp_path: Path) -> None:
    """DuckDB makes no error of its own out of Ctrl-C."""
    pq.write_table(pa.table({"n": range(300_000)}), tmp_path / "t.parquet")
    command = ["env", "--default-signal=INT", sys.executable, "-c", COMPARING]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=tmp_path, env=ENVIRONMENT, stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.5)
        process.send_signal(signal.SIGINT)
        said = process.stderr.read()
    assert process.returncode == 130, said


def test_the_comparison_sees_a_difference(tmp_path: Path) -> None:
    """The last bit of a double, and NULL against an empty text, change the checksum."""
    (tmp_path / "logs").mkdir()
    server = start_postgres(tmp_path)
    try:
        with server.connect() as connection:
            connection.execute("CREATE TABLE t (id int PRIMARY KEY, v double precision, n text)")
            connection.execute("INSERT INTO t VALUES (1, 0.1, 'a'), (2, NULL, NULL)")
            (shape,) = shapes(server, "postgres")
            sums = [in_postgres(server, "postgres", shape)]
            for change in ("v = 0.1", "v = 0.10000000000000002", "n = ''"):
                connection.execute(f"UPDATE t SET {change} WHERE id = 1".encode())
                sums.append(in_postgres(server, "postgres", shape))
    finally:
        server.started.stop()
        remove_database(tmp_path)
    assert sums[0] == sums[1]
    assert len(set(sums)) == 3
