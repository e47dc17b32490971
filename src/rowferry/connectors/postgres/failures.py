"""What went wrong while writing, in our words: names of tables, columns and constraints, never a value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import psycopg

from rowferry.connectors.postgres.connect import sentence, translate
from rowferry.errors import MissingTable, Refused, RowferryError, TargetExists, TargetFull, WriteFailed

_WRITING: Mapping[str, tuple[type[RowferryError], str]] = {
    "22021": (WriteFailed, "a text holds a NUL character, which PostgreSQL cannot store: remove it in a query"),
    "22P05": (WriteFailed, "a text holds a character (such as \\u0000 in JSON) that the target cannot store"),
    "22001": (WriteFailed, "a text is longer than its column"),
    "22003": (WriteFailed, "a number is out of its column's range"),
    "22007": (WriteFailed, "a date or time is not one that PostgreSQL knows"),
    "22008": (WriteFailed, "a date or time is out of PostgreSQL's range"),
    "22P02": (WriteFailed, "a value is not of its column's type"),
    "22P03": (WriteFailed, "a value is not of its column's type"),
    "23502": (WriteFailed, "a value is NULL in a column that forbids it"),
    "23503": (WriteFailed, "a row refers to a row that is not on the target"),
    "23505": (
        WriteFailed,
        "a row has the key of one that is on the target already: choose upsert, or remove it",
    ),
    "23514": (WriteFailed, "a row breaks a check constraint"),
    "23P01": (WriteFailed, "a row meets another one in an exclusion constraint"),
    "428C9": (WriteFailed, "the target computes a column itself"),
    "42P01": (MissingTable, "the table is no longer on the target"),
    "2BP01": (WriteFailed, "views or others depend on a column that has to go: drop them, and resume"),
    "3F000": (MissingTable, "the table's schema is no longer on the target"),
    "42703": (MissingTable, "a column is no longer on the target"),
    "53100": (TargetFull, "the PostgreSQL server's disk is full"),
}
"""By SQLSTATE; what is not here, `connect.translate` knows."""

_PREPARING: Mapping[str, tuple[type[RowferryError], str]] = {
    "2BP01": (
        Refused,
        "other tables or views depend on a table that has to be dropped: drop them, or choose another schemaPolicy",
    ),
    "0A000": (
        Refused,
        "other tables refer to a table that has to be emptied: add them to the stream, or choose append",
    ),
    "42P07": (TargetExists, "somebody has created one of the tables meanwhile"),
    "53100": (TargetFull, "the PostgreSQL server's disk is full"),
}


def while_writing(error: psycopg.Error, doing: str, columns: Iterable[str]) -> RowferryError:
    """A driver's error out of a chunk."""
    known = _WRITING.get(error.sqlstate or "")
    if known is None:
        return translate(error, doing, WriteFailed)
    kind, meaning = known
    return kind(sentence(meaning, f"{doing}{_where(error, list(columns))}"))


def while_preparing(error: psycopg.Error, doing: str) -> RowferryError:
    """A driver's error out of the making, dropping or emptying of tables."""
    known = _PREPARING.get(error.sqlstate or "")
    if known is None:
        return translate(error, doing, WriteFailed)
    kind, meaning = known
    return kind(sentence(meaning, doing))


def reason(error: psycopg.Error) -> str:
    """Why a part of the structure was not taken, for a finding; the server's words only where they hold no value."""
    message = translate(error, "x").message.replace(", while x", "").rstrip(".")
    return message if message.startswith("PostgreSQL") else message[:1].lower() + message[1:]


def _where(error: psycopg.Error, columns: list[str]) -> str:
    """The column and the constraint as far as the server names them."""
    said = error.diag
    column = said.column_name or _column_of(said.context or "", columns)
    parts = [f"column {column}" if column else "", f"constraint {said.constraint_name}" if said.constraint_name else ""]
    named = ", ".join(part for part in parts if part)
    return f" ({named})" if named else ""


def _column_of(context: str, columns: list[str]) -> str | None:
    """The column in "COPY t, line 1, column c: …"; the rest of that line may hold a value and is not looked at."""
    found = [name for name in columns if f", column {name}:" in context or f", column {name}\n" in f"{context}\n"]
    return max(found, key=len, default=None)
