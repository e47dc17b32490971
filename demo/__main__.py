"""Run the demo: `python -m demo [--keep | --stop]`; `make demo` does it for you."""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from types import FrameType
from typing import Any

from demo import shop
from demo.postgres import Postgres, remove_database, start_postgres
from demo.processes import (
    INTERRUPTIONS,
    DemoError,
    ignore_interruptions,
    remember,
    stop_remembered,
    undisturbed,
)
from demo.screen import Bars, Compared, console, step, summary
from demo.server import Server, start_server
from demo.verify import in_parquet, in_postgres, shapes

FOLDER = Path(".rowferry-demo").resolve()
RUNNING = FOLDER / "running.json"
COPY = "shop_copy"


def main() -> int:
    """Parse the command line, run, and answer with the exit code."""
    parser = argparse.ArgumentParser(prog="make demo", description="Move a sample shop, and verify it.")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--keep", action="store_true", help="leave the server and the database running")
    which.add_argument("--stop", action="store_true", help="stop what an earlier run left running")
    arguments = parser.parse_args()
    for number in INTERRUPTIONS:
        signal.signal(number, _interrupt)
    try:
        stopped = stop_remembered(RUNNING)
        if arguments.stop:
            remove_database(FOLDER)
            console.print(f"Stopped {stopped} processes of the demo." if stopped else "No demo is running.")
            return 0
        return run(arguments.keep)
    except DemoError as error:
        console.print(f"[red]The demo failed.[/] {error}", markup=True)
        return 1
    except KeyboardInterrupt:
        console.print("Stopped; everything the demo started has ended.")
        return 130


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def run(keep: bool) -> int:
    """The whole demo; 0 when every copy equals the source."""
    remove_database(FOLDER)
    shutil.rmtree(FOLDER, ignore_errors=True)
    (FOLDER / "logs").mkdir(parents=True)
    console.print("[bold]Rowferry demo[/]: a sample shop in PostgreSQL goes to a second database and to Parquet files.")
    with ExitStack() as stack:
        try:
            return _run(stack, keep)
        finally:
            ignore_interruptions()


def _run(stack: ExitStack, keep: bool) -> int:
    began = time.monotonic()
    stack.callback(remove_database, FOLDER)
    with step("start an embedded PostgreSQL") as said, undisturbed():
        database = start_postgres(FOLDER)
        stack.callback(database.started.stop)
        said.append(f"port {database.port}")
    with step("fill the shop") as said:
        rows = shop.build(database)
        said.append(f"{sum(rows.values()):,} rows in {len(rows)} tables")
    with step("start the Rowferry server and connect an account") as said, undisturbed():
        server = start_server(FOLDER / "state", FOLDER / "logs" / "server.log")
        stack.callback(server.close)
        said.append(server.url)
    ended = move(server, database, rows)
    compared = compare(database)
    report(compared, ended, time.monotonic() - began)
    if not all(each.equal for each in compared):
        console.print("[red]A copy differs from its source[/]; the logs are in .rowferry-demo/logs.")
        return 1
    if not keep:
        explain_results()
        return 0
    with undisturbed():
        remember(RUNNING, [server.started, database.started])
        stack.pop_all()
    explain_kept(server, database)
    return 0


def move(server: Server, database: Postgres, rows: dict[str, int]) -> dict[str, dict[str, Any]]:
    """Create connections and streams through the API, start both streams, wait; their last stats by title."""
    with step("create three connections and two stream configs through the REST API"):
        streams = {server.create("stream-configs", config): title for title, config in configs(server, database)}
    console.print("  both streams start and run side by side")
    titles = {server.start_stream(config): title for config, title in streams.items()}
    with Bars(titles, rows) as bars:
        last = server.follow(titles, bars.show)
    for stream, stats in last.items():
        if stats["status"] != "FINISHED":
            raise DemoError(f"The stream to {titles[stream]} ended as {stats['status']}: {stats.get('error')}")
    return {titles[stream]: stats for stream, stats in last.items()}


