"""What `base.Target` promises of the stages around the rows, kept by every target."""

from __future__ import annotations

import pytest

from rowferry.errors import Conflict, Refused, RowferryError, TargetExists, TargetNotEmpty
from rowferry.model import types as t
from rowferry.model.chunks import Chunk
from rowferry.model.findings import Severity
from tests.conformance.streams import chunk, export, item, journal_of, prepared, write
from tests.conformance.targets import TargetPlace
from tests.tables import column


def test_before_it_is_prepared_there_is_nothing(target_place: TargetPlace) -> None:
    before = target_place.seen()
    target = target_place.open()
    assert target.journal() is None
    target.forget()
    target.close()
    target.close()
    assert target_place.seen() == before


def test_planning_keeps_the_order_and_writes_nothing(target_place: TargetPlace) -> None:
    before = target_place.seen()
    sources = [item(target_place, name) for name in ("b", "a", "c")]
    target = target_place.open()
    plan = target.plan(sources, "mysql", prepared=False)
    assert [planned.source for planned in plan.tables] == sources
    assert [planned.existing for planned in plan.tables] == [False] * 3
    assert len({planned.target.name for planned in plan.tables}) == 3
    for planned in plan.tables:
        assert len(planned.target.columns) == len(planned.source.columns)
    assert not [finding for finding in plan.findings if finding.severity is Severity.ERROR]
    assert target.journal() is None
    assert target_place.seen() == before


def test_a_type_that_cannot_be_expressed_forbids_the_start(target_place: TargetPlace) -> None:
    source = item(target_place, "a", column("odd", t.Unknown("mysql", "vector(3)")))
    errors = [
        finding
        for finding in target_place.open().plan([item(target_place), source], "mysql", prepared=False).findings
        if finding.severity is Severity.ERROR
    ]
    assert [(finding.table, finding.column) for finding in errors] == [("shop.a", "odd")]


def test_preparing_makes_tables_and_journal(target_place: TargetPlace) -> None:
    target = target_place.open()
    plan = target.plan([item(target_place, "a"), item(target_place, "b")], "mysql", prepared=False)
    marks = {str(planned.target.name): f"mark {number}" for number, planned in enumerate(plan.tables)}
    target.prepare(plan, marks)
    assert [target_place.rows(planned) for planned in plan.tables] == [[], []]
    for each in (target, target_place.open()):
        journal = journal_of(each)
        assert dict(journal.fingerprints) == marks
        assert (dict(journal.chunks), list(journal.committed)) == ({}, [])
    assert target_place.open("stream_2").journal() is None


@pytest.mark.parametrize("policy", ["fail_if_exists", "drop_and_recreate"])
def test_preparing_again_changes_nothing(target_place: TargetPlace, policy: str) -> None:
    target = target_place.open(policy=policy)
    source = item(target_place)
    plan = target.plan([source], "mysql", prepared=False)
    target.prepare(plan, {str(plan.tables[0].target.name): "first"})
    done = write(target, plan.tables[0], [(1, "a")])
    for each in (target, target_place.open(policy=policy)):
        each.prepare(plan, {str(plan.tables[0].target.name): "second"})
    assert target_place.rows(plan.tables[0]) == [(1, "a")]
    assert list(journal_of(target).committed) == [done]
    assert list(journal_of(target).fingerprints.values()) == ["first"]


def test_policies_are_not_applied_to_what_the_stream_prepared(target_place: TargetPlace) -> None:
    [planned] = prepared(target := target_place.open(), item(target_place))
    write(target, planned, [(1, "a")])
    assert target_place.open().plan([planned.source], "mysql", prepared=True).tables == (planned,)


def test_a_table_that_was_kept_is_still_kept_by_the_next_process(target_place: TargetPlace) -> None:
    sources = [item(target_place, "old"), item(target_place, "new")]
    export(target_place.open("earlier"), sources[0], [(1, "a")])
    how = ("later", "create_missing_only", "append")
    first = prepared(target_place.open(*how), *sources)
    assert [planned.existing for planned in first] == [True, False]
    assert target_place.open(*how).plan(sources, "mysql", prepared=True).tables == first


REFUSALS: list[tuple[str, str, type[RowferryError], str]] = [
    ("fail_if_exists", "append", TargetExists, r"\ba\b.*\bb\b"),
    ("create_missing_only", "fail_if_not_empty", TargetNotEmpty, r"\ba\b.*\bb\b"),
    ("validate_existing", "append", Refused, r"\bc\b.*\bd\b"),
]


@pytest.mark.parametrize(("policy", "mode", "error", "named"), REFUSALS, ids=[case[0] for case in REFUSALS])
def test_what_a_policy_forbids_is_named(
    target_place: TargetPlace, policy: str, mode: str, error: type[RowferryError], named: str
) -> None:
    sources = [item(target_place, name) for name in ("a", "b", "c", "d")]
    for number, source in enumerate(sources[:2]):
        export(target_place.open(f"earlier_{number}"), source, [(1, "secret")])
    before = target_place.seen()
    target = target_place.open("later", policy, mode)
    with pytest.raises(error, match=named) as caught:
        target.plan(sources, "mysql", prepared=False)
    assert "secret" not in caught.value.message
    assert target.journal() is None
    assert target_place.seen() == before


