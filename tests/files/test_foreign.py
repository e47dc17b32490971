"""Files that somebody else wrote: dialects, types that are told from texts, rows that are malformed."""

from __future__ import annotations

import bz2
import gzip
import json
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from rowferry.config.source_files import SourceCsv
from rowferry.connectors.base import ChunkSize
from rowferry.connectors.files.csv_records import Dialect
from rowferry.connectors.files.parse import Misfit, parsed
from rowferry.errors import ReadFailed, RowferryError
from rowferry.model import types as t
from tests.files.reading import only, read, source

PIECES = ChunkSize(10**6, 1)


def rows_of(base: Path, text: str | bytes, name: str = "t.csv", **csv: Any) -> list[tuple[Any, ...]]:
    (base / name).write_bytes(text.encode() if isinstance(text, str) else text)
    _, rows = only(source(base, **csv))
    return [tuple(row.values()) for row in rows]


@pytest.mark.parametrize(
    "text",
    [
        "id;name;v\n1;a,b;1,5\n2;c;2,5\n",
        "id\tname\tv\n1\ta,b\t1,5\n2\tc\t2,5\n",
        "id|name|v\r\n1|a,b|1,5\r\n2|c|2,5\r\n",
        '\ufeffid,name,v\r\n1,"a,b","1,5"\r\n2,c,"2,5"',
        "id,name,v\r1,'a,b','1,5'\r2,'c','2,5'\r",
        '"id";"name";"v"\n"1";"a,b";"1,5"\n\n"2";"c";"2,5"\n\n',
        '\ufeff"id","name","v"\n1,"a,b","1,5"\n2,c,"2,5"',
    ],
    ids=[
        "semicolons",
        "tabs",
        "bars, CRLF",
        "BOM",
        "CR, single quotes",
        "all quoted, empty lines",
        "BOM, quoted names",
    ],
)
def test_dialects_are_told(tmp_path: Path, text: str) -> None:
    assert rows_of(tmp_path, text) == [(1, "a,b", "1,5"), (2, "c", "2,5")]


def test_a_dialect_that_is_written_is_not_guessed(tmp_path: Path) -> None:
    text = "a~b\n?x~y?~\\N\n"
    assert rows_of(tmp_path, text, delimiter="~", quote="?", nullText="\\N") == [("x~y", None)]
    assert rows_of(tmp_path, text, delimiter="~", quote="?", header=False) == [("a", "b"), ("x~y", "\\N")]
    assert rows_of(tmp_path, "a\u00a7b\n1\u00a7\u00abx\u00a7\ny\u00ab\n", delimiter="\u00a7", quote="\u00ab") == [
        (1, "x\u00a7\ny")
    ]


def test_quotes_line_ends_and_emptiness(tmp_path: Path) -> None:
    text = 'a,b,c\n"x\ny","say ""hi""",\n,"",5" pipe\r\n"q"r,\'s, t \n'
    assert rows_of(tmp_path, text) == [("x\ny", 'say "hi"', None), (None, "", '5" pipe'), ("qr", "'s", " t ")]


