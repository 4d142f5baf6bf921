"""Signed messages that were taken, so that one sent again changes nothing."""

import sqlalchemy as sa
from alembic import op

from giantkiller.store.types import UTCDateTime

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Bring the schema forward."""
    op.create_table(
        "hook_message",
        sa.Column("id", sa.String(length=100), nullable=False),
        sa.Column("received", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_hook_message")),
    )
    op.create_index(op.f("ix_hook_message_received"), "hook_message", ["received"], unique=False)
