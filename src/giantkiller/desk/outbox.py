"""What leaves the house: messages written with the change they tell of, and their deliveries to webhooks."""

import base64
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import Connection, exists, func, insert, or_, select, update

from giantkiller.desk import statements
from giantkiller.desk.errors import DeskError, NotFoundError
from giantkiller.desk.events import record
from giantkiller.desk.tables import deliveries, messages, webhooks

CLAIM_SECONDS = 60
"""How long a delivery is one worker's."""

LONGEST_WAIT = 3600
"""Seconds between two tries at the most."""


@dataclass(frozen=True)
class Message:
    """What happened, as programs are told: `payload` is the JSON that they get as `data`."""

    number: int
    id: str
    kind: str
    created: datetime
    payload: Mapping[str, Any]


@dataclass(frozen=True)
class Webhook:
    """A receiver of messages, `disabled` since when, and how many deliveries to it are in each state."""

    number: int
    name: str
    url: str
    disabled: datetime | None
    counts: dict[str, int]


@dataclass(frozen=True)
class Delivery:
    """A message of a kind on its way to a webhook of a name; status and error are of the last try."""

    number: int
    kind: str
    name: str
    state: str
    attempts: int
    status: int | None
    error: str | None
    next_try: datetime


@dataclass(frozen=True)
class Due:
    """A delivery to carry out now."""

    number: int
    message: int
    id: str
    url: str
    secret: str
    kind: str
    created: datetime
    payload: dict[str, Any]
    attempts: int


def put(
    connection: Connection,
    kind: str,
    payload: dict[str, Any],
    *,
    item: int | None,
    not_before: datetime,
    now: datetime,
    statement: int | None = None,
) -> int:
    """Write a message, and a delivery of it to each webhook.

    Args:
        connection: In the transaction that changes the state.
        kind: Like "comment.removed".
        payload: What the receiver gets as `data`.
        item: The item's number; messages about one item arrive in order.
        not_before: The moment at which it may leave.
        now: The present one.
        statement: The number of the statement that this tells somebody about.
    """
    result = connection.execute(
        insert(messages).values(
            id="msg_" + secrets.token_hex(12), item=item, statement=statement, kind=kind, payload=payload,
            not_before=not_before, created=now,
        )
    )  # fmt: skip
    number = int(result.inserted_primary_key[0])  # type: ignore[index]
    for webhook in connection.execute(select(webhooks.c.number).where(webhooks.c.disabled.is_(None))):
        connection.execute(
            insert(deliveries).values(
                message=number, webhook=webhook.number, item=item, state="waiting", attempts=0,
                next_try=not_before,
            )
        )  # fmt: skip
    return number


def cancel(connection: Connection, statement_numbers: Sequence[int]) -> None:
    """Take messages about statements back that have not left yet."""
    chosen = select(messages.c.number).where(messages.c.statement.in_(statement_numbers))
    connection.execute(
        update(deliveries)
        .where(deliveries.c.message.in_(chosen), deliveries.c.state == "waiting")
        .values(state="cancelled")
    )
    connection.execute(
        update(messages).where(messages.c.statement.in_(statement_numbers)).values(cancelled=True)
    )


def read_messages(connection: Connection, after: int, most: int, *, now: datetime) -> list[Message]:
    """Return messages that may leave, for clients that fetch them, in order of their numbers.

    A message that may not leave yet holds later ones back, so that none is ever passed over.
    """
    rows = connection.execute(
        select(messages).where(messages.c.number > after).order_by(messages.c.number).limit(most)
    )
    found, told = [], []
    for row in rows:
        if row.cancelled:
            continue
        if row.not_before > now:
            break
        if row.statement is not None:
            told.append(row.statement)
        found.append(Message(row.number, row.id, row.kind, row.created, row.payload))
    statements.mark_told(connection, told, now)
    return found


def claim(connection: Connection, most: int, *, now: datetime) -> list[Due]:
    """Take deliveries that are due; for a minute nobody else gets them.

    Of one item's messages to one webhook only the oldest that waits is ever due.
    """
    earlier = deliveries.alias("earlier")
    first = ~exists().where(
        earlier.c.webhook == deliveries.c.webhook,
        earlier.c.item == deliveries.c.item,
        earlier.c.state == "waiting",
        earlier.c.number < deliveries.c.number,
    )
    query = (
        select(deliveries.c.number, deliveries.c.message, deliveries.c.attempts, messages.c.id,
               messages.c.kind, messages.c.created, messages.c.payload, webhooks.c.url, webhooks.c.secret)
        .join(messages, messages.c.number == deliveries.c.message)
        .join(webhooks, webhooks.c.number == deliveries.c.webhook)
        .where(
            deliveries.c.state == "waiting",
            deliveries.c.next_try <= now,
            webhooks.c.disabled.is_(None),
            or_(deliveries.c.item.is_(None), first),
        )
        .order_by(deliveries.c.next_try, deliveries.c.number)
        .limit(most)
    )  # fmt: skip
    if connection.dialect.name == "postgresql":
        query = query.with_for_update(of=deliveries, skip_locked=True)
    rows = connection.execute(query).all()
    if rows:
        connection.execute(
            update(deliveries)
            .where(deliveries.c.number.in_([row.number for row in rows]))
            .values(next_try=now + timedelta(seconds=CLAIM_SECONDS))
        )
    return [Due(**row._mapping) for row in rows]


