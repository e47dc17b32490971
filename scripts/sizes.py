"""Check that no function and no file stands out by its size, unless it is a table of data.

A function may have 60 lines, a file 450. Tables that may be longer are named below, with the reason.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

FUNCTION_LINES = 60
FILE_LINES = 450
FOLDERS = ("src", "demo", "bench", "scripts", "tests")
TABLES: dict[str, str] = {}
"""Files that may be longer, by path, with the reason."""


def main() -> int:
    """Print what is too large; 1 when anything is."""
    found = [
        line
        for folder in FOLDERS
        for path in sorted(Path(folder).rglob("*.py"))
        if str(path) not in TABLES
        for line in too_large(path)
    ]
    unused = [f"{path}: listed as a table, but it is not there" for path in TABLES if not Path(path).exists()]
    for line in found + unused:
        print(line)
    return int(bool(found or unused))


def too_large(path: Path) -> Iterator[str]:
    """What is too large in a file, one sentence each."""
    text = path.read_text(encoding="utf-8")
    lines = text.count("\n")
    if lines > FILE_LINES:
        yield f"{path}: {lines} lines, more than {FILE_LINES}; divide it by what it is about"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None:
            length = node.end_lineno - node.lineno + 1
            if length > FUNCTION_LINES:
                yield f"{path}:{node.lineno}: {node.name} has {length} lines, more than {FUNCTION_LINES}"


if __name__ == "__main__":
    sys.exit(main())
