"""Signed messages that were taken, so that one sent again changes nothing."""

from datetime import datetime, timedelta

from sqlalchemy import Column, Connection, String, Table, delete, insert, select

from giantkiller.store import UTCDateTime, metadata

KEPT = timedelta(hours=3)
"""How long an id is remembered; longer than the longest window in which its signature counts."""

hook_messages = Table(
    "hook_message",
    metadata,
    Column("id", String(100), primary_key=True),
    Column("received", UTCDateTime, nullable=False, index=True),
)


def remember(connection: Connection, message: str, *, now: datetime) -> bool:
    """Note a message in the transaction that acts on it; return whether it is new."""
    table = hook_messages
    if connection.execute(select(table.c.id).where(table.c.id == message)).first() is not None:
        return False
    connection.execute(delete(table).where(table.c.received < now - KEPT))
    connection.execute(insert(table).values(id=message, received=now))
    return True
