"""How tables lie under a connection's folder: their folders' names, their parts, and what is never left.

<basePath>/<table>/part-00000.parquet     the rows; a reader never sees half a file
<basePath>/<table>/_schema.json           the columns with their neutral types
<basePath>/<table>/_manifest.json         every file with its size, rows and checksum, written last
<basePath>/<table>.changes/               what changed since, where a stream follows the source's log: `change_rows`
<basePath>/.rowferry/<streamId>/          a stream's journal and staging files, gone when it has ended
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Generic, TypeVar
from urllib.parse import unquote

from rowferry.config.connection import Connection
from rowferry.config.roots import real_path
from rowferry.connectors.files.anchored import listing
from rowferry.errors import ConnectionFailed, InvalidInput, Refused
from rowferry.model.tables import TableName

JOURNALS = ".rowferry"
SCHEMA_FILE = "_schema.json"
MANIFEST_FILE = "_manifest.json"
MAX_NAME_BYTES = 200

_UNSAFE = re.compile(r'[\x00-\x1f\x7f/\\:*?"<>|\[\]=%]|\A[.~]|\A | \Z|\.\Z')
_PART = re.compile(r"part-(\d+)(?:_\d+)?\.(?:parquet|(?:csv|jsonl)(?:\.gz|\.zst)?)\Z")
_DATA = re.compile(r"[^._].*\.(?:parquet|(csv|json|jsonl|ndjson)(?:\.gz|\.zst)?)\Z", re.IGNORECASE)
_SEGMENT = re.compile(r"_manifest-\d+\.json\Z")
_STREAM = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,199}\Z")


def base_folder(connection: Connection) -> Path:
    """The folder of a files connection, absolute and with its symbolic links resolved; it need not exist.

    InvalidInput when it lies outside of the folders that the connection may lead to.
    """
    if connection.spec.files is None:
        raise InvalidInput(f"Connection {connection.name} leads to no folder: write its spec.files.basePath.")
    return connection.roots.place(connection.spec.files.base_path, "basePath")


def journal_folder(base: Path, stream_id: str) -> Path:
    """Where the stream keeps its journal; Refused when a symbolic link leads it out of `base`."""
    return inside(base, Path(JOURNALS) / stream_name(stream_id))


def stream_name(stream_id: str) -> str:
    """The stream's ID as a folder's name; InvalidInput when it makes none."""
    if not _STREAM.match(stream_id):
        raise InvalidInput(f"{stream_id!r} cannot be a stream's ID: it would not make a folder's name.")
    return stream_id


def inside(base: Path, place: Path | str) -> Path:
    """`base / place` with its symbolic links resolved; Refused when that is not below `base`."""
    resolved = real_path(str(base / place), str(place))
    if resolved == base or not resolved.is_relative_to(base):
        raise Refused(f"{base / place} leads out of {base}: remove that link, or choose another basePath.")
    return resolved


def safe_name(name: str) -> str:
    """The name as a folder's name: what a file system or a reader's glob would trip over becomes %XX.

    Names that need no change keep it, and two different names stay different unless they are too long or
    differ only in case (`folder_names` sees to both).
    """
    return _UNSAFE.sub(lambda found: "".join(f"%{byte:02X}" for byte in found[0].encode()), name) or "%"


def table_name(folder: str) -> str:
    """The table's name that `safe_name` made the folder's name of; a name that it never makes stays as it is."""
    name = unquote(folder, errors="replace")
    return name if safe_name(name) == folder else folder


def is_data(name: str) -> bool:
    """Whether a file of that name holds rows."""
    return _DATA.match(name) is not None


@dataclass(frozen=True, slots=True)
class FolderName:
    """A table's folder, and why it is not called as the table is ("" where it is)."""

    name: str
    reason: str = ""


