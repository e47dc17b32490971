"""Transactions and batches, told from events."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

from rowferry.connectors.changes import BatchSize, ChangeBatch, Commit
from rowferry.connectors.mysql.binlog import headers, tablemap
from rowferry.connectors.mysql.binlog.collect import Collected, rows_kinds
from rowferry.connectors.mysql.binlog.fields import short
from rowferry.connectors.mysql.binlog.frames import HEADER, Event
from rowferry.connectors.mysql.binlog.gtids import Domains, Sources
from rowferry.connectors.mysql.binlog.history import History
from rowferry.connectors.mysql.binlog.kinds import Flag, Kind, named
from rowferry.connectors.mysql.binlog.payload import inside
from rowferry.connectors.mysql.binlog.plans import Plan, plan
from rowferry.connectors.mysql.binlog.position import Place
from rowferry.connectors.mysql.binlog.rolled import Undone
from rowferry.connectors.mysql.binlog.statements import Word, word
from rowferry.errors import ReadFailed
from rowferry.model.changes import TableAltered, Truncated
from rowferry.model.tables import TableName

Batches = Iterable[ChangeBatch]
Handler = Callable[[Event], Batches]

NOTHING: Batches = ()
_FLAGS = 2
_WRAPS = 1 << 32


@dataclass(slots=True)
class Transaction:
    """The one under way. `begin`: where it begins in the log. `ordinal`: how many changes were there before it.

    `given`: some of its changes are in a batch that was given out. `saved`: by savepoint, how far the log had come,
    and how many changes there were (None: before what was given out).
    """

    begin: int
    ordinal: int
    given: bool = False
    touched: bool = False
    saved: dict[str, tuple[int, int | None]] = field(default_factory=dict)


class Story:
    """Takes events one by one, and gives batches.

    `place` is where the log stands between two transactions, as far as it is read. What it knows of the tables is
    in `history`. Changes of a table that `known` names are left out up to the place there. `whole`: see `Plan`.
    `arrived`: when the events came that are taken just now, in Unix seconds; of a commit, most logs tell only in which
    second it was, and it was before that.
    """

    def __init__(
        self, place: Place, history: History, known: Mapping[TableName, Place], size: BatchSize, undone: Undone,
        whole: bool = False,
    ) -> None:  # fmt: skip
        self._file, self._offset = place.file, place.offset
        self._gtids = place.gtids.copy() if place.gtids is not None else None
        self._history, self._known, self._undone = history, dict(known), undone
        self._collected, self._whole = Collected(size), whole
        self.arrived = 0.0
        self._format = headers.Format("", b"")
        self._maps: dict[bytes, bytes] = {}
        self._plans: dict[bytes, Plan | None] = {}
        self._read: dict[bytes, tablemap.TableMap] = {}
        self._now: Transaction | None = None
        self._number: Callable[[], None] | None = None
        self._undecided = False
        self._stamp: float | None = None
        self._committed: float | None = None
        self._latest: float | None = None
        self._commits: list[Commit] = []
        self._kinds = rows_kinds()
        self._handlers = self._handled()

    def _handled(self) -> dict[int, Handler]:
        found: dict[int, Handler] = dict.fromkeys(map(int, _SILENT), self._pass)
        found |= dict.fromkeys(self._kinds, self._take_rows)
        return found | {
            int(Kind.FORMAT_DESCRIPTION): self._take_format,
            int(Kind.ROTATE): self._take_rotate,
            int(Kind.QUERY): self._take_query,
            int(Kind.QUERY_COMPRESSED): self._take_query,
            int(Kind.XID): self._commit,
            int(Kind.XA_PREPARE): self._take_prepare,
            int(Kind.TABLE_MAP): self._take_map,
            int(Kind.MARIADB_GTID): self._take_mariadb_gtid,
            int(Kind.GTID): self._take_mysql_gtid,
            int(Kind.ANONYMOUS_GTID): self._take_mysql_gtid,
            int(Kind.GTID_TAGGED): self._take_mysql_gtid,
            int(Kind.TRANSACTION_PAYLOAD): self._take_payload,
        }

    @property
    def place(self) -> Place:
        """Where the log stands; inside of a transaction, where that began."""
        return Place(self._file, self._offset, self._gtids)

    @property
    def holds(self) -> bool:
        """Whether there are changes that no batch has yet."""
        return self._collected.changes > 0

    def take(self, event: Event) -> Batches:
        """What is to be given out now that this event has come."""
        return self._handlers.get(event.kind, self._refuse)(event)

    def batch(self) -> ChangeBatch:
        """All that was taken since the last batch."""
        if self._now is not None and self._collected.changes:
            self._now.given = self._now.given or self._collected.changes > self._now.ordinal
            self._now.ordinal = 0
            self._now.saved = {name: (at, None) for name, (at, _) in self._now.saved.items()}
        size = self._collected.size
        commits, self._commits = self._commits, []
        return ChangeBatch(self._collected.take(), None, self._position(), self._latest, size, commits)

    def _position(self) -> str | None:
        return None if self._now is not None else str(self.place)

    # -------------------------------------------------------------------------------------------- transactions

    def _begin(self) -> None:
        if self._now is None:
            self._now = Transaction(self._offset, self._collected.changes)

    def _commit(self, event: Event) -> Batches:
        """The transaction is over, and what it did has happened."""
        self._now = None
        self._passed(event)
        if self._whole:
            self._commits.append(self._ended())
        return (self.batch(),) if self._collected.due else NOTHING

    def _ended(self) -> Commit:
        return Commit(self._collected.changes, f"{self._file}:{self._offset}", self._committed)

    def _passed(self, event: Event) -> None:
        """The log stands behind the event, and a transaction has ended with it."""
        self._committed = self._stamp or float(event.when)
        self._latest = self._stamp or max(event.when, min(event.when + 1.0, self.arrived))
        self._stamp = None
        if self._number is not None:
            self._number()
            self._number = None
        self._move(event)

    def _move(self, event: Event) -> None:
        """The log stands behind the event, of which its header tells 32 bits."""
        if event.after:
            after = self._offset - self._offset % _WRAPS + event.after
            self._offset = after if after >= self._offset else after + _WRAPS

    def _roll_back(self, event: Event) -> Batches:
        """The transaction is over, and what it did has not happened, but where an engine cannot undo it."""
        self._undo(event, None)
        return self._commit(event)

    def _undo(self, event: Event, savepoint: str | None) -> None:
        now = self._now
        if now is None:
            return
        since, ordinal = (now.begin, now.ordinal) if savepoint is None else now.saved[savepoint]
        if ordinal is None or (savepoint is None and now.given):
            self._undone.again(self._file, since, event.after)
        else:
            self._collected.undo(ordinal, self._history.transactional)

    def _save(self, event: Event, savepoint: str) -> None:
        if self._now is not None:
            self._now.saved[savepoint] = (event.after, self._collected.changes)

    # -------------------------------------------------------------------------------------------- events

    def _pass(self, event: Event) -> Batches:
        if self._now is None and self._number is None and not event.flags & Flag.ARTIFICIAL:
            self._move(event)
        return NOTHING

    def _refuse(self, event: Event) -> Batches:
        if event.flags & Flag.IGNORABLE:
            return self._pass(event)
        advice = _REFUSED.get(event.kind, "it is not known here, and may matter.")
        raise ReadFailed(f"The source's log holds {named(event.kind)} before {self._file}:{event.after}: {advice}")

    def _take_format(self, event: Event) -> Batches:
        self._format = headers.read_format(event)
        self._maps.clear()
        if self._now is not None and event.after and not event.flags & Flag.ARTIFICIAL:
            return self._roll_back(event)
        return NOTHING

    def _take_rotate(self, event: Event) -> Batches:
        self._file, self._offset = headers.read_rotate(event)
        return NOTHING

    def _take_mariadb_gtid(self, event: Event) -> Batches:
        gtid = headers.read_mariadb_gtid(event)
        gtids = self._gtids
        if isinstance(gtids, Domains):
            self._number = partial(gtids.add, gtid.domain, gtid.server, gtid.number)
        self._undecided = gtid.begun
        if not gtid.alone:
            self._begin()
        return NOTHING

    def _take_mysql_gtid(self, event: Event) -> Batches:
        read = headers.read_tagged_gtid if event.kind == Kind.GTID_TAGGED else headers.read_mysql_gtid
        gtid = read(event)
        gtids = self._gtids
        if isinstance(gtids, Sources) and gtid.number:
            self._number = partial(gtids.add, gtid.source, gtid.number, gtid.number)
        self._stamp = gtid.committed
        return NOTHING

    def _take_prepare(self, event: Event) -> Batches:
        one_phase = bool(event.data[HEADER])
        if self._now is not None and self._now.touched and not one_phase:
            raise ReadFailed(
                f"An XA transaction before {self._file}:{event.after} was prepared, and the log does not say there "
                "whether it will be committed; a stream cannot follow tables that such transactions change."
            )
        return self._commit(event)

    def _take_payload(self, event: Event) -> Iterator[ChangeBatch]:
        """A whole transaction, compressed: its events say nothing about their own place."""
        for one in inside(event):
            yield from self.take(one._replace(after=event.after))

    def _take_query(self, event: Event) -> Batches:
        query = headers.read_query(event, event.kind == Kind.QUERY_COMPRESSED)
        what, name = word(query.text)
        if what is Word.BEGIN:
            self._begin()
        elif what is Word.COMMIT:
            return self._commit(event)
        elif what is Word.ROLLBACK:
            return self._roll_back(event)
        elif what is Word.SAVEPOINT:
            self._save(event, name)
        elif what is Word.ROLLBACK_TO:
            self._undo(event, name)
        elif what is Word.OTHER:
            return self._statement(event, query)
        return NOTHING

    def _statement(self, event: Event, query: headers.Query) -> Batches:
        happened = [] if self._undecided else self._history.statement(query, self._is_known, self.place)
        if self._now is not None:
            return NOTHING
        before = (self.batch(),) if happened and self.holds else NOTHING
        self._passed(event)
        if not happened:
            return before
        self._plans.clear()
        self._read.clear()
        places: list[str | None] = [None] * (len(happened) - 1)
        told = zip(happened, [*places, self._position()], strict=True)
        return [*before, *(self._told(one, place, event) for one, place in told)]

    def _told(self, one: Truncated | TableAltered, place: str | None, event: Event) -> ChangeBatch:
        return ChangeBatch((), one, place, self._latest, event.size, () if place is None else (self._ended(),))

    def _is_known(self, name: TableName) -> bool:
        """Whether what happens to the table just now is left out, since somebody has it already."""
        mark = self._known.get(name)
        if mark is None:
            return False
        if not self.place.reached(mark):
            return True
        del self._known[name]
        return False

    # -------------------------------------------------------------------------------------------- rows

    def _take_map(self, event: Event) -> Batches:
        data = event.data
        at = HEADER + self._format.post(event.kind)
        self._maps[data[HEADER : at - _FLAGS]] = data[at : event.end]
        return NOTHING

    def _take_rows(self, event: Event) -> Batches:
        data, kind = event.data, self._kinds[event.kind]
        at = HEADER + self._format.post(event.kind)
        number = data[HEADER : at - _FLAGS * (1 + kind.extra)]
        body = self._maps.get(number)
        if body is None:
            raise ReadFailed("The log holds rows of a table that no table map names: it is damaged.")
        found = self._plans[body] if body in self._plans else self._planned(body)
        if found is None or (self._known and self._is_known(found.table.name)):
            return NOTHING
        if self._undone.places and self._undone.skips(self._file, event.after, found.table.name, self._history):
            return NOTHING
        done = (self.batch(),) if self._collected.full or self._collected.meets(found) else NOTHING
        if self._now is not None:
            self._now.touched = True
        if kind.extra:
            at += short(data, at - _FLAGS)[0] - _FLAGS
        self._collected.add(found, kind, event, at)
        return done

    def _planned(self, body: bytes) -> Plan | None:
        """Where the columns stand; not looked for as long as the table's changes are left out."""
        map_ = self._read.get(body)
        if map_ is None:
            map_ = self._read[body] = tablemap.read(body, 0, len(body))
        followed = self._history.followed(map_.name)
        if followed is not None and self._is_known(map_.name):
            return None
        found = replace(plan(followed, map_), whole=self._whole) if followed is not None else None
        self._plans[body] = found
        return found


_SILENT = (
    Kind.STOP,
    Kind.HEARTBEAT,
    Kind.HEARTBEAT_V2,
    Kind.IGNORABLE,
    Kind.ROWS_QUERY,
    Kind.PREVIOUS_GTIDS,
    Kind.TRANSACTION_CONTEXT,
    Kind.VIEW_CHANGE,
    Kind.ANNOTATE_ROWS,
    Kind.BINLOG_CHECKPOINT,
    Kind.GTID_LIST,
)
"""Events of which nothing follows for rows."""

_BY_STATEMENT = "it belongs to a change that is written as a statement; set binlog_format=ROW at the source."
_REFUSED: Mapping[int, str] = {
    Kind.INCIDENT: "the source says that its log misses something; start a new stream, which loads the tables anew.",
    Kind.START_ENCRYPTION: "the log is encrypted, and can only be read through its server.",
}
"""Events that end a stream, and what to do."""
