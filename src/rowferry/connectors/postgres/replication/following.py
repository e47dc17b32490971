"""Following the log: messages of a walsender become batches, in the order of commits."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Mapping

from rowferry.connectors.changes import BatchSize, ChangeBatch
from rowferry.connectors.postgres.replication import messages
from rowferry.connectors.postgres.replication.cells import HEADER
from rowferry.connectors.postgres.replication.feed import Feed
from rowferry.connectors.postgres.replication.gather import Gathering
from rowferry.connectors.postgres.replication.relations import Relations
from rowferry.connectors.postgres.replication.unfinished import ROWS, SIZE, Unfinished, plainly
from rowferry.errors import Cancelled, ConnectionLost, ReadFailed, SourceChanged
from rowferry.model.changes import Position, Truncated
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
        self._gathering = Gathering(relations, known, feed.received, ends=ends)
        self._size = size
        self._alive = alive
        self._left = time.monotonic()
        self.closed = False
        self._unfinished: dict[int, Unfinished] = {}
        self._compared: dict[int, messages.Relation] = {}
        self._told: Unfinished | None = None
        self._ahead: Unfinished | None = None
        self._came = self._left
        self._put_back = relations.kept()
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

    def batches(self) -> Generator[ChangeBatch, None, None]:
        """One after another, without end."""
        try:
            while True:
                with self._feed.lock:
                    self._fill()
                while self._gathering.ready:
                    yield self._gathering.ready.popleft()
        finally:
            for one in self._unfinished.values():
                one.close()

    def _fill(self) -> None:
        """Read until a batch is due, and put it where it is taken from."""
        feed = self._feed
        since = time.monotonic()
        feed.heard += since - self._left
        quiet = False
        while not self._gathering.ready:
            self._check_open()
            full = self._read(since + QUIET)
            self._check_open()
            now = time.monotonic()
            quiet = now - since >= QUIET
            if self._gathering.ready:
                break
            if full or quiet or self._is_due(now):
                if not self._gave_ahead():
                    self._gathering.give()
                self._gathering.begun = now if self._gathering.messages else None
            else:
                self._wait(now, since + QUIET)
        feed.answer(ask=quiet)
        self._left = time.monotonic()

    def _check_open(self) -> None:
        if self.closed:
            raise Cancelled("The source was closed.")

    def _is_due(self, now: float) -> bool:
        """Whether what is held is given, now that the log has nothing more at the moment."""
        if self._gathering.begun is None:
            return self._gathering.owed and not self._gathering.open
        return not self._gathering.open or now - self._gathering.begun >= self._size.seconds

    def _wait(self, now: float, until: float) -> None:
        feed = self._feed
        if now - feed.heard >= STALL:
            if not self._alive():
                raise ConnectionLost("PostgreSQL has said nothing for a while, though it was asked to.")
            feed.heard = now
        feed.answer()
        if self._gathering.begun is not None:
            until = self._gathering.begun + self._size.seconds
        feed.wait(max(until - now, 0.001))

    def _read(self, until: float) -> bool:
        """Take what is there already; True when a batch is full, or it is that late."""
        looked, flow = False, 0
        while not self._gathering.ready and not self._is_full():
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
        return not self._gathering.ready

    def _is_full(self) -> bool:
        return self._gathering.size >= self._size.size or len(self._gathering.messages) >= self._size.changes

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
        held = self._gathering
        most, room = self._size.changes - len(held.messages), self._size.size - held.size
        rows, size, other = self._take_into(held.messages, most, room)
        held.size += size
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
        if self._gathering.begun is None:
            self._gathering.begun = now if self._gathering.messages else None
            return now >= until
        return now - self._gathering.begun >= self._size.seconds

    def _take(self, data: bytes) -> None:
        """A message that is no row."""
        feed = self._feed
        feed.heard = time.monotonic()
        if data[0] == _KEEPALIVE:
            said = messages.keepalive(data)
            feed.asked |= said.asks
            feed.received = max(feed.received, said.end)
            self._gathering.passed(said.end)
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
            alone = not self._unfinished
            known = self._unfinished[number] = Unfinished()
            if alone and self._gathering.may_go_ahead:
                self._go_ahead(known)
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
        ahead = self._ahead
        if ahead is None or self._unfinished.get(ended.number) is not ahead:
            self._fall_back()
            self._retold = self._again(ended)
            return
        self._ahead = None
        ahead.flush()
        if ahead.fresh:
            self._gathering.told(ahead.fresh)
        self._unfinished.pop(ended.number).close()
        self._begin(ended.begin)
        self._commit(ended.end)

    def _go_ahead(self, unfinished: Unfinished) -> None:
        """Give the rows of a transaction that is under way as they come, in the hope that it commits before any other.

        Nothing else may be given or owed by then, so that it can be undone. It is kept for the case that it has to be.
        """
        self._gathering.go_ahead()
        self._ahead, unfinished.fresh = unfinished, []
        self._came = time.monotonic()
        self._compared.clear()
        self._put_back = self._relations.kept()

    def _fall_back(self) -> None:
        """Undo what was given ahead, if anything was: the transaction is told again once it has committed."""
        ahead, self._ahead = self._ahead, None
        if ahead is None:
            return
        ahead.fresh = None
        self._compared.clear()
        self._put_back()
        self._gathering.fall_back()

    def _gave_ahead(self) -> bool:
        """Give what has come of it. Nothing for long: others shall not wait for its rows on the target."""
        ahead, now = self._ahead, time.monotonic()
        if ahead is None:
            return False
        ahead.flush()
        told, ahead.fresh = ahead.fresh or [], []
        if told:
            try:
                self._gathering.told(told)
            except ReadFailed:  # which is an error only if it commits, and is raised then
                self._fall_back()
                return False
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
        if self._compared.get(relation.oid) == relation:
            return True
        self._compared[relation.oid] = relation
        return self._relations.is_as_before(relation)

    def _again(self, ended: messages.Ended) -> Iterator[None]:
        """Tell what was told while it was under way as what it has become: a transaction that has ended."""
        if self._gathering.messages:
            self._gathering.give()
            yield
        self._begin(ended.begin)
        unfinished = self._unfinished.get(ended.number)
        if unfinished is not None:
            for told in unfinished.told(self._size.changes, self._size.size):
                if told[0].rows:
                    self._gathering.told(told)
                else:
                    self._take(told[0].data)
                yield
            unfinished.close()
            del self._unfinished[ended.number]
        self._commit(ended.end)

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
        self._gathering.begin(begin)

    def _commit(self, end: int) -> None:
        self._gathering.end(end)
        self._feed.received = max(self._feed.received, end)

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
            if self._gathering.is_behind(name):
                raise SourceChanged(
                    f"Columns of {name} were altered after the stream was planned, and before its rows were read: "
                    "start a new stream, which plans anew."
                )
            self._gathering.event(news.altered)
        known = self._relations.shape(relation.oid)
        if known is not None and not known.reads_as(news.shape):
            self._gathering.give_all()
        self._relations.go_on(news)

    def _on_truncate(self, said: bytes) -> None:
        truncate = messages.truncate(said)
        names = [name for name in map(self._relations.name, truncate.relations) if name is not None]
        names = [name for name in names if not self._gathering.is_behind(name)]
        if names:
            self._gathering.event(Truncated(tuple(names), truncate.restart))
