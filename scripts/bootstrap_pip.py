"""Bring pip into an environment that has none: one wheel from the package index, checked by its hash, runs itself.

For Debian's Python without the package python3-venv, where neither ensurepip nor pip exist. Run it with the
environment's own Python. The index is PIP_INDEX_URL, pip's configuration, or PyPI.
"""

from __future__ import annotations

import configparser
import hashlib
import os
import re
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import urljoin

WHEEL = "pip-25.3-py3-none-any.whl"
SHA256 = "9655943313a94722b7774661c21049070f6bbb0a1516bf02f7c8d5d9201514cd"
PYPI = "https://pypi.org/simple"
ADVICE = "Install it yourself and run the command again (Debian: apt-get install python3-venv)."


def main() -> None:
    """Download, check, install."""
    index = index_url()
    try:
        wheel = download(index)
    except (OSError, ValueError, urllib.error.URLError) as error:
        sys.exit(f"pip is missing and could not be had from {redacted(index)}: {error}\n{ADVICE}")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, WHEEL)
        path.write_bytes(wheel)
        command = [sys.executable, f"{path}/pip", "install", "--quiet", "--no-index", "--no-deps", str(path)]
        subprocess.run(command, check=True)


def index_url() -> str:
    """Where packages come from on this machine, as pip would see it."""
    if "PIP_INDEX_URL" in os.environ:
        return os.environ["PIP_INDEX_URL"]
    home = Path.home()
    places = [Path("/etc/pip.conf"), home / ".pip/pip.conf", home / ".config/pip/pip.conf"]
    places += [Path(os.environ["PIP_CONFIG_FILE"])] if "PIP_CONFIG_FILE" in os.environ else []
    settings = configparser.RawConfigParser()
    settings.read(places)
    return settings.get("global", "index-url", fallback=PYPI)


def download(index: str) -> bytes:
    """The wheel's bytes; ValueError when the index does not list it or sends something else."""
    page = f"{index.rstrip('/')}/pip/"
    listing = fetch(page).decode()
    link = re.search(rf'href="([^"]*{re.escape(WHEEL)}[^"#]*)', listing)
    if link is None:
        raise ValueError(f"it does not list {WHEEL}")
    wheel = fetch(urljoin(page, link[1]))
    if hashlib.sha256(wheel).hexdigest() != SHA256:
        raise ValueError(f"the hash of {WHEEL} is not the expected one")
    return wheel


def fetch(url: str) -> bytes:
    """What lies at an address of the web; ValueError for an address of another kind."""
    if not url.startswith(("https://", "http://")):
        raise ValueError(f"{redacted(url)} is not a web address")
    with urllib.request.urlopen(url, timeout=60) as answer:  # noqa: S310 - the scheme is checked above
        content: bytes = answer.read()
    return content


def redacted(url: str) -> str:
    """The address without the credentials that it may hold."""
    return re.sub(r"//[^/@]*@", "//", url)


if __name__ == "__main__":
    main()
