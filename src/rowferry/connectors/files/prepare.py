"""The structure stage of a folder: all of it happens, or none of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from rowferry.connectors.base import TargetPlan
from rowferry.connectors.files.anchored import make_folder, move
from rowferry.connectors.files.failures import writing
from rowferry.connectors.files.journal import JournalFile
from rowferry.connectors.files.layout import contents, inside, sync_folder
from rowferry.connectors.files.plan import Policies, folders_of
from rowferry.connectors.files.record import Preparation, Record

ASIDE = "replaced"
"""Where, beside the journal, files wait that a policy removes, until the journal says that all is prepared."""


def prepare(
    base: Path, journal: JournalFile, plan: TargetPlan, fingerprints: Mapping[str, str], policies: Policies
) -> None:
    """Make the tables' folders and take away what the policies say; what fails in the middle is undone."""
    with writing(base):
        make_folder(base)
    names = folders_of(plan, policies)
    existing = [str(table.target.name) for table in plan.tables if table.existing]
    preparation = _preparation(base, journal.folder / ASIDE, names, policies)
    try:
        journal.create()
        journal.preparing(preparation)
        _carry_out(base, journal.folder / ASIDE, preparation)
        offsets = {name: contents(inside(base, name)).next_part for name in names}
        journal.prepared(fingerprints, offsets, existing)
    except Exception:
        undo(base, journal, Record(preparation))
        raise


def undo(base: Path, journal: JournalFile, record: Record) -> None:
    """Take back a preparation that did not come to its end, and the journal with it."""
    preparation = record.preparation or Preparation()
    with writing(base):
        for source, aside in preparation.moves:
            if not (base / source).exists():
                with suppress(FileNotFoundError):
                    move(inside(base, aside), inside(base, source))
        _sync(base, (source for source, _ in preparation.moves))
        for folder in preparation.folders:
            with suppress(OSError):
                inside(base, folder).rmdir()
        journal.remove()


def _preparation(base: Path, aside: Path, names: Iterable[str], policies: Policies) -> Preparation:
    folders = [name for name in names if not inside(base, name).is_dir()]
    gone = [path for name in names for path in contents(inside(base, name)).removable] if policies.replaces else []
    moves = [
        (str(path.relative_to(base)), str((aside / str(number)).relative_to(base))) for number, path in enumerate(gone)
    ]
    return Preparation(tuple(moves), tuple(folders))


def _carry_out(base: Path, aside: Path, preparation: Preparation) -> None:
    for folder in preparation.folders:
        with writing(base / folder):
            make_folder(base / folder)
    with writing(base):
        make_folder(aside)
    for source, moved in preparation.moves:
        with writing(base / source):
            move(base / source, base / moved)
    with writing(base):
        _sync(base, (source for source, _ in preparation.moves))
        sync_folder(base)
        sync_folder(aside)


def _sync(base: Path, sources: Iterable[str]) -> None:
    for folder in {(base / source).parent for source in sources}:
        if folder.is_dir():
            sync_folder(folder)
