"""Change files whose writer is killed: run as a program, before every file operation, and once more as it goes on.

python -m tests.files.crash_changes BASE STEP
"""

from __future__ import annotations

import random
import signal
import sys
from dataclasses import replace
from functools import partial
from itertools import count
from pathlib import Path

import pyarrow as pa

from rowferry.connectors.changes import Commit
from rowferry.connectors.files import CONNECTOR
from rowferry.model import types as t
from tests.cdc.change_files import Folder, changes, no_gap
from tests.files.crash import check, in_child, killed_at
from tests.files.tables import request, table
from tests.followed import inserted, row_changes, standing

TABLES = [replace(table(name, {"id": t.Integer(64)}), key=("id",)) for name in ("one", "two")]
COMMITS, ROWS = 4, 3


def follow(base: Path) -> None:
    """Commit changes of both tables, from wherever the record stands, and end the stream."""
    assert CONNECTOR.open_target is not None
    assert CONNECTOR.open_recorder is not None
    asked = replace(request(base, "jsonl"), followed=True)
    opened = CONNECTOR.open_target(asked)
    journal = opened.journal()
    if journal is None and list(base.glob("*.changes/part-*")):  # all is done, and the journal half gone
        opened.forget()
        return
    plan = opened.plan(TABLES, "", prepared=journal is not None)
    if journal is None:
        opened.prepare(plan, {str(planned.target.name): "" for planned in plan.tables})
    recorder = CONNECTOR.open_recorder(asked, plan.tables)
    for number in range(int(recorder.standing().position or 0), COMMITS):
        rows = [inserted(ROWS * number + at) for at in range(ROWS)]
        told = [
            (planned, replace(row_changes(planned.source, rows), ordinals=pa.array(range(at, 2 * ROWS, 2), pa.int64())))
            for at, planned in enumerate(plan.tables)
        ]
        recorder.append(told, [Commit(2 * ROWS, str(number), None)])
        recorder.commit(standing(str(number + 1), same="notes"))
    recorder.close()
    opened.forget()
    opened.close()


def everywhere(root: Path, step: int) -> None:
    """Before each `step`th file operation kill the run, kill the resumed run somewhere too, then let it end."""
    chance = random.Random(7)
    for moment in count(random.randrange(step), step):
        base = root / str(moment)
        base.mkdir(parents=True)
        whole = partial(follow, base)
        first = in_child(killed_at(base, moment, whole))
        check(in_child(partial(_true, base)))
        if first == 0:
            print(moment)
            return
        assert first == signal.SIGKILL
        assert in_child(killed_at(base, chance.randrange(120), whole)) in (0, signal.SIGKILL)
        check(in_child(partial(_true, base)))
        check(in_child(whole))
        check(in_child(partial(_complete, base)))


def _true(base: Path) -> None:
    """What the manifests say is so: the first changes, in order, of which no part is twice."""
    for one in TABLES:
        found = [change.after for change in changes(Folder(base), one.name.name)]
        assert found == [{"id": number} for number in range(len(found))]
        assert len(found) % ROWS == 0


def _complete(base: Path) -> None:
    assert no_gap(Folder(base), "one", "two") == 2 * COMMITS * ROWS
    assert {path.name for path in base.iterdir()} <= {"one", "two", "one.changes", "two.changes"}
    for one in TABLES:
        names = {name for name in Folder(base).names(f"{one.name}.changes".partition(".")[2]) if name[:1] != "_"}
        assert len(names) == COMMITS


if __name__ == "__main__":
    everywhere(Path(sys.argv[1]), int(sys.argv[2]))
