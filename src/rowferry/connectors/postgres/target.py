"""PostgreSQL as a target: the contract of `base.Target`, step by step; the steps themselves have files of their own.

The session that plans and prepares is short-lived. Chunks are written on sessions that are kept for the
stream, one for each thread at work.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import psycopg

from rowferry.connectors import base
from rowferry.connectors.base import PlannedTable, TargetPlan, TargetRequest
from rowferry.connectors.postgres import finish, journal
from rowferry.connectors.postgres import prepare as structure
from rowferry.connectors.postgres.connect import PATIENT, connect, translate
from rowferry.connectors.postgres.facts import Facts, Session, open_database, read_facts
from rowferry.connectors.postgres.limits import declared_column, holds
from rowferry.connectors.postgres.plan import Question, make_plan, target_names
from rowferry.connectors.postgres.pool import Sessions
from rowferry.connectors.postgres.types_write import DIALECT
from rowferry.errors import InvalidInput, RowferryError, WriteFailed
from rowferry.model.chunks import Chunk, Committed
from rowferry.model.findings import Finding
from rowferry.model.policies import Holds
from rowferry.model.tables import Column, Table, TableName

if TYPE_CHECKING:
    import pyarrow as pa

DEFAULT_SCHEMA = "public"


def open_target(request: TargetRequest) -> PostgresTarget:
    """A target that has not connected yet."""
    return PostgresTarget(request)


class PostgresTarget:
    """One stream's way into one schema of a database."""

    def __init__(self, request: TargetRequest) -> None:
        if request.spec.db is None:
            raise InvalidInput("A PostgreSQL target needs target.spec.db.")
        self._request = request
        self._database = request.spec.db.database
        self._schema = request.spec.db.schema_ or DEFAULT_SCHEMA
        self._sessions: Sessions[Session] = Sessions(self._open, lambda session: session.cancel_safe(timeout=5))

    def journal(self) -> base.Journal | None:
        """What was done for this stream before; nothing where there is no database yet."""
        with self._looking("reading the target's journal") as (session, there):
            return journal.read(session, self._request.stream_id) if there else None

    def plan(self, tables: Sequence[Table], dialect: str, prepared: bool) -> TargetPlan:
        """Map the tables, and apply the policies unless the stream was prepared before."""
        with self._looking("planning the target's tables") as (session, there):
            facts = read_facts(session, self._schema, target_names(tables)) if there else Facts(False, False)
            known = journal.records(session, self._request.stream_id) if there and prepared else None
            created = None
            if prepared:
                names = {TableName(self._schema, name) for name in target_names(tables)}
                created = {
                    name.name for name in names if known is None or (r := known.get(str(name))) is None or r.created
                }
            return make_plan(Question(self._request, self._schema, dialect, created), tables, facts, session)

    def holds(self, dialect: str) -> Holds:
        """See `Target.holds`."""
        return holds(own=dialect == DIALECT)

    def declared(self, types: Collection[str]) -> Mapping[str, Column]:
        """See `Target.declared`; the server knows its types."""
        with self._looking("looking types up") as (session, _):
            return {one: declared_column(session, one) for one in types}

    def prepare(self, plan: TargetPlan, fingerprints: Mapping[str, str]) -> None:
        """Make the structure, once for a stream whatever happens in between."""
        structure.ensure_database(self._request, self._database)
        with self._session("preparing the target's tables") as session:
            structure.prepare(session, self._request, self._schema, plan.tables, fingerprints)

    def begin(self, table: PlannedTable, chunks: Sequence[Chunk]) -> None:
        """Write the chunks down for good."""
        with self._session(f"beginning {table.target.name}") as session:
            journal.begin(session, self._request.stream_id, str(table.target.name), chunks)

    def write(self, table: PlannedTable, chunk: Chunk, batches: Iterator[pa.RecordBatch]) -> Committed:
        """Write one chunk exactly once (`write`)."""
        from rowferry.connectors.postgres.write import Feed, Order, write_chunk  # noqa: PLC0415 - planning needs no Arrow

        order = Order(self._request.stream_id, table, table.target.key if self._request.upserts(table) else ())
        with self._sessions.borrowed() as session:
            return write_chunk(session, order, chunk, Feed(batches, lambda: self._sessions.closed))

    def finish_table(self, table: PlannedTable) -> list[Finding]:
        """Everything of a table but its foreign keys."""
        with self._session(f"finishing {table.target.name}") as session:
            return finish.finish_table(session, table)

    def finish(self, tables: Sequence[PlannedTable]) -> list[Finding]:
        """Foreign keys, and a last commit that waits for the disk and so covers all before it."""
        findings: list[Finding] = []
        stream = self._request.stream_id
        with self._session("adding foreign keys") as session:
            known = journal.records(session, stream) or {}
            for table in tables:
                findings += finish.make_unlogged(session, table)
            for table in tables:
                findings += finish.add_foreign_keys(session, table)
                record = known.get(str(table.target.name))
                if record is not None and record.suspended:
                    findings += finish.restore_foreign_keys(session, table.target.name, record.suspended)
                    journal.resumed(session, stream, str(table.target.name))
            if known:
                journal.finished(session, stream)
        return findings

    def forget(self) -> None:
        """Remove the journal; foreign keys that a stream which ended early had taken off come back first."""
        with self._looking("removing the target's journal") as (session, there):
            if not there:
                return
            for name, record in (journal.records(session, self._request.stream_id) or {}).items():
                if record.suspended:
                    place = TableName(self._schema, name.removeprefix(f"{self._schema}."))
                    finish.restore_foreign_keys(session, place, record.suspended, valid=False)
            journal.forget(session, self._request.stream_id)

    def close(self) -> None:
        """End all sessions; a write under way fails and is rolled back."""
        self._sessions.close()

    def _open(self) -> Session:
        session = connect(self._request.connection, self._database)
        session.execute(PATIENT)
        return session

    @contextmanager
    def _looking(self, doing: str) -> Iterator[tuple[Session, bool]]:
        """A session of its own, beside the database where that does not exist yet (False)."""
        session, there = open_database(self._request.connection, self._database)
        with _translating(doing), session:
            yield session, there

    @contextmanager
    def _session(self, doing: str) -> Iterator[Session]:
        """A kept session."""
        with self._sessions.borrowed() as session, _translating(doing):
            yield session


@contextmanager
def _translating(doing: str) -> Iterator[None]:
    try:
        yield
    except RowferryError:
        raise
    except psycopg.Error as error:
        raise translate(error, doing, WriteFailed) from error
