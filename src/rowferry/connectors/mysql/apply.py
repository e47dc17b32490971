"""MySQL and MariaDB as a target of changes: the contract of `changes.Applier`, step by step.

All of it goes by one session, which is the stream's one writer (`follows.py`). Its references are not checked, since
what a log tells is right as a whole, and no action of a reference may do again what the log tells as well. There is no
way to keep a target's own triggers from acting.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from threading import Lock

from rowferry.connectors.base import PlannedTable, TargetRequest
from rowferry.connectors.changes import Merge, RowChanges, Standing
from rowferry.connectors.mysql import follows, journal
from rowferry.connectors.mysql.alter import Entry, check_rows, done, entry_of, noted_with, statement_for, without
from rowferry.connectors.mysql.connect import Access
from rowferry.connectors.mysql.merge import merge
from rowferry.connectors.mysql.names import place
from rowferry.connectors.mysql.refusals import DriverErrors, while_writing
from rowferry.connectors.mysql.replay import replay
from rowferry.connectors.mysql.sessions import Session
from rowferry.connectors.mysql.sql import quoted
from rowferry.connectors.mysql.stage import Stages
from rowferry.errors import (
    Cancelled,
    Clash,
    Conflict,
    ConnectionLost,
    FencedOff,
    InvalidInput,
    RowferryError,
    WriteFailed,
)
from rowferry.model.changes import TableAltered

_FENCED = "Another writer has taken the stream over, or it was ended: nothing more is written here."


def open_applier(request: TargetRequest, tables: Sequence[PlannedTable]) -> MySqlApplier:
    """The stream's one writer from now on; Conflict when the target does not know the stream."""
    return MySqlApplier(request)


