"""What is looked for in rows on their way, on arrays that servers' readers do not always make."""

from __future__ import annotations

import pyarrow as pa
import pytest

from rowferry.connectors.base import PlannedTable
from rowferry.errors import ReadFailed
from rowferry.model import types as t
from rowferry.model.chunks import Chunk
from rowferry.model.policies import Holds, OddValue
from rowferry.model.tables import Column, NativeType, Table, TableName
from rowferry.pipeline.crossing import Crossing

TABLE = Table(TableName("db", "t"), (Column("word", t.Text(), NativeType("text", "text")),))
WITHOUT_NUL = Holds(frozenset({OddValue.NUL}))


@pytest.mark.parametrize("null", [True, False], ids=["under a NULL", "in a value"])
def test_a_nul_character(null: bool) -> None:
    """Bytes under a NULL are nobody's value."""
    words = pa.Array.from_buffers(
        pa.utf8(),
        3,
        [
            pa.py_buffer(bytes([0b101 if null else 0b111])),
            pa.array([0, 1, 3, 4], pa.int32()).buffers()[1],
            pa.py_buffer(b"a\0bc"),
        ],
    )
    crossing = Crossing(PlannedTable(TABLE, TABLE), WITHOUT_NUL)
    batches = iter([pa.RecordBatch.from_arrays([words], names=["word"])])
    if null:
        [sent] = crossing.take(batches, Chunk(TABLE.name, 0))
        assert sent.column("word").to_pylist() == ["a", None, "c"]
        return
    with pytest.raises(ReadFailed, match="NUL"):
        list(crossing.take(batches, Chunk(TABLE.name, 0)))
