"""The way to a virtual environment on machines that lack something."""

from __future__ import annotations

import hashlib
import http.server
import os
import shutil
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from scripts import bootstrap_pip
from tests.servers import wait_until

ROOT = Path(__file__).resolve().parents[2]
WHEEL = b"what a wheel holds"


@pytest.fixture
def index(tmp_path: Path) -> Iterator[str]:
    """A package index on this machine, which lists one file."""
    page = tmp_path / "simple" / "pip"
    page.mkdir(parents=True)
    (page / bootstrap_pip.WHEEL).write_bytes(WHEEL)
    (page / "index.html").write_text(f'<a href="{bootstrap_pip.WHEEL}#sha256=0">pip</a>')
    handler = partial(_Silent, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/simple"
        server.shutdown()
        thread.join()


class _Silent(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the parent's name
        """Say nothing."""


def test_pip_is_taken_from_the_index(index: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The wheel that the index lists is downloaded when its hash is the expected one."""
    monkeypatch.setattr(bootstrap_pip, "SHA256", hashlib.sha256(WHEEL).hexdigest())
    assert bootstrap_pip.download(index) == WHEEL


def test_a_wheel_with_another_hash_is_refused(index: str) -> None:
    """A file that is not the expected one is never run."""
    with pytest.raises(ValueError, match="hash"):
        bootstrap_pip.download(index)


def test_the_index_is_the_one_pip_would_ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A configuration file counts, and the environment more; credentials are not shown."""
    monkeypatch.delenv("PIP_INDEX_URL", raising=False)
    (tmp_path / "pip.conf").write_text("[global]\nindex-url = https://user:word@example.com/simple\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    assert bootstrap_pip.redacted(bootstrap_pip.index_url()) == "https://example.com/simple"
    monkeypatch.setenv("PIP_INDEX_URL", "https://example.org/simple")
    assert bootstrap_pip.index_url() == "https://example.org/simple"


def test_an_interruption_is_one_line(tmp_path: Path) -> None:
    """Ctrl-C ends the preparation without a trace of Python's own."""
    command: list[str | Path] = [
        "env",
        "--default-signal=INT",
        sys.executable,
        ROOT / "scripts" / "setup.py",
        tmp_path / "venv",
        "dev",
    ]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert "creating" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        said, complained = process.stdout.read(), process.stderr.read()
    assert process.returncode == 130
    assert "the same command goes on" in said
    assert complained == ""


def test_interrupted_while_it_installs_servers(tmp_path: Path) -> None:
    """Ctrl-C leaves no policy behind that would keep the machine's services from starting."""
    programs, policy, begun = tmp_path / "bin", tmp_path / "policy", tmp_path / "begun"
    programs.mkdir()
    for name in ("chmod", "env", "ls", "mktemp", "rm", "sleep", "tail", "tee"):
        (programs / name).symlink_to(str(shutil.which(name)))
    for name, does in {"id": "echo 0", "apt-get": f"echo > {begun}; exec sleep 60"}.items():
        (programs / name).write_text(f"#!/bin/sh\n{does}\n")
        (programs / name).chmod(0o755)
    environment = {**os.environ, "PATH": str(programs), "TMPDIR": str(tmp_path)}
    command: list[str | Path] = [programs / "env", "--default-signal=INT", "/bin/sh"]
    command += [ROOT / "scripts" / "servers.sh", policy]
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, start_new_session=True) as process:
        wait_until(begun.exists, what="apt-get")
        assert policy.exists()
        os.killpg(process.pid, signal.SIGINT)
    assert process.returncode == 130
    assert sorted(path.name for path in tmp_path.iterdir()) == ["begun", "bin"]


def test_old_pythons_are_passed_over(tmp_path: Path) -> None:
    """Without a Python that is new enough, a sentence says what to do."""
    for name in ("python3", "python3.11", "python3.12", "python3.13"):
        old = tmp_path / name
        old.write_text("#!/bin/sh\nexit 1\n")
        old.chmod(old.stat().st_mode | stat.S_IXUSR)
    (tmp_path / "cat").symlink_to("/bin/cat")
    environment = {**os.environ, "PATH": str(tmp_path)}
    done = subprocess.run(
        ["/bin/sh", ROOT / "scripts" / "python.sh", "x"], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "Rowferry needs Python 3.11 or newer" in done.stderr
