"""What a server, a user and tables lack is said at once, each with what mends it; and what mends it does."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from rowferry.config.stream import SourceOptions
from rowferry.connectors.changes import ChangesRequest
from rowferry.connectors.postgres.replication.source import PostgresChanges, open_changes
from rowferry.model.findings import Finding, Severity
from tests.postgres_log.conftest import Log, clean, following
from tests.postgres_source.conftest import connection_to
from tests.servers import Postgres, postgres_server


@pytest.fixture(scope="module")
def bare_server() -> Iterator[Postgres]:
    """A server that is not set up for being followed."""
    with postgres_server("wal_level=replica", "max_replication_slots=0", "max_wal_senders=0") as server:
        yield server


def errors(changes: PostgresChanges, log: Log, *names: str) -> list[Finding]:
    found = changes.prerequisites(log.tables(*names))
    return [finding for finding in found if finding.severity is Severity.ERROR]


def statements(finding: Finding) -> list[str]:
    """What the finding says is to be run."""
    return re.findall(r"((?:ALTER|CREATE|GRANT|SELECT pg_)[^;]*);", finding.message)


def user(log: Log, name: str) -> PostgresChanges:
    """What that user may do; its password is its name."""
    connection = connection_to(log.server, username=name, password=name)
    made = open_changes(ChangesRequest(connection, log.database, None, "s1", SourceOptions()))
    log.opened.append(made)
    return made


def test_nothing_is_missing(log: Log) -> None:
    log.run("CREATE TABLE t (n int PRIMARY KEY)")
    assert log.changes().prerequisites(log.tables("t")) == []
    assert following(log, "t").changes.prerequisites(log.tables("t")) == []


def test_a_server_that_is_not_set_up(bare_server: Postgres) -> None:
    log = Log(bare_server, bare_server.new_database())
    log.run("CREATE TABLE t (n int)")
    found = errors(log.changes(), log, "t")
    assert [statements(finding)[0].split(" = ")[0] for finding in found] == [
        "ALTER SYSTEM SET wal_level",
        "ALTER SYSTEM SET max_replication_slots",
        "ALTER SYSTEM SET max_wal_senders",
        'ALTER TABLE "public"."t" REPLICA IDENTITY FULL',
    ]
    assert "max_replication_slots = 2;" in found[1].message
    assert [finding.table for finding in found] == ["", "", "", "public.t"]
    for finding in found:
        for statement in statements(finding):
            log.run(statement)
    assert [len(statements(finding)) for finding in errors(log.changes(), log, "t")] == [1, 1, 1]
    clean(log)


def test_a_user_who_may_not(log: Log) -> None:
    log.run("CREATE TABLE t (n int PRIMARY KEY)")
    log.run("CREATE ROLE owning", "ALTER TABLE t OWNER TO owning", "CREATE ROLE reader LOGIN PASSWORD 'reader'")
    log.run("GRANT SELECT ON t TO reader")
    try:
        found = errors(user(log, "reader"), log, "t")
        assert [statements(finding)[0] for finding in found] == [
            'ALTER ROLE "reader" REPLICATION',
            f'GRANT CREATE ON DATABASE "{log.database}" TO "reader"',
            'GRANT "owning" TO "reader"',
        ]
        for finding in found:
            log.run(statements(finding)[0])
        changes = user(log, "reader")
        assert errors(changes, log, "t") == []
        changes.prepare(log.tables("t"))
        changes.release()
    finally:
        for one in log.opened:
            one.close()
        log.run("DROP TABLE t", "DROP OWNED BY reader, owning", "DROP ROLE reader, owning")


def test_an_owner_may_make_the_publication(log: Log) -> None:
    log.run("CREATE TABLE t (n int PRIMARY KEY)", "CREATE ROLE reader LOGIN REPLICATION PASSWORD 'reader'")
    log.run(f'GRANT CREATE ON DATABASE "{log.database}" TO reader')
    try:
        [finding] = errors(user(log, "reader"), log, "t")
        log.run(statements(finding)[1])
        assert errors(log.changes(publication_name="rowferry"), log, "t") == []
    finally:
        for one in log.opened:
            one.close()
        log.run("DROP OWNED BY reader", "DROP ROLE reader")


@pytest.mark.parametrize(
    ("declared", "more", "statement"),
    [
        ("n int", "", 'ALTER TABLE "public"."t" REPLICA IDENTITY FULL'),
        ("n int NOT NULL UNIQUE", "", 'ALTER TABLE "public"."t" REPLICA IDENTITY USING INDEX "t_n_key"'),
        (
            "n int PRIMARY KEY",
            "ALTER TABLE t REPLICA IDENTITY NOTHING",
            'ALTER TABLE "public"."t" REPLICA IDENTITY DEFAULT',
        ),
        (
            "n int PRIMARY KEY, m int NOT NULL UNIQUE",
            "ALTER TABLE t REPLICA IDENTITY USING INDEX t_m_key",
            'ALTER TABLE "public"."t" REPLICA IDENTITY DEFAULT',
        ),
        ("n int PRIMARY KEY DEFERRABLE", "", 'ALTER TABLE "public"."t" REPLICA IDENTITY FULL'),
    ],
)
def test_identities(log: Log, declared: str, more: str, statement: str) -> None:
    log.run(f"CREATE TABLE t ({declared})", *([more] if more else []))
    [finding] = errors(log.changes(), log, "t")
    assert statements(finding) == [statement]
    assert (finding.table, finding.severity) == ("public.t", Severity.ERROR)
    assert errors(log.changes(operations=["insert"]), log, "t") == []
    log.run(statement)
    assert errors(log.changes(), log, "t") == []


def test_unlogged_tables_and_parts(log: Log) -> None:
    log.run(
        "CREATE UNLOGGED TABLE u (n int PRIMARY KEY)",
        "CREATE TABLE p (n int) PARTITION BY RANGE (n)",
        "CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10)",
        "CREATE UNLOGGED TABLE p2 PARTITION OF p FOR VALUES FROM (10) TO (20)",
    )
    found = errors(log.changes(), log, "u", "p")
    assert [one for finding in found for one in statements(finding)] == [
        'ALTER TABLE "public"."u" SET LOGGED',
        'ALTER TABLE "public"."p" REPLICA IDENTITY FULL',
        'ALTER TABLE "public"."p1" REPLICA IDENTITY FULL',
        'ALTER TABLE "public"."p2" SET LOGGED',
        'ALTER TABLE "public"."p2" REPLICA IDENTITY FULL',
    ]
    for finding in found:
        log.run(*statements(finding))
    assert errors(log.changes(), log, "u", "p") == []
    follower = following(log, "p")
    log.run("INSERT INTO p VALUES (1), (11)", "DELETE FROM p WHERE n = 1")
    assert [change[1:] for change in follower.rows()] == [
        ("insert", None, {"n": 1}),
        ("insert", None, {"n": 11}),
        ("delete", {"n": 1}, None),
    ]


def test_a_publication_of_the_users(log: Log) -> None:
    log.run("CREATE TABLE a (n int PRIMARY KEY, v int)", "CREATE TABLE b (n int PRIMARY KEY)")
    log.run("CREATE TABLE p (n int PRIMARY KEY) PARTITION BY RANGE (n)")
    [finding] = errors(log.changes(publication_name="Mine"), log, "a", "b", "p")
    assert statements(finding)[0].startswith('CREATE PUBLICATION "Mine" FOR TABLE ONLY "public"."a", ONLY')
    log.run(statements(finding)[0])
    assert errors(log.changes(publication_name="Mine"), log, "a", "b", "p") == []
    log.run("ALTER PUBLICATION \"Mine\" SET (publish = 'insert', publish_via_partition_root = false)")
    log.run('ALTER PUBLICATION "Mine" SET TABLE a WHERE (v > 3), p')
    for _ in range(3):
        for finding in errors(log.changes(publication_name="Mine"), log, "a", "b", "p"):
            log.run(*statements(finding))
    assert errors(log.changes(publication_name="Mine"), log, "a", "b", "p") == []
    narrowed = "SELECT count(*) FROM pg_publication_rel WHERE prqual IS NOT NULL OR prattrs IS NOT NULL"
    assert log.run(narrowed) == [(0,)]


def test_a_column_list_of_the_users(log: Log) -> None:
    log.run("CREATE TABLE a (n int PRIMARY KEY, v int)", 'CREATE PUBLICATION "Mine" FOR TABLE a (n)')
    [finding] = errors(log.changes(publication_name="Mine"), log, "a")
    assert "only some rows or columns" in finding.message
    log.run(*statements(finding))
    assert errors(log.changes(publication_name="Mine"), log, "a") == []


def test_a_slot_of_the_users(log: Log) -> None:
    log.run("CREATE TABLE a (n int PRIMARY KEY)", "SELECT pg_create_logical_replication_slot('other', 'test_decoding')")
    [finding] = errors(log.changes(replication_slot="other"), log, "a")
    assert "not one of pgoutput" in finding.message
    [finding] = errors(log.changes(replication_slot="mine"), log, "a")
    log.run(statements(finding)[0])
    assert errors(log.changes(replication_slot="mine"), log, "a") == []


def test_what_the_log_leaves_out_of_xml_is_a_warning(log: Log) -> None:
    log.run("CREATE TABLE a (n int PRIMARY KEY, x xml)")
    [finding] = log.changes().prerequisites(log.tables("a"))
    assert (finding.severity, finding.table, finding.column) == (Severity.WARNING, "public.a", "x")


def test_a_computed_key(log: Log) -> None:
    log.run("CREATE TABLE a (n int, m int GENERATED ALWAYS AS (n + 1) STORED PRIMARY KEY)")
    found = errors(log.changes(), log, "a")
    assert ["is computed and part of the key" in finding.message for finding in found] == [True]
