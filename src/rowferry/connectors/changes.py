"""The contracts of changes: how a source's log is followed, and how a target takes over what happened there.

The log is followed in commit order. A batch's position stands between two transactions, and commits on the target
together with everything up to it; so whatever dies, the position that the target holds says exactly what it has.

As in `base`, an object from here belongs to one stream, and errors are `rowferry.errors` only.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, Self, runtime_checkable

from rowferry.config.connection import Connection
from rowferry.config.stream import SourceOptions
from rowferry.connectors.base import PlannedTable, Source
from rowferry.model.changes import Position, TableAltered, Truncated
from rowferry.model.findings import Finding
from rowferry.model.tables import Table, TableName

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class ChangesRequest:
    """Whose log is followed: `database`, and `schema` where the engine has them; `stream_id` names what is left there.

    `options` are the user's: a slot and a publication of his own, a position to begin at. `whole`: all that the
    log has is wanted: of rows as they were not only what tells one from the other, and where each transaction ended.
    Otherwise changes may be given before their transaction has ended, and be `undone`.
    `memory` is shared by the logs that one run opens, one after another: what one found out may matter to the next.
    """

    connection: Connection
    database: str | None
    schema: str | None
    stream_id: str
    options: SourceOptions
    whole: bool = False
    memory: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RowChanges:
    """Changes of one table's rows, one after another; every array has one entry for each.

    `ops`: uint8, as `Op` says. `ordinals`: int64, rising; the place of the change in its batch, across tables.
    `after`: the row as it became, of the types of `arrow_schema(table.columns)`, all fields nullable; of a delete
    all NULL. `before`: the columns `identity` as they were, and more where they are asked for and known of each change;
    of an insert all NULL. None where all are inserts.
    `identity` is the table's key, or all of its columns where it has none.
    `image`: int16, which of `images` tells the columns of `after` that are known; -1, or no array: all are.
    What is not known has not changed, and is NULL in `after`. Only updates may have such columns.
    """

    table: Table
    ops: pa.Array
    ordinals: pa.Array
    after: pa.RecordBatch
    identity: tuple[str, ...]
    before: pa.RecordBatch | None = None
    image: pa.Array | None = None
    images: tuple[frozenset[str], ...] = ()

    def taken(self, part: Callable[[Any], Any]) -> Self:
        """The changes of which `part` takes the same places from every array."""
        return replace(
            self,
            ops=part(self.ops),
            ordinals=part(self.ordinals),
            after=part(self.after),
            before=None if self.before is None else part(self.before),
            image=None if self.image is None else part(self.image),
        )


class Commit(NamedTuple):
    """Where a transaction of a batch ended: `end` is the first ordinal behind its changes, `position` a place in the
    log behind it. `committed_at` is in Unix seconds, None where the log does not tell it."""

    end: int
    position: Position
    committed_at: float | None


@dataclass(frozen=True, slots=True)
class ChangeBatch:
    """What happened next. Either changes of rows, of each table at most one entry, or one `event`, or nothing.

    `position`: where the log stands after the batch; None while a transaction is under way that the next batches
    go on with. `committed_at`: when the last of its transactions committed at the source, in Unix seconds; the latest
    moment that it may have been, where the log is not so exact (None: not known). `size`: its bytes in the log.
    `commits`: where the request wants the `whole`, the transactions that ended in it, in their order; the first of them
    is the one that was under way before, and an event belongs to it. What lies behind the last goes on.
    `undone`: what was given since the last position counts no more; its transaction was rolled back, or others
    committed before it, and then it is given again.
    """

    rows: Sequence[RowChanges] = ()
    event: Truncated | TableAltered | None = None
    position: Position | None = None
    committed_at: float | None = None
    size: int = 0
    commits: Sequence[Commit] = ()
    undone: bool = False

    @property
    def changes(self) -> int:
        """How many rows changed."""
        return sum(len(one.ops) for one in self.rows)


@dataclass(frozen=True, slots=True)
class BatchSize:
    """A batch ends when it holds so many `changes` or about so many bytes (`size`), or so many `seconds` after its
    first change, whichever comes first; but before any of those only where the log has nothing more at the moment."""

    changes: int = 50_000
    size: int = 16 << 20
    seconds: float = 0.1


@runtime_checkable
class LoggedSource(Source, Protocol):
    """A source whose log can be followed."""

    def hold_logged(self, tables: Sequence[Table], readers: int) -> None:
        """`hold` for the load before a log is followed: one moment whose place in the log is known.

        Where that costs the source a lock, only if one of `tables` has no key; what has one comes out right anyway.
        """

    def held_at(self) -> Position | None:
        """The moment that is held just now, as a place in the log: reads that begin now see what lies before it, and
        nothing that lies behind it. None where each read has a moment of its own."""

    def let_go(self) -> None:
        """Hold that moment no longer: nothing is left open at the source, and reads have moments of their own."""


class ChangeSource(Protocol):
    """A source's log. One thread follows it; `confirm`, `distance` and `close` may be called from others."""

    def prerequisites(self, tables: Sequence[Table]) -> list[Finding]:
        """Everything that the server, the user or these tables lack for being followed: errors, each with the exact
        statement or setting that mends it."""

    def untold(self, table: Table) -> Collection[str]:
        """The columns whose values the log does not tell, since the source computes them; they are NULL in changes."""

    def prepare(self, tables: Sequence[Table]) -> Position:
        """Make what must be there at the source (slot, publication), so that the log is kept from here on.

        The position is one from which following misses nothing that a later read does not see. May be repeated:
        what is there already is kept, and its position returned.
        """

    def position(self) -> Position:
        """Where the log ends now: what a read saw that ended before this call lies before it."""

    def reached(self, position: Position, mark: Position) -> bool:
        """Whether `position` is `mark`, or lies behind it."""

    def follow(
        self, position: Position, tables: Sequence[Table], known: Mapping[TableName, Position], size: BatchSize
    ) -> Generator[ChangeBatch, None, None]:
        """What happened to `tables` since `position`, without end, in the order of commits.

        Of a table in `known`, what had happened by that position is left out. At least once a second there is a
        batch, an empty one where nothing happened: its position (if no transaction is under way) has moved past what
        concerns others. Nothing is read ahead of what is asked for but what a socket holds.

        A connection that is lost, or stalls, is ConnectionLost; the caller follows again, from what it has committed.
        SourceChanged when the log no longer has the position, ReadFailed, naming table and column, when a value
        or an event cannot be carried exactly. Cancelled once `close` was called.
        """

    def confirm(self, position: Position) -> None:
        """The target holds everything up to here for good: the source may forget it."""

    def distance(self, position: Position) -> int | None:
        """How many bytes of log lie between this position and its end; None where that cannot be told."""

    def release(self) -> None:
        """Remove what `prepare` made, at the end of the stream. Nothing to remove is no error. Also when closed."""

    def close(self) -> None:
        """Give back what is held. May be called twice; ends a `follow` that is under way."""