def test_without_a_header_columns_are_numbered(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("1,x\n2,y\n")
    table, rows = only(source(tmp_path))
    assert list(table.column_names()) == ["column1", "column2"]
    assert len(rows) == 2
    assert rows_of(tmp_path, "1,x\n2,y\n", header=True) == [(2, "y")]


TEXTS: list[tuple[list[str], t.NeutralType, list[Any]]] = [
    (["1", "-20"], t.Integer(64), [1, -20]),
    (["007", "1"], t.Text(), ["007", "1"]),
    (["0", "+5"], t.Text(), ["0", "+5"]),
    (["9223372036854775808", "1"], t.Decimal(38, 0), [Decimal(9223372036854775808), Decimal(1)]),
    (["1" * 39, "1"], t.Text(), ["1" * 39, "1"]),
    (["1.50", "-2.00"], t.Decimal(38, 2), [Decimal("1.50"), Decimal("-2.00")]),
    (["1.5", "2.25"], t.Float(64), [1.5, 2.25]),
    (["1e10", "2.5"], t.Float(64), [1e10, 2.5]),
    (["0.12345678901234567890", "1.5"], t.Text(), ["0.12345678901234567890", "1.5"]),
    (["true", "FALSE"], t.Boolean(), [True, False]),
    (["t", "f"], t.Text(), ["t", "f"]),
    (["2024-02-29", "0001-01-01"], t.Date(), [date(2024, 2, 29), date(1, 1, 1)]),
    (["2023-02-29", "2024-01-01"], t.Text(), ["2023-02-29", "2024-01-01"]),
    (["0000-00-00", "2024-01-01"], t.Text(), ["0000-00-00", "2024-01-01"]),
    (["23:59:59.5", "00:00:00"], t.Time(), [time(23, 59, 59, 500000), time(0)]),
    (["24:00:00", "00:00:00"], t.Text(), ["24:00:00", "00:00:00"]),
    (["2024-01-01 10:00", "2024-01-01T10:00:00.25"], t.DateTime(),
     [datetime(2024, 1, 1, 10), datetime(2024, 1, 1, 10, 0, 0, 250000)]),
    (["2024-01-01T10:00:00Z", "2024-01-01T10:00:00+02:00"], t.Instant(),
     [datetime(2024, 1, 1, 10, tzinfo=UTC), datetime(2024, 1, 1, 8, tzinfo=UTC)]),
    (["NULL", "1"], t.Text(), ["NULL", "1"]),
    (["0x1F", "1"], t.Text(), ["0x1F", "1"]),
    ([" 1", "2"], t.Text(), [" 1", "2"]),
    (["-0", "1"], t.Text(), ["-0", "1"]),
]  # fmt: skip


@pytest.mark.parametrize(("texts", "kind", "values"), TEXTS, ids=lambda one: str(one)[:40])
def test_types_are_told_from_texts(tmp_path: Path, texts: list[str], kind: t.NeutralType, values: list[Any]) -> None:
    (tmp_path / "t.csv").write_text("name,v\n" + "".join(f"x,{text}\n" for text in texts) + "x,\n")
    table, rows = only(source(tmp_path))
    assert table.column("v").type == kind
    assert [row["v"] for row in rows] == [*values, None]


def long_csv(base: Path, late: str, rows: int = 400_000) -> None:
    """A file whose last but one row is beyond every sample."""
    body = "".join(f"{n},{n}.50,word {n}\n" for n in range(rows))
    at = body.index(f"\n{rows - 2_500},") + 1
    (base / "t.csv").write_text("id,price,word\n" + body[:at] + late + body[at:])


@pytest.mark.parametrize(
    ("late", "column", "reason"),
    [
        ("00012,1.50,x\n", "column id", "whole number"),
        ("x,1.50,x\n", "column id", "whole number"),
        ("12,1.505,x\n", "column price", "decimal"),
        ("12,1.5\n", "line 397502: ", "2 fields, not 3"),
        ("12,1.5,x,y\n", "line 397502: ", "4 fields, not 3"),
        (b"12,1.50,\xff\n".decode("latin-1"), "line 397502: ", "UTF-8"),
    ],
    ids=["leading zeros", "no number", "digits", "too few", "too many", "encoding"],
)
def test_a_late_row_that_does_not_fit_is_named_never_changed(
    tmp_path: Path, late: str, column: str, reason: str
) -> None:
    long_csv(tmp_path, "LATE")
    place = tmp_path / "t.csv"
    place.write_bytes(place.read_bytes().replace(b"LATE", late.encode("latin-1")))
    opened = source(tmp_path)
    [table] = opened.tables([])
    assert [one.type for one in table.columns] == [t.Integer(64), t.Decimal(38, 2), t.Text()]
    with pytest.raises(ReadFailed) as caught:
        read(opened, table, ChunkSize(10**6, 1 << 20))
    said = caught.value.message
    assert "t.csv, line 397502" in said
    assert column in said
    assert reason in said
    assert "00012" not in said
    assert "1.505" not in said
    rejects = tmp_path / "rejects"
    skipping = source(tmp_path, "t.csv", rejects=rejects)
    [table] = skipping.tables([])
    assert read(skipping, table, ChunkSize(10**6, 1 << 20)).num_rows == 400_000
    assert read(skipping, table, ChunkSize(10**6, 1 << 20)).num_rows == 400_000
    assert [(one.rows, one.place) for one in skipping.rejected().values()] == [(1, str(rejects))]
    [entry] = [json.loads(line) for file in rejects.iterdir() for line in file.read_text().splitlines()]
    assert (entry["file"], entry["line"]) == ("t.csv", 397502)
    assert entry["row"] == late.rstrip("\n").replace("\xff", "\\xff")


def test_all_malformed_rows_of_a_block_are_left_out(tmp_path: Path) -> None:
    text = "id,word\n" + "".join(f"{n},w\n" for n in range(100)) + "x,w\n5,w,w\n" + '7,"open\n'
    (tmp_path / "t.csv").write_text(text)
    opened = source(tmp_path, rejects=tmp_path / "kept", delimiter=",", header=True)
    [table] = opened.tables([])
    assert table.column("id").type == t.Text()  # the sample held a word
    assert read(opened, table).num_rows == 101
    [count] = [one.rows for one in opened.rejected().values()]
    assert count == 2


def test_a_field_larger_than_any_block_is_read(tmp_path: Path) -> None:
    huge = 'a"",\n' * 4_000_000
    rows = rows_of(tmp_path, f'id,text\n1,"{huge}"\n2,x\n')
    assert rows == [("1", huge.replace('""', '"')), ("2", "x")]  # no sample is that large


def test_what_is_in_utf16_or_damaged_is_refused_in_words(tmp_path: Path) -> None:
    for content, name, words in [
        ("a,b\n1,2\n".encode("utf-16"), "t.csv", "UTF-16"),
        (b"no gzip", "t.csv.gz", "damaged"),
        (gzip.compress(b"a,b\n1,2\n" * 1000)[:-20], "t.csv.gz", "damaged"),
        (bz2.compress(b"x"), "t.parquet", "no Parquet"),
        (b"", "t.csv", "empty"),
        (b'{"a": 1', "t.json", "no JSON objects"),
        (b"a,a\n1,2\n", "t.csv", "two of one name"),
    ]:
        folder = tmp_path / words.replace(" ", "")
        folder.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)
        opened = source(folder, header=True)
        with pytest.raises(RowferryError, match=words):
            only(opened)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("t.json", '[{"a": 1, "b": "x"}, {"a": 2.5,\n "b": null, "c": {"k": [1.0, 1]}}]'),
        ("t.json", '{"a": 1, "b": "x"}\n{"a": 2.5, "c": {"k": [1.0, 1]}}'),
        ("t.json", ' {"a": 1, "b": "x"}{"a": 2.5, "b": null, "c": {"k": [1.0, 1]}} '),
        ("t.jsonl", '\ufeff{"a": 1, "b": "x"}\r\n\r\n{"a": 2.5, "c": {"k": [1.0, 1]}}\r\n'),
        ("t.ndjson", '{"a":1,"b":"x"}\n{"a":2.5,"b":null,"c":{"k": [1.0, 1]}}'),
    ],
    ids=["array", "lines", "concatenated", "jsonl", "ndjson"],
)
@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gz"])
def test_every_shape_of_json(tmp_path: Path, name: str, text: str, packed: bool) -> None:
    content = gzip.compress(text.encode()) if packed else text.encode()
    (tmp_path / (f"{name}.gz" if packed else name)).write_bytes(content)
    table, rows = only(source(tmp_path))
    assert [one.type for one in table.columns] == [t.Float(64), t.Text(), t.Json()]
    assert rows == [{"a": 1.0, "b": "x", "c": None}, {"a": 2.5, "b": None, "c": '{"k": [1.0, 1]}'}]


