"""A file that is much larger than the memory it may take."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

MOST = 150
"""Megabytes that reading may take."""

MEASURE = """
import resource, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from tests.files.reading import source
from rowferry.connectors.base import ChunkSize
from rowferry.connectors.files.read_csv import CsvForm
import pyarrow.parquet
opened = source(Path(sys.argv[1]))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
[table] = opened.tables([])
rows = 0
for chunk in opened.chunks(table, ChunkSize(10**9, 16 << 20)):
    for batch in opened.read(table, chunk):
        rows += batch.num_rows
print(rows, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10)
"""


@pytest.mark.parametrize("kind", ["csv", "csv.gz", "parquet"])
def test_memory_is_bounded_whatever_the_size(tmp_path: Path, kind: str) -> None:
    line = b'%d,"some words, in ""quotes"" and more of them to make the line long enough",2024-01-01\n'
    lines = {"csv": 3_300_000, "csv.gz": 1_650_000, "parquet": 400_000}[kind]
    if kind == "parquet":
        words = pa.array([f"{n} " + "x" * 700 for n in range(4000)])
        table = pa.table({"w": pa.concat_arrays([words] * (lines // 4000))})
        pq.write_table(table, tmp_path / "t.parquet", row_group_size=lines, use_dictionary=False, compression="zstd")
    else:
        block = b"".join(line % n for n in range(lines // 33))
        with pa.output_stream(str(tmp_path / f"t.{kind}"), compression="gzip" if kind == "csv.gz" else None) as file:
            file.write(b"id,words,day\n")
            for _ in range(33):
                file.write(block)
    root = str(Path(__file__).parents[2])
    line_of = subprocess.run(
        [sys.executable, "-c", MEASURE, str(tmp_path), root], check=True, capture_output=True, text=True
    ).stdout
    rows, grown = map(int, line_of.split())
    assert rows == lines
    assert grown < MOST
