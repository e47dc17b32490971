"""The command line: `rowferry serve`, `account`, `migrate`, `run`."""

from __future__ import annotations

import signal
import sys
from dataclasses import asdict
from enum import IntEnum
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, NoReturn

import orjson
import typer
from pydantic import ValidationError

from rowferry.config.document import read_document
from rowferry.config.settings import Settings
from rowferry.config.stream import SchemaPolicy, WriteMode
from rowferry.config.wording import invalid
from rowferry.errors import Different, InvalidInput, Refused, RowferryError
from rowferry.model.digests import Comparison
from rowferry.model.streams import Stage, StreamState
from rowferry.pipeline.job import Job, Outcome
from rowferry.pipeline.signals import Signals
from rowferry.terminal import Terminal


class Exit(IntEnum):
    """What the exit code says."""

    DONE = 0
    FAILED = 1
    BAD_INPUT = 2
    REFUSED = 3
    LIMIT = 4
    DIFFERENT = 5
    INTERRUPTED = 130


_STATES = {
    StreamState.FINISHED: Exit.DONE,
    StreamState.TIME_LIMIT_REACHED: Exit.LIMIT,
    StreamState.EVENT_LIMIT_REACHED: Exit.LIMIT,
    StreamState.PAUSED: Exit.INTERRUPTED,
    StreamState.STOPPED: Exit.INTERRUPTED,
    StreamState.FAILED: Exit.FAILED,
}

_KINDS: dict[type[RowferryError], Exit] = {
    InvalidInput: Exit.BAD_INPUT,
    Refused: Exit.REFUSED,
    Different: Exit.DIFFERENT,
}

app = typer.Typer(
    name="rowferry",
    epilog=(
        "Exit codes: 0 done, 1 failed, 2 bad input, 3 refused before anything was written, "
        "4 a limit was reached, 5 source and target differ, 130 interrupted."
    ),
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
account = typer.Typer(help="The installation's account.", no_args_is_help=True)
app.add_typer(account, name="account")

_SOURCE = "mysql://, mariadb:// or postgresql:// URL with its database; file:///folder or s3://bucket/folder."

DataDir = Annotated[
    Path | None, typer.Option(help="Where state, keys and logs are kept; without it rowferry-data in this folder.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")]
Anew = Annotated[bool, typer.Option("--anew", help="Begin anew, and not where the same command ended before.")]


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"rowferry {version('rowferry')}")
        raise typer.Exit


