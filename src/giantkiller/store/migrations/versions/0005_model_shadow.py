"""What a candidate would have done with the traffic of late: counts, and ids of comments, never a text."""

import sqlalchemy as sa
from alembic import op

from giantkiller.store.types import UTCDateTime

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Bring the schema forward."""
    op.create_table(
        "model_shadow",
        sa.Column("day", sa.String(length=10), nullable=False),
        sa.Column("active", sa.String(length=64), nullable=False),
        sa.Column("candidate", sa.String(length=64), nullable=False),
        sa.Column("attribute", sa.String(length=32), nullable=False),
        sa.Column("measure", sa.String(length=16), nullable=False),
        sa.Column("bin", sa.Integer(), nullable=False),
        sa.Column("value", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint(
            "day", "active", "candidate", "attribute", "measure", "bin", name=op.f("pk_model_shadow")
        ),
    )
    op.create_table(
        "model_flip",
        sa.Column("number", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("at", UTCDateTime(), nullable=False),
        sa.Column("active", sa.String(length=64), nullable=False),
        sa.Column("candidate", sa.String(length=64), nullable=False),
        sa.Column("item", sa.String(length=32), nullable=False),
        sa.Column("before", sa.String(length=16), nullable=False),
        sa.Column("after", sa.String(length=16), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_model_flip")),
    )