JSON_TEXTS: list[tuple[list[str], t.NeutralType, list[Any]]] = [
    (["1", "-2"], t.Integer(64), [1, -2]),
    (["18446744073709551616", "1"], t.Decimal(38, 0), [Decimal(18446744073709551616), Decimal(1)]),
    (["1" * 60, "1"], t.Number(), ["1" * 60, "1"]),
    (["0.1", "1e-7"], t.Float(64), [0.1, 1e-7]),
    (["0.30000000000000004", "1"], t.Float(64), [0.30000000000000004, 1.0]),
    (["0.12345678901234567890", "1"], t.Number(), ["0.12345678901234567890", "1"]),
    (['"12"', '"\\u00e9\\n"'], t.Text(), ["12", "\u00e9\n"]),
    (['"12"', "12"], t.Json(), ['"12"', "12"]),
    (["true", "false"], t.Boolean(), [True, False]),
    (["[1, 2.50]", '{"a": 1, "a": 2}'], t.Json(), ["[1, 2.50]", '{"a": 1, "a": 2}']),
]


@pytest.mark.parametrize(("texts", "kind", "values"), JSON_TEXTS, ids=lambda one: str(one)[:40])
def test_json_values_keep_their_digits(
    tmp_path: Path, texts: list[str], kind: t.NeutralType, values: list[Any]
) -> None:
    (tmp_path / "t.json").write_text("[" + ",".join(f'{{"v": {text}}}' for text in [*texts, "null"]) + "]")
    table, rows = only(source(tmp_path))
    assert table.column("v").type == kind
    assert [row["v"] for row in rows] == [*values, None]