@app.callback()
def rowferry(
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Moves tables between MySQL, MariaDB, PostgreSQL, files and object storage."""


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="The address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="The port; without it 80 if it may be bound, else 8020.")] = None,
    data_dir: DataDir = None,
) -> None:
    """Run the server: API, app and streams."""
    from rowferry.server import serve as run_server  # noqa: PLC0415  the server's libraries are for this command only

    run_server(_settings(host=host, port=port, data_dir=data_dir))


@account.command()
def connect(
    email: Annotated[str, typer.Option(help="The account's e-mail address.")],
    data_dir: DataDir = None,
    password_stdin: Annotated[bool, typer.Option(help="Read the app's password from standard input.")] = False,
    as_json: AsJson = False,
) -> None:
    """Create the account, or show the one that is there: its API key and the install ID."""
    from rowferry.app import connect_account  # noqa: PLC0415  as above

    password = sys.stdin.readline().rstrip("\n") if password_stdin else None
    settings = _settings(data_dir=data_dir)
    shown = connect_account(settings, email, password)
    if as_json:
        _print_json(shown)
        return
    lines = {
        "E-mail": shown["email"],
        "API key": shown["apiKey"],
        "Install ID": shown["installId"],
        "Data folder": settings.data_dir.resolve(),
    }
    for name, value in lines.items():
        typer.echo(f"{name:<11} {value}")


@app.command()
def migrate(
    source: Annotated[str, typer.Argument(help=_SOURCE)],
    target: Annotated[
        str,
        typer.Argument(help="A URL like the source's; file:///folder?format=parquet (or csv, jsonl), s3:// likewise."),
    ],
    tables: Annotated[str, typer.Option(help="Names joined by commas; without it every user table.")] = "",
    schema_policy: Annotated[SchemaPolicy | None, typer.Option(help="What to do about tables that exist.")] = None,
    write_mode: Annotated[WriteMode | None, typer.Option(help="What to do about rows that exist.")] = None,
    anew: Anew = False,
    as_json: AsJson = False,
) -> None:
    """Move tables from one place to another, once, without a server."""
    from rowferry.control.oneshot import job_from_urls  # noqa: PLC0415  it loads the drivers

    policies = {"schemaPolicy": schema_policy, "writeMode": write_mode}
    job = job_from_urls(
        source,
        target,
        tables=_names(tables),
        policies={key: value.value for key, value in policies.items() if value is not None},
    )
    _run(job, as_json, anew)


@app.command()
def verify(
    source: Annotated[str, typer.Argument(help=_SOURCE)],
    target: Annotated[
        str, typer.Argument(help="Such a URL; of files with their format, file:///folder?format=parquet.")
    ],
    tables: Annotated[str, typer.Option(help="Names joined by commas; without it every user table.")] = "",
    as_json: AsJson = False,
) -> None:
    """Compare two places table by table, without sending rows; exit code 0 when they are equal, 5 when they differ."""
    from rowferry.control.oneshot import job_from_urls  # noqa: PLC0415  it loads the drivers

    job = job_from_urls(source, target, tables=_names(tables))
    outcome, _ = _carried_out(job.model_copy(update={"verify_only": True}))
    found = outcome.comparison
    if as_json:
        error = outcome.error.message if outcome.error else None
        _print_json({"comparison": found.document() if found else None, "error": error})
    elif found is not None:
        _print_comparison(found)
    if found is None:
        sys.exit(exit_code(outcome))
    sys.exit(Exit.DONE if found.equal else Exit.DIFFERENT)


@app.command()
def run(
    file: Annotated[Path, typer.Argument(help="A stream config as YAML or JSON, its connections as URLs.")],
    anew: Anew = False,
    as_json: AsJson = False,
) -> None:
    """Run a stream config from a file, without a server."""
    from rowferry.control.oneshot import job_from_document  # noqa: PLC0415  it loads the drivers

    _run(job_from_document(read_document(file)), as_json, anew)


def main() -> NoReturn:
    """Run the command line; our own errors become one line on standard error and an exit code."""
    try:
        app(standalone_mode=True)
    except RowferryError as error:
        typer.echo(f"rowferry: {error.message}", err=True)
        sys.exit(_failure(error))
    sys.exit(Exit.DONE)


def _failure(error: RowferryError) -> Exit:
    return next((code for kind, code in _KINDS.items() if isinstance(error, kind)), Exit.FAILED)


def _run(job: Job, as_json: bool, anew: bool) -> NoReturn:
    outcome, terminal = _carried_out(job, anew)
    summary = _summary(outcome, terminal)
    if as_json:
        _print_json(summary)
    else:
        _print_summary(summary)
    sys.exit(exit_code(outcome))


def _carried_out(job: Job, anew: bool = False) -> tuple[Outcome, Terminal]:
    """The job, carried out in this process and shown in the terminal; an interruption lets it end in order."""
    from rowferry.control import oneshot  # noqa: PLC0415  it loads the drivers

    signals = Signals()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: signals.end(StreamState.PAUSED))
    with Terminal() as terminal:
        return oneshot.run(job, terminal, signals, anew), terminal


def exit_code(outcome: Outcome) -> Exit:
    """What a run that ended like that tells the shell."""
    return _failure(outcome.error) if outcome.error else _STATES[outcome.state]


def _summary(outcome: Outcome, terminal: Terminal) -> dict[str, Any]:
    tables = terminal.last.tables if terminal.last else ()
    return {
        "status": outcome.state.value,
        "elapsed": round(outcome.elapsed, 3),
        "rows": sum(table.written for table in tables),
        "tables": [{"name": table.name, "rows": table.written, "size": table.size} for table in tables],
        "findings": [asdict(finding) for finding in outcome.report],
        "error": outcome.error.message if outcome.error else None,
        "resumable": _resumable(outcome, terminal),
    }


def _resumable(outcome: Outcome, terminal: Terminal) -> bool:
    """Whether the target holds a part, and the journal that says which."""
    last = terminal.last
    begun = last is not None and (last.written > 0 or last.stage not in (Stage.INIT, Stage.CREATE_META))
    return begun and outcome.state in (StreamState.PAUSED, StreamState.FAILED)


def _print_summary(summary: dict[str, Any]) -> None:
    for table in summary["tables"]:
        typer.echo(f"{table['name']}: {table['rows']:,} rows")
    typer.echo(f"{summary['status']}: {summary['rows']:,} rows in {summary['elapsed']:.1f} s")
    if summary["resumable"]:
        typer.echo("What is written stays: the same command goes on where this one ended, with --anew it begins anew.")


def _print_comparison(found: Comparison) -> None:
    """The tables, and under each of them its rows that differ, by their keys."""
    for table in found.tables:
        typer.echo(table.summary)
        for row in table.rows:
            names = zip(table.key, row.key, strict=True) if row.key else ()
            key = ", ".join(f"{name} {value}" for name, value in names) or "a row without a key"
            columns = f" in {', '.join(row.columns)}" if row.columns else ""
            typer.echo(f"  {row.kind.value}: {key}{columns}")
        for skipped in table.skipped:
            typer.echo(f"  not compared: {skipped.column}, because {skipped.reason}")
    word = "EQUAL" if found.equal else "DIFFERENT"
    typer.echo(f"{word}: {found.rows:,} rows on both sides in {found.elapsed:.1f} s")


def _names(listed: str) -> list[str]:
    return [name.strip() for name in listed.split(",") if name.strip()]


def _settings(**given: Any) -> Settings:
    try:
        return Settings(**{key: value for key, value in given.items() if value is not None})
    except ValidationError as error:
        raise InvalidInput(f"The settings are not right: {invalid(error, Settings).message}") from None


def _print_json(document: object) -> None:
    typer.echo(orjson.dumps(document).decode())


if __name__ == "__main__":
    main()
