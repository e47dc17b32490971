"""Logs that lie in files, followed as if a server sent them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from rowferry.connectors.changes import BatchSize, ChangeBatch
from rowferry.connectors.mysql.binlog.declare import Manner, declared
from rowferry.connectors.mysql.binlog.frames import MAGIC, Event, Opener, Stretch
from rowferry.connectors.mysql.binlog.history import History
from rowferry.connectors.mysql.binlog.kinds import Kind
from rowferry.connectors.mysql.binlog.plans import Followed
from rowferry.connectors.mysql.binlog.position import Place
from rowferry.connectors.mysql.binlog.rolled import Undone
from rowferry.connectors.mysql.binlog.story import Story
from rowferry.connectors.mysql.binlog.tokens import Cursor, parts, tokens
from rowferry.model.tables import Table, TableName

FOLDER = Path(os.environ.get("ROWFERRY_TEST_BINLOGS", Path(__file__).parents[3] / "shared" / "binlogs"))
MYSQL = Manner(mariadb=False, widths=True, charset="utf8mb4")


def sample(name: str) -> bytes:
    """The content of a real server's log; the test is skipped where there is none."""
    path = FOLDER / name
    if not path.exists():
        pytest.skip(f"{path} is not there: set ROWFERRY_TEST_BINLOGS to the folder with logs of real servers")
    return path.read_bytes()


def opened(content: bytes) -> Iterator[Event]:
    """The events of a file."""
    assert content.startswith(MAGIC)
    opener = Opener(checked=False)
    return map(opener.open, Stretch().feed(content[len(MAGIC) :]))


def table(name: str, columns: str, key: tuple[str, ...] = ()) -> Table:
    """A table as a statement would declare it."""
    found = []
    for part in parts(tokens(columns)):
        cursor = Cursor(part)
        found.append(declared(cursor.text(), cursor.words[1:], MYSQL))
    return Table(TableName(*name.split(".")), tuple(found), key, key)


def followed(content: bytes, *tables: Table, since: int = 4) -> list[ChangeBatch]:
    """What happened to these tables, from that offset on."""
    history = History([Followed(one, one.columns) for one in tables], MYSQL, lambda _: None)
    story = Story(Place("log.000001", since), history, {}, BatchSize(), Undone())
    found: list[ChangeBatch] = []
    for event in opened(content):
        if event.after > since or event.kind == Kind.FORMAT_DESCRIPTION:
            found += story.take(event)
    return [*found, story.batch()]
