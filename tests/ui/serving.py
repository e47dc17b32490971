"""A server with the pages, in a process of its own: `python -m tests.ui.serving PORT FOLDER`."""

from __future__ import annotations

import sys
from pathlib import Path

import uvicorn

from rowferry.app import create_app
from rowferry.config.settings import Settings
from rowferry.model.streams import StreamState
from rowferry.ui.mount import mount
from tests.api.conftest import run
from tests.ui.sample import add_streams


def main() -> None:
    port, folder = int(sys.argv[1]), Path(sys.argv[2])
    app = create_app(Settings(data_dir=folder), run)
    services = app.state.services
    mount(app, services)
    add_streams(
        services, {"orders": StreamState.RUNNING, "customers": StreamState.FINISHED, "items": StreamState.FAILED}
    )
    (folder / "token").write_text(services.accounts.setup_token or "")
    uvicorn.run(app, port=port, access_log=False)


if __name__ == "__main__":
    main()