@dataclass(frozen=True, slots=True)
class Merge:
    """What a batch came to for one table, by its key: each key stands in one of the parts at most, and once.

    `deletes`: keys (the columns `key`) of rows that go. `upserts`: whole rows, of the types of
    `arrow_schema(table.source.columns)`, put in the place of what is there under their key. `updates`: each the key and
    some more columns, which are changed where the row is there. `new`: the upserts are rows that were not there
    before, all of them. They are done in this order: what is deleted may make room for what comes.
    """

    table: PlannedTable
    key: tuple[str, ...]
    deletes: pa.RecordBatch | None = None
    upserts: pa.RecordBatch | None = None
    updates: Sequence[pa.RecordBatch] = ()
    new: bool = False


@dataclass(frozen=True, slots=True)
class Standing:
    """What the target holds of a followed stream: the position, and what the pipeline keeps beside it, in JSON.

    `notes` are long and seldom change: a writer that is given the same object again need not write it again. `counts`
    change with every commit.
    """

    position: Position | None = None
    notes: Mapping[str, object] = field(default_factory=dict)
    counts: Mapping[str, Sequence[int]] = field(default_factory=dict)


class Applier(Protocol):
    """One writer's way of applying changes; used by one thread, but `close` comes from any.

    Everything since the last `commit` is one transaction of the target. After any error but `Clash` the
    transaction is rolled back, and the applier of no more use but for `close`.
    """

    @property
    def lenient(self) -> bool:
        """Whether foreign keys of the target rest while it merges, so that tables may be merged in any order."""

    def standing(self) -> Standing:
        """What was committed last, by whichever writer."""

    def merge(self, merge: Merge) -> None:
        """Bring the rows to what the batch came to. Clash, with nothing of it done, when that cannot be done so."""

    def replay(self, table: PlannedTable, changes: RowChanges, checked: bool) -> None:
        """Do the changes one by one, in their order: the table has no key, or they do not commute.

        An update or a delete of a row that is not there changes nothing where the table has a key, and is WriteFailed
        where it has none. With `checked` the target's foreign keys act as they do at the source.
        """

    def truncate(self, tables: Sequence[PlannedTable], restart: bool) -> None:
        """Empty the tables, and those alone."""

    def uncopy(self, tables: Sequence[PlannedTable]) -> None:
        """Empty the tables and take their chunks out of the journal, so that they can be copied anew."""

    def alter(self, before: PlannedTable, after: PlannedTable, altered: TableAltered) -> None:
        """Change the table's columns; once for a stream, whatever dies in between, also where this commits at once."""

    def undo(self) -> None:
        """Roll back what is not committed, and be ready for more."""

    def commit(self, standing: Standing) -> None:
        """Commit, and this with it. FencedOff, and nothing is committed, when another applier was opened since."""

    def close(self) -> None:
        """Roll back what is not committed, and leave. May be called twice, and ends what is under way."""


class Recorder(Protocol):
    """One writer's way of keeping every change, in order, for others to read; used by one thread, but `close` comes
    from any.

    Changes are numbered as they come, from 1 on and without a gap, over all tables of the stream. What has been taken
    since the last `commit` counts with the next one, all of it or nothing. After any error the recorder is of no more
    use but for `close`.
    """

    def standing(self) -> Standing:
        """What was committed last, by whichever writer."""

    def append(self, changes: Sequence[tuple[PlannedTable, RowChanges]], commits: Sequence[Commit]) -> None:
        """Take a batch's changes, whose transactions `commits` tells, as `ChangeBatch` says. A change whose transaction
        is still under way waits for a later batch to tell of its end."""

    def truncate(self, tables: Sequence[PlannedTable], commits: Sequence[Commit]) -> None:
        """The tables were emptied."""

    def alter(self, before: PlannedTable, after: PlannedTable, altered: TableAltered) -> None:
        """The table has these columns from here on."""

    @property
    def patience(self) -> float:
        """Seconds for which changes wait for others to come into the same files."""

    @property
    def full(self) -> bool:
        """Whether so much waits that it should be committed at the next moment between two transactions."""

    def commit(self, standing: Standing) -> None:
        """Make all that was taken readable, and commit this with it; between two transactions only. FencedOff, and
        nothing is committed, when another recorder was opened since."""

    def close(self) -> None:
        """Drop what is not committed, and leave. May be called twice, and ends what is under way."""