OLD, NEW = (1, "old"), (2, "new")


@pytest.mark.parametrize(
    ("policy", "mode", "kept"),
    [
        ("create_missing_only", "append", [OLD, NEW]),
        ("validate_existing", "append", [OLD, NEW]),
        ("create_missing_only", "truncate_and_load", [NEW]),
        ("validate_existing", "truncate_and_load", [NEW]),
        ("drop_and_recreate", "fail_if_not_empty", [NEW]),
        ("drop_and_recreate", "append", [NEW]),
    ],
)
def test_what_becomes_of_rows_that_are_there(
    target_place: TargetPlace, policy: str, mode: str, kept: list[tuple[int, str]]
) -> None:
    source = item(target_place)
    export(target_place.open("earlier"), source, [OLD])
    target = target_place.open("later", policy, mode)
    plan = target.plan([source], "mysql", prepared=False)
    assert plan.tables[0].existing is (policy != "drop_and_recreate")
    assert target_place.rows(plan.tables[0]) == [OLD]
    export(target, source, [NEW])
    assert target_place.rows(plan.tables[0]) == kept


def test_chunks_are_journalled_once(target_place: TargetPlace) -> None:
    target = target_place.open()
    one, two = prepared(target, item(target_place, "one"), item(target_place, "two"))
    key = (2**64 - 1, "k'\n\u00e9\\")
    chunks = [Chunk(one.source.name, 0, None, key), Chunk(one.source.name, 1, key, None)]
    target.begin(one, chunks)
    target.begin(one, chunks)
    target.begin(two, [chunk(two)])
    name = str(one.target.name)
    for each in (target, target_place.open()):
        journal = journal_of(each)
        assert {name: list(held) for name, held in journal.chunks.items()} == {
            name: chunks, str(two.target.name): [chunk(two)],
        }  # fmt: skip
        for others in (chunks[:1], [Chunk(one.source.name, 0)], [*chunks, Chunk(one.source.name, 2)]):
            with pytest.raises(Conflict, match=name):
                each.begin(one, others)
        assert list(journal_of(each).chunks[name]) == chunks


def test_finishing_may_be_repeated(target_place: TargetPlace) -> None:
    target = target_place.open()
    planned = prepared(target, item(target_place, "a"), item(target_place, "b"))
    for each in planned:
        write(target, each, [(1, "a"), (2, "b")])
    for step in (target, target, target_place.open()):
        for each in planned:
            assert step.finish_table(each) == []
        assert step.finish(planned) == []
    assert [target_place.rows(each) for each in planned] == [[(1, "a"), (2, "b")]] * 2


def test_forgetting_leaves_the_tables_and_nothing_else(target_place: TargetPlace) -> None:
    target = target_place.open()
    [planned] = prepared(target, item(target_place))
    target.begin(planned, [chunk(planned)])
    write(target, planned, [(1, "a")])
    assert target_place.traces()
    target.finish_table(planned)
    target.finish([planned])
    target.forget()
    target.forget()
    assert target.journal() is None
    assert target_place.traces() == []
    assert target_place.rows(planned) == [(1, "a")]


def test_a_stream_is_forgotten_for_itself_alone(target_place: TargetPlace) -> None:
    one, two = target_place.open("one"), target_place.open("two")
    [a] = prepared(one, item(target_place, "a"))
    [b] = prepared(two, item(target_place, "b"))
    done = write(two, b, [(1, "b")])
    one.forget()
    assert one.journal() is None
    assert list(journal_of(two).committed) == [done]
    assert write(two, b, [(2, "b")], number=1).rows == 1
    two.forget()
    assert target_place.traces() == []
    assert target_place.rows(a) == []


def test_a_stream_may_be_forgotten_half_way_and_by_a_closed_target(target_place: TargetPlace) -> None:
    target = target_place.open()
    [planned] = prepared(target, item(target_place))
    write(target, planned, [(1, "a")])
    target.close()
    target.forget()
    assert target_place.traces() == []
    assert target_place.open().journal() is None
    assert target_place.rows(planned) == [(1, "a")]


@pytest.mark.parametrize("others", [0, 1], ids=["the only stream", "beside another"])
def test_a_forgotten_stream_writes_no_more(target_place: TargetPlace, others: int) -> None:
    zombie = target_place.open()
    [planned] = prepared(zombie, item(target_place))
    streams = [target_place.open(f"other_{number}") for number in range(others)]
    for other in streams:
        prepared(other, item(target_place, "other"))
    target_place.open().forget()
    with pytest.raises(RowferryError):
        write(zombie, planned, [(1, "late")])
    assert target_place.rows(planned) == []
    for other in streams:
        other.forget()
    assert target_place.traces() == []
