"""Which tables lie under a root: a file by itself, or a folder of parts, perhaps divided by the values of keys.

A file is a table that is called as the file without its endings. A folder is one that is called as the folder, its
files the parts; so are files that a pattern matched when their names are those of parts. Folders below it such as
`year=2024` are not tables but give their rows a column.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import TypeVar
from urllib.parse import unquote

from rowferry.connectors.files.inspection import format_of_name
from rowferry.connectors.files.layout import SCHEMA_FILE, is_data, table_name
from rowferry.connectors.files.store import Item, Store, safe_path
from rowferry.errors import InvalidInput, MissingTable

_PART = re.compile(r"part[-_.]?\d", re.IGNORECASE)
_KEY = re.compile(r"([^=]+)=(.*)\Z", re.DOTALL)
_PATTERN = re.compile(r"[*?\[]")
T = TypeVar("T")

Find = Callable[[], Sequence["Found"]]
"""Looks up which tables there are."""

_NO_VALUE = "__HIVE_DEFAULT_PARTITION__"


@dataclass(frozen=True, slots=True)
class Found:
    """A table: its files sorted by path, the folder that its keys count from, and what Rowferry wrote about it."""

    name: str
    folder: str
    files: tuple[Item, ...]
    schema_file: Item | None = None
    single: bool = False

    @property
    def place(self) -> str:
        """The file or the folder that it is."""
        return self.files[0].path if self.single else self.folder

    @property
    def format(self) -> str:
        """The one format of its files; InvalidInput where there are several."""
        formats = sorted({format_of_name(item.name) for item in self.files})
        if len(formats) > 1:
            raise InvalidInput(
                f"The folder of {self.name} holds files of {' and '.join(formats)}: name one by a pattern."
            )
        return formats[0]

    @property
    def size(self) -> int:
        """The bytes of all its files."""
        return sum(item.size for item in self.files)

    def keys(self, item: Item) -> dict[str, str | None]:
        """The keys that the file's folders give its rows."""
        below = item.folder.removeprefix(self.folder).strip("/")
        pairs = (_KEY.match(part) for part in below.split("/")) if below else iter(())
        return {unquote(pair[1]): None if pair[2] == _NO_VALUE else unquote(pair[2]) for pair in pairs if pair}


def discover(store: Store, root_name: str, paths: Sequence[str]) -> list[Found]:
    """The tables that `paths` name, without any all tables of the root, sorted by name."""
    if not paths:
        return named(_every_table(store, root_name))
    found: dict[str, Found] = {}
    for path in paths:
        tables = _matched(store, root_name, path)
        if not tables:
            raise MissingTable(f"There are no data files at {path}: correct the paths of the source's connection.")
        for table in tables:
            files = {*table.files, *(found[table.place].files if table.place in found else ())}
            found[table.place] = replace(table, files=tuple(sorted(files)))
    return named(list(found.values()))


def _every_table(store: Store, root_name: str, folder: str = "") -> list[Found]:
    listing = store.list(folder)
    if listing is None:
        return []
    names = [item.name for item in listing.files if is_data(item.name)]
    parted = bool(names) and all(_PART.match(name) for name in names)
    divided = any(_KEY.match(name) for name in listing.folders)
    if parted or divided or any(item.name == SCHEMA_FILE for item in listing.files):
        return [*_folder_table(store, folder, root_name)]
    tables = [_single(item) for item in listing.files if is_data(item.name)]
    for name in listing.folders:
        if not name.startswith("_"):
            tables += _folder_table(store, f"{folder}/{name}".lstrip("/"), root_name)
    return tables


def _single(item: Item) -> Found:
    return Found(item.name.split(".")[0], item.folder, (item,), single=True)


def _folder_table(store: Store, folder: str, root_name: str) -> Iterator[Found]:
    """The folder as a table, unless no data lies in it."""
    files = tuple(sorted(item for item in _parts(store, folder) if is_data(item.name)))
    if files:
        name = table_name(folder.rpartition("/")[2]) if folder else root_name
        yield Found(name, folder, files, store.stat(f"{folder}/{SCHEMA_FILE}".lstrip("/")))


def _parts(store: Store, folder: str) -> Iterator[Item]:
    listing = store.list(folder)
    if listing is None:
        return
    yield from listing.files
    for name in listing.folders:
        if _KEY.match(name):
            yield from _parts(store, f"{folder}/{name}".lstrip("/"))


def _matched(store: Store, root_name: str, path: str) -> list[Found]:
    whole = path.endswith("/") or safe_path(path) == ""
    path = safe_path(path)
    pattern = _PATTERN.search(path)
    if whole and not pattern:
        return [*_folder_table(store, path, root_name)] or _every_table(store, root_name, path)
    item = None if whole else store.stat(path)
    if item is not None or not pattern:
        return grouped(store, root_name, [item] if item is not None and is_data(item.name) else [])
    if whole:
        folders = _search(store, "", path.split("/"), _sub_folders)
        return [table for folder in folders for table in _folder_table(store, folder, root_name)]
    return grouped(store, root_name, _search(store, "", path.split("/"), _data_files))


def _sub_folders(store: Store, folder: str) -> list[tuple[str, str]]:
    listing = store.list(folder)
    return [(name, f"{folder}/{name}".lstrip("/")) for name in (listing.folders if listing else ())]


def _data_files(store: Store, folder: str) -> list[tuple[str, Item]]:
    listing = store.list(folder)
    return [(item.name, item) for item in (listing.files if listing else ()) if is_data(item.name)]


def _search(store: Store, folder: str, parts: list[str], last: Callable[[Store, str], list[tuple[str, T]]]) -> list[T]:
    """What a pattern matches, part by part; `**` stands for any folders, or none."""
    first, rest = parts[0], parts[1:]
    if first == "**" and rest:
        below = (path for _, path in _sub_folders(store, folder))
        deeper = (one for path in below for one in _search(store, path, parts, last))
        return [*_search(store, folder, rest, last), *deeper]
    if not rest:
        return [one for name, one in last(store, folder) if fnmatchcase(name, first)]
    if not _PATTERN.search(first):
        return _search(store, f"{folder}/{first}".lstrip("/"), rest, last)
    folders = [path for name, path in _sub_folders(store, folder) if fnmatchcase(name, first)]
    return [one for path in folders for one in _search(store, path, rest, last)]


def grouped(store: Store, root_name: str, items: Sequence[Item]) -> list[Found]:
    """Files that were named one by one: parts belong to the table of their folder, each other one is its own."""
    tables: dict[str, Found] = {}
    for item in sorted(set(items)):
        folder = item.folder
        while _KEY.match(folder.rpartition("/")[2]):
            folder = folder.rpartition("/")[0]
        if folder == item.folder and not _PART.match(item.name):
            tables[item.path] = _single(item)
            continue
        known = tables.get(folder)
        name = table_name(folder.rpartition("/")[2]) or root_name
        schema_file = known.schema_file if known else store.stat(f"{folder}/{SCHEMA_FILE}".lstrip("/"))
        tables[folder] = Found(name, folder, (*(known.files if known else ()), item), schema_file)
    return list(tables.values())


def named(tables: Sequence[Found]) -> list[Found]:
    """The tables sorted, each with a name of its own: what is called alike takes its ending, or its folder, along."""
    for longer in (lambda one: one.files[0].name, lambda one: f"{one.folder}/{one.files[0].name}"):
        names = Counter(table.name for table in tables)
        tables = [
            replace(table, name=re.sub(r"[./]+", "_", longer(table)).strip("_")) if names[table.name] > 1 else table
            for table in tables
        ]
    return sorted(tables, key=lambda table: table.name)
