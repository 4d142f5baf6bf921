"""Which bundle scores and which one is tried: changed by people, each change an event of the log."""

from datetime import datetime

from sqlalchemy import Connection

from giantkiller.desk.errors import ConflictError
from giantkiller.desk.events import lock, record
from giantkiller.serve import shelf
from giantkiller.serve.settings import Settings
from giantkiller.serve.shelf import Lineup
from giantkiller.store import Store


def add(store: Store, settings: Settings, model: str, actor: str, *, now: datetime) -> str:
    """Put a bundle on the shelf.

    Args:
        store: The database.
        settings: The service's.
        model: A bundle folder, "default", or a hub id.
        actor: Who does it.
        now: When.

    Returns:
        Its digest.

    Raises:
        UserError: If it is no bundle, is damaged or can't score, or can't be copied.
    """
    bundle = shelf.store_files(settings.state, model)
    with store.write() as connection:
        lock(connection)
        if shelf.add_bundle(connection, bundle, now=now):
            record(connection, "model-added", actor, now=now, bundle=bundle.digest)
    return bundle.digest


def try_out(store: Store, settings: Settings, digest: str, actor: str, *, now: datetime) -> None:
    """Let a bundle be tried beside the active one, once it has been loaded here.

    Raises:
        UserError: If it can't be loaded, or is the active one.
    """
    shelf.load_kept(settings.state, digest)
    with store.write() as connection:
        lock(connection)
        shelf.set_candidate(connection, digest, now=now)
        record(connection, "model-tried", actor, now=now, bundle=digest)


def promote(
    store: Store, settings: Settings, digest: str, actor: str, *, now: datetime, seen: int | None = None
) -> None:
    """Make a bundle the active one, once it has been loaded here.

    Args:
        store: The database.
        settings: The service's.
        digest: Of the bundle.
        actor: Who does it.
        now: When.
        seen: The `Lineup.number` that whoever asks has seen; None to change whatever there is.

    Raises:
        UserError: If it can't be loaded, or is the active one.
        ConflictError: If somebody changed the active bundle in the meantime.
    """
    shelf.load_kept(settings.state, digest)
    with store.write() as connection:
        lock(connection)
        before = _as_seen(connection, seen)
        shelf.promote(connection, digest, actor, now=now)
        record(connection, "model-promoted", actor, now=now, bundle=digest, before=before.active)


def roll_back(
    store: Store, settings: Settings, actor: str, *, now: datetime, seen: int | None = None
) -> str | None:
    """Make the bundle before the active one active again, once it has been loaded here.

    Args:
        store: The database.
        settings: The service's.
        actor: Who does it.
        now: When.
        seen: As for `promote`.

    Returns:
        Its digest; None for the model that the settings name.

    Raises:
        UserError: If no promotion holds, or the bundle before can't be loaded.
        ConflictError: As for `promote`.
    """
    with store.read() as connection:
        lineup = shelf.read_lineup(connection)
    if len(lineup.promotions) > 1:
        shelf.load_kept(settings.state, lineup.promotions[1].digest)
    elif lineup.promotions:
        shelf.load_base(settings.model)
    with store.write() as connection:
        lock(connection)
        before = _as_seen(connection, lineup.number if seen is None else seen)
        active = shelf.roll_back(connection, now=now)
        record(connection, "model-rolled-back", actor, now=now, bundle=active, before=before.active)
    return active


def drop(store: Store, settings: Settings, digest: str, actor: str, *, now: datetime) -> None:
    """Take a bundle off the shelf; as a candidate it is tried no longer.

    Raises:
        UserError: If it is active, or a roll-back would come to it.
    """
    with store.write() as connection:
        lock(connection)
        shelf.forget_bundle(connection, digest)
        record(connection, "model-dropped", actor, now=now, bundle=digest)
    shelf.remove_files(settings.state, digest)


def _as_seen(connection: Connection, seen: int | None) -> Lineup:
    lineup = shelf.read_lineup(connection)
    if seen is not None and lineup.number != seen:
        raise ConflictError("somebody has changed the active bundle in the meantime; look again")
    return lineup
