"""Other tables from MariaDB to PostgreSQL, beside pgloader: a wide one, documents, and many."""

from __future__ import annotations

from bench.ground import Contestant, Ground
from bench.loader import DATABASE, faster, pgloader
from bench.tables import DOCUMENTS, MANY, WIDE, check_counts, fill_documents, fill_many, fill_wide

MOST = 3
"""How often, at the most: pgloader takes long."""

FEWER = ("--with", "prefetch rows = 10000")
"""What pgloader needs for the larger ones of them."""

WHY = (
    "With its defaults pgloader's heap is exhausted by documents and by many tables, so it read all but the table "
    "`products` with `prefetch rows = 10000`."
)

LEAST = 3.0
"""How many times faster Rowferry should be."""


def wide(ground: Ground) -> None:
    """A table of sixty columns of all sorts."""
    rows = ground.rows // 30
    names = fill_wide(ground.servers, rows)
    _beside_pgloader(ground, WIDE, f"{rows:,} rows of 60 columns", dict.fromkeys(names, rows))


def documents(ground: Ground) -> None:
    """A table of JSON documents of half a kilobyte."""
    rows = ground.rows // 10
    names = fill_documents(ground.servers, rows)
    _beside_pgloader(ground, DOCUMENTS, f"{rows:,} JSON documents", dict.fromkeys(names, rows))


def many(ground: Ground) -> None:
    """Many tables."""
    rows = ground.rows // 300
    names = fill_many(ground.servers, ground.tables, rows)
    _beside_pgloader(ground, MANY, f"{len(names)} tables of {rows:,} rows", dict.fromkeys(names, rows))


def _beside_pgloader(ground: Ground, source: str, what: str, counts: dict[str, int]) -> None:
    both, ours = ground.servers, f"Rowferry, {what}"
    config = ground.ferry.moving(("mariadb", source), ("postgres", "by_rowferry"))
    own = Contestant(
        ours,
        lambda: ground.ferry.run(config),
        lambda: both.fresh_database("by_rowferry"),
        lambda: check_counts(both, "by_rowferry", counts),
    )
    loader = pgloader(ground, source, what, lambda: check_counts(both, DATABASE, counts), *FEWER)
    faster(ground, ground.turns([own, *loader], MOST), what, ours, LEAST)
    if loader and WHY not in ground.results.notes:
        ground.results.notes.append(WHY)
    both.clear()
    both.mariadb.execute(f"DROP DATABASE {source}")
