"""What columns of PostgreSQL hold of other engines' values, and which types a config may ask for."""

from __future__ import annotations

import re

import psycopg

from rowferry.connectors.postgres.catalog import Session, query_columns
from rowferry.connectors.postgres.connect import sqlstate
from rowferry.errors import InvalidInput
from rowferry.model.policies import Holds, OddValue
from rowferry.model.tables import Column

_TYPE = re.compile(r"[A-Za-z_][\w ]*(?:\.\w+)?(?:\(\s*\d+\s*(?:,\s*-?\d+\s*)?\))?[A-Za-z ]*(?:\[\])*\Z")
"""A name, a size, words behind it (`with time zone`); nothing that could be another statement."""

_UNKNOWN = ("22", "42")
"""Classes of states that say that there is no such type, or not of that size."""


def holds(own: bool) -> Holds:
    """What the server's columns hold: everything but a NUL character."""
    return Holds(frozenset() if own else frozenset({OddValue.NUL}), own=own)


def declared_column(session: Session, written: str) -> Column:
    """A column of a type as somebody wrote it; InvalidInput when the server does not know it."""
    strange = InvalidInput(f"typeOverrides asks for {written}, which is no type that a column can be given here.")
    if not _TYPE.match(written.strip()):
        raise strange
    try:
        [column] = query_columns(session, f"SELECT NULL::{written.strip()} AS wanted")
    except psycopg.Error as error:
        if (sqlstate(error) or "")[:2] not in _UNKNOWN:
            raise
        raise strange from error
    return column
