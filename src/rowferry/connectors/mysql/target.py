"""MySQL and MariaDB as a target: the contract of `base.Target`, step by step; the steps have files of their own.

All sessions are kept for the stream, one for each thread at work.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from rowferry.config.stream import SchemaPolicy, WriteMode
from rowferry.connectors import base
from rowferry.connectors.base import PlannedTable, TargetPlan, TargetRequest
from rowferry.connectors.mysql import ddl, finish, follows, journal
from rowferry.connectors.mysql import prepare as structure
from rowferry.connectors.mysql.connect import Access
from rowferry.connectors.mysql.facts import has_database, read_facts, server_facts, with_references
from rowferry.connectors.mysql.limits import declared_column, holds
from rowferry.connectors.mysql.plan import Question, make_plan, target_names
from rowferry.connectors.mysql.pool import Pool
from rowferry.connectors.mysql.refusals import DriverErrors, translated
from rowferry.connectors.mysql.remarks import acting
from rowferry.connectors.mysql.sessions import Session
from rowferry.connectors.mysql.sql import SYSTEM_DATABASES
from rowferry.connectors.mysql.types_write import DIALECT
from rowferry.errors import InvalidInput
from rowferry.model.chunks import Chunk, Committed
from rowferry.model.findings import Finding
from rowferry.model.policies import Holds
from rowferry.model.tables import Column, Table, TableName

if TYPE_CHECKING:
    import pyarrow as pa


def open_target(request: TargetRequest) -> MySqlTarget:
    """A target that has not connected yet."""
    return MySqlTarget(request)


class MySqlTarget:
    """One stream's way into one database."""

    def __init__(self, request: TargetRequest) -> None:
        if request.spec.db is None:
            raise InvalidInput("A MySQL or MariaDB target needs target.spec.db.")
        self._request = request
        self._database = request.spec.db.database
        if request.spec.db.schema_ and request.spec.db.schema_ != self._database:
            raise InvalidInput("A MySQL database has no schemas: leave target.spec.db.schema out.")
        if self._database.lower() in SYSTEM_DATABASES | {journal.DATABASE}:
            raise InvalidInput(f"{self._database} is not a database for tables of one's own: choose another.")
        self._access = Access(request.connection)
        self._pool = Pool(lambda: Session(self._access), "target")

    def journal(self) -> base.Journal | None:
        """What was done for this stream before; nothing where there is no journal yet."""
        with self._session("reading the target's journal") as session:
            return journal.read(session, self._request.stream_id)

    def plan(self, tables: Sequence[Table], dialect: str, prepared: bool) -> TargetPlan:
        """Map the tables, and apply the policies unless the stream was prepared before."""
        stream = self._request.stream_id
        with self._session("planning the target's tables") as session:
            folds = server_facts(session.wire).folds
            names = target_names(tables, folds)
            facts = read_facts(session.wire, self._database, names)
            created = None
            if prepared:
                known = journal.records(session, stream) or {}
                places = {name: str(TableName(self._database, name)) for name in names}
                created = {n for n, place in places.items() if place not in known or known[place].created}
            else:
                facts = facts.without(structure.own_leavings(session, facts, self._database, stream))
                if self._goes_or_is_emptied:
                    facts = with_references(session.wire, facts, self._database, names)
            question = Question(self._request, self._database, dialect, created)
            plan = make_plan(question, tables, facts, session.wire)
            return plan if prepared or not self._request.followed else self._with_triggers(session, plan)

    def _with_triggers(self, session: Session, plan: TargetPlan) -> TargetPlan:
        existing = {table.target.name.name for table in plan.tables if table.existing}
        found = acting(session.wire, self._database, existing) if existing else []
        return replace(plan, findings=(*plan.findings, *found))

    @property
    def _goes_or_is_emptied(self) -> bool:
        """Whether tables that are there may be dropped, or lose their rows."""
        drops = self._request.schema_policy is SchemaPolicy.DROP_AND_RECREATE
        return drops or self._request.write_mode is WriteMode.TRUNCATE_AND_LOAD

    def holds(self, dialect: str) -> Holds:
        """See `Target.holds`."""
        with self._session("planning the target's tables") as session:
            return holds(session.variant, own=dialect == DIALECT)

    def declared(self, types: Collection[str]) -> Mapping[str, Column]:
        """See `Target.declared`."""
        return {one: declared_column(one) for one in types}

    def prepare(self, plan: TargetPlan, fingerprints: Mapping[str, str]) -> None:
        """Make the structure, once for a stream whatever happens in between."""
        with self._session("preparing the target's tables") as session:
            structure.prepare(session, self._request, self._database, plan.tables, fingerprints)

    def begin(self, table: PlannedTable, chunks: Sequence[Chunk]) -> None:
        """Write the chunks down for good."""
        with self._session(f"beginning {table.target.name}") as session:
            journal.begin(session, self._request.stream_id, str(table.target.name), chunks)

    def write(self, table: PlannedTable, chunk: Chunk, batches: Iterator[pa.RecordBatch]) -> Committed:
        """Write one chunk exactly once (`write`)."""
        from rowferry.connectors.mysql.write import Feed, Order, write_chunk  # noqa: PLC0415 - planning needs no Arrow

        order = Order(self._request.stream_id, table, table.target.key if self._request.upserts(table) else ())
        if chunk.at is not None:
            with self._session("completing the target's journal") as session:
                journal.complete(session)
        with self._pool.lease() as session:
            return write_chunk(session, order, chunk, Feed(batches, order, lambda: self._pool.closed))

    def finish_table(self, table: PlannedTable) -> list[Finding]:
        """Everything of a table but its foreign keys."""
        with self._session(f"finishing {table.target.name}") as session:
            early = () if table.existing else structure.early_indexes(table.target, self._request.upserts(table))
            return finish.finish_table(session, table, early)

    def finish(self, tables: Sequence[PlannedTable]) -> list[Finding]:
        """Foreign keys, once the rows of all tables are there."""
        findings: list[Finding] = []
        with self._session("adding foreign keys") as session:
            for table in tables:
                findings += finish.add_foreign_keys(session, table)
            if journal.records(session, self._request.stream_id) is not None:
                journal.finished(session, self._request.stream_id)
        return findings

    def forget(self) -> None:
        """Remove the journal, and what a stream that ended early left: its mark, and tables never prepared."""
        stream = self._request.stream_id
        with closing(Session(self._access)) as session, _translating("removing the target's journal"):
            known = journal.records(session, stream)
            if known is not None:
                follows.end(session, stream)
            if has_database(session.wire, self._database):
                facts = read_facts(session.wire, self._database, ())
                marked = [name for name, one in facts.relations.items() if one.comment == journal.mark(stream)]
                if known is None:
                    marked = structure.own_leavings(session, facts, self._database, stream)
                for name in marked:
                    place = TableName(self._database, name)
                    session.execute(ddl.drop_tables([place]) if known is None else ddl.set_comment(place, ""))
            journal.forget(session, stream)

    def close(self) -> None:
        """End all sessions; a write under way fails and is rolled back."""
        self._pool.close()
        self._access.close()

    @contextmanager
    def _session(self, doing: str) -> Iterator[Session]:
        """A kept session; one that an error came out of is not used again."""
        with self._pool.lease() as session, _translating(doing):
            session.broken = True
            yield session
            session.broken = False


@contextmanager
def _translating(doing: str) -> Iterator[None]:
    try:
        yield
    except DriverErrors as error:
        raise translated(error, doing) from error
