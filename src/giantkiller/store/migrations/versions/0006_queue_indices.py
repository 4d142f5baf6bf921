"""Indices for the queue's filters and counts, of open tasks only."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

INDICES = {
    "kind": ("kind", "rank"),
    "language": ("language", "rank"),
    "source": ("source", "rank"),
    "count": (
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
        "open",
    ),
}


def upgrade() -> None:
    """Bring the schema forward."""
    for name, columns in INDICES.items():
        op.create_index(
            f"ix_desk_task_{name}", "desk_task", list(columns), sqlite_where=sa.text("open IS 1"),
            postgresql_where=sa.text("open IS true"),
        )  # fmt: skip
