"""Write the generated pages of docs/; with --check only see that they are fresh."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from scripts import settings_page, types_page  # noqa: E402  - found from the root, however this was started

PAGES: dict[Path, Callable[[], str]] = {
    ROOT / "docs" / "settings.md": settings_page.page,
    ROOT / "docs" / "types.md": types_page.page,
}


def stale() -> list[str]:
    """The pages that are not what their declarations make of them."""
    return [path.name for path, page in PAGES.items() if not path.exists() or path.read_text() != page()]


def main(arguments: list[str]) -> int:
    """Write the pages, or with --check say which are not fresh."""
    if "--check" not in arguments:
        for path, page in PAGES.items():
            path.write_text(page())
        return 0
    found = stale()
    if found:
        print(f"docs: {', '.join(found)} not fresh: run `make docs`")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
