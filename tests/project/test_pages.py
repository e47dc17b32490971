"""What the pages say is so: commands exist, links lead somewhere, generated pages are fresh."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

from rowferry.model.types import NeutralType, Unknown
from scripts import docs, types_page

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
ROWFERRY = Path(sys.executable).with_name("rowferry")


def shell_lines(page: Path) -> list[str]:
    """The commands in a page's bash blocks, continued lines joined."""
    blocks = re.findall(r"^```bash\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.replace("\\\n", " ").splitlines() if line.strip()]


def make_commands() -> list[str]:
    """Every `make …` that a page names."""
    found = {name for page in PAGES for name in re.findall(r"`?make ([a-z-]+)", _code(page))}
    return sorted(found)


def rowferry_commands() -> list[str]:
    """Every rowferry command line in a bash block."""
    lines = {line for page in PAGES for line in shell_lines(page) if re.match(r"(\S*/)?rowferry ", line)}
    return sorted(lines)


def _code(page: Path) -> str:
    text = page.read_text()
    return "\n".join(re.findall(r"`[^`\n]+`", text) + shell_lines(page))


def test_pages_name_commands() -> None:
    """The two lists below are not empty by mistake."""
    assert {"demo", "test", "check", "bench", "setup", "run"} <= set(make_commands())
    assert len(rowferry_commands()) >= 5


@pytest.mark.parametrize("name", make_commands())
def test_make_commands_exist(name: str) -> None:
    """Make knows the target."""
    done = subprocess.run(["make", "-n", name], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("line", rowferry_commands())
def test_rowferry_commands_exist(line: str) -> None:
    """The command line knows the command and each of its options."""
    words = shlex.split(line)[1:]
    commands = [word for word in words if re.fullmatch(r"[a-z]+", word)][: 2 if "account" in words else 1]
    options = {word for word in words if word.startswith("--")} - {"--help"}
    environment = {"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb", "PATH": "/usr/bin:/bin"}
    done = subprocess.run([ROWFERRY, *commands, "--help"], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert {option for option in options if option not in done.stdout} == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links(page: Path) -> None:
    """Every link to a file of the repository leads to one. RESULTS.md is written by the first `make bench`."""
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        if not target.startswith("http") and not target.endswith("RESULTS.md"):
            assert (page.parent / target).exists(), target


def test_generated_pages_are_fresh() -> None:
    """docs/settings.md and docs/types.md are what the declarations make of them."""
    assert docs.stale() == []


def test_types_page_has_every_neutral_type() -> None:
    """Each kind of neutral type but Unknown stands in it."""
    shown = {type(neutral) for neutral in types_page.NEUTRAL}
    assert set(get_args(NeutralType)) - shown == {Unknown}


def test_map_names_every_room() -> None:
    """ARCHITECTURE.md has a paragraph on each folder of the package."""
    text = (ROOT / "ARCHITECTURE.md").read_text()
    rooms = [path.parent.name for path in (ROOT / "src" / "rowferry").glob("*/__init__.py")]
    assert [room for room in rooms if f"**`{room}/`**" not in text] == []
