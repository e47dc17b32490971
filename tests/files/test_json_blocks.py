"""Blocks of JSON Lines read all at once, beside the same lines read one by one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rowferry.connectors.base import ChunkSize
from rowferry.connectors.files.json_blocks import NotPlain, members_of, texts_of
from rowferry.connectors.files.read_json import members, scan, take_of
from rowferry.errors import ReadFailed
from rowferry.model import types as t
from rowferry.model.tables import Column, NativeType
from tests.files.reading import read, source

KINDS: dict[str, t.NeutralType] = {"i": t.Integer(64), "w": t.Text(), "f": t.Float(64), "d": t.Json()}
NATIVE = NativeType("x", "x")
COLUMNS = [Column(name, kind, NATIVE) for name, kind in KINDS.items()]
NAMES = ["unwanted", *KINDS]


def one_by_one(block: bytes, strict: bool) -> list[list[str | None]] | None:
    """The columns' texts; None where a line is not one that can be read."""
    rows = []
    for raw in block.split(b"\n"):
        if not raw.strip():
            continue
        try:
            text = raw.decode()
            found, end = members(text, len(text) - len(text.lstrip(" \t\r\n")), exact=not strict)
            if text[end:].strip(" \t\r\n") or not set(NAMES).issuperset(found):
                return None
            rows.append([_taken(found.get(one.name), one, strict) for one in COLUMNS])
        except ValueError:
            return None
    return [[row[at] for row in rows] for at in range(len(COLUMNS))]


def _taken(spelled: str | None, column: Column, strict: bool) -> str | None:
    return None if spelled is None else take_of(column.type, strict, own=not strict)(spelled)


def at_once(block: bytes, strict: bool) -> list[list[str | None]]:
    texts: Sequence[pa.Array] = texts_of(members_of(block, NAMES, scan), COLUMNS, [strict] * len(COLUMNS), NAMES)
    for one in texts:
        one.validate(full=True)
    return [one.to_pylist() for one in texts]


BLANKS = st.sampled_from(["", "", "", " ", "  ", "\t", " \r"])
STRINGS = st.one_of(
    st.text(max_size=6).map(json.dumps),
    st.text(alphabet='ab"{}[]:,\\\u00e9\u0001\n', max_size=6).map(lambda one: json.dumps(one, ensure_ascii=False)),
    st.text(alphabet='ab"{}[]:,\\\u00e9\t', max_size=6).map(lambda one: f'"{one}"'),
)
NUMBERS = st.one_of(
    st.integers().map(str),
    st.floats(allow_nan=True).map(repr),
    st.text(alphabet="01.-+eE", min_size=1, max_size=5),
    st.sampled_from(["NaN", '"NaN"', '"-Infinity"', "-Infinity", "null", "true", "nul", "0x10"]),
)
DOCUMENTS = st.one_of(
    st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=3)),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
        max_leaves=5,
    ).map(json.dumps),
    st.text(alphabet='{}[],:"1a ', max_size=8),
)
NAMED = st.sampled_from(['"i"', '"w"', '"f"', '"d"', '"unwanted"', '"new"', '"\\u0069"', "i"])
MEMBERS = st.tuples(BLANKS, NAMED, BLANKS, BLANKS, st.one_of(STRINGS, NUMBERS, DOCUMENTS), BLANKS).map(
    lambda one: f"{one[0]}{one[1]}{one[2]}:{one[3]}{one[4]}{one[5]}"
)
FITTING = st.fixed_dictionaries(
    {},
    optional={'"i"': st.integers().map(str), '"w"': STRINGS, '"f"': NUMBERS, '"d"': DOCUMENTS, '"unwanted"': STRINGS},
).map(lambda one: ",".join(f"{name}:{value}" for name, value in one.items()))
LINES = st.tuples(BLANKS, st.one_of(FITTING, st.lists(MEMBERS, max_size=3).map(",".join)), BLANKS).map(
    lambda one: f"{one[0]}{{{one[1]}}}{one[2]}"
)


@given(
    lines=st.lists(st.one_of(LINES, st.text(alphabet='{}":,1\\\n', max_size=8)), min_size=1, max_size=4),
    strict=st.booleans(),
)
@example(lines=['{"d":[1,', " 2]}"], strict=True)
@example(lines=['{"w":"a\\\\"}', '{"w":"\\\\\\""}'], strict=True)
@example(lines=['{"i":null }'], strict=False)
@example(lines=['{"i":0,"unwanted":"","d":null}'], strict=False)
@example(lines=['{"i":1}}', '{{"i":1}'], strict=False)
def test_at_once_is_as_one_by_one_or_not_at_all(lines: list[str], strict: bool) -> None:
    block = "\n".join(lines).encode("utf-8", "surrogatepass")
    try:
        found = at_once(block, strict)
    except NotPlain:
        return
    assert found == one_by_one(block, strict)


PLAIN = st.fixed_dictionaries(
    {},
    optional={
        "i": st.one_of(st.none(), st.integers()),
        "w": st.one_of(st.none(), st.text(max_size=8)),
        "f": st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False)),
        "d": st.one_of(
            st.integers(), st.lists(st.text(max_size=4)), st.dictionaries(st.text(max_size=3), st.integers())
        ),
    },
).filter(bool)


@given(rows=st.lists(PLAIN, min_size=1, max_size=5), ascii_only=st.booleans())
def test_what_a_json_writer_writes_is_read_at_once(rows: list[dict[str, Any]], ascii_only: bool) -> None:
    block = "".join(json.dumps(row, ensure_ascii=ascii_only) + "\n" for row in rows).encode()
    found = at_once(block, strict=True)
    assert found == one_by_one(block, strict=True)
    assert [None if one is None else json.loads(one) for one in found[3]] == [row.get("d") for row in rows]
    assert found[1] == [row.get("w") for row in rows]


@pytest.mark.parametrize(
    "block",
    [
        b"",
        b"\n",
        b"{}\n",
        b'{"i":1}\n\n{"i":2}\n',
        b'{"new":1}\n',
        b'{"i":1,"i":2}\n',
        b'{"w":"\xff"}\n',
        b'{"w":"a\nb"}\n',
        b'{"w":"\\x"}\n',
        b'{"i":1\x00}\n',
        b'{"i":01}\n',
        b'x{"i":1}\n',
        b'{"i":1}x\n',
        b'[{"i":1}]\n',
        b'{"d":[1,\n2]}\n',
    ],
)
def test_what_is_not_plain_is_left_to_the_careful_way(block: bytes) -> None:
    with pytest.raises(NotPlain):
        at_once(block, strict=True)


def test_a_chunk_in_the_middle_knows_its_lines_when_a_row_is_refused(tmp_path: Path) -> None:
    lines = [f'{{"id": {n}, "w": "{"x" * 100}"}}' for n in range(200_000)]
    lines[150_000] = '{"id": "word", "w": ""}'
    (tmp_path / "t.jsonl").write_text("\n".join(lines))
    opened = source(tmp_path)
    [table] = opened.tables([])
    assert table.column("id").type == t.Integer(64)
    with pytest.raises(ReadFailed, match="line 150001, column id"):
        read(opened, table, ChunkSize(10**6, 1 << 20))
