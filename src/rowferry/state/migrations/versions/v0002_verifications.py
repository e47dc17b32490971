"""Verifications."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "verifications",
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("stream_id", sa.String(40), nullable=False),
        sa.Column("status", sa.String(20), nullable=False),
        sa.Column("created", sa.Integer, nullable=False),
        sa.Column("finished_at", sa.Float),
        sa.Column("elapsed", sa.Float, nullable=False),
        sa.Column("error", sa.JSON),
        sa.Column("comparison", sa.JSON),
        sa.PrimaryKeyConstraint("id", name="pk_verifications"),
    )
    op.create_index("ix_verifications_stream_id", "verifications", ["stream_id"])


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("verifications")
