"""The curl commands of a guide, taken out of its text as they stand."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass
from typing import Any

ADDRESS = "http://localhost/api/v1"


@dataclass(frozen=True)
class Command:
    """A command as the guide has it. `title` is the line of text before it."""

    title: str
    text: str

    @property
    def words(self) -> list[str]:
        """The command as the shell takes it apart."""
        return shlex.split(self.text.replace("\\\n", " "), comments=True)

    @property
    def method(self) -> str:
        """The HTTP method."""
        return self.words[self.words.index("-X") + 1] if "-X" in self.words else "GET"

    @property
    def path(self) -> str:
        """What follows the API's address."""
        url = next(word for word in self.words if word.startswith(ADDRESS))
        return url.removeprefix(ADDRESS)

    @property
    def body(self) -> Any:
        """The JSON that it sends, or None."""
        return json.loads(self.words[self.words.index("-d") + 1]) if "-d" in self.words else None

    @property
    def call(self) -> str:
        """Method and path with every ID left open, as in "POST /streams/*/pause"."""
        return f"{self.method} {re.sub(r'(?<=/)[a-z]*_?[A-Z_]+(?=/|$|[?])', '*', self.path)}"


def commands(guide: str) -> list[Command]:
    """Every command of the text, in its order. A command begins a line with `curl` and goes on to its last quote."""
    found: list[Command] = []
    title = ""
    lines = iter(guide.splitlines())
    for line in lines:
        if line.startswith("curl "):
            text = line
            while not _complete(text):
                text += "\n" + next(lines)
            found.append(Command(title, text))
        elif line.strip() and not line.startswith("```"):
            title = line.strip("# ")
    return found


def _complete(text: str) -> bool:
    if text.endswith("\\"):
        return False
    try:
        shlex.split(text)
    except ValueError:
        return False
    return True
