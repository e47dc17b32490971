"""Checksums of the rows in a folder's files, made by reading them here: a file has nobody else who could."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from threading import Event
from typing import Generic, Protocol

import pyarrow as pa

from rowferry.config.stream import FileFormat, FilesTarget
from rowferry.connectors.base import ChunkSize, DigestRequest, PlannedTable, SourceRequest, TableRequest
from rowferry.connectors.files.folder import Folder
from rowferry.connectors.files.inspection import Place
from rowferry.connectors.files.layout import F, base_folder
from rowferry.connectors.files.read_back import read_back
from rowferry.connectors.files.rows import pass_over, refuse
from rowferry.connectors.files.source import FilesSource, open_source
from rowferry.connectors.files.spell import STRING, md5, rows, spelled
from rowferry.connectors.files.text import texts
from rowferry.errors import Cancelled, InvalidInput, MissingTable
from rowferry.model import types as t
from rowferry.model.chunks import Chunk
from rowferry.model.digests import Bucket, Compared, Digest, RowDigest, RowId, Spelling, View
from rowferry.model.tables import Column, Table

_HEX = 16
_COUNTED = 15
"""How many digits of a row's MD5 go into a bucket's sum."""


class Rows(Protocol):
    """The files of one side."""

    def tables(self, requests: Sequence[TableRequest]) -> list[Table]:
        """See `Digests.tables`."""

    def agreed(self, column: Column, spelling: Spelling) -> Spelling:
        """See `Digests.agreed`."""

    def texts(self, view: View) -> Iterator[pa.RecordBatch]:
        """The view's columns, every value as the text that `text` tells of."""

    def close(self) -> None:
        """Give back what is held."""


def open_digests(request: DigestRequest) -> FilesDigests:
    """The files that a stream planned to write, if the request says how, else those that it reads."""
    if request.spec is None:
        where = SourceRequest(request.connection, request.database, request.schema, request.files)
        return FilesDigests(ReadFiles(open_source(where, pass_over if request.skipping else refuse)))
    if request.spec.files is None:
        raise InvalidInput("The target's connection is a folder: write its options under target.spec.files.")
    place = Folder(base_folder(request.connection))
    return FilesDigests(WrittenFiles(place, request.spec.files, request.planned))


@dataclass(frozen=True, slots=True)
class _Spelled:
    """A batch: its texts, their forms column by column, and the MD5s of its rows and of their keys."""

    texts: pa.RecordBatch
    columns: Sequence[pa.Array]
    checksums: Sequence[str]
    keys: Sequence[str]


class FilesDigests:
    """Files are read from their beginning each time that something is asked of them."""

    ranges = False

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self._stop = Event()

    def tables(self, requests: Sequence[TableRequest]) -> list[Table]:
        """See `Digests.tables`."""
        return self._rows.tables(requests)

    def agreed(self, column: Column, spelling: Spelling) -> Spelling:
        """See `Digests.agreed`."""
        return self._rows.agreed(column, spelling)

    def chunks(self, table: Table, size: ChunkSize) -> list[Chunk]:
        """See `Digests.chunks`; files have no order."""
        return [Chunk(table.name, 0)]

    def sequence(self, view: View, chunk: Chunk) -> Digest:
        """See `Digests.sequence`; never asked, since files cannot be read by ranges."""
        raise InvalidInput("Files cannot be compared in an order.")

    def buckets(self, view: View, digits: int) -> Mapping[str, Digest]:
        """See `Digests.buckets`."""
        counts: dict[str, int] = defaultdict(int)
        sums: dict[str, int] = defaultdict(int)
        for batch in self._spelled(view):
            for key, checksum in zip(batch.keys, batch.checksums, strict=True):
                prefix = key[:digits]
                counts[prefix] += 1
                sums[prefix] += int(checksum[:_COUNTED], _HEX)
        return {prefix: Digest(count, str(sums[prefix])) for prefix, count in counts.items()}

    def rows(self, view: View, part: Chunk | Bucket) -> Iterator[RowDigest]:
        """See `Digests.rows`."""
        prefixes = part.prefixes if isinstance(part, Bucket) else ("",)
        length, wanted = len(prefixes[0]), frozenset(prefixes)
        for batch in self._spelled(view):
            shown = [batch.texts.column(one.column.name) for one in view.key_columns]
            for at, (key, checksum) in enumerate(zip(batch.keys, batch.checksums, strict=True)):
                if key[:length] in wanted:
                    words = tuple(column[at].as_py() or "" for column in shown)
                    yield RowDigest(key, words or None, checksum)

    def cells(self, view: View, rows: Sequence[RowId]) -> Mapping[RowId, Sequence[str | None]]:
        """See `Digests.cells`."""
        wanted = frozenset(rows)
        found: dict[RowId, Sequence[str | None]] = {}
        for batch in self._spelled(view):
            places = [at for at, key in enumerate(batch.keys) if key in wanted]
            if places:
                taken = [md5(column.take(pa.array(places))).to_pylist() for column in batch.columns]
                found |= {batch.keys[at]: cells for at, cells in zip(places, zip(*taken, strict=True), strict=True)}
        return found

    def close(self) -> None:
        """See `Digests.close`; what is being read ends with its batch."""
        self._stop.set()
        self._rows.close()

    def _spelled(self, view: View) -> Iterator[_Spelled]:
        for batch in self._rows.texts(view):
            if self._stop.is_set():
                raise Cancelled("The comparison was closed.")
            if batch.num_rows:
                yield _spell(batch, view.columns, view.key)


