"""The desk's tables. Texts of people stand in columns that a purge can empty, never in events."""

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
    true,
)
from sqlalchemy.sql.schema import SchemaItem

from giantkiller.store import UTCDateTime, metadata


def _number() -> Column[int]:
    return Column("number", Integer, primary_key=True, autoincrement=True)


def _json(name: str, nullable: bool = False) -> Column[object]:
    return Column(name, JSON(none_as_null=True), nullable=nullable)


def _moment(name: str, nullable: bool = False, index: bool = False) -> Column[object]:
    return Column(name, UTCDateTime, nullable=nullable, index=index)


def _to(name: str, target: str, nullable: bool = False, index: bool = False) -> Column[int]:
    return Column(name, Integer, ForeignKey(f"desk_{target}.number"), nullable=nullable, index=index)


def _community(**more: bool) -> Column[str]:
    return Column("community", String(64), ForeignKey("desk_community.id"), nullable=False, **more)  # type: ignore[arg-type]


def _table(name: str, *columns: SchemaItem) -> Table:
    return Table(f"desk_{name}", metadata, *columns)


settings = _table("setting", Column("name", String(32), primary_key=True), _json("value"))

communities = _table(
    "community",
    Column("id", String(64), primary_key=True),
    Column("name", Text, nullable=False),
    Column("language", String(35), nullable=False),
    _moment("created"),
)

staff = _table(
    "staff",
    _number(),
    Column("name", String(64), nullable=False, unique=True),
    Column("role", String(16), nullable=False),
    Column("password", Text, nullable=False),
    Column("totp", String(64), nullable=True),
    Column("totp_step", Integer, nullable=False, server_default="0"),
    _json("preferences"),
    _moment("created"),
    _moment("disabled", nullable=True),
)

sessions = _table(
    "session",
    Column("hash", String(64), primary_key=True),
    _to("staff", "staff", index=True),
    Column("agent", Text, nullable=False),
    _moment("created"),
    _moment("seen"),
    _moment("expires"),
)

invitations = _table(
    "invitation",
    Column("hash", String(64), primary_key=True),
    Column("role", String(16), nullable=False),
    _to("staff", "staff", nullable=True),  # whose it is: who invites
    _moment("created"),
    _moment("expires"),
    _moment("used", nullable=True),
    Column("member", Integer, nullable=True),  # who gets a new password by it; nobody new then
)

attempts = _table(
    "attempt",
    Column("key", String(64), primary_key=True),
    Column("failures", Integer, nullable=False),
    _moment("last"),
)

policies = _table(
    "policy",
    _number(),
    _community(),
    Column("version", Integer, nullable=False),
    _json("config"),
    _to("staff", "staff", nullable=True),
    _moment("created"),
    UniqueConstraint("community", "version"),
)

rulebooks = _table(
    "rulebook",
    _number(),
    _community(),
    Column("version", Integer, nullable=False),
    _json("rules"),
    _to("staff", "staff", nullable=True),
    _moment("created"),
    UniqueConstraint("community", "version"),
)

items = _table(
    "item",
    _number(),
    Column("id", String(32), nullable=False, unique=True),
    _community(),
    Column("external", String(200), nullable=True),
    Column("author", String(200), nullable=True),
    Column("url", Text, nullable=True),
    Column("parent", Text, nullable=True),
    Column("title", Text, nullable=True),
    Column("language", String(35), nullable=False),
    Column("source", String(64), nullable=False),
    Column("state", String(16), nullable=False),
    Column("version", Integer, nullable=False),
    Column("fingerprint", String(64), nullable=True),
    Column("reports", Integer, nullable=False),
    Column("posted", String(10), nullable=False),  # the day, for transparency statements
    _moment("created", index=True),
    _moment("updated"),
    UniqueConstraint("community", "external"),
    Index("ix_desk_item_author", "community", "author"),
    Index("ix_desk_item_fingerprint", "community", "fingerprint"),
)

versions = _table(
    "version",
    _number(),
    _to("item", "item"),
    Column("version", Integer, nullable=False),
    Column("text", Text, nullable=True),
    Column("salt", String(32), nullable=True),
    Column("digest", String(64), nullable=False),
    _json("scores"),
    Column("action", String(16), nullable=False),
    Column("attribute", String(32), nullable=False),
    Column("score", Float, nullable=False),
    Column("why", String(16), nullable=False),
    Column("model", Text, nullable=False),
    Column("policy", Integer, nullable=False),
    _moment("created", index=True),
    UniqueConstraint("item", "version"),
)

