"""Times, and what becomes of several of them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Series:
    """Several measurements of one thing, in `unit`."""

    values: tuple[float, ...]
    unit: str = "s"

    @property
    def median(self) -> float:
        """The middle one."""
        return median(self.values)

    def __str__(self) -> str:
        low, high = min(self.values), max(self.values)
        if len(self.values) == 1:
            return f"{low:.2f} {self.unit} (once)"
        return f"{self.median:.2f} {self.unit} ({low:.2f} to {high:.2f}, {len(self.values)} runs)"


@dataclass(frozen=True)
class Target:
    """What a figure should be at the most, or (`least`) at the least."""

    value: float
    unit: str = ""
    least: bool = False

    def met(self, figure: float) -> bool:
        """Whether the figure is good enough."""
        return figure >= self.value if self.least else figure <= self.value

    def __str__(self) -> str:
        return f"{'at least' if self.least else 'at most'} {self.value:g}{self.unit}"


@dataclass(frozen=True)
class Verdict:
    """A figure beside its target; `note` says what was compared, or why there is no figure."""

    what: str
    figure: float | None
    target: Target
    note: str

    @property
    def word(self) -> str:
        """Met, missed, or not measured."""
        if self.figure is None:
            return "not measured"
        return "met" if self.target.met(self.figure) else "**missed**"


def timed(work: Callable[[], object]) -> float:
    """Seconds that `work` takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
