"""What a batch of changes came to: of all that happened to a key, what there is in the end.

A change speaks of one key or, where an update changed it, of two: the old one is then gone, and the new one there.
The last word about each key counts. An update may leave columns unsaid, since they did not change; their values are
those of the last word before it that said them, and where the batch has none, the target's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from rowferry.connectors.base import PlannedTable
from rowferry.connectors.changes import Merge, RowChanges
from rowferry.model.changes import Op

Numbers = NDArray[np.int64]
Flags = NDArray[np.bool_]


def collapse(table: PlannedTable, changes: RowChanges) -> Merge | None:
    """The changes as one merge by the table's key; None where they have to be replayed in their order.

    That is so without a key, and where a key was changed by an update that leaves columns unsaid.
    """
    key = table.source.key
    if not key or set(changes.identity) != set(key):
        return None
    ops = np.asarray(changes.ops)
    if changes.before is None or bool((ops == Op.INSERT).all()):
        return _inserts(table, key, changes)
    words = _words(key, changes, ops)
    if words is None:
        return None
    last = words.last()
    gone, there = words.gone[last], ~words.gone[last]
    rows = words.change[last]
    deletes = changes.before.take(pa.array(rows[gone])).select(list(key)) if gone.any() else None
    if changes.image is None:
        upserts = changes.after.take(pa.array(rows[there])) if there.any() else None
        return Merge(table, key, deletes, upserts)
    upserts, updates = _completed(changes, key, words, last[there])
    return Merge(table, key, deletes, upserts, updates)


def only(changes: RowChanges, ops: Sequence[Op]) -> RowChanges | None:
    """The changes of these kinds; None when there are none."""
    wanted = pc.is_in(changes.ops, pa.array([int(op) for op in ops], changes.ops.type))
    if pc.all(wanted).as_py():
        return changes
    return None if not pc.any(wanted).as_py() else _filtered(changes, wanted)


def runs(batch: Sequence[RowChanges]) -> Iterator[RowChanges]:
    """The changes of several tables in the one order in which they happened, cut where the table changes."""
    if len(batch) == 1:
        yield batch[0]
        return
    ordinals = np.concatenate([np.asarray(one.ordinals) for one in batch])
    owners = np.repeat(np.arange(len(batch)), [len(one.ops) for one in batch])
    owners = owners[np.argsort(ordinals, kind="stable")]
    cuts = [0, *(np.flatnonzero(np.diff(owners)) + 1), len(owners)]
    taken = [0] * len(batch)
    for first, end in pairwise(cuts):
        owner = int(owners[first])
        start, taken[owner] = taken[owner], taken[owner] + int(end - first)
        yield _sliced(batch[owner], start, int(end - first))


@dataclass(frozen=True)
class _Words:
    """What changes say about keys, in their order: about which key, in which change, and whether it is gone."""

    key: Numbers
    change: Numbers
    gone: Flags

    def last(self) -> Numbers:
        """The places of the last word about each key, in the order in which they stand."""
        _, reverse = np.unique(self.key[::-1], return_index=True)
        return np.sort(len(self.key) - 1 - reverse)


def _inserts(table: PlannedTable, key: tuple[str, ...], changes: RowChanges) -> Merge:
    (codes,) = _codes([changes.after], key)
    words = _Words(codes, np.arange(len(codes)), np.zeros(len(codes), np.bool_))
    last = words.last()
    if len(last) == len(codes):
        return Merge(table, key, upserts=changes.after, new=True)
    return Merge(table, key, upserts=changes.after.take(pa.array(last)))


def _words(key: tuple[str, ...], changes: RowChanges, ops: NDArray[np.uint8]) -> _Words | None:
    """None when a key was changed by an update that does not say the whole row."""
    if changes.before is None:
        raise ValueError("changes without what was before are inserts")
    before, after = _codes([changes.before, changes.after], key)
    updates = ops == Op.UPDATE
    moved = updates & (before != after)
    if changes.image is not None and bool((moved & (np.asarray(changes.image) >= 0)).any()):
        return None
    count = np.arange(len(ops))
    gone, there = moved | (ops == Op.DELETE), ops != Op.DELETE
    codes = np.concatenate([before[gone], after[there]])
    change = np.concatenate([count[gone], count[there]])
    left = np.concatenate([np.ones(int(gone.sum()), np.bool_), np.zeros(int(there.sum()), np.bool_)])
    order = np.argsort(2 * change + ~left, kind="stable")
    return _Words(codes[order], change[order], left[order])


def _codes(batches: Sequence[pa.RecordBatch], key: tuple[str, ...]) -> list[Numbers]:
    """A number for each row, the same for the same key wherever it stands."""
    codes = np.zeros(sum(batch.num_rows for batch in batches), np.int64)
    for name in key:
        column = pa.chunked_array([batch.column(name) for batch in batches]).combine_chunks()
        parts = column.dictionary_encode(null_encoding="encode")
        indices = np.asarray(parts.indices, np.int64)
        codes = codes * len(parts.dictionary) + indices
        if len(key) > 1:
            _, codes = np.unique(codes, return_inverse=True)
    return np.split(codes, np.cumsum([batch.num_rows for batch in batches])[:-1])


def _completed(
    changes: RowChanges, key: tuple[str, ...], words: _Words, last: Numbers
) -> tuple[pa.RecordBatch | None, list[pa.RecordBatch]]:
    """The rows that are there at the end, those that are known as a whole and the others by what is known of them."""
    names = changes.after.schema.names
    order = np.argsort(words.key, kind="stable")
    starts = _starts(words, order)
    image = np.asarray(changes.image)[words.change]
    sources = {}
    for name in names:
        said = np.array([name in known for known in changes.images] + [True])
        sources[name] = _last_said(order, starts, ~words.gone & said[image])[last]
    known = np.column_stack([sources[name] >= 0 for name in names])
    whole: Flags = np.asarray(known.all(axis=1))
    upserts = _rows(changes.after, words, sources, whole, names)
    patterns, belongs = np.unique(known[~whole], axis=0, return_inverse=True)
    partial = np.flatnonzero(~whole)
    updates = []
    for number, pattern in enumerate(patterns):
        chosen = np.zeros(len(last), np.bool_)
        chosen[partial[belongs.reshape(-1) == number]] = True
        columns = [name for name, there in zip(names, pattern, strict=True) if there]
        if set(columns) - set(key):
            found = _rows(changes.after, words, sources, chosen, columns)
            updates += [] if found is None else [found]
    return upserts, updates


def _starts(words: _Words, order: Numbers) -> Numbers:
    """For each word, sorted by key, the place of the first one that still counts: the key's first, or after it went."""
    key, gone = words.key[order], words.gone[order]
    place = np.arange(len(order))
    begins = np.ones(len(order), np.bool_)
    begins[1:] = (key[1:] != key[:-1]) | gone[:-1]
    return np.maximum.accumulate(np.where(begins, place, 0))


def _last_said(order: Numbers, starts: Numbers, said: Flags) -> Numbers:
    """For each word the last one up to it, about the same key, that says a column; -1 where none does."""
    place = np.arange(len(order))
    latest = np.maximum.accumulate(np.where(said[order], place, -1))
    found = np.where(latest >= starts, order[np.maximum(latest, 0)], -1)
    back = np.empty_like(found)
    back[order] = found
    return back


def _rows(
    after: pa.RecordBatch, words: _Words, sources: dict[str, Numbers], chosen: Flags, columns: Sequence[str]
) -> pa.RecordBatch | None:
    if not chosen.any():
        return None
    arrays = [after.column(name).take(pa.array(words.change[sources[name][chosen]])) for name in columns]
    return pa.RecordBatch.from_arrays(arrays, schema=pa.schema([after.schema.field(name) for name in columns]))


def _filtered(changes: RowChanges, wanted: pa.Array) -> RowChanges:
    return changes.taken(lambda column: column.filter(wanted))


def _sliced(changes: RowChanges, first: int, count: int) -> RowChanges:
    if first == 0 and count == len(changes.ops):
        return changes
    return changes.taken(lambda column: column.slice(first, count))
