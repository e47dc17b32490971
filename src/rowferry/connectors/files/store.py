"""Where bytes come from: files by name under one root. Everything that reads rows knows only this protocol."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Protocol

import pyarrow as pa

from rowferry.config.roots import real_path
from rowferry.connectors.files.anchored import lent, listing, status
from rowferry.errors import ConnectionFailed, InvalidInput, SourceChanged


@dataclass(frozen=True, slots=True, order=True)
class Item:
    """A file as it was when it was listed: its path under the root with slashes, its size, and which version it is."""

    path: str
    size: int
    version: str

    @property
    def mark(self) -> str:
        """What differs when the file was changed."""
        return f"{self.size}:{self.version}"

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition("/")[2]

    @property
    def folder(self) -> str:
        """The path without its last part; "" for the root."""
        return self.path.rpartition("/")[0]


@dataclass(frozen=True, slots=True)
class Listing:
    """What lies directly in a folder, sorted: names of folders, and files."""

    folders: tuple[str, ...]
    files: tuple[Item, ...]


class Store(Protocol):
    """Files under a root. Paths are relative to it, with slashes and without dots; "" is the root itself.

    `steady`: what is opened is read as the very version that was listed, or not at all. `far`: each read costs a
    request, so that a few large ones are better than many small ones.
    """

    steady: bool
    far: bool

    def list(self, folder: str) -> Listing | None:
        """What lies in a folder, without what is hidden by a leading dot; None when there is no such folder."""

    def stat(self, path: str) -> Item | None:
        """A file as it is now, None when it is not there."""

    def open(self, item: Item, until: int | None = None) -> pa.NativeFile:
        """The file's bytes, seekable; whoever opens it closes it. SourceChanged when it is gone.

        `until`: up to where it will be read from one end to the other (None: its end), 0 for here and there.
        """

    def close(self) -> None:
        """End reads that wait for an answer, with Cancelled."""


def safe_path(path: str) -> str:
    """A path that somebody wrote, without dots; InvalidInput when it is absolute or leads upwards."""
    parts = path.split("/")
    if path.startswith(("/", "~")) or "\\" in path or ".." in parts:
        raise InvalidInput(f"The path {path!r} leads out of the connection's folder: name what lies below it.")
    return "/".join(part for part in parts if part not in ("", "."))


class LocalStore:
    """A folder of this machine. A symbolic link that leads out of it is InvalidInput, and what is no file is not read.

    Paths are resolved each time, and then opened without following any link.
    """

    steady = False
    far = False

    def __init__(self, root: Path, within: Path | None = None) -> None:
        self._root = root
        self._within = within or root

    def list(self, folder: str) -> Listing | None:
        """See `Store.list`."""
        folders, files = [], []
        try:
            with listing(self._path(folder)) as entries:
                for entry in sorted(entries, key=lambda one: one.name):
                    if entry.name.startswith("."):
                        continue
                    path = f"{folder}/{entry.name}" if folder else entry.name
                    if entry.is_symlink():
                        self._path(path)
                    if entry.is_dir():
                        folders.append(entry.name)
                    elif entry.is_file():
                        found = entry.stat()
                        files.append(Item(path, found.st_size, str(found.st_mtime_ns)))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise _unreadable(self._root / folder, error) from error
        return Listing(tuple(folders), tuple(files))

    def stat(self, path: str) -> Item | None:
        """See `Store.stat`."""
        place = self._path(path)
        try:
            found = status(place)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise _unreadable(place, error) from error
        return Item(path, found.st_size, str(found.st_mtime_ns)) if stat.S_ISREG(found.st_mode) else None

    def open(self, item: Item, until: int | None = None) -> pa.NativeFile:
        """See `Store.open`."""
        place = self._path(item.path)
        try:
            with lent(place) as file:
                return pa.OSFile(str(file), "rb")
        except FileNotFoundError as error:
            raise gone(item) from error
        except OSError as error:
            raise _unreadable(place, error) from error

    def close(self) -> None:
        """See `Store.close`; a disk does not let anybody wait."""

    def _path(self, path: str) -> Path:
        place = real_path(str(self._root / path), path)
        if not place.is_relative_to(self._within):
            raise InvalidInput(
                f"{self._root / path} leads out of {self._within}: remove that link, or name other files."
            )
        return place


def gone(item: Item) -> SourceChanged:
    """What is said of a file that vanished."""
    return SourceChanged(f"The file {item.path} is no longer there: put it back and resume, or start a new stream.")


def changed(item: Item) -> SourceChanged:
    """What is said of a file that is no longer what the plan saw."""
    return SourceChanged(f"The file {item.path} was changed after this stream began: start a new stream.")


def walk(store: Store, folder: str, deep: bool = True) -> Iterator[Item]:
    """The files in a folder and, where asked, in those below it."""
    found = store.list(folder)
    if found is None:
        return
    yield from found.files
    for name in found.folders if deep else ():
        yield from walk(store, str(PurePosixPath(folder, name)))


def _unreadable(place: Path, error: OSError) -> ConnectionFailed:
    reason = (error.strerror or type(error).__name__).lower()
    return ConnectionFailed(f"{place} cannot be read ({reason}): let the user that runs Rowferry read it.")
