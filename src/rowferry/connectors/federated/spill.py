"""The private folders in which queries keep what does not fit into memory.

Each is locked by its process. A folder that nobody holds is that of a killed process: the next query removes it.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

NAME = "rowferry-query-"
_UNLOCKED = "rowferry-locking-"


@contextmanager
def private_folder() -> Iterator[Path]:
    """A folder that only this user can read, gone with all that is in it when the block ends."""
    _remove_left()
    made = Path(tempfile.mkdtemp(prefix=_UNLOCKED))
    held = os.open(made, os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        # It gets the name by which others look for it only now that it is locked.
        folder = made.rename(made.with_name(NAME + made.name.removeprefix(_UNLOCKED)))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(held)


def _remove_left() -> None:
    for folder in Path(tempfile.gettempdir()).glob(f"{NAME}*"):
        with suppress(OSError):
            held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(held)
