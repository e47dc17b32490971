"""A folder on this machine as the place where tables lie."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from rowferry.connectors.files.anchored import lent
from rowferry.connectors.files.layout import Contents, contents, inside
from rowferry.errors import Refused


class Folder:
    """`inspection.Place` for the tables under `base`."""

    def __init__(self, base: Path) -> None:
        self._base = base

    def contents(self, table: str) -> Contents[Path]:
        """What lies in the table's folder."""
        folder = inside(self._base, table)
        if folder.exists() and not folder.is_dir():
            raise Refused(
                f"{folder} is a file, but the table's folder would go there: move it, or choose another basePath."
            )
        return contents(folder)

    def open(self, file: Path) -> pa.NativeFile:
        """The file's bytes."""
        with lent(inside(self._base, file)) as place:
            return pa.OSFile(str(place), "rb")

    def close(self) -> None:
        """A disk does not let anybody wait."""
