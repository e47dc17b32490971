"""The folders of this machine that a server lets its users reach; the command line lets them reach any."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from rowferry.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class Roots:
    """Some folders with all that lies below them (None: every folder), but nothing below those that are `closed`.

    `setting` is the variable by which the operator chooses them.
    """

    folders: tuple[Path, ...] | None = None
    setting: str = "ROWFERRY_FILE_ROOTS"
    closed: tuple[Path, ...] = ()

    def place(self, written: str, what: str) -> Path:
        """Where a path leads now, absolute and without symbolic links; it need not exist.

        InvalidInput, which calls the path `what`, when that is not below one of the folders.
        """
        found = real_path(written, what)
        if self.folders is None:
            return found
        if ".." in Path(written).parts:
            raise InvalidInput(f"{what} must have no .. in it: write the path itself.")
        served = any(found.is_relative_to(folder.resolve()) for folder in self.folders)
        if served and not any(found.is_relative_to(folder.resolve()) for folder in self.closed):
            return found
        shown = ", ".join(map(str, self.folders)) or "there are none"
        raise InvalidInput(
            f"{what} leads to {found}, outside of the folders that this server serves ({shown}): choose one of them or "
            f"one below, or let the server's operator add it to {self.setting}."
        )


ANYWHERE = Roots()
"""No limit."""


def real_path(written: str, what: str, start: Path = Path()) -> Path:
    """A path that somebody wrote, from `start` on, absolute and without symbolic links.

    InvalidInput when there can be no such path.
    """
    try:
        path = Path(f"/{written.lstrip('/')}" if written.startswith("//") else written).expanduser()
        found = (start / path).resolve()
        if any(len(os.fsencode(part)) > _LONGEST_NAME for part in found.parts) or len(os.fsencode(found)) > _LONGEST:
            raise OSError
    except (OSError, RuntimeError, ValueError) as error:
        raise InvalidInput(
            f"{what} is no path that this machine could have: it is too long, names a user who is not there, or has "
            "symbolic links that go round in circles."
        ) from error
    return found


_LONGEST_NAME, _LONGEST = 255, 4095
"""In bytes, as Linux has it."""
