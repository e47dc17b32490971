"""A stream's journal in its target bucket: an object for each of the lines that `files.record` tells of.

    .rowferry/<streamId>/prepared.json              the structure stands; what has to go is named
    .rowferry/<streamId>/emptied.json               that is gone
    .rowferry/<streamId>/begun/<table>.json         a table's chunks
    .rowferry/<streamId>/written/<table>/<n>.json   a chunk is committed

Each is written once, by a request that fails where there is one already, and is never changed. Beside them stands how
far changes are kept (`files.change_log`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import Any

from rowferry.connectors.files.change_log import is_record
from rowferry.connectors.files.layout import JOURNALS
from rowferry.connectors.files.record import Record, Written, begun_line, prepared_line, written_line
from rowferry.connectors.s3.bucket import Bucket
from rowferry.errors import Conflict, WriteFailed
from rowferry.model.chunks import Chunk

_READERS = 16


class JournalObjects:
    """The journal of one stream. Its methods may be called from several threads, and by several processes."""

    def __init__(self, bucket: Bucket, stream_id: str) -> None:
        self._bucket = bucket
        self.root = f"{JOURNALS}/{stream_id}/"
        self._lines: dict[str, dict[str, Any]] = {}
        self._lock = Lock()

    def load(self) -> Record | None:
        """What the journal says now, None when there is none."""
        keys = [key for key in self._bucket.below(self.root) if not is_record(key.rpartition("/")[2])]
        with self._lock:
            missing = [key for key in keys if key not in self._lines]
        with ThreadPoolExecutor(_READERS) as pool:
            found = dict(zip(missing, pool.map(self._line, missing), strict=True))
        with self._lock:
            self._lines.update({key: line for key, line in found.items() if line is not None})
            lines = [self._lines[key] for key in keys if key in self._lines]
        record = Record()
        for line in lines:
            record.apply(line)
        return record if record.prepared else None

    def stands(self) -> bool:
        """Whether there is a journal."""
        return self._bucket.head(self._key("prepared")) is not None

    def prepared(
        self, fingerprints: Mapping[str, str], offsets: Mapping[str, int], existing: Sequence[str], gone: Sequence[str]
    ) -> None:
        """Say that the structure stands but for the objects that are still to go; an earlier one's word holds."""
        self._create("prepared", {**prepared_line(fingerprints, offsets, existing), "gone": list(gone)})

    def emptied(self) -> None:
        """Say that what had to go is gone."""
        self._create("emptied", {"kind": "emptied"})

    def begun(self, table: str, chunks: Sequence[Chunk]) -> None:
        """Put a table's chunks down; Conflict when others are there already."""
        line = json.loads(json.dumps(begun_line(table, chunks)))
        if not self._create(f"begun/{table}", line) and self._line(self._key(f"begun/{table}")) != line:
            raise Conflict(f"The journal of folder {table} expects other chunks: start a new stream.")

    def commit(self, written: Written) -> Written:
        """Commit a chunk and return its entry: an earlier one's, if somebody was faster."""
        done = written.committed
        if self._create(_place(done.table, done.number), written_line(written)):
            return written
        return self.find(done.table, done.number) or written

    def find(self, table: str, number: int) -> Written | None:
        """The entry of a committed chunk, whoever wrote it."""
        line = self._line(self._key(_place(table, number)))
        if line is None:
            return None
        record = Record()
        record.apply(line)
        return record.written[table, number]

    def remove(self) -> None:
        """Delete the journal: first what makes it one, so that nobody writes by it any more."""
        keys = self._bucket.below(self.root)
        self._bucket.delete([self._key("prepared"), *keys] if keys else [])
        with self._lock:
            self._lines.clear()

    def _create(self, name: str, line: Mapping[str, Any]) -> bool:
        return self._bucket.create(self._key(name), json.dumps(line).encode() + b"\n")

    def _line(self, key: str) -> dict[str, Any] | None:
        content = self._bucket.read(key)
        if content is None:
            return None
        try:
            line: dict[str, Any] = json.loads(content)
        except ValueError as error:
            raise WriteFailed(f"{key} is damaged: start a new stream, which plans anew.") from error
        return line

    def _key(self, name: str) -> str:
        return f"{self.root}{name}.json"


def _place(table: str, number: int) -> str:
    return f"written/{table}/{number:08d}"
