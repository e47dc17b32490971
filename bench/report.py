"""bench/RESULTS.md: every figure, and its ratio beside the target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.servers import MARIADB_OPTIONS, POSTGRES_OPTIONS
from bench.timing import Series, Verdict

SOAK = "docs/soak.md"
INTRODUCTION = """# Results of the benchmarks

This page is written by `make bench`. All ways were measured in one run, taking turns, on one machine that also ran
both databases; read the ratios, not the seconds. A Rowferry time is what a client of the REST API sees: from
`POST …/start` until `GET …/stats` says FINISHED, primary key included. Each of its runs begins when the server rests,
its spare worker loaded.
"""


@dataclass
class Results:
    """All that was found out. `figures` by their names, `notes` for the reader."""

    rows: int
    machine: Mapping[str, str]
    figures: dict[str, Series] = field(default_factory=dict)
    verdicts: list[Verdict] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def page(results: Results) -> str:
    """The page as Markdown."""
    verdicts = [
        [
            each.what,
            "—" if each.figure is None else f"{each.figure:.2f}{each.target.unit}",
            str(each.target),
            each.word,
            each.note,
        ]
        for each in results.verdicts
    ]
    figures = [[name, str(series)] for name, series in results.figures.items()]
    machine = [[name, value] for name, value in results.machine.items()]
    settings = [["MariaDB", " ".join(MARIADB_OPTIONS)], ["PostgreSQL", " ".join(POSTGRES_OPTIONS)]]
    parts = [
        INTRODUCTION,
        "## Beside the targets\n",
        _table(["what", "measured", "target", "", "how"], verdicts),
        f"\n## All figures\n\nThe table `products` has {results.rows:,} rows.",
        "Each figure is the median (smallest to largest).\n",
        _table(["what", "figure"], figures),
        "\n## Machine\n",
        _table(["", ""], machine),
        "\n## Server settings\n\nBeside these the servers run as they come; both write durably.\n",
        _table(["server", "options"], settings),
        f"\n## What dies, and what is lost\n\n[The last campaign](../{SOAK}) of `make soak`: {_campaign()}",
        *(["\n## Notes\n", *(f"- {note}" for note in results.notes)] if results.notes else []),
    ]
    return "\n".join(parts) + "\n"


def _campaign() -> str:
    """What the table of the campaign's page says first."""
    lines = (Path(__file__).parents[1] / SOAK).read_text(encoding="utf-8").splitlines()
    rows = [[cell.strip(" *") for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    (_, *directions), _, *told = rows
    found = {what: counts for what, *counts in told}
    return "; ".join(
        f"{direction}, kill -9: {found['kill -9'][at]}, rows lost: {found['rows lost'][at]}, doubled or wrong: "
        f"{found['rows doubled or wrong'][at]}, of {found['rows compared'][at]}"
        for at, direction in enumerate(directions)
    )


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