@pytest.mark.parametrize("name", ["t.json", "t.jsonl"])
@pytest.mark.parametrize(
    ("late", "words"),
    [
        ('{"id": "5", "w": "x"}', "column id"),
        ('{"id": 5, "w": 7}', "column w"),
        ('{"id": 5, "w": "x", "new": 1}', "column new"),
        ('{"id": 5, "id": 6, "w": "x"}', "two members of the same name"),
        ("[1]", "no JSON object"),
        ('{"id": 5 "w": "x"}', "no JSON"),
        ('{"id": 5.0, "w": "x"}', "column id"),
    ],
)
def test_a_late_object_that_does_not_fit_is_named(tmp_path: Path, name: str, late: str, words: str) -> None:
    lines = [f'{{"id": {n}, "w": "word {n}"}}' for n in range(25_000)]
    lines.insert(24_900, late)
    lines = [line + " " * 100 for line in lines]
    (tmp_path / name).write_text("\n".join(lines))
    opened = source(tmp_path, rejects=None)
    [table] = opened.tables([])
    with pytest.raises(ReadFailed, match=r"line 24901.*" + words):
        read(opened, table, ChunkSize(10**6, 1 << 20))
    skipping = source(tmp_path, name, rejects=tmp_path / "kept")
    [table] = skipping.tables([])
    assert read(skipping, table, ChunkSize(10**6, 1 << 20)).num_rows == 25_000


