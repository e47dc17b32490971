"""Statements in the log, as far as they begin and end transactions."""

from __future__ import annotations

import re
from enum import Enum, auto


class Word(Enum):
    """What a statement says about the transaction."""

    BEGIN = auto()
    COMMIT = auto()
    ROLLBACK = auto()
    SAVEPOINT = auto()
    ROLLBACK_TO = auto()
    NOTHING = auto()
    OTHER = auto()


_NAME = r"`?(?P<name>(?:[^`]|``)*?)`?\s*;?\s*\Z"
_WORDS = tuple(
    (re.compile(pattern, re.IGNORECASE | re.DOTALL), word)
    for pattern, word in (
        (r"\s*(?:BEGIN|START\s+TRANSACTION|XA\s+(?:START|BEGIN))\b", Word.BEGIN),
        (r"\s*COMMIT\s*;?\s*\Z", Word.COMMIT),
        (r"\s*ROLLBACK\s*;?\s*\Z", Word.ROLLBACK),
        (r"\s*ROLLBACK\s+(?:WORK\s+)?TO\s+(?:SAVEPOINT\s+)?" + _NAME, Word.ROLLBACK_TO),
        (r"\s*SAVEPOINT\s+" + _NAME, Word.SAVEPOINT),
        (r"\s*(?:RELEASE\s+SAVEPOINT|XA\s+END)\b", Word.NOTHING),
    )
)


def word(text: str) -> tuple[Word, str]:
    """What the statement is, and which savepoint it names."""
    if text == "BEGIN":
        return Word.BEGIN, ""
    for pattern, found in _WORDS:
        match = pattern.match(text)
        if match:
            return found, match.groupdict().get("name") or ""
    return Word.OTHER, ""
