"""Walk through a guide before one's eyes: `python -m tests.guide [FILE]`; without FILE through docs/api-guide.md.

Starts private database servers and a Rowferry server, runs every curl command of the guide, prints each with its
answer, and checks what the streams brought.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from demo.server import start_server
from tests.guide import test_guide as steps
from tests.guide.walk import CREATIONS, Answer, Walk
from tests.guide.world import databases, storage
from tests.servers import mariadb_server, postgres_server
from tests.stores import object_store, vault_server


def main(guide: Path) -> None:
    """Run the whole walk; the first thing that is not right ends it."""
    with (
        mariadb_server() as mariadb,
        postgres_server() as postgres,
        object_store() as store,
        vault_server() as vault,
        databases(mariadb, postgres),
        storage(store, vault),
        tempfile.TemporaryDirectory() as place,
    ):
        folder = Path(place)
        server = start_server(folder / "data", folder / "log")
        try:
            walk = Walk(guide.read_text(), server, mariadb, postgres, folder / "exports", folder / "curl", show, store)
            take(walk)
        finally:
            server.close()
    print(f"\nAll {len(walk.commands)} commands of {guide} work.")


def take(walk: Walk) -> None:
    """The steps that the tests take, in their order."""
    steps.test_the_guide_has_every_kind_of_command(walk)
    for call in CREATIONS:
        steps.test_creations(walk, call)
    steps.test_streams_to_postgresql_with_named_tables(walk)
    steps.test_streams_to_parquet(walk)
    steps.test_streams_to_object_storage(walk)
    steps.test_pause_resume_stop(walk)
    steps.test_streams_to_postgresql_with_all_tables(walk)
    steps.test_other_commands(walk)
    steps.test_every_command_was_run(walk)


def show(answer: Answer) -> None:
    """A command and its answer, unless it is one more look at the stats."""
    if not answer.command.path.endswith("/stats"):
        body = json.dumps(answer.body, ensure_ascii=False)
        print(f"\n# {answer.command.title}\n{answer.command.text}\n→ {answer.status} {body[:1000]}", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else steps.OUR_GUIDE)
