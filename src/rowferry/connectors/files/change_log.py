"""How far a stream's changes are kept, and who may go on: numbered documents beside the stream's journal.

    changes-<number>.json    what was committed with that number: position, counts, and the files of that commit
    notes-<mark>.json        what is long and seldom changes, of the document that names it

The highest number counts. Whoever writes makes the next one, which fails where somebody else has made it: that is the
commit, and it is the fence, too, since whoever begins makes a number as well. So each number is one writer's, and the
files that are named after it are, too. What a commit replaces is deleted, and the record stays as small as it began;
which files there are is for the manifests to tell. A writer that slept for so long that its number was deleted
meanwhile sees a higher one when it looks afterwards, and nobody has gone on from its own.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Protocol

from rowferry.connectors.changes import Standing
from rowferry.errors import Conflict, FencedOff, WriteFailed

_NAME = re.compile(r"changes-(\d+)\.json\Z")
_NOTES = re.compile(r"notes-\w+\.json\Z")


class Shelf(Protocol):
    """Where the documents lie, beside the journal."""

    def names(self) -> Collection[str] | None:
        """What lies there; None when the journal is gone, and with it the stream."""

    def read(self, name: str) -> bytes | None:
        """A document; None when there is none."""

    def create(self, name: str, content: bytes) -> bool:
        """Write a document, whole and durable, unless there is one; whether it was written."""

    def delete(self, names: Iterable[str]) -> None:
        """Delete documents; those that are not there are none to delete."""


@dataclass(frozen=True, slots=True)
class ChangeFile:
    """A file of changes of one table: its folder, and its place and that of the staged file as `Written` has them.

    `first`, `last`: ordinal and position of its first and its last change. `schema`: see `ChangeLayout.schema`.
    `shown`: the columns of the file as a whole, as `_schema.json` tells of columns.
    """

    table: str
    folder: str
    final: str
    rows: int
    stored: int
    checksum: str
    first: tuple[int, str]
    last: tuple[int, str]
    schema: Mapping[str, Any]
    shown: Mapping[str, Any]
    staged: str | None = None

    @property
    def name(self) -> str:
        """The file's name in its folder."""
        return self.final.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class Head:
    """What the record says. `mark` is that of the writer. `ordinal`: of the last change that is kept.

    `files` are those of the last commit with any. `strays`: numbers under which files may lie that never counted.
    """

    number: int
    mark: str
    standing: Standing = field(default_factory=Standing)
    ordinal: int = 0
    files: tuple[ChangeFile, ...] = ()
    strays: tuple[int, ...] = ()
    notes: str = ""


def is_record(name: str) -> bool:
    """Whether the document of that name belongs here."""
    return _NAME.match(name) is not None or _NOTES.match(name) is not None


class ChangeLog:
    """One writer's view of a stream's record, from `take_over` on."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._mark = uuid.uuid4().hex
        self.head = Head(0, self._mark)

    def latest(self) -> Head | None:
        """What the record says now; None where nothing was ever committed. Conflict without a journal."""
        while True:
            names = self._shelf.names()
            if names is None:
                raise Conflict("The target's journal does not know this stream: its tables have to be prepared first.")
            number = _highest(names)
            if number == 0:
                return None
            head = self._read(number)
            if head is not None:
                return head

    def take_over(self) -> Head:
        """Begin to write, so that whoever did so before commits nothing any more."""
        while True:
            before = self.latest() or Head(0, self._mark)
            number = before.number + 1
            head = replace(before, number=number, mark=self._mark, strays=(*before.strays, number))
            if self._create(head):
                self.head = head
                self._shelf.delete([_name(before.number)])
                return head

    def commit(self, standing: Standing, ordinal: int, files: tuple[ChangeFile, ...]) -> Head:
        """Commit; FencedOff, and nothing is committed, when the turn of this writer is over."""
        before = self.head
        notes = before.notes
        if standing.notes is not before.standing.notes:
            notes = f"notes-{uuid.uuid4().hex}.json"
            self._shelf.create(notes, json.dumps(dict(standing.notes)).encode())
        head = Head(before.number + 1, self._mark, standing, ordinal, files or before.files, (), notes)
        if not self._create(head):
            self._shelf.delete({notes} - {before.notes})
            raise overtaken()
        self.check(head.number)
        self.head = head
        self._shelf.delete([_name(before.number), *({before.notes} - {notes, ""})])
        return head

    def check(self, number: int | None = None) -> None:
        """FencedOff when the turn is over, or the stream no more."""
        own = self.head.number if number is None else number
        names = self._shelf.names()
        if names is None:
            self._shelf.delete([_name(own)])
            raise FencedOff("The target's journal no longer knows this stream, so nothing more is written for it.")
        if _highest(names) != own:
            raise overtaken()

    def _create(self, head: Head) -> bool:
        """Whether the document is ours: one that is there already may be, where an answer was lost."""
        content = json.dumps(_document(head)).encode()
        return self._shelf.create(_name(head.number), content) or self._shelf.read(_name(head.number)) == content

    def _read(self, number: int) -> Head | None:
        """None when it was replaced meanwhile."""
        content = self._shelf.read(_name(number))
        if content is None:
            return None
        try:
            document = json.loads(content)
            notes = self._shelf.read(document["notes"]) if document["notes"] else b"{}"
            return None if notes is None else _head(document, json.loads(notes))
        except (ValueError, KeyError, TypeError) as error:
            raise WriteFailed(f"{_name(number)} is damaged: start a new stream, which plans anew.") from error


def overtaken() -> FencedOff:
    """What a writer learns when another one was opened."""
    return FencedOff("Another writer has taken this stream over on the target, so this one ends.")


def _highest(names: Iterable[str]) -> int:
    return max((int(found[1]) for name in names if (found := _NAME.match(name))), default=0)


def _name(number: int) -> str:
    return f"changes-{number:08d}.json"


def _document(head: Head) -> dict[str, Any]:
    standing = {"position": head.standing.position, "counts": {k: list(v) for k, v in head.standing.counts.items()}}
    files = [asdict(file) for file in head.files]
    return {
        "number": head.number, "mark": head.mark, **standing, "ordinal": head.ordinal, "files": files,
        "strays": list(head.strays), "notes": head.notes,
    }  # fmt: skip


def _head(document: Mapping[str, Any], notes: Mapping[str, Any]) -> Head:
    files = tuple(
        ChangeFile(**{**one, "first": tuple(one["first"]), "last": tuple(one["last"])}) for one in document["files"]
    )
    standing = Standing(document["position"], notes, document["counts"])
    strays = tuple(document["strays"])
    return Head(
        document["number"], document["mark"], standing, document["ordinal"], files, strays, document["notes"]
    )  # fmt: skip
