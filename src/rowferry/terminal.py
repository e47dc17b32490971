"""How a run looks in a terminal: progress on standard error, nothing else there."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from rowferry.bus import messages
from rowferry.model.findings import Finding

_LOUD = {"warning": "yellow", "error": "red"}


class Terminal:
    """`Events` for a person: a bar for each table, and the log entries that matter. A context manager."""

    def __init__(self, quiet: bool = False) -> None:
        self._console = Console(stderr=True, quiet=quiet)
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed:,} rows"),
            TimeElapsedColumn(),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._tasks: dict[str, TaskID] = {}
        self.last: messages.Progress | None = None

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def progress(self, progress: messages.Progress) -> None:
        """`Events.progress`."""
        self.last = progress
        for table in progress.tables:
            done = table.status == "FINISHED"
            if table.name not in self._tasks:
                self._tasks[table.name] = self._bars.add_task(table.name, total=max(table.estimated_rows, 1))
            total = max(table.written, 1) if done else max(table.estimated_rows, table.written, 1)
            self._bars.update(self._tasks[table.name], completed=table.written, total=total)

    def log(self, level: str, message: str, category: str = "general", **extra: object) -> None:
        """`Events.log`: warnings and errors, and, where there are no bars, each table as it comes."""
        if level in _LOUD:
            table = str(extra.get("table") or "")
            about = f"{table}: " if table and not message.startswith(table) else ""
            self._print(f"{level}: {about}{message}", _LOUD[level])
        elif category == "stat" and not self._console.is_terminal:
            self._print(message)

    def found(self, findings: Sequence[Finding]) -> None:
        """`Events.found`: said by the log, and in the outcome."""

    def _print(self, line: str, style: str | None = None) -> None:
        self._console.print(line, style=style, markup=False, highlight=False, soft_wrap=True)
