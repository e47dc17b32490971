"""Files and folders opened by paths in which no symbolic link is followed.

A path that was resolved and found to lie where it may leads there still when it is opened: a link that somebody has put
into the place of one of its parts meanwhile is an OSError. What is done in an open folder stays in that folder.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_STEP = os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC | getattr(os, "O_PATH", 0)
_FILE = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_LIST = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


@contextmanager
def folder(place: Path) -> Iterator[int]:
    """The folder at a resolved path, open to work in it by `dir_fd`; OSError when it is none."""
    held = _walked(place, make=False)
    try:
        yield held
    finally:
        os.close(held)


def make_folder(place: Path) -> None:
    """Make the folder at a resolved path and those above it, as far as they are not there."""
    os.close(_walked(place, make=True))


def _walked(place: Path, make: bool) -> int:
    held = os.open(place.anchor, _STEP)
    for part in place.parts[1:]:
        try:
            below = _step(part, held, make)
        finally:
            os.close(held)
        held = below
    return held


def _step(part: str, held: int, make: bool) -> int:
    try:
        return os.open(part, _STEP, dir_fd=held)
    except FileNotFoundError:
        if not make:
            raise
    with suppress(FileExistsError):  # somebody was faster
        os.mkdir(part, dir_fd=held)
    return os.open(part, _STEP, dir_fd=held)


def opened(place: Path, flags: int = os.O_RDONLY) -> int:
    """The regular file at a resolved path, open, to be closed by the caller; OSError when it is none.

    Nothing else is waited for or read: a pipe, a device or a socket is no file.
    """
    with folder(place.parent) as held:
        file = os.open(place.name, flags | _FILE, 0o666, dir_fd=held)
    if stat.S_ISREG(os.fstat(file).st_mode):
        return file
    os.close(file)
    raise OSError(errno.EINVAL, "it is no regular file")


@contextmanager
def lent(place: Path) -> Iterator[Path]:
    """The regular file at a resolved path, open, under a path for libraries that know no descriptors."""
    file = opened(place)
    try:
        yield at(file)
    finally:
        os.close(file)


def at(held: int, name: str = "") -> Path:
    """A path to an open file, or into an open folder."""
    return Path(f"/dev/fd/{held}", name)


@contextmanager
def listing(place: Path) -> Iterator[Iterator[os.DirEntry[str]]]:
    """What lies in the folder at a resolved path; the entries' own paths are their names alone."""
    with folder(place) as held:
        listed = os.open(".", _LIST, dir_fd=held)
    try:
        with os.scandir(listed) as entries:
            yield entries
    finally:
        os.close(listed)


def status(place: Path) -> os.stat_result:
    """What the system says of the file or folder at a resolved path."""
    with folder(place.parent) as held:
        return os.stat(place.name or ".", dir_fd=held, follow_symlinks=False)


def move(source: Path, target: Path) -> None:
    """Rename a file from one resolved path to another."""
    with folder(source.parent) as here, folder(target.parent) as there:
        os.rename(source.name, target.name, src_dir_fd=here, dst_dir_fd=there)


def remove_tree(place: Path) -> None:
    """Delete the folder at a resolved path and what lies in it, as far as that can be done."""
    try:
        with folder(place.parent) as held:
            shutil.rmtree(place.name, ignore_errors=True, dir_fd=held)
    except OSError:
        return
