"""JSON documents of which the log has only what changed, made whole by what they were before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from rowferry.connectors.mysql.binlog import jsonb
from rowferry.connectors.mysql.binlog.cells import Cells, Octets
from rowferry.connectors.mysql.binlog.images import located
from rowferry.connectors.mysql.binlog.jsondiff import applied
from rowferry.connectors.mysql.binlog.plans import Plan
from rowferry.errors import ReadFailed


@dataclass(frozen=True, slots=True)
class Images:
    """Images of rows: where each begins, and which columns they have."""

    begins: Any
    present: Sequence[int]


def whole_documents(
    plan: Plan, octets: Octets, before: Images, after: Images, bits: Sequence[int]
) -> dict[str, pa.Array]:
    """The JSON columns of updated rows, as far as the images after have them; `bits` say which are in part."""
    old, new = _bytes(plan, octets, before), _bytes(plan, octets, after)
    found = {}
    for number, place in enumerate(plan.documents):
        column = plan.slots[place].column
        if column is None or place not in new:
            continue
        partly = [bool(one >> number & 1) for one in bits]
        if any(partly) and place not in old:
            raise ReadFailed(
                f"The log has only what changed in {plan.table.name}.{column.name}, and not what it was before: set "
                "binlog_row_image=FULL at the source, and start a new stream."
            )
        befores: Sequence[bytes | None] = old.get(place, [None] * len(partly))
        try:
            spelled = [_whole(*one) for one in zip(befores, new[place], partly, strict=True)]
        except (ValueError, KeyError, IndexError) as error:
            raise ReadFailed(
                f"What changed in {plan.table.name}.{column.name} does not fit what the log says it was before."
            ) from error
        found[column.name] = pa.array(spelled, pa.string())
    return found


def _bytes(plan: Plan, octets: Octets, images: Images) -> dict[int, list[bytes | None]]:
    """By place, each document as it lies in the log."""
    found = {}
    for one in located(plan, octets, images.begins, images.present):
        slot = plan.slots[one.place]
        if one.place in plan.documents and slot.column is not None:
            found[one.place] = Cells(octets, one.at, one.lengths, one.null, slot.column, slot.log).bytes().to_pylist()
    return found


def _whole(before: bytes | None, after: bytes | None, partly: bool) -> str | None:
    if after is None:
        return None
    if not partly:
        return jsonb.spelled(after)
    if before is None:
        raise ValueError(partly)
    return jsonb.text(applied(jsonb.tree(before), after))