def folder_names(tables: Sequence[TableName]) -> list[FolderName]:
    """A folder for each table, the same ones for the same tables, and no two the same in any letter case."""
    plain = [safe_name(table.name) for table in tables]
    taken = _doubled(plain)
    qualified = [
        safe_name(str(table)) if name.casefold() in taken else name for table, name in zip(tables, plain, strict=True)
    ]
    still = _doubled(qualified)
    return [
        _named(table, name, first.casefold() in taken, name.casefold() in still)
        for table, first, name in zip(tables, plain, qualified, strict=True)
    ]


def _named(table: TableName, name: str, shared: bool, hashed: bool) -> FolderName:
    if hashed or len(name.encode()) > MAX_NAME_BYTES:
        mark = hashlib.sha256(str(table).encode()).hexdigest()[:8]
        name = f"{name.encode()[: MAX_NAME_BYTES - 9].decode(errors='ignore')}-{mark}"
    if shared:
        return FolderName(name, "another table has the same name, or one that differs in case only")
    if name != table.name:
        return FolderName(name, "the name is too long, or holds what a folder's name cannot")
    return FolderName(name)


def _doubled(names: Sequence[str]) -> set[str]:
    counts: dict[str, int] = defaultdict(int)
    for name in names:
        counts[name.casefold()] += 1
    return {name for name, count in counts.items() if count > 1}


def part_name(number: int, suffix: str) -> str:
    """The name of a table's part, such as part-00007.csv.gz."""
    return f"part-{number:05d}.{suffix}"


def changes_folder(table: str) -> str:
    """Where the changes go of the table whose rows lie in the folder of that name."""
    return f"{table}.changes"


def change_part_name(number: int, more: int, suffix: str) -> str:
    """The name of a file with changes that were committed under that number, the first (0) or one of `more`."""
    return f"part-{number:08d}{f'_{more}' if more else ''}.{suffix}"


F = TypeVar("F", bound=PurePath)


@dataclass(frozen=True, slots=True)
class Contents(Generic[F]):
    """What a table's folder holds: `own` files that a stream wrote, and `others` that hold data too.

    `segments` are parts of the manifest.
    """

    own: tuple[F, ...] = ()
    others: tuple[F, ...] = ()
    schema_file: F | None = None
    manifest: F | None = None
    segments: tuple[F, ...] = ()

    @property
    def data(self) -> tuple[F, ...]:
        """Every file that holds rows."""
        return self.own + self.others

    @property
    def removable(self) -> tuple[F, ...]:
        """What goes when the table is dropped or emptied; the manifest first, since it tells of the others."""
        first = (*([] if self.manifest is None else [self.manifest]), *self.segments)
        return (*first, *self.own) if self.schema_file is None else (*first, *self.own, self.schema_file)

    @property
    def next_part(self) -> int:
        """A number above that of every part."""
        numbers = [int(found[1]) for path in self.own if (found := _PART.match(path.name))]
        return max(numbers, default=-1) + 1


def contents(folder: Path) -> Contents[Path]:
    """What lies in `folder`, sorted by name; nothing when there is no such folder."""
    try:
        with listing(folder) as entries:
            files = [folder / entry.name for entry in entries if entry.is_file()]
    except FileNotFoundError:
        return Contents()
    except OSError as error:
        reason = (error.strerror or "it is no folder").lower()
        raise ConnectionFailed(f"{folder} cannot be read: {reason}.") from error
    return told_apart(files)


def told_apart(files: Iterable[F]) -> Contents[F]:
    """The files of a table's folder by what they are, sorted by name."""
    named = {path.name: path for path in sorted(files, key=lambda path: path.name)}
    return Contents(
        own=tuple(path for name, path in named.items() if _PART.match(name)),
        others=tuple(path for name, path in named.items() if _DATA.match(name) and not _PART.match(name)),
        schema_file=named.get(SCHEMA_FILE),
        manifest=named.get(MANIFEST_FILE),
        segments=tuple(path for name, path in named.items() if _SEGMENT.match(name)),
    )


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` durable, as far as the file system knows of that (some shared ones do not)."""
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(opened)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(opened)