class WrittenFiles(Generic[F]):
    """The files of a stream's target, which it wrote by that `spec`."""

    def __init__(self, place: Place[F], spec: FilesTarget, planned: Sequence[PlannedTable]) -> None:
        self._place = place
        self._spec = spec
        self._tables = {str(table.target.name): table.target for table in planned}

    def tables(self, requests: Sequence[TableRequest]) -> list[Table]:
        """The columns are those that were planned, as the files hold them."""
        found = []
        for request in requests:
            table = self._tables.get(request.name)
            if table is None or not self._place.contents(table.name.name).data:
                raise MissingTable(f"There are no data files in the folder {request.name}.")
            columns = tuple(
                replace(one, type=self._held(one.type), nullable=True, generated=None) for one in table.columns
            )
            found.append(replace(table, columns=columns, estimated_rows=0))
        return found

    def agreed(self, column: Column, spelling: Spelling) -> Spelling:
        """JSON Lines put a document on one line."""
        one_line = self._spec.file_format is FileFormat.JSONL and isinstance(column.type, t.Json)
        return replace(spelling, one_line=one_line)

    def texts(self, view: View) -> Iterator[pa.RecordBatch]:
        """See `Rows.texts`."""
        columns = [one.column for one in view.columns]
        for path in self._place.contents(view.table.name.name).data:
            yield from read_back(path, self._place, columns, self._spec)

    def close(self) -> None:
        """End reads that wait for an answer."""
        self._place.close()

    def _held(self, neutral: t.NeutralType) -> t.NeutralType:
        """What a file holds: documents as they were spelled, and moments perhaps without their microseconds."""
        if isinstance(neutral, t.Json):
            return t.Json()
        coarse = self._spec.file_format is FileFormat.PARQUET and self._spec.format.parquet.timestamp_unit == "ms"
        if coarse and isinstance(neutral, t.DateTime | t.Instant):
            return replace(neutral, precision=min(3, neutral.precision))
        return neutral


class ReadFiles:
    """The files of a stream's source."""

    def __init__(self, source: FilesSource) -> None:
        self._source = source

    def tables(self, requests: Sequence[TableRequest]) -> list[Table]:
        """See `Source.tables`."""
        return self._source.tables(requests)

    def agreed(self, column: Column, spelling: Spelling) -> Spelling:
        """What a source holds is not changed for the comparison."""
        return spelling

    def texts(self, view: View) -> Iterator[pa.RecordBatch]:
        """See `Rows.texts`."""
        columns = [one.column for one in view.columns]
        wanted = replace(view.table, columns=tuple(columns))
        for batch in self._source.read(wanted, Chunk(view.table.name, 0)):
            arrays = [texts(array, one.type, STRING) for array, one in zip(batch.columns, columns, strict=True)]
            yield pa.RecordBatch.from_arrays(arrays, names=batch.schema.names)

    def close(self) -> None:
        """See `Source.close`."""
        self._source.close()


def _spell(batch: pa.RecordBatch, columns: Sequence[Compared], key: Sequence[int]) -> _Spelled:
    made = [spelled(array, one) for array, one in zip(batch.columns, columns, strict=True)]
    checksums = md5(rows(made)).to_pylist()
    keys = md5(rows([made[place] for place in key])).to_pylist() if key else checksums
    return _Spelled(batch, made, checksums, keys)
