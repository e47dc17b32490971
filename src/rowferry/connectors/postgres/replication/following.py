"""Following the log: messages of a walsender become batches, in the order of commits."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from rowferry.connectors.changes import BatchSize, ChangeBatch, Commit, RowChanges
from rowferry.connectors.postgres.replication import messages
from rowferry.connectors.postgres.replication.cells import HEADER, Block, Places
from rowferry.connectors.postgres.replication.feed import Feed
from rowferry.connectors.postgres.replication.positions import number, position
from rowferry.connectors.postgres.replication.relations import Relations
from rowferry.connectors.postgres.replication.rows import row_changes
from rowferry.connectors.postgres.replication.unfinished import ROWS, SIZE, Told, Unfinished, plainly
from rowferry.errors import Cancelled, ConnectionLost, ReadFailed, SourceChanged
from rowferry.model.changes import Position, TableAltered, Truncated
from rowferry.model.tables import TableName

QUIET = 1.0
"""Seconds after which there is a batch even where nothing happened."""

STALL = 30.0
"""Seconds of silence, though asked each second, after which a connection is looked into."""

HOPE = 10.0
"""Seconds for which a transaction that was given ahead may say nothing; a server tells large ones in pieces of
`logical_decoding_work_mem`, with pauses between them."""

_FLOW = 500
_PAUSE = 0.01
"""Where so many rows came since the socket was empty last, it is left alone for so many seconds: a server whose every
row wakes a reader up takes longer for each."""

_LOG, _KEEPALIVE = b"wk"
_ROWS = b"IUD"
_KEPT = frozenset((messages.RELATION, messages.TRUNCATE))
"""What is told of a transaction beside its rows, and must not count before its commit."""


class _Whole(NamedTuple):
    """How many of the messages that are held are of transactions that are there as a whole, and their bytes."""

    messages: int
    size: int
    committed_at: float | None


class Following:
    """One walsender's way through the log.

    `alive`: whether its server is at work on it, asked when it is silent. `ends`: where each transaction ended is told.
    """

    def __init__(
        self,
        feed: Feed,
        relations: Relations,
        known: Mapping[TableName, Position],
        size: BatchSize,
        alive: Callable[[], bool],
        *,
        ends: bool = False,
    ) -> None:
        self._feed = feed
        self._relations = relations
        self._marks = {name: number(mark) for name, mark in known.items()}
        self._size = size
        self._alive = alive
        self._ready: deque[ChangeBatch] = deque()
        self._left = time.monotonic()
        self._at = feed.received
        self._final, self._committed_at = 0, None
        self._open = self._owed = False
        self.closed = False
        self._messages: list[bytes] = []
        self._held, self._begun = 0, None
        self._transactions: list[tuple[int, int]] = []
        self._whole = _Whole(0, 0, None)
        self._commits: list[Commit] = []
        self._ends = ends
        self._unfinished: dict[int, Unfinished] = {}
        self._compared: dict[int, messages.Relation] = {}
        self._told: Unfinished | None = None
        self._ahead: Unfinished | None = None
        self._came = self._left
        self._retold: Iterator[None] | None = None
        self._handlers: dict[int, Callable[[bytes], None]] = {
            messages.BEGIN: self._on_begin,
            messages.COMMIT: lambda said: self._commit(messages.commit(said)),
            messages.RELATION: self._on_relation,
            messages.TRUNCATE: self._on_truncate,
            messages.STREAM_START: self._on_stream_start,
            messages.STREAM_STOP: self._on_stream_stop,
            messages.STREAM_COMMIT: self._on_stream_commit,
            messages.STREAM_ABORT: self._on_stream_abort,
            **dict.fromkeys(messages.IGNORED, lambda _: None),
        }

    _committed_at: float | None
    _begun: float | None

    def batches(self) -> Generator[ChangeBatch, None, None]:
        """One after another, without end."""
        try:
            while True:
                with self._feed.lock:
                    self._fill()
                while self._ready:
                    yield self._ready.popleft()
        finally:
            for one in self._unfinished.values():
                one.close()

    def _fill(self) -> None:
        """Read until a batch is due, and put it where it is taken from."""
        feed = self._feed
        since = time.monotonic()
        feed.heard += since - self._left
        quiet = False
        while not self._ready:
            self._check_open()
            full = self._read(since + QUIET)
            self._check_open()
            now = time.monotonic()
            quiet = now - since >= QUIET
            if self._ready:
                break
            if full or quiet or self._is_due(now):
                if not self._gave_ahead():
                    self._give()
                self._begun = now if self._messages else None
            else:
                self._wait(now, since + QUIET)
        feed.answer(ask=quiet)
        self._left = time.monotonic()

    def _check_open(self) -> None:
        if self.closed:
            raise Cancelled("The source was closed.")

    def _is_due(self, now: float) -> bool:
        """Whether what is held is given, now that the log has nothing more at the moment."""
        if self._begun is None:
            return self._owed and not self._open
        return not self._open or now - self._begun >= self._size.seconds

    def _wait(self, now: float, until: float) -> None:
        feed = self._feed
        if now - feed.heard >= STALL:
            if not self._alive():
                raise ConnectionLost("PostgreSQL has said nothing for a while, though it was asked to.")
            feed.heard = now
        feed.answer()
        if self._begun is not None:
            until = self._begun + self._size.seconds
        feed.wait(max(until - now, 0.001))

    def _read(self, until: float) -> bool:
        """Take what is there already; True when a batch is full, or it is that late."""
        looked, flow = False, 0
        while not self._ready and not self._is_full():
            if self._retold is not None:
                self._retell(self._retold)
                continue
            rows, other = self._take_rows()
            if other is not None:
                self._take(other)
            elif self._is_late(bool(rows), until):
                return True
            elif looked and not rows and flow < _FLOW:
                return False
            else:
                if looked and not rows:
                    time.sleep(_PAUSE)
                    flow = 0
                looked, flow = not rows, flow + rows
                self._feed.raw.consume_input()
        return not self._ready

    def _is_full(self) -> bool:
        return self._held >= self._size.size or len(self._messages) >= self._size.changes

    def _take_rows(self) -> tuple[int, bytes | None]:
        """Take rows, as many as there is room for: how many they were, and the message behind them that is no row."""
        unfinished = self._told
        if unfinished is not None:
            rows, size, other = self._take_into(unfinished.rows, ROWS, SIZE)
            unfinished.took(size)
            if unfinished is self._ahead:
                waiting, length = unfinished.waiting
                if waiting >= self._size.changes or length >= self._size.size:
                    self._gave_ahead()
            return rows, other
        rows, size, other = self._take_into(
            self._messages, self._size.changes - len(self._messages), self._size.size - self._held
        )
        self._held += size
        return rows, other

    def _take_into(self, taken: list[bytes], most: int, room: int) -> tuple[int, int, bytes | None]:
        """Take so many rows and so many bytes of them at the most: how many they were, and the message that is no row.

        This is done for each row, everything else for many: no message but the shortest, which are no rows, is looked
        into further than its kind. Bytes weigh less than the driver's views, of which Python would keep track.
        """
        get, add, rows, header = self._feed.raw.get_copy_data, taken.append, _ROWS, HEADER
        before, left, other = len(taken), room, None
        for _ in range(most):
            got, view = get(1)
            if got <= 0:
                if got < 0:
                    raise self._feed.ended()
                break
            said = bytes(view)
            if got <= header or said[header] not in rows:
                other = said
                break
            add(said)
            left -= got
            if left <= 0:
                break
        return len(taken) - before, room - left, other

    def _is_late(self, came: bool, until: float) -> bool:
        """Whether a batch that has something has waited long enough; asked whenever the socket has to be looked at."""
        now = time.monotonic()
        if came:
            self._feed.heard = now
        if self._begun is None:
            self._begun = now if self._messages else None
            return now >= until
        return now - self._begun >= self._size.seconds

    def _take(self, data: bytes) -> None:
        """A message that is no row."""
        feed = self._feed
        feed.heard = time.monotonic()
        if data[0] == _KEEPALIVE:
            said = messages.keepalive(data)
            feed.asked |= said.asks
            feed.received = max(feed.received, said.end)
            # What comes next is behind it, unless a transaction is being told.
            self._at = self._at if self._open else max(self._at, said.end)
            return
        handler = self._handlers.get(data[HEADER]) if data[0] == _LOG else None
        if handler is None:
            raise ReadFailed("PostgreSQL's log says something that is not known: it cannot be followed any further.")
        if self._told is not None and data[HEADER] in _KEPT:
            self._told.add(data)
            if self._told is self._ahead and not self._fits(plainly(data)[HEADER:]):
                self._fall_back()
            return
        handler(data[HEADER:])

    def _on_begin(self, said: bytes) -> None:
        self._fall_back()
        self._begin(messages.begin(said))

    def _on_stream_start(self, said: bytes) -> None:
        number = messages.stream_start(said)
        known = self._unfinished.get(number)
        if known is None or known is not self._ahead:
            self._fall_back()
        if known is None:
            known = Unfinished()
            if not self._unfinished and not self._ends and all(mark <= self._at for mark in self._marks.values()):
                self._go_ahead(known)
            self._unfinished[number] = known
        self._told = known

    def _on_stream_stop(self, said: bytes) -> None:
        self._told = None

    def _on_stream_abort(self, said: bytes) -> None:
        number, part = messages.stream_abort(said)
        if self._unfinished.get(number) is self._ahead:
            self._fall_back()
        if part != number and number in self._unfinished:
            self._unfinished[number].undo(part)
        elif number in self._unfinished:
            self._unfinished.pop(number).close()

    def _on_stream_commit(self, said: bytes) -> None:
        ended = messages.stream_commit(said)
        ahead, self._ahead = self._ahead, None
        if ahead is None or self._unfinished.get(ended.number) is not ahead:
            self._retold = self._again(ended)
            return
        ahead.flush()
        if ahead.fresh:
            self._give_told(ahead.fresh)
        self._unfinished.pop(ended.number).close()
        self._begin(ended.begin)
        self._commit(ended.end)

    def _go_ahead(self, unfinished: Unfinished) -> None:
        """Give the rows of a transaction that is under way as they come, in the hope that it commits before any other.

        Nothing else may be given or owed by then, so that it can be undone. It is kept for the case that it has to be.
        """
        while self._messages or self._owed:
            self._give()
        self._marks.clear()
        self._ahead, unfinished.fresh = unfinished, []
        self._came = time.monotonic()
        self._open, self._committed_at = True, None
        self._compared.clear()

    def _fall_back(self) -> None:
        """Undo what was given ahead, if anything was: the transaction is told again once it has committed."""
        ahead, self._ahead = self._ahead, None
        if ahead is None:
            return
        ahead.fresh = None
        self._open = False
        if self._owed:
            self._ready.append(ChangeBatch(undone=True))
            self._owed = False

    def _gave_ahead(self) -> bool:
        """Give what has come of it. Nothing for long: others shall not wait for its rows on the target."""
        ahead, now = self._ahead, time.monotonic()
        if ahead is None:
            return False
        ahead.flush()
        if ahead.fresh:
            told, ahead.fresh = ahead.fresh, []
            self._give_told(told)
            self._came = now
            return True
        if now - self._came >= HOPE:
            self._fall_back()
        return False

    def _fits(self, said: bytes) -> bool:
        """Whether rows can be given on after what was told among them: not where it may yet turn out otherwise."""
        if said[0] != messages.RELATION:
            return False
        relation = messages.relation(said)
        if self._compared.get(relation.oid) != relation:
            try:
                news = self._relations.news(relation)
            except SourceChanged:
                return False
            if news is not None and news.altered is not None:
                return False
            self._compared[relation.oid] = relation
            if news is not None:
                self._relations.go_on(news)
        return True

    def _again(self, ended: messages.Ended) -> Iterator[None]:
        """Tell what was told while it was under way as what it has become: a transaction that has ended."""
        if self._messages:
            self._give()
            yield
        self._begin(ended.begin)
        unfinished = self._unfinished.get(ended.number)
        if unfinished is not None:
            for told in unfinished.told(self._size.changes, self._size.size):
                if told[0].rows:
                    self._give_told(told)
                else:
                    self._take(told[0].data)
                yield
            unfinished.close()
            del self._unfinished[ended.number]
        self._commit(ended.end)

    def _give_told(self, told: Sequence[Told]) -> None:
        """Make a batch of these rows, which are not all of their transaction."""
        block = Block([one.data for one in told], np.concatenate([one.lengths for one in told]))
        size = int(block.ends[-1])
        self._ready.append(ChangeBatch(self._rows(block), None, None, self._committed_at, size))
        self._owed = True

    def _retell(self, retold: Iterator[None]) -> None:
        """The next piece of what is told again; meanwhile nobody listens, so that silence would mean nothing."""
        self._feed.heard = time.monotonic()
        try:
            next(retold)
        except StopIteration:
            self._retold = None

    def _begin(self, begin: messages.Begin) -> None:
        # The server may tell of a relation before each row. What is asked of the catalogue then is what has been
        # committed, so a second look within a transaction shows nothing new about it.
        self._compared.clear()
        self._open, self._final, self._committed_at = True, begin.final, begin.at
        if self._marks:
            self._transactions.append((len(self._messages), begin.final))

    def _commit(self, end: int) -> None:
        self._open = False
        self._at = end
        self._whole = _Whole(len(self._messages), self._held, self._committed_at)
        if self._ends:
            self._commits.append(Commit(len(self._messages), position(self._at), self._committed_at))
        self._feed.received = max(self._feed.received, self._at)

    def _on_relation(self, said: bytes) -> None:
        relation = messages.relation(said)
        if self._compared.get(relation.oid) == relation:
            return
        self._compared[relation.oid] = relation
        news = self._relations.news(relation)
        if news is None:
            return
        if news.altered is not None:
            name = news.shape.table.name
            if self._is_behind(name, self._final):
                raise SourceChanged(
                    f"Columns of {name} were altered after the stream was planned, and before its rows were read: "
                    "start a new stream, which plans anew."
                )
            self._event(news.altered)
        self._relations.go_on(news)

    def _on_truncate(self, said: bytes) -> None:
        truncate = messages.truncate(said)
        names = [name for name in map(self._relations.name, truncate.relations) if name is not None]
        names = [name for name in names if not self._is_behind(name, self._final)]
        if names:
            self._event(Truncated(tuple(names), truncate.restart))

    def _is_behind(self, name: TableName, final: int) -> bool:
        """Whether the table was read after that transaction, whose commit record begins at `final`."""
        return final < self._marks.get(name, 0)

    def _event(self, event: Truncated | TableAltered) -> None:
        while self._messages:
            self._give()
        self._ready.append(ChangeBatch(event=event, committed_at=self._committed_at))
        self._owed = True

    def _give(self) -> None:
        """Make a batch of the transactions that are there as a whole; only when there are none, of a part of one."""
        whole = self._whole
        if self._open and not whole.messages:
            place, whole = None, _Whole(len(self._messages), self._held, self._committed_at)
        else:
            place = position(self._at)
        held = self._messages[: whole.messages]
        rows = self._rows(Block.of(held)) if held else []
        commits, self._commits = self._commits, []
        self._ready.append(ChangeBatch(rows, None, place, whole.committed_at, whole.size, commits))
        self._owed = place is None
        self._messages = self._messages[whole.messages :]
        self._held -= whole.size
        self._begun = None
        self._forget(whole.messages)
        self._whole = _Whole(0, 0, None)

    def _forget(self, given: int) -> None:
        """Keep of the transactions only what is about messages that are held or come."""
        if not self._messages:
            self._marks = {name: mark for name, mark in self._marks.items() if self._final < mark}
        kept = [(max(first - given, 0), final) for first, final in self._transactions]
        self._transactions = kept[-1:] if not self._messages else kept

    def _rows(self, block: Block) -> list[RowChanges]:
        made = []
        for oid in np.unique(block.relations).tolist():
            shape = self._relations.shape(oid)
            if shape is None:
                continue
            which = self._not_behind(shape.table.name, np.flatnonzero(block.relations == oid))
            if len(which):
                made.append(row_changes(block, which, shape))
        return made

    def _not_behind(self, name: TableName, which: Places) -> Places:
        """Of these messages those of transactions that the table's rows do not show yet."""
        mark = self._marks.get(name)
        if mark is None:
            return which
        firsts, finals = np.array(self._transactions, np.int64).T
        kept: Places = which[finals[np.searchsorted(firsts, which, side="right") - 1] >= mark]
        return kept
