"""What the demo shows: steps, progress bars, and the table at the end."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from demo.verify import Sum

console = Console(highlight=False, soft_wrap=True)


@dataclass(frozen=True)
class Compared:
    """A table's sums: where it came from, and what arrived in each place."""

    name: str
    source: Sum
    arrived: dict[str, Sum]

    @property
    def equal(self) -> bool:
        """Whether every copy equals the source."""
        return all(sum_ == self.source for sum_ in self.arrived.values())


@contextmanager
def step(text: str) -> Iterator[list[str]]:
    """Say what is being done, and, when it is done, how long it took and what was put into the list."""
    began = time.monotonic()
    said: list[str] = []
    with console.status(text):
        yield said
    detail = f": {', '.join(said)}" if said else ""
    console.print(f"  [green]done[/] {escape(text)}{escape(detail)} [dim]({time.monotonic() - began:.1f} s)[/]")


class Bars:
    """A progress bar for each table of each stream, fed with the stats that the API answers."""

    def __init__(self, titles: dict[str, str], rows: dict[str, int]) -> None:
        self._titles = titles
        self._rows = rows
        self._tasks: dict[tuple[str, str], TaskID] = {}
        self._progress = Progress(
            TextColumn("  {task.description}"), BarColumn(bar_width=32), MofNCompleteColumn(), TextColumn("rows"),
            TimeElapsedColumn(), console=console,
        )  # fmt: skip

    def __enter__(self) -> Bars:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def show(self, stream: str, stats: dict[str, Any]) -> None:
        """Draw a stream's tables as they stand."""
        for table in stats.get("tables", ()):
            name = str(table["name"]).rpartition(".")[2]
            key = (stream, name)
            if key not in self._tasks:
                title = f"{name:<12} [dim]to {self._titles[stream]:<10}[/]"
                self._tasks[key] = self._progress.add_task(title, total=self._rows.get(name))
            self._progress.update(self._tasks[key], completed=table["events"])


def summary(compared: Sequence[Compared]) -> Table:
    """The result, one row a table."""
    places = list(compared[0].arrived) if compared else []
    table = Table(title="\nSource and copies, compared row by row", title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("table")
    table.add_column("rows", justify="right")
    table.add_column("checksum of the source", min_width=32)
    for place in places:
        table.add_column(place)
    for each in compared:
        verdicts = [_verdict(each.source, each.arrived[place]) for place in places]
        table.add_row(each.name, f"{each.source.rows:,}", each.source.checksum, *verdicts)
    return table


def _verdict(source: Sum, arrived: Sum) -> str:
    if arrived == source:
        return "[green]equal[/]"
    if arrived.rows != source.rows:
        return f"[red]{arrived.rows:,} rows[/]"
    return "[red]other values[/]"
