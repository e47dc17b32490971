"""The catalogue's queries as each version of PostgreSQL knows them."""

from __future__ import annotations

import re

import pytest

from rowferry.connectors.postgres import catalog, remarks, structure
from rowferry.connectors.postgres.versions import spelled

QUERIES = (
    catalog.COLUMNS,
    structure.INDEXES,
    structure.CONSTRAINTS,
    remarks.TABLES,
    remarks.COLUMNS,
    remarks.INDEXES,
    remarks.CONSTRAINTS,
)

SINCE = {
    "indnkeyatts": 110000,
    "conparentid": 110000,
    "attgenerated": 120000,
    "tgparentid": 130000,
    "indnullsnotdistinct": 150000,
    "confdelsetcols": 150000,
    "conenforced": 180000,
    "conperiod": 180000,
}
"""Columns of the catalogue, and the first version that has them (by its documentation)."""


@pytest.mark.parametrize("version", [100000, 110000, 120000, 130000, 140000, 150000, 160000, 170000, 180000])
def test_a_server_is_asked_for_nothing_it_does_not_have(version: int) -> None:
    asked = {word for query in QUERIES for word in re.findall(r"\w+", spelled(query, version).decode())}
    assert {column for column in SINCE if column in asked} == {c for c, since in SINCE.items() if since <= version}
    assert not any(b"{" in spelled(query, version) for query in QUERIES)


def test_computed_on_reading_is_known_from_18_on() -> None:
    assert b"attgenerated = 'v'" in spelled(remarks.COLUMNS, 180000)
    assert b"attgenerated = 'v'" not in spelled(remarks.COLUMNS, 170000)
