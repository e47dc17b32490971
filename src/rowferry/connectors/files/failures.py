"""What a file system says when it cannot, in the words of `rowferry.errors`."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa

from rowferry.errors import RowferryError, TargetFull, WriteFailed

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_FORBIDDEN = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


@contextmanager
def writing(place: Path | str) -> Iterator[None]:
    """Translate what goes wrong while `place` is written; `rowferry.errors` pass through."""
    try:
        yield
    except RowferryError:
        raise
    except OSError as error:
        raise _translated(error, place) from error
    except (pa.ArrowException, OverflowError) as error:
        raise WriteFailed(f"{place} cannot be written: its values do not fit the file's format.") from error


def _translated(error: OSError, place: Path | str) -> WriteFailed:
    if error.errno in _FULL:
        return TargetFull(f"There is no room left on the disk for {place}.")
    if error.errno in _FORBIDDEN:
        return WriteFailed(f"{place} cannot be written: let the user that runs Rowferry write there.")
    reason = (error.strerror or type(error).__name__).lower()
    return WriteFailed(f"{place} cannot be written: {reason}.")
