"""Rows that cannot be read: each as it stands in its file, kept in a folder of the stream's, a JSON object a line."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock
from typing import BinaryIO

from rowferry.connectors.base import Rejected
from rowferry.connectors.files.failures import writing
from rowferry.connectors.files.layout import safe_name
from rowferry.connectors.files.rows import Bad, Refusal, refuse
from rowferry.connectors.files.store import Item
from rowferry.model.chunks import Chunk
from rowferry.model.tables import TableName

_SUFFIX = ".jsonl"


class Rejects:
    """Keeps rows in `folder`, a file for each chunk that has any; without a folder `otherwise` says what is done."""

    def __init__(self, folder: Path | None, otherwise: Refusal = refuse) -> None:
        self._folder = folder
        self._otherwise = otherwise
        self._lock = Lock()
        self._counts: Counter[Path] = Counter()
        for file in sorted(folder.glob(f"*{_SUFFIX}")) if folder is not None else ():
            self._counts[file] = file.read_bytes().count(b"\n")

    def counts(self, tables: list[TableName]) -> Mapping[TableName, Rejected]:
        """The rows of each table that were left out, also by those who read the stream's chunks before."""
        with self._lock:
            counts = dict(self._counts)
        found = {one: sum(n for file, n in counts.items() if file.name.startswith(_prefix(one))) for one in tables}
        return {one: Rejected(count, str(self._folder)) for one, count in found.items() if count}

    @contextmanager
    def of(self, chunk: Chunk) -> Iterator[Refusal]:
        """What to do with the malformed rows of one reading of the chunk; a reading before it is forgotten."""
        if self._folder is None:
            yield self._otherwise
            return
        place = self._folder / f"{_prefix(chunk.table)}{chunk.number:05d}{_SUFFIX}"
        with self._lock:
            self._counts.pop(place, None)
        with suppress(FileNotFoundError):
            place.unlink()
        opened: list[BinaryIO] = []

        def keep(item: Item, line: int, bad: Bad, raw: bytes) -> None:
            row = raw.rstrip(b"\r\n").decode("utf-8", "backslashreplace")
            entry = {"file": item.path, "line": line, "column": bad.column, "reason": bad.reason, "row": row}
            with writing(place):
                if not opened:
                    place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                    opened.append(place.open("wb"))
                opened[0].write(json.dumps(entry, ensure_ascii=False).encode() + b"\n")
            with self._lock:
                self._counts[place] += 1

        try:
            yield keep
        finally:
            for file in opened:
                file.close()


def _prefix(table: TableName) -> str:
    return f"{safe_name(str(table))}-part"
