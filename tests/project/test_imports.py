"""What a process loads before it needs it."""

from __future__ import annotations

import subprocess
import sys

HEAVY = ("pyarrow", "numpy", "duckdb", "connectorx", "adbc_driver_manager", "obstore")


def test_a_server_that_browses_loads_no_driver_of_rows() -> None:
    modules = (
        "server", "app", "connectors.mysql.server", "connectors.mysql.source", "connectors.postgres.server",
        "connectors.postgres.source",
    )  # fmt: skip
    steps = ["import sys", *(f"import rowferry.{name}" for name in modules)]
    steps += [
        "from rowferry.connectors.registry import CONNECTORS, connector",
        "[connector(one) for one in CONNECTORS]",
    ]
    steps += [f"print([name for name in {HEAVY} if name in sys.modules])"]
    done = subprocess.run([sys.executable, "-c", "; ".join(steps)], check=True, capture_output=True, text=True)
    assert done.stdout == "[]\n"
