"""A stream that is killed: run as a program, it writes chunks of two tables, and goes on where a journal stands.

python -m tests.files.crash stream BASE FORMAT        write all, resuming what BASE says
python -m tests.files.crash everywhere BASE FORMAT STEP    kill at every file operation, resume, and check
"""

from __future__ import annotations

import os
import random
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from rowferry.connectors.base import PlannedTable, Target
from rowferry.model import types as t
from rowferry.model.chunks import Chunk
from rowferry.model.tables import Table
from tests.files.tables import batches, table, target

CHUNKS, ROWS = 3, 40
OPERATIONS = frozenset({"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.scandir"})
REPLACING = ("drop_and_recreate", "fail_if_not_empty")


def tables() -> tuple[Table, Table]:
    """Two tables of numbers and words."""
    columns: dict[str, t.NeutralType] = {"id": t.Integer(64), "word": t.Text()}
    return table("one", columns), table("two", columns)


def rows_of(number: int) -> Iterator[pa.RecordBatch]:
    """The rows of a chunk, in several batches."""
    first = number * ROWS
    return iter(batches(tables()[0], [[at, f"word {at}"] for at in range(first, first + ROWS)], 16))


def stream(base: Path, file_format: str, chunks: int = CHUNKS, workers: int = 1, end: bool = True) -> None:
    """Write both tables from wherever their journal stands."""
    opened = target(base, file_format, "stream_1", REPLACING)
    journal = opened.journal()
    plan = opened.plan(tables(), "", prepared=journal is not None)
    if journal is None:
        opened.prepare(plan, {str(planned.target.name): "" for planned in plan.tables})
    committed = {(done.table, done.number) for done in journal.committed} if journal else set()
    with ThreadPoolExecutor(workers) as pool:
        for planned in plan.tables:
            _copy(opened, planned, chunks, committed, pool.map)
            opened.finish_table(planned)
    opened.finish(plan.tables)
    if end:
        opened.forget()
    opened.close()


def _copy(
    opened: Target, planned: PlannedTable, count: int, committed: set[tuple[str, int]], spread: Callable[..., Any]
) -> None:
    chunks = [Chunk(planned.source.name, number) for number in range(count)]
    opened.begin(planned, chunks)
    missing = [chunk for chunk in chunks if (str(planned.target.name), chunk.number) not in committed]
    list(spread(lambda chunk: opened.write(planned, chunk, rows_of(chunk.number)), missing))


def ids(folder: Path) -> list[int]:
    """The ids in every visible part; fails on a part that is not whole."""
    found: list[int] = []
    for part in sorted(folder.glob("part-*")):
        if part.suffix == ".parquet":
            held = pq.ParquetFile(part).read().column("id").to_pylist()
        else:
            text = part.read_text()
            assert text.endswith("\n")
            held = [int(line.partition(",")[0]) for line in text.splitlines()[1:]]
        assert len(held) in (0, ROWS)
        found += held
    return found


def in_child(work: Callable[[], None]) -> int:
    """How a process ended that did the work."""
    child = os.fork()
    if child == 0:
        try:
            work()
        except BaseException as error:
            print("".join(traceback.format_exception(error)), file=sys.stderr, flush=True)
            os._exit(3)
        os._exit(0)
    return os.waitpid(child, 0)[1]


def killed_at(base: Path, moment: int, whole: Callable[[], None]) -> Callable[[], None]:
    """The work, killed before its file operation of that number."""
    left = iter(range(moment))

    def count(event: str, arguments: Sequence[object]) -> None:
        if event in OPERATIONS and _touches(base, event, arguments) and next(left, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)

    def work() -> None:
        sys.addaudithook(count)
        whole()

    return work


def _touches(base: Path, event: str, arguments: Sequence[object]) -> bool:
    """Whether the operation is one in the folder: by its path, or by a name in a folder that is open.

    A step on the way to a folder changes nothing, and is none.
    """
    place = str(arguments[0])
    if event == "open" and isinstance(arguments[2], int) and arguments[2] & os.O_PATH:
        return False
    return str(base) in place or place.startswith("/dev/fd/") or not place.startswith("/")


def everywhere(root: Path, file_format: str, step: int) -> None:
    """Before each `step`th file operation kill the run, kill the resumed run somewhere too, then let it end."""
    chance = random.Random(7)
    for moment in range(random.randrange(step), 10_000, step):
        base = root / str(moment)
        for name in ("one", "two"):
            (base / name).mkdir(parents=True)
            (base / name / f"part-00000.{file_format}").write_text("an older run\n")
        whole = partial(stream, base, file_format)
        first = in_child(killed_at(base, moment, whole))
        check(in_child(lambda base=base: _visible(base, file_format)))  # type: ignore[misc]
        if first == 0:
            print(moment)
            return
        assert os.WTERMSIG(first) == signal.SIGKILL
        second = in_child(killed_at(base, chance.randrange(60), whole))
        assert second in (0, signal.SIGKILL)
        check(in_child(lambda base=base: _visible(base, file_format)))  # type: ignore[misc]
        check(in_child(lambda base=base: stream(base, file_format)))  # type: ignore[misc]
        check(in_child(lambda base=base: _complete(base)))  # type: ignore[misc]


def check(status: int) -> None:
    """The program ends where a child did not end well."""
    if status:
        raise SystemExit(f"a child ended with {status}")


def _visible(base: Path, file_format: str) -> None:
    for name in ("one", "two"):
        older = base / name / f"part-00000.{file_format}"
        if older.exists() and older.read_bytes().startswith(b"an older run"):
            assert len(list((base / name).iterdir())) == 1
            continue
        found = ids(base / name)
        assert len(found) == len(set(found))


def _complete(base: Path) -> None:
    for name in ("one", "two"):
        assert sorted(ids(base / name)) == list(range(CHUNKS * ROWS))
    assert sorted(path.name for path in base.iterdir()) == ["one", "two"]


if __name__ == "__main__":
    what, base, file_format, *step = sys.argv[1:]
    if what == "everywhere":
        everywhere(Path(base), file_format, int(step[0]))
    else:
        stream(Path(base), file_format, chunks=40, workers=2, end=False)
