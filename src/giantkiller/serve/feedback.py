"""Kept feedback: what clients say the scores should have been, on disk before they are answered."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import JSON, Column, Connection, Integer, String, Table, Text, insert, select

from giantkiller.store import Store, UTCDateTime, metadata, utc_now

feedback_table = Table(
    "feedback",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("received", UTCDateTime, nullable=False, index=True),
    Column("key_id", String(16), nullable=True),
    Column("source", String(32), nullable=False),
    Column("community", Text, nullable=True),
    Column("client_token", Text, nullable=True),
    Column("text", Text, nullable=False),
    Column("scores", JSON(none_as_null=True), nullable=False),
    Column("spans", JSON(none_as_null=True), nullable=True),
    Column("context", JSON(none_as_null=True), nullable=True),
    Column("languages", JSON(none_as_null=True), nullable=True),
)


@dataclass(frozen=True)
class Feedback:
    """One comment with the scores that somebody thinks it should have.

    `scores` by our attributes, or by the name that was sent where we lack the attribute; `spans` as sent;
    `source` says which way it came: "perspective", or the name of a hook.
    """

    text: str
    scores: dict[str, float]
    source: str = "perspective"
    key_id: str | None = None
    community: str | None = None
    client_token: str | None = None
    spans: dict[str, Any] | None = None
    context: Any = None
    languages: list[str] | None = None


Listener = Callable[[Connection, int, Feedback], None]
"""Called with the connection, the number and the feedback, in the transaction that keeps it."""


def keep_feedback(connection: Connection, feedback: Feedback, listeners: list[Listener]) -> int:
    """Insert feedback and tell the listeners; returns its number."""
    values = {name: _storable(value) for name, value in asdict(feedback).items()}
    result = connection.execute(insert(feedback_table).values(received=utc_now(), **values))
    number = int(result.inserted_primary_key[0])  # type: ignore[index]
    for listener in listeners:
        listener(connection, number, feedback)
    return number


def read_feedback(store: Store, after: int = 0, most: int = 1000) -> list[dict[str, Any]]:
    """Return feedback beyond a number, oldest first, as plain dictionaries."""
    table = feedback_table
    query = select(table).where(table.c.number > after).order_by(table.c.number).limit(most)
    with store.read() as connection:
        return [dict(row._mapping) for row in connection.execute(query)]


def _storable(value: Any) -> Any:
    """Replace NUL, which PostgreSQL's texts can't hold."""
    if isinstance(value, str):
        return value.replace("\0", "\ufffd")
    if isinstance(value, dict):
        return {_storable(key): _storable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_storable(item) for item in value]
    return value
