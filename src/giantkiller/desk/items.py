"""Comments and their versions, and which of them wait for a person, in which place."""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, bindparam, insert, select, update

from giantkiller.cleaning import clean_text
from giantkiller.desk.config import DeskSettings, read_settings
from giantkiller.desk.errors import DeskError, NotFoundError
from giantkiller.desk.events import lock, record
from giantkiller.desk.policies import Judgement
from giantkiller.desk.tables import items, notes, tasks, versions
from giantkiller.store import Store

LONGEST_TEXT = 20_480
WAITING = ("review", "hidden")
"""States in which a comment waits for its first decision."""

_TOGETHER = 500


@dataclass(frozen=True)
class Comment:
    """A comment as a platform sends it.

    Attributes:
        text: What was written.
        community: Where.
        external: The platform's own id; with it, sending the same comment again changes nothing, and another
            text is an edit.
        author: A pseudonym, the same for the same person.
        url: Where the comment stands.
        parent: The text that it answers.
        title: Of the page.
        language: A language tag, or "und".
        source: Which way it came: the name of an API key, a hook or a file.
        posted: The day, YYYY-MM-DD; the day of its arrival if None.
    """

    text: str
    community: str = "default"
    external: str | None = None
    author: str | None = None
    url: str | None = None
    parent: str | None = None
    title: str | None = None
    language: str = "und"
    source: str = "api"
    posted: str | None = None


@dataclass(frozen=True)
class Submitted:
    """What became of a submission: the item's id and number, its state and version, and whether it is new."""

    id: str
    number: int
    state: str
    version: int
    new: bool


def any_item(connection: Connection) -> bool:
    """Return whether a comment has ever come."""
    return connection.execute(select(items.c.number).limit(1)).first() is not None


def find_item(connection: Connection, item_id: str) -> Row[Any]:
    """Return an item by its public id.

    Raises:
        NotFoundError: If there is none.
    """
    row = connection.execute(select(items).where(items.c.id == item_id)).one_or_none()
    if row is None:
        raise NotFoundError("there is no such comment")
    return row


def add_note(connection: Connection, item: int, staff: int, text: str, *, now: datetime) -> None:
    """Add an internal note, which only the staff ever sees."""
    text = storable(text).strip()
    if not text or len(text) > 4000:
        raise DeskError("a note has 1 to 4,000 characters")
    connection.execute(insert(notes).values(item=item, staff=staff, text=text, created=now))
    record(connection, "noted", f"staff:{staff}", now=now, item=item)


def fingerprint(text: str) -> str | None:
    """Return what near-identical texts share: the same letters and digits, disguises undone, in any case.

    None for a text without letters and digits.
    """
    core = "".join(c for c in clean_text(text).casefold() if c.isalnum())
    return hashlib.sha256(core.encode("utf-8", "surrogatepass")).hexdigest() if core else None


def rank(
    settings: DeskSettings, scores: Mapping[str, float], score: float, reports: int, created: datetime
) -> float:
    """Return an item's place in the queue: the logarithm of its priority at a fixed moment.

    Every priority doubles in the same time, so that the order of what waits never changes with time alone,
    and the database can keep it in an index.
    """
    severity = max(settings.severity.get(a, 0.5) * value for a, value in scores.items())
    certainty = 0.5 + 0.5 * min(max(score, 0.0), 1.0)
    age = created.timestamp() / 3600 / settings.age_doubles_hours
    return (
        settings.severity_weight * math.log2(max(severity, 1e-4))
        + settings.certainty_weight * math.log2(certainty)
        + settings.reports_weight * math.log2(1 + reports)
        - age
    )


def rank_anew(store: Store) -> None:
    """Bring the place of everything that waits in line with the settings, some at a time."""
    move = update(tasks).where(tasks.c.number == bindparam("task")).values(rank=bindparam("place"))
    last = 0
    while True:
        with store.write() as connection:
            lock(connection)
            settings = read_settings(connection)
            rows = connection.execute(_places().where(tasks.c.number > last)).all()
            if not rows:
                return
            last = rows[-1].number
            connection.execute(
                move,
                [
                    {"task": row.number,
                     "place": rank(settings, row.scores, row.score, row.reports, row.created)}
                    for row in rows
                ],
            )  # fmt: skip


def _places() -> "Select[Any]":
    """Choose what the places of open tasks are made of, but for known items, which go before all others."""
    return (
        select(tasks.c.number, versions.c.scores, versions.c.score, items.c.reports, items.c.created)
        .join(items, items.c.number == tasks.c.item)
        .join(versions, (versions.c.item == items.c.number) & (versions.c.version == items.c.version))
        .where(tasks.c.open.is_(True), tasks.c.kind != "known")
        .order_by(tasks.c.number)
        .limit(_TOGETHER)
    )


def close_tasks(connection: Connection, item: int, kinds: tuple[str, ...], now: datetime) -> None:
    """Take an item's tasks of some kinds out of the queue."""
    connection.execute(
        update(tasks)
        .where(tasks.c.item == item, tasks.c.open.is_(True), tasks.c.kind.in_(kinds))
        .values(open=False, closed=now, lease_by=None, lease_until=None)
    )


def version_of(connection: Connection, item: int, version: int) -> Row[Any]:
    """Return a version of an item."""
    return connection.execute(
        select(versions).where(versions.c.item == item, versions.c.version == version)
    ).one()


def queue_first(
    connection: Connection,
    number: int,
    state: str,
    scores: Mapping[str, float],
    judgement: Judgement,
    settings: DeskSettings,
    now: datetime,
) -> None:
    """Open the task of a first decision, bring its rank up to date, or close it."""
    task = connection.execute(
        select(tasks.c.number).where(tasks.c.item == number, tasks.c.kind == "first", tasks.c.open.is_(True))
    ).scalar()
    if state not in WAITING:
        close_tasks(connection, number, ("first",), now)
        return
    item = connection.execute(select(items).where(items.c.number == number)).one()
    place = rank(settings, scores, judgement.score, item.reports, item.created)
    if task is not None:
        connection.execute(
            update(tasks).where(tasks.c.number == task).values(rank=place, attribute=judgement.attribute)
        )
        return
    row = task_row(number, item._asdict(), judgement.attribute, place, now)
    connection.execute(insert(tasks).values(**row))


def task_row(
    number: int, item: Mapping[str, Any], attribute: str, place: float, now: datetime
) -> dict[str, Any]:
    """Return the row of the task of an item's first decision."""
    return {
        "kind": "first",
        "item": number,
        "community": item["community"],
        "attribute": attribute,
        "language": item["language"],
        "source": item["source"],
        "rank": place,
        "open": True,
        "for_lead": False,
        "created": now,
    }


def storable(text: str) -> str:
    """Replace what databases can't hold: NUL and lone surrogates."""
    text = text.replace("\0", "\ufffd")
    return text.encode("utf-8", "replace").decode() if not text.isprintable() else text


def cut(text: str | None, most: int) -> str | None:
    """Return the beginning of a text, as databases can hold it."""
    return None if text is None else storable(text)[:most]
