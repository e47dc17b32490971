"""The check of sizes sees what it should."""

from __future__ import annotations

from pathlib import Path

from scripts.sizes import FILE_LINES, FUNCTION_LINES, too_large


def test_small_things_pass(tmp_path: Path) -> None:
    """A function and a file at their limits."""
    file = tmp_path / "small.py"
    file.write_text("def f():\n" + "    x = 1\n" * (FUNCTION_LINES - 1))
    assert list(too_large(file)) == []


def test_large_things_are_named(tmp_path: Path) -> None:
    """A function and a file one line beyond."""
    file = tmp_path / "large.py"
    file.write_text("async def f():\n" + "    x = 1\n" * FUNCTION_LINES + "\n" * FILE_LINES)
    messages = list(too_large(file))
    assert len(messages) == 2
    assert "f has 61 lines" in messages[1]
