"""What the journal of a stream into files says, as lines of JSON, each durable before what it allows is done.

preparing   the files that will go and the folders that will be made
prepared    that is done; fingerprints, and from which number on each table's parts count
emptied     what `prepared` says is to go has gone, where that comes after it
begun       a table's chunks
written     a chunk is committed: this line is the commit
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rowferry.connectors.base import Journal
from rowferry.model.chunks import Chunk, Committed
from rowferry.model.tables import TableName


@dataclass(frozen=True, slots=True)
class Written:
    """A committed chunk: its staged file and its final place, both relative to the base (None: it had no rows).

    `stored`: the file's size in bytes, `checksum`: its SHA-256, `tag`: the store's own mark of it, where it has one.
    """

    committed: Committed
    staged: str | None = None
    final: str | None = None
    stored: int = 0
    checksum: str = ""
    tag: str | None = None


@dataclass(frozen=True, slots=True)
class Preparation:
    """What preparing does: `moves` of files aside (from, to) and `folders` to make, relative to the base."""

    moves: tuple[tuple[str, str], ...] = ()
    folders: tuple[str, ...] = ()


@dataclass(slots=True)
class Record:
    """What a journal says so far. `gone`: files that were to go once it was prepared, `emptied`: that they have."""

    preparation: Preparation | None = None
    fingerprints: dict[str, str] | None = None
    offsets: dict[str, int] = field(default_factory=dict)
    existing: frozenset[str] = frozenset()
    gone: tuple[str, ...] = ()
    emptied: bool = False
    chunks: dict[str, list[Chunk]] = field(default_factory=dict)
    written: dict[tuple[str, int], Written] = field(default_factory=dict)

    @property
    def prepared(self) -> bool:
        """Whether the structure stage is behind us."""
        return self.fingerprints is not None

    def journal(self) -> Journal | None:
        """What the pipeline asks of it; None unless it is prepared."""
        if self.fingerprints is None:
            return None
        return Journal(
            dict(self.fingerprints),
            {table: tuple(chunks) for table, chunks in self.chunks.items()},
            tuple(written.committed for written in self.written.values()),
        )

    def apply(self, line: Mapping[str, Any]) -> None:
        """Take in one line."""
        _APPLIED[line["kind"]](self, line)


def preparing_line(preparation: Preparation) -> dict[str, Any]:
    """What preparing will do."""
    moves = [list(move) for move in preparation.moves]
    return {"kind": "preparing", "moves": moves, "folders": list(preparation.folders)}


def prepared_line(
    fingerprints: Mapping[str, str], offsets: Mapping[str, int], existing: Sequence[str]
) -> dict[str, Any]:
    """The structure stands."""
    shown = {"fingerprints": dict(fingerprints), "offsets": dict(offsets), "existing": list(existing)}
    return {"kind": "prepared", **shown}


def begun_line(table: str, chunks: Sequence[Chunk]) -> dict[str, Any]:
    """A table's chunks."""
    lines = [[[chunk.table.schema, chunk.table.name], chunk.number, chunk.low, chunk.high] for chunk in chunks]
    return {"kind": "begun", "table": table, "chunks": lines}


def written_line(written: Written) -> dict[str, Any]:
    """A chunk is there."""
    done = written.committed
    line = {"kind": "written", "table": done.table, "number": done.number, "rows": done.rows, "size": done.size}
    if done.at is not None:
        line["at"] = done.at
    files = {"stored": written.stored, "checksum": written.checksum, "tag": written.tag}
    return {**line, **files, "staged": written.staged, "final": written.final}


def _preparing(record: Record, line: Mapping[str, Any]) -> None:
    moves = tuple((source, aside) for source, aside in line["moves"])
    record.preparation = Preparation(moves, tuple(line["folders"]))


def _prepared(record: Record, line: Mapping[str, Any]) -> None:
    record.fingerprints = dict(line["fingerprints"])
    record.offsets = dict(line["offsets"])
    record.existing = frozenset(line["existing"])
    record.gone = tuple(line.get("gone", ()))


def _emptied(record: Record, _: Mapping[str, Any]) -> None:
    record.emptied = True


def _begun(record: Record, line: Mapping[str, Any]) -> None:
    record.chunks[line["table"]] = [
        Chunk(TableName(*source), number, _key(low), _key(high)) for source, number, low, high in line["chunks"]
    ]


def _written(record: Record, line: Mapping[str, Any]) -> None:
    committed = Committed(line["table"], line["number"], line["rows"], line["size"], line.get("at"))
    written = Written(
        committed, line["staged"], line["final"], line["stored"], line.get("checksum", ""), line.get("tag")
    )
    record.written[committed.table, committed.number] = written


_APPLIED: dict[str, Callable[[Record, Mapping[str, Any]], None]] = {
    "preparing": _preparing,
    "prepared": _prepared,
    "emptied": _emptied,
    "begun": _begun,
    "written": _written,
}


def _key(value: list[int | str] | None) -> tuple[int | str, ...] | None:
    return None if value is None else tuple(value)
