"""Findings have a table of their own, and grow while a stream runs."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table, and bring over what the streams found so far."""
    findings = op.create_table(
        "findings",
        sa.Column("number", sa.Integer, nullable=False, autoincrement=True),
        sa.Column("stream_id", sa.String(40), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("severity", sa.String(10), nullable=False),
        sa.Column("document", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_findings"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_findings_stream_id_digest", "findings", ["stream_id", "digest"], unique=True)
    streams = sa.table("streams", sa.column("id", sa.String), sa.column("report", sa.JSON))
    connection = op.get_bind()
    for stream_id, report in connection.execute(sa.select(streams)).all():
        rows = {row["digest"]: row for row in (_row(stream_id, finding) for finding in report[:1000])}
        if rows:
            connection.execute(sa.insert(findings), list(rows.values()))
    with op.batch_alter_table("streams") as table:
        table.drop_column("report")


def downgrade() -> None:
    """Drop the table; the findings are lost."""
    with op.batch_alter_table("streams") as table:
        table.add_column(sa.Column("report", sa.JSON, nullable=False, server_default="[]"))
    op.drop_table("findings")


def _row(stream_id: str, finding: dict[str, Any]) -> dict[str, Any]:
    digest = hashlib.sha256(json.dumps(finding, sort_keys=True).encode()).hexdigest()
    return {"stream_id": stream_id, "digest": digest, "severity": finding["severity"], "document": finding}
