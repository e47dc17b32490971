"""Killed at any moment, a stream loses no row and doubles none, and a reader never sees half a file."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from rowferry.connectors.files.journal import FILE
from rowferry.errors import WriteFailed
from rowferry.model.chunks import Chunk
from tests.files import crash
from tests.files.crash import CHUNKS, ROWS, ids, rows_of, tables
from tests.files.tables import prepared, target
from tests.servers import wait_until


@pytest.mark.parametrize(("file_format", "step"), [("csv", 3), ("parquet", 7)])
def test_killed_before_every_file_operation(tmp_path: Path, file_format: str, step: int) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.files.crash", "everywhere", str(tmp_path), file_format, str(step)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 50


def test_killed_at_random_while_two_threads_write(tmp_path: Path) -> None:
    chance = random.Random(int.from_bytes(os.urandom(4)))
    journal = tmp_path / ".rowferry" / "stream_1" / FILE
    goal = 0
    while True:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.files.crash", "stream", str(tmp_path), "parquet"], stderr=subprocess.PIPE
        )
        goal = (journal.stat().st_size if journal.exists() else 0) + chance.randrange(1, 8000)

        def reached(goal: int = goal, process: subprocess.Popen[bytes] = process) -> bool:
            return process.poll() is not None or (journal.exists() and journal.stat().st_size >= goal)

        wait_until(reached)
        process.send_signal(signal.SIGKILL)
        _, errors = process.communicate()
        for name in ("one", "two"):
            seen = ids(tmp_path / name)
            assert len(seen) == len(set(seen))
        if process.returncode == 0:
            break
        assert process.returncode == -signal.SIGKILL, errors.decode()
    for name in ("one", "two"):
        assert sorted(ids(tmp_path / name)) == list(range(40 * ROWS))


def interrupted(base: Path) -> Path:
    """A stream that wrote all chunks but one and was left; its journal."""
    opened = target(base, "csv", "stream_1")
    planned = prepared(opened, *tables())[0]
    chunks = [Chunk(planned.source.name, number) for number in range(CHUNKS)]
    opened.begin(planned, chunks)
    for chunk in chunks[: CHUNKS - 1]:
        opened.write(planned, chunk, rows_of(chunk.number))
    return base / ".rowferry" / "stream_1" / FILE


def test_a_last_line_that_was_cut_off_never_happened(tmp_path: Path) -> None:
    journal = interrupted(tmp_path / "base")
    whole = journal.read_bytes()
    last = len(whole.splitlines(keepends=True)[-1])
    for cut in (1, last // 2, last - 1):
        journal.write_bytes(whole[:-cut])
        read = target(tmp_path / "base", "csv", "stream_1").journal()
        assert read is not None
        assert [done.number for done in read.committed] == list(range(CHUNKS - 2))
        assert journal.read_bytes() == whole[:-last]


def test_a_line_that_is_cut_off_can_be_followed_by_others(tmp_path: Path) -> None:
    journal = interrupted(tmp_path)
    with journal.open("ab") as opened:
        opened.write(b'{"kind": "written", "table": "o')
    crash.stream(tmp_path, "csv")
    assert sorted(ids(tmp_path / "one")) == list(range(CHUNKS * ROWS))


def test_a_journal_that_is_damaged_in_the_middle_is_refused(tmp_path: Path) -> None:
    journal = interrupted(tmp_path)
    lines = journal.read_bytes().splitlines(keepends=True)
    lines[2] = lines[2][:5] + b"\n"
    journal.write_bytes(b"".join(lines))
    with pytest.raises(WriteFailed, match=r"journal\.jsonl is damaged"):
        target(tmp_path, "csv", "stream_1").journal()
    assert journal.read_bytes() == b"".join(lines)


def test_two_processes_that_write_the_same_chunk_commit_it_once(tmp_path: Path) -> None:
    one = target(tmp_path)
    planned = prepared(one, tables()[0])[0]
    chunk = Chunk(planned.source.name, 0)
    other = target(tmp_path)

    def overtaken() -> Iterator[pa.RecordBatch]:
        yield from rows_of(0)
        other.write(planned, chunk, rows_of(0))

    one.write(planned, chunk, overtaken())
    assert ids(tmp_path / "one") == list(range(ROWS))
    one.finish_table(planned)
    staging = tmp_path / ".rowferry" / "stream_1" / "staging"
    assert [path for path in staging.rglob("*") if path.is_file()] == []


def test_staging_of_a_living_process_is_left_alone(tmp_path: Path) -> None:
    one = target(tmp_path)
    planned = prepared(one, tables()[0])[0]

    def visited() -> Iterator[pa.RecordBatch]:
        yield from rows_of(0)
        assert target(tmp_path).journal() is not None

    one.write(planned, Chunk(planned.source.name, 0), visited())
    assert ids(tmp_path / "one") == list(range(ROWS))
