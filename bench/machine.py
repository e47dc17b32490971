"""What was measured, and on what."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from importlib.metadata import version
from pathlib import Path

import psutil

from bench.servers import Servers

PACKAGES = ("connectorx", "adbc-driver-postgresql", "pyarrow", "duckdb")


def describe(servers: Servers) -> dict[str, str]:
    """The machine, the versions, the commit."""
    ((mariadb,),) = servers.mariadb.execute("SELECT version()")
    ((postgres,),) = servers.postgres.execute("SHOW server_version")
    return {
        "Commit": _commit(),
        "Processor": f"{_processor()}, {os.cpu_count()} cores",
        "Memory": f"{psutil.virtual_memory().total / 1024**3:.0f} GiB",
        "System": f"Linux {platform.release()}, Python {platform.python_version()}",
        "MariaDB": str(mariadb),
        "PostgreSQL": str(postgres),
        "Libraries": ", ".join(f"{name} {version(name)}" for name in PACKAGES),
    }


def _processor() -> str:
    found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found[1] if found else platform.machine()


def _commit() -> str:
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    changed = subprocess.run(
        ["git", "status", "--porcelain", "--untracked-files=no", "src"], capture_output=True, text=True, check=False
    )
    return (commit.stdout.strip() or "unknown") + (" with local changes" if changed.stdout.strip() else "")
