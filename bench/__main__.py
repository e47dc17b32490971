"""Run the benchmarks and write bench/RESULTS.md: `python -m bench [CASE …] [--rows N] [--runs N] [--large]`."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from bench import (
    between_postgres,
    follow,
    from_files,
    memory,
    shapes,
    tables,
    tiny,
    to_bucket,
    to_files,
    to_mariadb,
    to_postgres,
    verify,
)
from bench.ferry import ferry
from bench.ground import Ground
from bench.machine import describe
from bench.memory import LARGE
from bench.report import Results, page
from bench.servers import servers
from bench.timing import Series, Target, Verdict

RESULTS = Path(__file__).with_name("RESULTS.md")

CASES: Mapping[str, Callable[[Ground], None]] = {
    "to-postgres": to_postgres.measure,
    "to-files": to_files.measure,
    "to-bucket": to_bucket.measure,
    "from-parquet": from_files.parquet,
    "from-csv": from_files.csv,
    "from-jsonl": from_files.jsonl,
    "wide": shapes.wide,
    "documents": shapes.documents,
    "many": shapes.many,
    "tiny": tiny.measure,
    "between-postgres": between_postgres.measure,
    "to-mariadb": to_mariadb.measure,
    "verify": verify.measure,
    "follow": follow.measure,
    "memory": partial(memory.measure, large=False),
    "memory-files": partial(memory.files, large=False),
    "memory-follow": partial(memory.followed, large=False),
}
"""What can be measured, in this order."""


def main() -> int:
    """Measure, write, and show what was written. Some cases alone are shown, and written only where one says so."""
    arguments = _arguments()
    with servers() as both, tempfile.TemporaryDirectory(prefix="rowferry-bench-") as place:
        results = Results(arguments.rows, describe(both))
        _say(f"filling the table products: {arguments.rows:,} rows")
        tables.fill_products(both, arguments.rows)
        with ferry(both, Path(place)) as contestant:
            ground = Ground(both, contestant, Path(place), results, arguments.runs)
            cases = dict(CASES)
            if arguments.large:
                cases["memory"] = partial(memory.measure, large=True)
                cases["memory-files"] = partial(memory.files, large=True)
                cases["memory-follow"] = partial(memory.followed, large=True)
            for name in [name for name in cases if name in (arguments.cases or cases)]:
                _say(name)
                cases[name](ground)
            answers(ground)
    output = arguments.output or (None if arguments.cases else RESULTS)
    if output:
        output.write_text(page(results), encoding="utf-8")
    print(page(results))
    return 0


def answers(ground: Ground) -> None:
    """How long the API took to answer meanwhile."""
    results = ground.results
    milliseconds = sorted(seconds * 1000 for seconds in ground.ferry.answers)
    if not milliseconds:
        return
    results.figures["answer to GET …/stats while streams run"] = Series(tuple(milliseconds), "ms")
    late = milliseconds[int(len(milliseconds) * 0.99)]
    how = f"99 of 100 answers while streams run, of {len(milliseconds):,}"
    results.verdicts.append(Verdict("answers of the API under load", late, Target(50, " ms"), how))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure, and write bench/RESULTS.md.")
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"what is measured: {', '.join(CASES)}; else all")
    parser.add_argument("--rows", type=int, default=3_000_000, help="rows of the table products")
    parser.add_argument("--runs", type=int, default=5, help="how often each way is measured, at the most")
    parser.add_argument(
        "--large",
        action="store_true",
        help=f"memory also with a table and a transaction {LARGE} times as large, and files of 10 GB",
    )
    parser.add_argument("--output", type=Path, help="where the results go, instead of bench/RESULTS.md")
    arguments = parser.parse_args()
    if strangers := sorted(set(arguments.cases) - CASES.keys()):
        parser.error(f"there is no case {', '.join(strangers)}: choose of {', '.join(CASES)}")
    return arguments


def _say(text: str) -> None:
    print(f"bench: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
