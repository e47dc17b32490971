"""PostgreSQL's catalogue from 10 to 18: what is spelled otherwise in an older server, all in one table.

Queries stand in the words of the newest server, with a name in braces where an older one has none. What versions this
is tested with stands in the tests; for the others the table rests on the documentation of their catalogues (chapter
"System Catalogs" of each version).
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple


class Since(IntEnum):
    """What a server can do, and the first version (`server_version_num`) that can.

    A publication has partitioned tables. Ranges of blocks are read without passing over the others, and a walsender
    tells of transactions that are under way; a transaction's age can end it. A foreign key sets some of its columns
    only; a constraint is over periods, or not enforced.
    """

    PARALLEL_BUILDS = 110000
    COMPUTED_COLUMNS = 120000
    ROOT_PUBLICATIONS = 130000
    BLOCK_RANGES = 140000
    TOLD_UNDER_WAY = 140000
    SET_COLUMNS = 150000
    TRANSACTION_TIMEOUT = 170000
    CONSTRAINTS_OF_18 = 180000


class _Spelling(NamedTuple):
    since: int
    new: str
    old: str


_SPELLINGS = {
    "index_keys": _Spelling(110000, "i.indnkeyatts", "i.indnatts"),
    "of_no_partition": _Spelling(110000, "c.conparentid = 0", "true"),
    "trigger_of_no_partition": _Spelling(130000, "g.tgparentid = 0", "true"),
    "generated": _Spelling(120000, "a.attgenerated <> ''", "false"),
    "virtual": _Spelling(180000, "a.attgenerated = 'v'", "false"),
    "publishes_truncate": _Spelling(110000, "pubtruncate", "true"),
    "publishes_root": _Spelling(130000, "pubviaroot", "true"),
    "narrowed": _Spelling(150000, "r.prqual IS NOT NULL OR r.prattrs IS NOT NULL", "false"),
    "slot_lost": _Spelling(130000, "coalesce(wal_status = 'lost', false)", "false"),
    "nulls_equal": _Spelling(150000, "i.indnullsnotdistinct", "false"),
    "set_columns": _Spelling(150000, "c.confdelsetcols", "NULL::int2[]"),
    "enforced": _Spelling(180000, "c.conenforced", "true"),
    "periods": _Spelling(180000, "c.conperiod", "false"),
    "routine": _Spelling(
        110000,
        "CASE p.prokind WHEN 'p' THEN 'procedure' WHEN 'a' THEN 'aggregate' ELSE 'function' END",
        "CASE WHEN p.proisagg THEN 'aggregate' ELSE 'function' END",
    ),
}
"""Since which `server_version_num` a part of a query can be said, and what stands in its place before.

PostgreSQL 18 lists NOT NULL among the constraints (contype 'n'); queries name the kinds that they want. `attidentity`,
`relispartition` and `pg_sequence` are there since 10, the oldest server that is meant.
"""


def spelled(query: str, version: int) -> bytes:
    """The query as a server of that version (`server_version_num`) understands it."""
    return query.format(
        **{name: one.new if version >= one.since else one.old for name, one in _SPELLINGS.items()}
    ).encode()
