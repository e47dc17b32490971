"""A statement's words, one after another."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from rowferry.connectors.mysql.columns import unquoted

_EXECUTED = re.compile(r"/\*M?!\d*(.*?)\*/", re.DOTALL)
"""What looks like a comment and is none, for the servers that it is meant for."""

_WORD = re.compile(
    r"""(?P<nothing>\s+|/\*.*?\*/|\#[^\n]*|--(?:\s[^\n]*|\Z))
    |(?P<name>`(?:[^`]|``)*`)
    |(?P<text>'(?:[^'\\]|''|\\.)*'|"(?:[^"\\]|""|\\.)*")
    |(?P<word>[\w$@]+)
    |(?P<sign>.)""",
    re.DOTALL | re.VERBOSE,
)
_OPEN, _CLOSE = "(", ")"


@dataclass(frozen=True, slots=True)
class Token:
    """A word, a number, a sign, or what stands in quotes."""

    text: str
    quoted: bool = False


def tokens(text: str) -> list[Token]:
    """The words of a statement, without its comments."""
    return [
        Token(_content(found[0]), quoted=found.lastgroup in ("name", "text"))
        for found in _WORD.finditer(_EXECUTED.sub(r" \1 ", text))
        if found.lastgroup != "nothing"
    ]


def _content(written: str) -> str:
    if written[0] == "`":
        return written[1:-1].replace("``", "`")
    if written[0] == '"' and len(written) > 1:
        return unquoted(written[1:-1].replace('""', '"'))
    return unquoted(written[1:-1]) if written[0] == "'" and len(written) > 1 else written


@dataclass
class Cursor:
    """A place among words, moved on by what is asked for."""

    words: Sequence[Token]
    at: int = 0

    @property
    def over(self) -> bool:
        """Whether there are no more."""
        return self.at >= len(self.words)

    @property
    def word(self) -> str:
        """The word that stands here, in upper case unless it is quoted; nothing at the end."""
        if self.over:
            return ""
        token = self.words[self.at]
        return "" if token.quoted else token.text.upper()

    def take(self, *wanted: str) -> bool:
        """Whether these words stand here; if so, go past them."""
        ahead = Cursor(self.words, self.at)
        for one in wanted:
            if ahead.word != one:
                return False
            ahead.at += 1
        self.at = ahead.at
        return True

    def one_of(self, wanted: frozenset[str]) -> str:
        """The word that stands here if it is one of these, gone past; else nothing."""
        found = self.word if self.word in wanted else ""
        self.at += bool(found)
        return found

    def text(self) -> str:
        """What stands here as it was written, without quotes; gone past."""
        token = self.words[self.at] if not self.over else None
        self.at += 1
        return token.text if token else ""

    def parenthesis(self) -> list[Token]:
        """What stands between the parentheses that open here; gone past. Nothing where none opens."""
        if self.word != _OPEN:
            return []
        begin, depth = self.at + 1, 0
        while not self.over:
            depth += (self.word == _OPEN) - (self.word == _CLOSE)
            self.at += 1
            if not depth:
                break
        return list(self.words[begin : self.at - 1])

    def rest(self) -> Cursor:
        """The same words from here on, to be moved on by themselves."""
        return Cursor(self.words, self.at)


def parts(words: Sequence[Token]) -> list[list[Token]]:
    """The words between commas that stand in no parentheses."""
    found: list[list[Token]] = [[]]
    cursor = Cursor(words)
    depth = 0
    while not cursor.over:
        depth += (cursor.word == _OPEN) - (cursor.word == _CLOSE)
        if cursor.word == "," and not depth:
            found.append([])
        else:
            found[-1].append(words[cursor.at])
        cursor.at += 1
    return found