decisions = _table(
    "decision",
    _number(),
    Column("id", String(32), nullable=False, unique=True),
    Column("batch", String(32), nullable=False, index=True),
    _to("item", "item", index=True),
    Column("version", Integer, nullable=False),
    _to("task", "task", nullable=True),
    Column("kind", String(16), nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("rule", String(64), nullable=True),
    Column("rulebook", Integer, nullable=True),
    Column("note", Text, nullable=True),
    _to("staff", "staff", nullable=True),
    Column("before", String(16), nullable=False),  # the item's state that an undo brings back
    Column("supersedes", Integer, nullable=True),
    Column("effective", Boolean, nullable=False),
    Column("overturned", Boolean, nullable=False, server_default=false()),
    Column("seconds", Float, nullable=True),
    _moment("created", index=True),
    _moment("release"),
    _moment("undone", nullable=True),
    Index("ix_desk_decision_staff", "staff", "created"),
    Index("ix_desk_decision_overturned", "overturned", "created"),
    # All that the overview asks of decisions, so that it reads the index alone.
    Index(
        "ix_desk_decision_kind",
        "kind",
        "created",
        "staff",
        "undone",
        "outcome",
        "item",
        "version",
        "seconds",
    ),
)

tasks = _table(
    "task",
    _number(),
    Column("kind", String(16), nullable=False),
    _to("item", "item", index=True),
    Column("decision", Integer, nullable=True),  # that a second look, or an appeal, is about
    Column("appeal", Integer, nullable=True),
    _community(),
    Column("attribute", String(32), nullable=False),
    Column("language", String(35), nullable=False),
    Column("source", String(64), nullable=False),
    Column("rank", Float, nullable=False),
    Column("open", Boolean, nullable=False, server_default=true()),
    Column("for_lead", Boolean, nullable=False, server_default=false()),
    Column("only", Integer, nullable=True),  # the one person it is for
    Column("lease_by", Integer, nullable=True),
    _moment("lease_from", nullable=True),
    _moment("lease_until", nullable=True),
    _moment("created"),
    _moment("closed", nullable=True),
    Index("ix_desk_task_waiting", "open", "rank"),
    Index("ix_desk_task_community", "open", "community", "rank"),
    Index("ix_desk_task_attribute", "open", "attribute", "rank"),
    Index("ix_desk_task_lease", "open", "lease_by"),
    Index("ix_desk_task_kind", "open", "kind", "rank"),
    Index("ix_desk_task_language", "open", "language", "rank"),
    Index("ix_desk_task_source", "open", "source", "rank"),
    # All that a count of what waits asks for, so that it reads the index alone.
    Index(
        "ix_desk_task_count",
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
    ),
)

bars = _table(
    "bar",
    Column("task", Integer, ForeignKey("desk_task.number"), primary_key=True),
    Column("staff", Integer, ForeignKey("desk_staff.number"), primary_key=True),
    Column("reason", String(16), nullable=False),  # "decided": never; "skipped": until they ask for it
    Index("ix_desk_bar_staff", "staff", "reason"),
)

reports = _table(
    "report",
    _number(),
    _to("item", "item", index=True),
    Column("version", Integer, nullable=False),
    Column("reporter", String(200), nullable=True),
    Column("kind", String(16), nullable=False),
    Column("reason", Text, nullable=True),
    _moment("created"),
    _moment("told", nullable=True),
)

notes = _table(
    "note",
    _number(),
    _to("item", "item", index=True),
    _to("staff", "staff"),
    Column("text", Text, nullable=True),
    _moment("created"),
)

statements = _table(
    "statement",
    _number(),
    _to("decision", "decision", index=True),
    _to("item", "item", index=True),
    Column("audience", String(16), nullable=False),
    Column("report", Integer, nullable=True),
    Column("token", String(64), nullable=False, unique=True),
    Column("language", String(35), nullable=False),
    _json("facts"),
    Column("void", Boolean, nullable=False, server_default=false()),
    _moment("created"),
    _moment("told", nullable=True),
)

appeals = _table(
    "appeal",
    _number(),
    _to("statement", "statement"),
    _to("decision", "decision", index=True),
    _to("item", "item", index=True),
    Column("text", Text, nullable=True),
    Column("state", String(16), nullable=False),
    Column("answer", Text, nullable=True),
    _to("staff", "staff", nullable=True),
    _moment("created", index=True),
    _moment("decided", nullable=True),
    UniqueConstraint("statement"),
)

known = _table(
    "known",
    Column("item", Integer, ForeignKey("desk_item.number"), primary_key=True),
    Column("outcome", String(16), nullable=False),
    Column("rule", String(64), nullable=True),
    _to("staff", "staff"),
    _moment("created"),
)

events = _table(
    "event",
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("at", String(32), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("actor", String(64), nullable=False),
    Column("item", Integer, nullable=True, index=True),
    Column("data", Text, nullable=False),
    Column("previous", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
)

chain = _table(
    "chain",
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("seq", Integer, nullable=False),
    Column("hash", String(64), nullable=False),
)

messages = _table(
    "message",
    _number(),
    Column("id", String(32), nullable=False, unique=True),
    Column("item", Integer, nullable=True, index=True),
    Column("statement", Integer, nullable=True),
    Column("kind", String(32), nullable=False),
    _json("payload"),
    _moment("not_before"),
    Column("cancelled", Boolean, nullable=False, server_default=false()),
    _moment("created"),
)

webhooks = _table(
    "webhook",
    _number(),
    Column("name", String(64), nullable=False),
    Column("url", Text, nullable=False),
    Column("secret", String(100), nullable=False),
    _moment("created"),
    _moment("disabled", nullable=True),
)

deliveries = _table(
    "delivery",
    _number(),
    _to("message", "message", index=True),
    _to("webhook", "webhook"),
    Column("item", Integer, nullable=True),
    Column("state", String(16), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("status", Integer, nullable=True),
    Column("error", String(200), nullable=True),
    _moment("next_try"),
    _moment("delivered", nullable=True),
    Index("ix_desk_delivery_due", "state", "next_try"),
    Index("ix_desk_delivery_order", "webhook", "item", "state"),
)
