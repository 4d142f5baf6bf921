"""Indices for the queue's filters and counts."""

from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Bring the schema forward."""
    for name in ("kind", "language", "source"):
        op.create_index(f"ix_desk_task_{name}", "desk_task", ["open", name, "rank"])
    op.create_index(
        "ix_desk_task_count",
        "desk_task",
        [
            "open",
            "kind",
            "community",
            "attribute",
            "language",
            "source",
            "for_lead",
            "only",
            "lease_until",
            "created",
            "number",
        ],
    )
