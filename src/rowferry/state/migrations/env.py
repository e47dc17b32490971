"""Runs the steps on the connection that `Database.migrate` hands over, inside its transaction."""

from __future__ import annotations

from alembic import context

from rowferry.state.tables import METADATA

context.configure(connection=context.config.attributes["connection"], target_metadata=METADATA, render_as_batch=True)
context.run_migrations()
