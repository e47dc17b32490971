"""The cells of the matrix, out of the data files: each value of each type of each source, against each target."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from tests.matrix.forms import FORMS, Form

HERE = Path(__file__).parent
SOURCES = ("mariadb", "postgresql")
FILES = ("parquet", "csv", "jsonl")
TARGETS = (*SOURCES, *FILES)

POLICIES: Mapping[str, Sequence[str]] = {
    "zeroDate": ("null", "epoch", "text"),
    "farDate": ("null", "clamp", "epoch", "text"),
    "lateTime": ("null", "clamp", "text"),
    "notFinite": ("null", "text"),
    "negativeZero": ("clamp", "null", "text"),
    "number": ("text", "clamp", "null"),
    "nulCharacter": ("null", "clamp"),
    "emptyEnum": ("null", "text"),
}
"""What a config may ask for each kind of value."""

_PLACEHOLDERS = {
    "{many}": ",".join(f"'m{number}'" for number in range(1, 301)),
    "{full}": ",".join(f"'s{number}'" for number in range(1, 65)),
    "{bytes}": bytes(range(256)).hex(),
}


@dataclass(frozen=True, eq=False)
class Case:
    """One column with values, in a table of its own.

    `refused`: by target, the kind of typePolicies that refuses it, or the word of another way out. `becomes`: by policy
    and target, what the values are instead, as the source would show them. `nulls`: whether NULL is among the values,
    as the first. `loose`: the source may take another value than what is written. `options` and `after`: of the table,
    and what is done to it once it has its rows. `next`: what a target gives the next row that has no value.
    """

    family: str
    declared: str
    values: tuple[str, ...]
    form: Form
    table: str
    refused: Mapping[str, str] = field(default_factory=dict)
    becomes: Mapping[tuple[str, str], Sequence[str | None]] = field(default_factory=dict)
    nulls: bool = True
    loose: bool = False
    options: str = ""
    after: tuple[str, ...] = ()
    next: int | None = None

    def __str__(self) -> str:
        return self.table

    @property
    def cells(self) -> int:
        """How many values it has."""
        return len(self.values) + self.nulls

    @property
    def statements(self) -> list[str]:
        """How it comes into being, on either server."""
        values = ["NULL", *self.values] if self.nulls else self.values
        rows = ", ".join(f"({key}, {value})" for key, value in enumerate(values))
        declared = f"{self.declared} NULL" if self.nulls else self.declared
        return [
            f"CREATE TABLE {self.table} (k INT PRIMARY KEY, v {declared}) {self.options}",
            f"INSERT INTO {self.table} (k, v) VALUES {rows}",
            *(statement.replace("{table}", self.table) for statement in self.after),
        ]

    def form_at(self, target: str) -> Form:
        """The form in which it is compared there."""
        return FORMS["json line"] if target == "jsonl" and self.form is FORMS["json"] else self.form

    def sql(self, engine: str, form: Form) -> str:
        """How a server is asked for the column in that form."""
        found = re.search(r"\((\d+)\)", self.declared)
        return str(getattr(form, engine)).replace("{n}", found[1] if found else "1")

    def policies(self, target: str) -> tuple[str, ...]:
        """What a config may ask for instead, as far as the data file says what comes of it."""
        kind = self.refused.get(target)
        return tuple(policy for policy in POLICIES.get(kind or "", ()) if self._is_said(policy, target))

    def _is_said(self, policy: str, target: str) -> bool:
        return policy == "text" or (policy, target) in self.becomes


@dataclass(frozen=True, eq=False)
class Pack:
    """A table that holds the values of several cases side by side, each in a column that may be NULL."""

    table: str
    cases: tuple[Case, ...]

    @property
    def statements(self) -> list[str]:
        """How it comes into being on either server, out of the tables of the cases."""
        declared = ", ".join(f"v{number} {case.declared} NULL" for number, case in enumerate(self.cases))
        longest = max(self.cases, key=lambda case: case.cells)
        held = "".join(f", v{number}" for number in range(len(self.cases)))
        values = "".join(f", t{number}.v" for number in range(len(self.cases)))
        others = "".join(
            f" LEFT JOIN {case.table} t{number} ON t{number}.k = k.k" for number, case in enumerate(self.cases)
        )
        return [
            f"CREATE TABLE {self.table} (k INT PRIMARY KEY, {declared})",
            f"INSERT INTO {self.table} (k{held}) SELECT k.k{values} FROM {longest.table} k{others}",
        ]


PACKED = 12
"""Cases in a pack: as many as fit into a row of MariaDB."""


def packed(cases: Sequence[Case]) -> tuple[list[Pack], list[Case]]:
    """The cases in packs, and those that cannot be: whose table or numbering is special, or which are documents."""
    alone = [
        case for case in cases if case.options or case.after or case.next is not None or case.form is FORMS["json"]
    ]
    others = [case for case in cases if case not in alone]
    parts = [others[at : at + PACKED] for at in range(0, len(others), PACKED)]
    return [Pack(f"pack{number:02d}", tuple(part)) for number, part in enumerate(parts)], alone


@dataclass(frozen=True)
class Matrix:
    """One source's part. `mysql`: what MySQL declares each type as.

    `setup` makes what its types need, on a target of the same engine too; `types`: only there.
    """

    source: str
    cases: tuple[Case, ...]
    mysql: Mapping[str, str]
    setup: tuple[str, ...]
    types: tuple[str, ...]

    @property
    def families(self) -> tuple[str, ...]:
        """In the order of the file."""
        return tuple(dict.fromkeys(case.family for case in self.cases))

    def equal(self, target: str) -> tuple[Case, ...]:
        """What arrives there as it is."""
        return tuple(case for case in self.cases if target not in case.refused)

    def refused(self, target: str) -> tuple[Case, ...]:
        """What does not."""
        return tuple(case for case in self.cases if target in case.refused)

    def numbered(self) -> tuple[Case, ...]:
        """What the server numbers by itself."""
        return tuple(case for case in self.cases if case.next is not None)

    def cells(self) -> Iterator[tuple[str, str, str, str, int]]:
        """All of it: source, target, family, verdict, and how many."""
        for target in TARGETS:
            for case in self.equal(target):
                yield self.source, target, case.family, "equal", case.cells
            for case in self.refused(target):
                yield self.source, target, case.family, "refused", case.cells
                for _ in case.policies(target):
                    yield self.source, target, case.family, "policy", case.cells
            if target in SOURCES:
                for case in self.numbered():
                    yield self.source, target, case.family, "equal", 1
        for case in self.declarations():
            yield self.source, "mysql", case.family, "planned", 1

    def declarations(self) -> tuple[Case, ...]:
        """One case for each type."""
        return tuple({case.declared: case for case in reversed(self.cases)}.values())


@cache
def load(source: str) -> Matrix:
    """The data file of that source."""
    document = tomllib.loads(_filled((HERE / f"{source}.toml").read_text()))
    cases = [
        case
        for number, entry in enumerate(document["type"])
        for case in _cases(entry, entry.get("as", document["families"][entry["family"]]), f"c{number:02d}")
    ]
    mysql = tomllib.loads(_filled((HERE / "mysql.toml").read_text()))[source]
    return Matrix(source, tuple(cases), mysql, tuple(document.get("setup", ())), tuple(document.get("types", ())))


def _filled(text: str) -> str:
    for mark, instead in _PLACEHOLDERS.items():
        text = text.replace(mark, instead)
    return text


def _cases(entry: dict[str, Any], form: str, prefix: str) -> Iterator[Case]:
    words = re.sub(r"\W+", "_", entry["declared"].lower()).strip("_")[:30]
    nulls = entry.get("nulls", True)
    yield _case(entry, entry["declared"], entry["family"], form, f"{prefix}_{words}", tuple(entry["values"]), nulls)
    for number, odd in enumerate(entry.get("odd", ())):
        name = f"{prefix}_{words}_odd{number}"
        yield _case(odd, entry["declared"], entry["family"], form, name, (odd["value"],), False)


def _case(
    entry: dict[str, Any], declared: str, family: str, form: str, table: str, values: tuple[str, ...], nulls: bool
) -> Case:
    refused = _by_target(entry.get("refused", {}))
    becomes: dict[tuple[str, str], Sequence[str | None]] = {}
    for target, kind in refused.items():
        if len(values) == 1:
            becomes["null", target] = (None,)
            becomes["epoch", target] = ("1970-01-01",)
        clamped = entry.get("clamp")
        clamped = _by_target(clamped).get(target) if isinstance(clamped, dict) else clamped
        if clamped is not None:
            becomes["clamp", target] = [clamped] if isinstance(clamped, str) else clamped
        if "clamp" in POLICIES.get(kind, ()) and len(values) == 1 and clamped is None:
            raise ValueError(f"{table} needs clamp for {target}")
    more = {name: entry[name] for name in ("loose", "options", "next") if name in entry}
    after = tuple(entry.get("after", ()))
    return Case(family, declared, values, FORMS[form], table, refused, becomes, nulls, after=after, **more)


def _by_target(said: Mapping[str, str]) -> dict[str, str]:
    return {target: word for name, word in said.items() for target in (FILES if name == "files" else (name,))}