def settle(
    connection: Connection,
    delivery: int,
    *,
    ok: bool,
    now: datetime,
    status: int | None = None,
    error: str | None = None,
) -> None:
    """Note how a delivery went. One that failed is tried again, later each time, until somebody stops it."""
    row = connection.execute(
        select(deliveries, messages.c.statement)
        .join(messages, messages.c.number == deliveries.c.message)
        .where(deliveries.c.number == delivery)
    ).one()
    attempts = row.attempts + 1
    values: dict[str, Any] = {"attempts": attempts, "status": status, "error": (error or "")[:200] or None}
    if ok:
        values |= {"state": "delivered", "delivered": now}
        if row.statement is not None:
            statements.mark_told(connection, [row.statement], now)
    else:
        # Between half and all of 2, 4, 8, ... seconds: receivers that come back aren't met by a wall.
        wait = min(2.0**attempts, LONGEST_WAIT) * (0.5 + secrets.randbelow(1000) / 2000)
        values["next_try"] = now + timedelta(seconds=wait)
    connection.execute(update(deliveries).where(deliveries.c.number == delivery).values(**values))


def replay(connection: Connection, delivery: int, actor: str, *, now: datetime) -> None:
    """Deliver a message once more, now."""
    row = _delivery(connection, delivery)
    if row.state == "cancelled":
        raise DeskError("this message was taken back; it never leaves")
    not_before = connection.execute(
        select(messages.c.not_before).where(messages.c.number == row.message)
    ).scalar_one()
    connection.execute(
        update(deliveries)
        .where(deliveries.c.number == delivery)
        .values(state="waiting", next_try=max(now, not_before))
    )
    record(connection, "delivery-replayed", actor, now=now, delivery=delivery)


def set_aside(connection: Connection, delivery: int, actor: str, *, now: datetime) -> None:
    """Stop trying to deliver a message; it can be replayed."""
    row = _delivery(connection, delivery)
    if row.state != "waiting":
        raise DeskError("only a message that waits can be set aside")
    connection.execute(update(deliveries).where(deliveries.c.number == delivery).values(state="aside"))
    record(connection, "delivery-set-aside", actor, now=now, delivery=delivery)


def add_webhook(connection: Connection, name: str, url: str, actor: str, *, now: datetime) -> str:
    """Add a receiver.

    Returns:
        The secret that signs what it gets: "whsec_" and base64, as Standard Webhooks has it.

    Raises:
        DeskError: If the name or the address is wrong.
    """
    if not 1 <= len(name.strip()) <= 64:
        raise DeskError("a webhook needs a name of 1 to 64 characters")
    try:
        parts = urlsplit(url)
        fine = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        fine = False
    if not fine or len(url) > 1000 or not url.isprintable() or " " in url or parts.username is not None:
        raise DeskError("a webhook's address begins with https:// or http:// and has no user name in it")
    secret = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
    connection.execute(insert(webhooks).values(name=name.strip(), url=url, secret=secret, created=now))
    record(connection, "webhook-added", actor, now=now, name=name.strip())
    return secret


def disable_webhook(connection: Connection, webhook: int, actor: str, *, now: datetime) -> None:
    """Stop sending to a receiver; what waits for it is set aside."""
    changed = connection.execute(
        update(webhooks)
        .where(webhooks.c.number == webhook, webhooks.c.disabled.is_(None))
        .values(disabled=now)
    )
    if not changed.rowcount:
        raise NotFoundError("there is no such webhook, or it is disabled already")
    connection.execute(
        update(deliveries)
        .where(deliveries.c.webhook == webhook, deliveries.c.state == "waiting")
        .values(state="aside")
    )
    record(connection, "webhook-disabled", actor, now=now, webhook=webhook)


def list_webhooks(connection: Connection) -> list[Webhook]:
    """Return the webhooks with counts of their deliveries by state."""
    counts = connection.execute(
        select(deliveries.c.webhook, deliveries.c.state, func.count().label("total")).group_by(
            deliveries.c.webhook, deliveries.c.state
        )
    ).all()
    return [
        Webhook(
            row.number,
            row.name,
            row.url,
            row.disabled,
            {count.state: count.total for count in counts if count.webhook == row.number},
        )
        for row in connection.execute(select(webhooks).order_by(webhooks.c.number))
    ]


def list_deliveries(connection: Connection, state: str | None, most: int = 200) -> list[Delivery]:
    """Return the newest deliveries, of one state or all."""
    query = (
        select(deliveries.c.number, messages.c.kind, webhooks.c.name, deliveries.c.state,
               deliveries.c.attempts, deliveries.c.status, deliveries.c.error, deliveries.c.next_try)
        .join(messages, messages.c.number == deliveries.c.message)
        .join(webhooks, webhooks.c.number == deliveries.c.webhook)
        .order_by(deliveries.c.number.desc())
        .limit(most)
    )  # fmt: skip
    query = query.where(deliveries.c.state == state) if state else query
    return [Delivery(**row._mapping) for row in connection.execute(query)]


def _delivery(connection: Connection, number: int) -> Any:
    row = connection.execute(select(deliveries).where(deliveries.c.number == number)).one_or_none()
    if row is None:
        raise NotFoundError("there is no such delivery")
    return row