def configs(server: Server, database: Postgres) -> list[tuple[str, dict[str, Any]]]:
    """The two stream configs, over connections that are created here."""
    place = {"type": "postgresql", "host": database.host, "port": database.port}
    login = {"username": database.user, "password": database.password}
    source = server.create("connections", {"name": "shop", **place, **login, "defaultDatabase": shop.DATABASE})
    copy = server.create("connections", {"name": "copy", **place, **login})
    folder = {"name": "exports", "type": "files", "spec": {"files": {"basePath": str(FOLDER / "parquet")}}}
    files = server.create("connections", folder)
    scope = {"connections": [{"connectionId": source, "database": shop.DATABASE}]}
    to_database = {"id": copy, "spec": {"db": {"database": COPY}}}
    to_files = {"id": files, "spec": {"files": {"fileFormat": "parquet", "format": {"compression": "zstd"}}}}
    return [
        ("PostgreSQL", {"name": "shop_to_postgresql", "mode": "convert", "source": scope, "target": to_database}),
        ("Parquet", {"name": "shop_to_parquet", "mode": "convert", "source": scope, "target": to_files}),
    ]


def compare(database: Postgres) -> list[Compared]:
    """Every table of the shop against both of its copies."""
    with step("compare every row of source and copies"):
        return [
            Compared(
                shape.name,
                in_postgres(database, shop.DATABASE, shape),
                {
                    "PostgreSQL": in_postgres(database, COPY, shape),
                    "Parquet": in_parquet(parquet_folder(shape.name), shape),
                },
            )
            for shape in shapes(database, shop.DATABASE)
        ]


def parquet_folder(table: str) -> Path:
    """Where the files of a table lie."""
    found = [
        path for path in (FOLDER / "parquet").glob("*") if path.is_dir() and path.name in (table, f"public.{table}")
    ]
    if not found:
        raise DemoError(f"There is no folder for table {table} under .rowferry-demo/parquet.")
    return found[0]


def report(compared: list[Compared], ended: dict[str, dict[str, Any]], seconds: float) -> None:
    """The table of results and one line a stream."""
    console.print(summary(compared))
    for title, stats in ended.items():
        target = stats["target"]
        console.print(
            f"  to {title}: {target['counter']:,} rows in {stats['elapsed']:.1f} s, stream {stats['streamID']}"
        )
    console.print(f"  the whole demo: {seconds:.0f} s")


def explain_results() -> None:
    """Where the results are after the processes have ended."""
    console.print(
        "\nThe Parquet files are in [bold].rowferry-demo/parquet[/], logs in [bold].rowferry-demo/logs[/].\n"
        "Read one:  .venv/bin/python -c "
        "'import pyarrow.parquet as p; print(p.read_table(\".rowferry-demo/parquet/orders\"))'\n"
        "Look at the server and the databases:  make demo KEEP=1"
    )


def explain_kept(server: Server, database: Postgres) -> None:
    """Where everything is that goes on running."""
    account = server.account
    headers = f'-H "X-API-Key: {account["apiKey"]}" -H "X-Install-ID: {account["installId"]}"'
    lines = [
        "",
        f"Left running:      [bold]{server.url}[/] (API documentation: {server.url}/api/v1/docs)",
        f"Log in with:       {account['email']}, password {account['password']}",
        f"API key:           {account['apiKey']}, install ID {account['installId']}",
        f"List the streams:  curl {headers} {server.url}/api/v1/streams",
        f"Source database:   {database.url(shop.DATABASE)}",
        f"Second database:   {database.url(COPY)}",
        f"Open it with:      {database.programs}/psql {database.url(COPY)}",
        "Parquet files:     .rowferry-demo/parquet",
        "Stop it with:      [bold]make demo-stop[/]",
    ]
    for line in lines:
        console.print(line)


if __name__ == "__main__":
    sys.exit(main())
