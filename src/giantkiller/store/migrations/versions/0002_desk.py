"""The desk's tables, and a community to begin with."""

from datetime import datetime, timezone

import sqlalchemy as sa
from alembic import op

from giantkiller.store.types import UTCDateTime

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Bring the schema forward."""
    op.create_table(
        "desk_attempt",
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("last", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_desk_attempt")),
    )
    op.create_table(
        "desk_chain",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_desk_chain")),
    )
    op.create_table(
        "desk_community",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("language", sa.String(length=35), nullable=False),
        sa.Column("created", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_desk_community")),
    )
    op.create_table(
        "desk_event",
        sa.Column("seq", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("actor", sa.String(length=64), nullable=False),
        sa.Column("item", sa.Integer(), nullable=True),
        sa.Column("data", sa.Text(), nullable=False),
        sa.Column("previous", sa.String(length=64), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_desk_event")),
    )
    op.create_index(op.f("ix_desk_event_item"), "desk_event", ["item"], unique=False)
    op.create_table(
        "desk_message",
        sa.Column("number", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("item", sa.Integer(), nullable=True),
        sa.Column("statement", sa.Integer(), nullable=True),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.Column("not_before", UTCDateTime(), nullable=False),
        sa.Column("cancelled", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("created", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_desk_message")),
        sa.UniqueConstraint("id", name=op.f("uq_desk_message_id")),
    )
    op.create_index(op.f("ix_desk_message_item"), "desk_message", ["item"], unique=False)
    op.create_table(
        "desk_setting",
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("value", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_desk_setting")),
    )
    op.create_table(
        "desk_staff",
        sa.Column("number", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("password", sa.Text(), nullable=False),
        sa.Column("totp", sa.String(length=64), nullable=True),
        sa.Column("totp_step", sa.Integer(), server_default="0", nullable=False),
        sa.Column("preferences", sa.JSON(), nullable=False),
        sa.Column("created", UTCDateTime(), nullable=False),
        sa.Column("disabled", UTCDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_desk_staff")),
        sa.UniqueConstraint("name", name=op.f("uq_desk_staff_name")),
    )
    op.create_table(
        "desk_webhook",
        sa.Column("number", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("secret", sa.String(length=100), nullable=False),
        sa.Column("created", UTCDateTime(), nullable=False),
        sa.Column("disabled", UTCDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_desk_webhook")),
    )
    op.create_table(
        "desk_delivery",
        sa.Column("number", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("message", sa.Integer(), nullable=False),
        sa.Column("webhook", sa.Integer(), nullable=False),
        sa.Column("item", sa.Integer(), nullable=True),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("error", sa.String(length=200), nullable=True),
        sa.Column("next_try", UTCDateTime(), nullable=False),
        sa.Column("delivered", UTCDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["message"], ["desk_message.number"], name=op.f("fk_desk_delivery_message_desk_message")
        ),
        sa.ForeignKeyConstraint(
            ["webhook"], ["desk_webhook.number"], name=op.f("fk_desk_delivery_webhook_desk_webhook")
        ),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_desk_delivery")),
    )
    op.create_index("ix_desk_delivery_due", "desk_delivery", ["state", "next_try"], unique=False)
    op.create_index(op.f("ix_desk_delivery_message"), "desk_delivery", ["message"], unique=False)
    op.create_index("ix_desk_delivery_order", "desk_delivery", ["webhook", "item", "state"], unique=False)
    op.create_table(
        "desk_invitation",
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("staff", sa.Integer(), nullable=True),
        sa.Column("created", UTCDateTime(), nullable=False),
        sa.Column("expires", UTCDateTime(), nullable=False),
        sa.Column("used", UTCDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["staff"], ["desk_staff.number"], name=op.f("fk_desk_invitation_staff_desk_staff")
        ),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_desk_invitation")),
    )
    op.create_table(
        "desk_item",
        sa.Column("number", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("community", sa.String(length=64), nullable=False),
        sa.Column("external", sa.String(length=200), nullable=True),
        sa.Column("author", sa.String(length=200), nullable=True),
        sa.Column("url", sa.Text(), nullable=True),
        sa.Column("parent", sa.Text(), nullable=True),
        sa.Column("title", sa.Text(), nullable=True),
        sa.Column("language", sa.String(length=35), nullable=False),
        sa.Column("source", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=True),
        sa.Column("reports", sa.Integer(), nullable=False),
        sa.Column("posted", sa.String(length=10), nullable=False),
        sa.Column("created", UTCDateTime(), nullable=False),
        sa.Column("updated", UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["community"], ["desk_community.id"], name=op.f("fk_desk_item_community_desk_community")
        ),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_desk_item")),
        sa.UniqueConstraint("community", "external", name=op.f("uq_desk_item_community_external")),
        sa.UniqueConstraint("id", name=op.f("uq_desk_item_id")),
    )
    op.create_index("ix_desk_item_author", "desk_item", ["community", "author"], unique=False)
    op.create_index(op.f("ix_desk_item_created"), "desk_item", ["created"], unique=False)
    op.create_index("ix_desk_item_fingerprint", "desk_item", ["community", "fingerprint"], unique=False)
    op.create_table(
        "desk_policy",
        sa.Column("number", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("community", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("config", sa.JSON(), nullable=False),
        sa.Column("staff", sa.Integer(), nullable=True),
        sa.Column("created", UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["community"], ["desk_community.id"], name=op.f("fk_desk_policy_community_desk_community")
        ),
        sa.ForeignKeyConstraint(
            ["staff"], ["desk_staff.number"], name=op.f("fk_desk_policy_staff_desk_staff")
        ),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_desk_policy")),
        sa.UniqueConstraint("community", "version", name=op.f("uq_desk_policy_community_version")),
    )
    op.create_table(
        "desk_rulebook",
        sa.Column("number", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("community", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("rules", sa.JSON(), nullable=False),
        sa.Column("staff", sa.Integer(), nullable=True),
        sa.Column("created", UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["community"], ["desk_community.id"], name=op.f("fk_desk_rulebook_community_desk_community")
        ),
        sa.ForeignKeyConstraint(
            ["staff"], ["desk_staff.number"], name=op.f("fk_desk_rulebook_staff_desk_staff")
        ),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_desk_rulebook")),
        sa.UniqueConstraint("community", "version", name=op.f("uq_desk_rulebook_community_version")),
    )
    op.create_table(
        "desk_session",
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("staff", sa.Integer(), nullable=False),
        sa.Column("agent", sa.Text(), nullable=False),
        sa.Column("created", UTCDateTime(), nullable=False),
        sa.Column("seen", UTCDateTime(), nullable=False),
        sa.Column("expires", UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["staff"], ["desk_staff.number"], name=op.f("fk_desk_session_staff_desk_staff")
        ),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_desk_session")),
    )
    op.create_index(op.f("ix_desk_session_staff"), "desk_session", ["staff"], unique=False)
    op.create_table(
        "desk_known",
        sa.Column("item", sa.Integer(), nullable=False),
        sa.Column("outcome", sa.String(length=16), nullable=False),
        sa.Column("rule", sa.String(length=64), nullable=True),
        sa.Column("staff", sa.Integer(), nullable=False),
        sa.Column("created", UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["item"], ["desk_item.number"], name=op.f("fk_desk_known_item_desk_item")),
        sa.ForeignKeyConstraint(
            ["staff"], ["desk_staff.number"], name=op.f("fk_desk_known_staff_desk_staff")
        ),
        sa.PrimaryKeyConstraint("item", name=op.f("pk_desk_known")),
    )
    op.create_table(
        "desk_note",
        sa.Column("number", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("item", sa.Integer(), nullable=False),
        sa.Column("staff", sa.Integer(), nullable=False),
        sa.Column("text", sa.Text(), nullable=True),
        sa.Column("created", UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["item"], ["desk_item.number"], name=op.f("fk_desk_note_item_desk_item")),
        sa.ForeignKeyConstraint(["staff"], ["desk_staff.number"], name=op.f("fk_desk_note_staff_desk_staff")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_desk_note")),
    )
    op.create_index(op.f("ix_desk_note_item"), "desk_note", ["item"], unique=False)
    op.create_table(
        "desk_report",
        sa.Column("number", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("item", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("reporter", sa.String(length=200), nullable=True),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("created", UTCDateTime(), nullable=False),
        sa.Column("told", UTCDateTime(), nullable=True),
        sa.ForeignKeyConstraint(["item"], ["desk_item.number"], name=op.f("fk_desk_report_item_desk_item")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_desk_report")),
    )
    op.create_index(op.f("ix_desk_report_item"), "desk_report", ["item"], unique=False)
    op.create_table(
        "desk_task",
        sa.Column("number", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("item", sa.Integer(), nullable=False),
        sa.Column("decision", sa.Integer(), nullable=True),
        sa.Column("appeal", sa.Integer(), nullable=True),
        sa.Column("community", sa.String(length=64), nullable=False),
        sa.Column("attribute", sa.String(length=32), nullable=False),
        sa.Column("language", sa.String(length=35), nullable=False),
        sa.Column("source", sa.String(length=64), nullable=False),
        sa.Column("rank", sa.Float(), nullable=False),
        sa.Column("open", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.Column("for_lead", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("only", sa.Integer(), nullable=True),
        sa.Column("lease_by", sa.Integer(), nullable=True),
        sa.Column("lease_from", UTCDateTime(), nullable=True),
        sa.Column("lease_until", UTCDateTime(), nullable=True),
        sa.Column("created", UTCDateTime(), nullable=False),
        sa.Column("closed", UTCDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["community"], ["desk_community.id"], name=op.f("fk_desk_task_community_desk_community")
        ),
        sa.ForeignKeyConstraint(["item"], ["desk_item.number"], name=op.f("fk_desk_task_item_desk_item")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_desk_task")),
    )
    op.create_index("ix_desk_task_attribute", "desk_task", ["open", "attribute", "rank"], unique=False)
    op.create_index("ix_desk_task_community", "desk_task", ["open", "community", "rank"], unique=False)
    op.create_index(op.f("ix_desk_task_item"), "desk_task", ["item"], unique=False)
    op.create_index("ix_desk_task_lease", "desk_task", ["open", "lease_by"], unique=False)
    op.create_index("ix_desk_task_waiting", "desk_task", ["open", "rank"], unique=False)
    op.create_table(
        "desk_version",
        sa.Column("number", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("item", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("text", sa.Text(), nullable=True),
        sa.Column("salt", sa.String(length=32), nullable=True),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("scores", sa.JSON(), nullable=False),
        sa.Column("action", sa.String(length=16), nullable=False),
        sa.Column("attribute", sa.String(length=32), nullable=False),
        sa.Column("score", sa.Float(), nullable=False),
        sa.Column("why", sa.String(length=16), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("policy", sa.Integer(), nullable=False),
        sa.Column("created", UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["item"], ["desk_item.number"], name=op.f("fk_desk_version_item_desk_item")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_desk_version")),
        sa.UniqueConstraint("item", "version", name=op.f("uq_desk_version_item_version")),
    )
    op.create_index(op.f("ix_desk_version_created"), "desk_version", ["created"], unique=False)
    op.create_table(
        "desk_bar",
        sa.Column("task", sa.Integer(), nullable=False),
        sa.Column("staff", sa.Integer(), nullable=False),
        sa.Column("reason", sa.String(length=16), nullable=False),
        sa.ForeignKeyConstraint(["staff"], ["desk_staff.number"], name=op.f("fk_desk_bar_staff_desk_staff")),
        sa.ForeignKeyConstraint(["task"], ["desk_task.number"], name=op.f("fk_desk_bar_task_desk_task")),
        sa.PrimaryKeyConstraint("task", "staff", name=op.f("pk_desk_bar")),
    )
    op.create_table(
        "desk_decision",
        sa.Column("number", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("batch", sa.String(length=32), nullable=False),
        sa.Column("item", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("task", sa.Integer(), nullable=True),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("outcome", sa.String(length=16), nullable=False),
        sa.Column("rule", sa.String(length=64), nullable=True),
        sa.Column("rulebook", sa.Integer(), nullable=True),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("staff", sa.Integer(), nullable=True),
        sa.Column("before", sa.String(length=16), nullable=False),
        sa.Column("supersedes", sa.Integer(), nullable=True),
        sa.Column("effective", sa.Boolean(), nullable=False),
        sa.Column("overturned", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=True),
        sa.Column("created", UTCDateTime(), nullable=False),
        sa.Column("release", UTCDateTime(), nullable=False),
        sa.Column("undone", UTCDateTime(), nullable=True),
        sa.ForeignKeyConstraint(["item"], ["desk_item.number"], name=op.f("fk_desk_decision_item_desk_item")),
        sa.ForeignKeyConstraint(
            ["staff"], ["desk_staff.number"], name=op.f("fk_desk_decision_staff_desk_staff")
        ),
        sa.ForeignKeyConstraint(["task"], ["desk_task.number"], name=op.f("fk_desk_decision_task_desk_task")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_desk_decision")),
        sa.UniqueConstraint("id", name=op.f("uq_desk_decision_id")),
    )
    op.create_index(op.f("ix_desk_decision_batch"), "desk_decision", ["batch"], unique=False)
    op.create_index(op.f("ix_desk_decision_created"), "desk_decision", ["created"], unique=False)
    op.create_index(op.f("ix_desk_decision_item"), "desk_decision", ["item"], unique=False)
    op.create_index("ix_desk_decision_staff", "desk_decision", ["staff", "created"], unique=False)
    op.create_table(
        "desk_statement",
        sa.Column("number", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("decision", sa.Integer(), nullable=False),
        sa.Column("item", sa.Integer(), nullable=False),
        sa.Column("audience", sa.String(length=16), nullable=False),
        sa.Column("report", sa.Integer(), nullable=True),
        sa.Column("token", sa.String(length=64), nullable=False),
        sa.Column("language", sa.String(length=35), nullable=False),
        sa.Column("facts", sa.JSON(), nullable=False),
        sa.Column("void", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("created", UTCDateTime(), nullable=False),
        sa.Column("told", UTCDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["decision"], ["desk_decision.number"], name=op.f("fk_desk_statement_decision_desk_decision")
        ),
        sa.ForeignKeyConstraint(
            ["item"], ["desk_item.number"], name=op.f("fk_desk_statement_item_desk_item")
        ),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_desk_statement")),
        sa.UniqueConstraint("token", name=op.f("uq_desk_statement_token")),
    )
    op.create_index(op.f("ix_desk_statement_decision"), "desk_statement", ["decision"], unique=False)
    op.create_index(op.f("ix_desk_statement_item"), "desk_statement", ["item"], unique=False)
    op.create_table(
        "desk_appeal",
        sa.Column("number", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("statement", sa.Integer(), nullable=False),
        sa.Column("decision", sa.Integer(), nullable=False),
        sa.Column("item", sa.Integer(), nullable=False),
        sa.Column("text", sa.Text(), nullable=True),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.Column("staff", sa.Integer(), nullable=True),
        sa.Column("created", UTCDateTime(), nullable=False),
        sa.Column("decided", UTCDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["decision"], ["desk_decision.number"], name=op.f("fk_desk_appeal_decision_desk_decision")
        ),
        sa.ForeignKeyConstraint(["item"], ["desk_item.number"], name=op.f("fk_desk_appeal_item_desk_item")),
        sa.ForeignKeyConstraint(
            ["staff"], ["desk_staff.number"], name=op.f("fk_desk_appeal_staff_desk_staff")
        ),
        sa.ForeignKeyConstraint(
            ["statement"], ["desk_statement.number"], name=op.f("fk_desk_appeal_statement_desk_statement")
        ),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_desk_appeal")),
        sa.UniqueConstraint("statement", name=op.f("uq_desk_appeal_statement")),
    )
    op.create_index(op.f("ix_desk_appeal_created"), "desk_appeal", ["created"], unique=False)
    op.create_index(op.f("ix_desk_appeal_decision"), "desk_appeal", ["decision"], unique=False)
    op.create_index(op.f("ix_desk_appeal_item"), "desk_appeal", ["item"], unique=False)

    communities = sa.table(
        "desk_community",
        sa.column("id", sa.String),
        sa.column("name", sa.Text),
        sa.column("language", sa.String),
        sa.column("created", UTCDateTime),
    )
    op.bulk_insert(
        communities,
        [{"id": "default", "name": "Our community", "language": "en", "created": datetime.now(timezone.utc)}],
    )
