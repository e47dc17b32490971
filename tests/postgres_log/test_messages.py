"""The framing of pgoutput: whatever rows hold is found where it lies; what is cut short is refused, never misread."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rowferry.connectors.postgres.batches import Place
from rowferry.connectors.postgres.replication import messages
from rowferry.connectors.postgres.replication.cells import HEADER, Block, read_rows
from rowferry.connectors.postgres.replication.positions import number, position
from rowferry.connectors.postgres.replication.values import decoded
from rowferry.errors import ReadFailed, SourceChanged
from rowferry.model.changes import Op
from rowferry.model.tables import Column, NativeType, TableName
from rowferry.model.types import Text
from rowferry.typemap.arrow import arrow_schema

Row = list[str | None]
RELATION = 4_000_000_000

values = st.one_of(st.none(), st.text(max_size=30).filter(lambda text: "\0" not in text))


@st.composite
def some_changes(draw: st.DrawFn) -> tuple[int, list[tuple[Op, str, Row, Row]]]:
    """How many columns, and changes: what they do, which old row they tell, the old row and the new one."""
    columns = draw(st.integers(1, 5))
    rows = st.lists(values, min_size=columns, max_size=columns)
    change: st.SearchStrategy[tuple[Op, str, Row, Row]] = st.one_of(
        st.tuples(st.just(Op.INSERT), st.just(""), st.just([]), rows),
        st.tuples(st.just(Op.UPDATE), st.sampled_from(["", "K", "O"]), rows, rows),
        st.tuples(st.just(Op.DELETE), st.sampled_from(["K", "O"]), rows, st.just([])),
    )
    return columns, draw(st.lists(change, min_size=1, max_size=20))


def tuple_of(row: Row) -> bytes:
    def cell(value: str | None) -> bytes:
        return b"n" if value is None else b"t" + struct.pack(">i", len(value.encode())) + value.encode()

    return struct.pack(">h", len(row)) + b"".join(map(cell, row))


def message(op: Op, tag: str, old: Row, new: Row) -> bytes:
    said = bytes(HEADER) + op.name[0].encode() + struct.pack(">I", RELATION)
    said += tag.encode() + tuple_of(old) if tag else b""
    return said + (b"N" + tuple_of(new) if op is not Op.DELETE else b"")


def texts(block: Block, cells: Any) -> list[str | None]:
    column = Column("v", Text(), NativeType("text", "text"))
    found = decoded(block, cells, Place(TableName("s", "t"), column, "here"), arrow_schema([column]).field(0))
    found.validate(full=True)
    return list(found.to_pylist())


@given(some_changes())
def test_values_are_found(made: tuple[int, list[tuple[Op, str, Row, Row]]]) -> None:
    columns, changes = made
    block = Block.of([message(*change) for change in changes])
    assert set(block.relations.tolist()) == {RELATION}
    rows = read_rows(block, np.arange(len(changes)), columns)
    assert rows.ops.tolist() == [op for op, *_ in changes]
    assert rows.told.tolist() == [bool(tag) for _, tag, *_ in changes]
    for at in range(columns):
        assert texts(block, rows.after[at]) == [new[at] if new else None for *_, new in changes]
        if rows.before:
            told = [old[at] if tag else None for _, tag, old, _ in changes]
            assert texts(block, rows.before[at]) == told


@given(some_changes(), st.data())
def test_what_is_cut_short_is_refused(made: tuple[int, list[tuple[Op, str, Row, Row]]], data: st.DataObject) -> None:
    columns, changes = made
    whole = [message(*change) for change in changes]
    which = data.draw(st.integers(0, len(whole) - 1))
    left = data.draw(st.integers(HEADER + 5, len(whole[which]) - 1))
    whole[which] = whole[which][:left]
    with pytest.raises(ReadFailed):
        read_rows(Block.of(whole), np.arange(len(whole)), columns)


@given(some_changes())
def test_another_number_of_columns_is_refused(made: tuple[int, list[tuple[Op, str, Row, Row]]]) -> None:
    columns, changes = made
    with pytest.raises(ReadFailed):
        read_rows(Block.of([message(*change) for change in changes]), np.arange(len(changes)), columns + 1)


def word(text: str) -> bytes:
    return text.encode() + b"\0"


names = st.text(min_size=1, max_size=20).filter(lambda text: "\0" not in text)


@given(names, names, st.lists(st.tuples(names, st.integers(0, 2**32 - 1), st.integers(-1, 2**31 - 1), st.booleans())))
def test_relations(schema: str, name: str, columns: list[tuple[str, int, int, bool]]) -> None:
    said = b"R" + struct.pack(">I", RELATION) + word(schema) + word(name) + b"f" + struct.pack(">H", len(columns))
    for column, kind, modifier, identity in columns:
        said += bytes([identity]) + word(column) + struct.pack(">Ii", kind, modifier)
    found = messages.relation(said)
    assert (found.oid, found.schema, found.name, found.identity) == (RELATION, schema, name, "f")
    assert [(one.name, one.type, one.modifier, one.identity) for one in found.columns] == columns
    for end in range(1, len(said)):
        with pytest.raises(ReadFailed):
            messages.relation(said[:end])


@given(st.binary(max_size=12))
def test_what_is_no_message_is_refused(rest: bytes) -> None:
    for kind, read in ((b"B", messages.begin), (b"C", messages.commit), (b"k", messages.keepalive)):
        with pytest.raises(ReadFailed):
            read(kind + rest)


def test_truncations() -> None:
    said = b"T" + struct.pack(">IB", 2, 3) + struct.pack(">2I", 7, RELATION)
    assert messages.truncate(said) == messages.Truncate((7, RELATION), restart=True)
    assert not messages.truncate(b"T" + struct.pack(">IBI", 1, 1, 7)).restart
    with pytest.raises(ReadFailed):
        messages.truncate(said + b"?")


@given(st.integers(0, 2**64 - 1))
def test_positions(at: int) -> None:
    assert number(position(at)) == at


@pytest.mark.parametrize("text", ["", "0/", "binlog.000001:4", "0/1G", "1/2/3", "0/123456789"])
def test_what_is_no_position(text: str) -> None:
    with pytest.raises(SourceChanged):
        number(text)
