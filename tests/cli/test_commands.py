"""What the commands print, and the exit codes that the README promises."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from rowferry.cli import Exit, exit_code
from rowferry.errors import InvalidInput, ReadFailed, RowferryError, TargetExists
from rowferry.model.streams import StreamState
from rowferry.pipeline.job import Outcome
from tests.servers import Postgres, free_port

ROWFERRY = Path(sys.executable).with_name("rowferry")
README = Path(__file__).resolve().parents[2] / "README.md"


def run(place: Path, *arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `rowferry` in a folder."""
    return subprocess.run(
        [ROWFERRY, *arguments], cwd=place, env={**os.environ, "COLUMNS": "200", **environment},
        capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.fixture
def shop(postgres: Postgres) -> str:
    """The URL of a database with two tables, one of them with an index."""
    name = postgres.new_database()
    postgres.execute(
        "CREATE TABLE orders (id int PRIMARY KEY, placed date)",
        "CREATE TABLE customers (id int PRIMARY KEY, name text)",
        "CREATE INDEX by_day ON orders (placed)",
        "INSERT INTO orders SELECT n, '2024-01-01' FROM generate_series(1, 10) n",
        "INSERT INTO customers SELECT n, 'x' FROM generate_series(1, 5) n",
        database=name,
    )
    return postgres.url(name)


def test_the_version(tmp_path: Path) -> None:
    done = run(tmp_path, "--version")
    assert re.fullmatch(r"rowferry \d+\.\d+\.\d+\n", done.stdout)
    assert done.returncode == 0


def test_a_copy_and_a_second_one(shop: str, postgres: Postgres, tmp_path: Path) -> None:
    target = postgres.url(postgres.new_database())
    first = run(tmp_path, "migrate", shop, target)
    assert (first.returncode, first.stdout.splitlines()[:2]) == (
        0,
        ["public.customers: 5 rows", "public.orders: 10 rows"],
    )
    assert "FINISHED: 15 rows" in first.stdout
    second = run(tmp_path, "migrate", shop, target)
    assert second.returncode == Exit.REFUSED
    assert "public.customers, public.orders already" in second.stderr
    assert "choose another schemaPolicy" in second.stderr


def test_a_warning_names_its_table(shop: str, tmp_path: Path) -> None:
    done = run(tmp_path, "migrate", shop, f"file://{tmp_path}/out?format=csv", "--tables", "orders", "--json")
    assert done.returncode == 0
    assert done.stderr.startswith("warning: public.orders: Files hold rows only")
    assert json.loads(done.stdout)["rows"] == 10


def test_the_file_in_the_readme_runs(shop: str, tmp_path: Path) -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", README.read_text(), re.DOTALL)
    adapted = re.sub(r"mysql://\S+", "${SHOP}", example).replace("/srv/exports", str(tmp_path / "out"))
    (tmp_path / "stream.yaml").write_text(adapted)
    assert run(tmp_path, "run", "stream.yaml").returncode == Exit.BAD_INPUT
    done = run(tmp_path, "run", "stream.yaml", SHOP=shop)
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["customers", "orders"]


@pytest.mark.parametrize(
    ("state", "error", "code"),
    [
        (StreamState.FAILED, InvalidInput("x"), 2),
        (StreamState.FAILED, TargetExists("x"), 3),
        (StreamState.FAILED, ReadFailed("x"), 1),
        (StreamState.FINISHED, None, 0),
        (StreamState.TIME_LIMIT_REACHED, None, 4),
        (StreamState.PAUSED, None, 130),
    ],
)
def testexit_codes(state: StreamState, error: RowferryError | None, code: int) -> None:
    assert exit_code(Outcome(state, 1.0, error, ())) == code


def test_the_account_of_a_folder(tmp_path: Path) -> None:
    """It is shown again to whoever gives its e-mail address, and another folder has another one."""
    connect = ("account", "connect", "--email", "you@example.com")
    first = run(tmp_path, *connect)
    assert f"Data folder {tmp_path / 'rowferry-data'}" in first.stdout
    assert run(tmp_path, *connect).stdout == first.stdout
    other = run(tmp_path, *connect[:3], "other@example.com")
    assert (other.returncode, other.stderr.count("give that one")) == (1, 1)


def test_the_server_says_where_it_is_and_little_else(tmp_path: Path) -> None:
    port = free_port()
    command: list[str | Path] = ["env", "--default-signal=INT", ROWFERRY, "serve", "--port", str(port)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=tmp_path, stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        ready = process.stdout.readline()
        process.send_signal(signal.SIGINT)
        said = process.stderr.read().splitlines()
    assert ready == f"Rowferry is ready at http://127.0.0.1:{port}\n"
    assert said[0].startswith(f"Create the account: http://127.0.0.1:{port}/setup?token=")
    assert said[1:] == ["Rowferry ends; streams that run go on at its next start."]
