"""Build the virtual environment: every package pinned and checked by its hash, then Rowferry itself.

Usage: setup.py VENV runtime|dev. Needs nothing but Python's standard library.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCKS = {"runtime": "requirements.lock", "dev": "requirements-dev.lock"}
STAMPS = {"runtime": (".runtime",), "dev": (".runtime", ".dev")}
"""A stamp tells make what is installed; the development set holds the runtime one."""

QUIET = ("-qq", "--disable-pip-version-check", "--no-input", "--root-user-action=ignore")


def main(folder: str, wanted: str) -> None:
    """Build or refresh the environment in `folder` for the set `wanted`."""
    venv = Path(folder)
    began = time.monotonic()
    python = venv / "bin" / "python"
    if not works(python):
        say(f"creating {folder} with Python {sys.version.split()[0]}")
        create(venv, python)
    say(f"installing what {LOCKS[wanted]} pins (the first time takes a minute or two)")
    pip(python, "install", "--require-hashes", "--prefer-binary", "-r", str(ROOT / LOCKS[wanted]))
    pip(python, "install", "--no-deps", "--no-build-isolation", "--editable", str(ROOT))
    for stamp in STAMPS[wanted]:
        (venv / stamp).touch()
    say(f"ready after {time.monotonic() - began:.0f} s")


def works(python: Path) -> bool:
    """Whether the environment is there, answers, and has pip."""
    if not python.exists():
        return False
    return subprocess.run([python, "-m", "pip", "--version"], capture_output=True, check=False).returncode == 0


def create(venv: Path, python: Path) -> None:
    """Create the environment; where Debian's ensurepip is missing, pip comes from elsewhere."""
    if importlib.util.find_spec("ensurepip") is not None:
        subprocess.run([sys.executable, "-m", "venv", "--clear", venv], check=True)
        return
    say("this Python has no ensurepip, so pip is brought in another way")
    subprocess.run([sys.executable, "-m", "venv", "--clear", "--without-pip", venv], check=True)
    if importlib.util.find_spec("pip") is not None:
        pip(Path(sys.executable), "--python", str(python), "install", "pip")
        return
    bootstrap = Path(__file__).with_name("bootstrap_pip.py")
    subprocess.run([python, bootstrap], check=True)


def pip(python: Path, *arguments: str) -> None:
    """Run pip and keep its words short; ends the program when it fails."""
    environment = {**os.environ, "PIP_REQUIRE_VIRTUALENV": "0"}
    done = subprocess.run([python, "-m", "pip", *arguments, *QUIET], env=environment, check=False)
    if done.returncode:
        say("pip could not install everything; what it said stands above. Run the same command again to go on.")
        sys.exit(done.returncode)


def say(text: str) -> None:
    """One line for the person who waits."""
    print(f"setup: {text}", flush=True)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except KeyboardInterrupt:
        say("interrupted; the same command goes on from here")
        sys.exit(130)
