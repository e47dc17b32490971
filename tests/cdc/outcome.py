"""What came of a campaign, and how it is told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.cdc.faults import KILLS, OTHERS

INTRODUCTION = """# What dies, and what is lost

This page is written by `make soak`. Clients write into a source whose tables are followed; meanwhile processes are
killed, servers crash and networks fail, at random moments of load, handoff and follow. Each row of `counter` goes
through known steps, each of which adds a row without key to `audit` in its transaction; other rows swap unique values,
change keys, go and come back, or have no key. At the end both sides are compared row by row.
"""


@dataclass
class Outcome:
    """What came of the rounds of one direction. `rows`: that were compared; `phases`: in which something went wrong."""

    rounds: int = 0
    counters: int = 0
    transactions: int = 0
    rows: int = 0
    seconds: float = 0.0
    faults: Counter[str] = field(default_factory=Counter)
    phases: Counter[str] = field(default_factory=Counter)
    lost: int = 0
    doubled: int = 0
    backwards: int = 0

    @property
    def kills(self) -> int:
        """How often kill -9."""
        return sum(self.faults[name] for name in KILLS)

    @property
    def wrong(self) -> int:
        """What must be 0."""
        return self.lost + self.doubled + self.backwards


def page(outcomes: Mapping[str, Outcome], seed: int) -> str:
    """The page as Markdown."""
    rows = [
        ("**rows lost**", [one.lost for one in outcomes.values()]),
        ("**rows doubled or wrong**", [one.doubled for one in outcomes.values()]),
        ("**steps backwards, or twice**", [one.backwards for one in outcomes.values()]),
        ("rows compared", [one.rows for one in outcomes.values()]),
        ("counters that went through all steps", [one.counters for one in outcomes.values()]),
        ("transactions written", [one.transactions for one in outcomes.values()]),
        ("streams", [one.rounds for one in outcomes.values()]),
        ("minutes", [round(one.seconds / 60) for one in outcomes.values()]),
        ("kill -9", [one.kills for one in outcomes.values()]),
        *(
            (f"faults during {phase}", [one.phases[phase] for one in outcomes.values()])
            for phase in ("load", "handoff", "follow")
        ),
        *((name, [one.faults[name] for one in outcomes.values()]) for name in (*KILLS, *OTHERS)),
    ]
    lines = [["", *outcomes], ["---", *("---:" for _ in outcomes)]]
    lines += [[name, *(f"{count:,}" for count in counts)] for name, counts in rows]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"{INTRODUCTION}\n{table}\n\nThe seed was {seed}.\n"
