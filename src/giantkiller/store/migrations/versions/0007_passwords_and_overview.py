"""Links to new passwords; indices for the overview's counts and for what somebody has skipped."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Bring the schema forward."""
    op.add_column("desk_invitation", sa.Column("member", sa.Integer, nullable=True))
    op.create_index(
        "ix_desk_decision_kind",
        "desk_decision",
        ["kind", "created", "staff", "undone", "outcome", "item", "version", "seconds"],
    )
    op.create_index("ix_desk_decision_overturned", "desk_decision", ["overturned", "created"])
    op.create_index("ix_desk_bar_staff", "desk_bar", ["staff", "reason"])
