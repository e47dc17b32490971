"""The first page: all streams, and how they go."""

from __future__ import annotations

import logging
from typing import Any

from nicegui import run, ui

from rowferry.control.services import StreamControl
from rowferry.ui.rows import stream_rows
from rowferry.ui.shell import Visit

REFRESH_SECONDS = 2.0

_LOG = logging.getLogger("rowferry.ui")
_STALE = "The streams could not be read just now: the server's log says why. Trying again."
_COLUMNS: tuple[dict[str, Any], ...] = (
    {"name": "name", "label": "Stream", "field": "name", "align": "left"},
    {"name": "state", "label": "State", "field": "state", "align": "left"},
    {"name": "progress", "label": "Progress", "field": "progress", "align": "left"},
    {"name": "rows", "label": "Rows", "field": "rows", "align": "right"},
    {"name": "elapsed", "label": "Time", "field": "elapsed", "align": "right"},
)
_SPARE = {"rows", "elapsed"}
"""Columns that a phone does without."""

_NAME = """<q-td :props="props"><div class="rf-name">{{ props.row.name }}</div>
<div class="rf-why" v-if="props.row.error">{{ props.row.error }}</div></q-td>"""
_STATE = """<q-td :props="props"><span :class="'rf-state rf-' + props.row.tone">{{ props.row.state }}</span></q-td>"""
_PROGRESS = """<q-td :props="props"><div class="rf-progress" v-if="props.row.percent !== null">
<div class="rf-bar"><div :style="{width: props.row.percent + '%'}"></div></div><span>{{ props.row.progress }}</span>
</div></q-td>"""


async def overview(visit: Visit, streams: StreamControl) -> None:
    """Build the page; it is read again every two seconds while it is open."""
    table, nothing = _table(), _nothing()
    stale = ui.label(_STALE).classes("rf-error").props('role="alert"')
    stale.visible = False

    def fill(rows: list[dict[str, Any]]) -> None:
        table.visible, nothing.visible = bool(rows), not rows
        if rows != table.rows:
            table.rows = rows

    async def refresh() -> None:
        try:
            if await visit.goes_on():
                fill(await run.io_bound(stream_rows, streams) or [])
                stale.visible = False
        except Exception:
            _LOG.exception("the overview could not be read")
            stale.visible = True

    fill(await run.io_bound(stream_rows, streams) or [])
    ui.timer(REFRESH_SECONDS, refresh, immediate=False)


def _table() -> ui.table:
    spare = {"classes": "rf-spare", "headerClasses": "rf-spare"}
    columns = [{**column, **(spare if column["name"] in _SPARE else {})} for column in _COLUMNS]
    table = ui.table(rows=[], columns=columns, row_key="id").classes("rf-table")
    table.props("flat").add_slot("body-cell-name", _NAME)
    table.add_slot("body-cell-state", _STATE)
    table.add_slot("body-cell-progress", _PROGRESS)
    return table


def _nothing() -> ui.element:
    with ui.element("section").classes("rf-card") as card:
        ui.label("No streams yet.").classes("rf-strong")
        ui.label("A stream moves tables from one place to another. Create a connection and a stream config by the API.")
        ui.link("Open the API reference", "/api/v1/docs").classes("rf-link")
    return card