class MySqlApplier:
    """One stream's changes on their way into one server."""

    def __init__(self, request: TargetRequest) -> None:
        if request.spec.db is None:
            raise InvalidInput("A MySQL or MariaDB target needs target.spec.db.")
        self._stream = request.stream_id
        self._access = Access(request.connection)
        self._lock = Lock()
        self._busy = self._closed = self._of_no_use = False
        self._open = self._changed = False
        self._epoch: int | None = None
        self._noted: Mapping[str, object] | None = None
        self._altered: list[Entry] = []
        try:
            self._session = Session(self._access, applies=True)
        except BaseException:
            self._access.close()
            raise
        self._stages = Stages(self._session, self._stream, lambda: self._closed)
        try:
            with self._at_work("taking the stream over"):
                self._epoch = follows.take(self._session, self._stream)
                self._session.execute("SET foreign_key_checks = 0")
                self._session.execute(f"USE {quoted(request.spec.db.database)}")  # DELETE with a join wants it
        except BaseException:
            self.close()
            raise

    @property
    def lenient(self) -> bool:
        """See `Applier.lenient`."""
        return True

    def standing(self) -> Standing:
        """See `Applier.standing`."""
        with self._at_work("reading how far the stream has got"):
            return follows.standing(self._session, self._stream)

    def merge(self, merge_: Merge) -> None:
        """See `Applier.merge`; by statements over all of the rows."""
        name = merge_.table.target.name
        with self._changing(f"merging changes of {name}", merge_.table.target.column_names()):
            merge(self._stages, merge_)

    def replay(self, table: PlannedTable, changes: RowChanges, checked: bool) -> None:
        """See `Applier.replay`; by a statement for each change."""
        name = table.target.name
        with self._changing(f"replaying changes of {name}", table.target.column_names()):
            if checked:
                self._session.execute("SET foreign_key_checks = 1")
            replay(self._stages, table, changes, checked)
            if checked:
                self._session.execute("SET foreign_key_checks = 0")

    def truncate(self, tables: Sequence[PlannedTable], restart: bool) -> None:
        """See `Applier.truncate`. Rows are deleted, for to truncate would commit at once; so would it to number anew,
        and numbers go on whatever `restart` says."""
        for table in tables:
            with self._changing(f"emptying {table.target.name}"):
                self._session.execute(f"DELETE FROM {place(table.target.name)}")

    def uncopy(self, tables: Sequence[PlannedTable]) -> None:
        """See `Applier.uncopy`."""
        with self._changing("taking the copy back"):
            journal.uncopy(self._session, self._stream, [str(table.target.name) for table in tables])
        self.truncate(tables, restart=False)

    def alter(self, before: PlannedTable, after: PlannedTable, altered: TableAltered) -> None:
        """See `Applier.alter`. Changes that are not committed yet would be, without their position.

        So they are undone, the new and the wider columns made before them, and ConnectionLost brings the stream back
        to where it stood, from where it does the changes again. Where columns go or are renamed that is no way.
        """
        name = before.target.name
        with self._at_work(f"altering {name}", after.target.column_names()):
            noted = follows.altering(self._session, self._stream)
            entry = entry_of(self._session, before, after)
            statement = None if done(entry, noted) else statement_for(self._session, before, after, altered)
            if statement is not None:
                early = self._undone(before, altered)
                check_rows(self._session, after, altered, early)
                self._note(noted_with(entry, noted))
                self._session.execute(statement)
                if early:
                    raise ConnectionLost(f"{name} was altered; the changes before are done again.")
            self._altered.append(entry)

    def _undone(self, before: PlannedTable, altered: TableAltered) -> bool:
        """Undo what is not committed; whether there was anything."""
        if not self._changed:
            return False
        if altered.dropped or altered.renamed:
            raise WriteFailed(
                f"{before.source.name} lost or renamed a column within a transaction that had changed rows before, "
                "which cannot be done here in one transaction: load the table again."
            )
        self._session.execute("ROLLBACK")
        self._open = self._changed = False
        return True

    def _note(self, entries: Sequence[Entry]) -> None:
        if not follows.note_altering(self._session, self._stream, self._epoch, entries):
            raise FencedOff(_FENCED)

    def undo(self) -> None:
        """See `Applier.undo`."""
        with self._at_work("taking changes back"):
            self._session.execute("ROLLBACK")
            self._open = self._changed = False
            self._stages.clear()

    def commit(self, standing: Standing) -> None:
        """See `Applier.commit`."""
        with self._changing("committing changes"):
            noted = standing.notes is self._noted
            if not follows.advance(self._session, self._stream, self._epoch, standing, noted):
                raise FencedOff(_FENCED)
            if self._altered:
                altering = follows.altering(self._session, self._stream)
                self._note(without(self._altered, altering))
            self._session.execute("COMMIT")
            self._noted = standing.notes
            self._open = self._changed = False
            self._altered.clear()

    def close(self) -> None:
        """See `Applier.close`."""
        with self._lock:
            if self._closed:
                return
            self._closed, busy = True, self._busy
        if busy:
            self._session.cancel()
        else:
            self._session.close()
        self._access.close()

    @contextmanager
    def _changing(self, doing: str, columns: Iterable[str] = ()) -> Iterator[None]:
        with self._at_work(doing, columns):
            if not self._open:
                self._session.execute("START TRANSACTION")
                self._open = True
            self._changed = True
            yield

    @contextmanager
    def _at_work(self, doing: str, columns: Iterable[str] = ()) -> Iterator[None]:
        """For as long as the session is in use; after an error other than Clash it is of none."""
        self._enter()
        try:
            yield
        except Clash:
            raise
        except BaseException as error:
            self._of_no_use = True
            self._session.roll_back()
            if not isinstance(error, DriverErrors):
                raise
            raise self._ours(error, doing, columns) from error
        finally:
            self._leave()

    def _enter(self) -> None:
        with self._lock:
            if self._closed:
                raise Cancelled("The target is closed.")
            if self._of_no_use:
                raise Conflict("An error has ended this writer: open another.")
            self._busy = True

    def _leave(self) -> None:
        with self._lock:
            self._busy, closed = False, self._closed
        if closed:
            self._session.close()

    def _ours(self, error: BaseException, doing: str, columns: Iterable[str]) -> RowferryError:
        if self._closed:
            return Cancelled("The target is closed.")
        found = while_writing(error, doing, columns)
        if isinstance(found, ConnectionLost) and self._is_fenced():
            return FencedOff(_FENCED)
        return found

    def _is_fenced(self) -> bool:
        """Whether another writer has ended this one's session; as far as the server can be asked."""
        if self._epoch is None:
            return False
        with suppress(Exception), self._access.session() as other:
            return follows.epoch(other, self._stream) != self._epoch
        return False