def test_parquet_of_others(tmp_path: Path) -> None:
    made = pa.table(
        {
            "u": pa.array([2**64 - 1], pa.uint64()),
            "d": pa.array([Decimal("1.50")], pa.decimal128(10, 2)),
            "s": pa.array(["x"]).dictionary_encode(),
            "l": pa.array([[1, None]], pa.list_(pa.int32())),
            "st": pa.array([{"a": 1.5, "b": date(2024, 1, 1)}]),
            "ns": pa.array([1_000], pa.timestamp("ns")),
            "big": pa.array(["y"], pa.large_string()),
            "n": pa.nulls(1),
            "z": pa.array([0], pa.timestamp("ms", "Europe/Berlin")),
            "f": pa.array([1.5], pa.float16()),
        }
    )
    pq.write_table(made, tmp_path / "t.parquet")
    table, [row] = only(source(tmp_path))
    assert [one.type for one in table.columns] == [
        t.Integer(64, signed=False), t.Decimal(10, 2), t.Text(), t.Json(), t.Json(), t.DateTime(6), t.Text(), t.Text(),
        t.Instant(3), t.Float(32),
    ]  # fmt: skip
    assert list(row.values()) == [
        2**64 - 1, Decimal("1.50"), "x", "[1,null]", '{"a":1.5,"b":"2024-01-01"}', datetime(1970, 1, 1, 0, 0, 0, 1),
        "y", None, datetime(1970, 1, 1, tzinfo=UTC), 1.5,
    ]  # fmt: skip
    pq.write_table(pa.table({"ns": pa.array([1_001], pa.timestamp("ns"))}), tmp_path / "t.parquet")
    with pytest.raises(ReadFailed, match=r"t\.parquet, row group 0, column ns"):
        only(source(tmp_path))


_SIGNS = st.text(alphabet='a1,"\n\r;', max_size=12)


@given(rows=st.lists(st.lists(_SIGNS, min_size=2, max_size=2), min_size=1, max_size=6), cut=st.integers(1, 80))
def test_records_are_cut_where_they_end(rows: list[list[str]], cut: int) -> None:
    quoted = [['"' + field.replace('"', '""') + '"' for field in row] for row in rows]
    text = "".join(",".join(row) + "\n" for row in quoted).encode()
    ends = {0}
    for row in quoted:
        ends.add(max(ends) + len((",".join(row) + "\n").encode()))
    dialect = Dialect()
    assert dialect.end(text[:cut]) == max(end for end in ends if end <= min(cut, len(text)))
    assert [dialect.fields(one.decode()) for one in dialect.records(text)] == rows


@given(data=st.binary(max_size=60).map(lambda one: bytes(b'a,"\n\r'[byte % 5] for byte in one)))
def test_the_quick_way_to_an_end_finds_none_that_the_careful_one_does_not(data: bytes) -> None:
    dialect = Dialect()
    ends, at = {0}, 0
    for record in dialect.records(data):
        at += len(record)
        ends.add(at)
    assert dialect.end(data) in ends


@given(st.one_of(st.text(alphabet="0123456789-.eE+x", max_size=12), st.floats().map(repr), st.integers().map(str)))
def test_a_strict_number_is_spelled_as_its_value(text: str) -> None:
    array = pa.array([text], pa.large_string())
    for kind in (t.Integer(64), t.Decimal(38, 2)):
        try:
            [value] = parsed(array, kind, strict=True).to_pylist()
        except Misfit:
            continue
        assert Decimal(text) == value
        assert not text.lstrip("-").startswith("00")


@pytest.mark.parametrize("kind", [t.Date(), t.DateTime(6)], ids=["date", "datetime"])
@pytest.mark.parametrize("text", ["today", "now", "NaT", "2024", "2024-05", "-0", "+1", "1e3", "12024"])
def test_words_and_years_alone_are_no_dates(text: str, kind: t.NeutralType) -> None:
    with pytest.raises(Misfit):
        parsed(pa.array([text, None], pa.large_string()), kind, strict=True)


@given(st.decimals(allow_nan=False, allow_infinity=False, places=3, min_value=-5, max_value=5).map(str))
def test_small_decimals_are_read_but_a_negative_zero(text: str) -> None:
    array = pa.array([None, text, "1"], pa.large_string())
    if text.startswith("-") and not Decimal(text):
        with pytest.raises(Misfit):
            parsed(array, t.Decimal(38, 3), strict=True)
    else:
        assert parsed(array, t.Decimal(38, 3), strict=True).to_pylist() == [None, Decimal(text), Decimal(1)]


@pytest.mark.parametrize("signs", [{"delimiter": "\n"}, {"delimiter": '"', "quote": '"'}, {"quote": "\0"}])
def test_a_dialect_that_cannot_be_is_refused(signs: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        SourceCsv.model_validate(signs)
