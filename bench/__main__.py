"""Run the benchmarks and write bench/RESULTS.md: `python -m bench [--rows N] [--runs N] [--large]`."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from bench import memory, tables, tiny, to_files, to_postgres, verify
from bench.ferry import Ferry, ferry
from bench.machine import describe
from bench.memory import LARGE
from bench.report import Results, page
from bench.servers import Servers, servers
from bench.timing import Series, Target, Verdict

RESULTS = Path(__file__).with_name("RESULTS.md")


def main() -> int:
    """Measure, write, and show what was written."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure, and write bench/RESULTS.md.")
    parser.add_argument("--rows", type=int, default=3_000_000, help="rows of the table products")
    parser.add_argument("--runs", type=int, default=5, help="how often each way is measured")
    parser.add_argument("--large", action="store_true", help=f"memory also with a table {LARGE} times as large")
    parser.add_argument("--output", type=Path, default=RESULTS, help="where the results go")
    arguments = parser.parse_args()
    with servers() as both, tempfile.TemporaryDirectory(prefix="rowferry-bench-") as place:
        results = Results(arguments.rows, describe(both))
        _say(f"filling the tables: {arguments.rows:,} rows")
        tables.fill_products(both, arguments.rows)
        tables.fill_tiny(both)
        with ferry(both, Path(place)) as contestant:
            _speed(results, both, contestant, Path(place), arguments.runs)
            _say("many tiny tables")
            tiny.measure(both, contestant, results, arguments.runs)
            _say("verification")
            verify.measure(both, contestant, results, arguments.runs)
            _say("memory")
            memory.measure(both, contestant, results, arguments.large)
            _answers(results, contestant)
    arguments.output.write_text(page(results), encoding="utf-8")
    print(page(results))
    return 0


def _speed(results: Results, both: Servers, contestant: Ferry, place: Path, runs: int) -> None:
    databases, files = to_postgres.Times(), to_files.Times()
    to_database, to_parquet = contestant.to_postgres("by_rowferry"), contestant.to_parquet()
    for number in range(1, runs + 1):
        _say(f"run {number} of {runs}: pipe, Rowferry to PostgreSQL, pgloader, text file, Rowferry to Parquet")
        to_postgres.pipe(both, results.rows, databases)
        to_postgres.rowferry(both, contestant, to_database, results.rows, databases)
        to_postgres.pgloader(both, results.rows, databases)
        both.clear()
        to_files.text(both, place, files)
        to_files.parquet(contestant, to_parquet, place, results.rows, files)
    to_postgres.judge(databases, results)
    to_files.judge(files, results)


def _answers(results: Results, contestant: Ferry) -> None:
    milliseconds = sorted(seconds * 1000 for seconds in contestant.answers)
    results.figures["answer to GET …/stats while streams run"] = Series(tuple(milliseconds), "ms")
    late = milliseconds[int(len(milliseconds) * 0.99)]
    how = f"99 of 100 answers while streams run, of {len(milliseconds):,}"
    results.verdicts.append(Verdict("answers of the API under load", late, Target(50, " ms"), how))


def _say(text: str) -> None:
    print(f"bench: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
