"""The bundles that a service keeps: which one scores, which one is tried, and the way back."""

import sqlalchemy as sa
from alembic import op

from giantkiller.store.types import UTCDateTime

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Bring the schema forward."""
    op.create_table(
        "model_bundle",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("added", UTCDateTime(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_model_bundle")),
    )
    op.create_table(
        "model_promotion",
        sa.Column("number", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("actor", sa.String(length=64), nullable=False),
        sa.Column("created", UTCDateTime(), nullable=False),
        sa.Column("undone", UTCDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["digest"], ["model_bundle.digest"], name=op.f("fk_model_promotion_digest_model_bundle")
        ),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_model_promotion")),
    )
    op.create_table(
        "model_candidate",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("created", UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["digest"], ["model_bundle.digest"], name=op.f("fk_model_candidate_digest_model_bundle")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_model_candidate")),
    )
