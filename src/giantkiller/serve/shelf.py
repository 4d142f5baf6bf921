"""The bundles that a service keeps: which one scores, which one is tried beside it, and the way back.

Their files stand in `STATE/bundles/DIGEST/`, written whole or not at all; the database says which one is
active, in one row that is there or not. So a kill at any moment leaves one active bundle: the one before, or
the one after.
"""

import contextlib
import re
import shutil
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    ForeignKey,
    Integer,
    String,
    Table,
    Text,
    delete,
    insert,
    select,
    update,
)

from giantkiller.atomic import replace_folder
from giantkiller.bundle import MANIFEST, Bundle, read_bundle
from giantkiller.errors import UserError
from giantkiller.loading import load_screener
from giantkiller.screener import Screener
from giantkiller.serve.comparison import forget
from giantkiller.store import UTCDateTime, metadata

FOLDER = "bundles"
"""The folder in the state folder."""

WARM_UP = "The first call of a model takes longer than the others."

_DIGEST = re.compile(r"[0-9a-f]{64}")
_SHORTEST = 6  # digits of a digest that name a bundle
_NAMED = 10  # bundles that a message names

bundles = Table(
    "model_bundle",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("name", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("added", UTCDateTime, nullable=False),
    Column("error", Text, nullable=True),  # why a process could not load it
)


def _bundle() -> Column[str]:
    return Column("digest", String(64), ForeignKey("model_bundle.digest"), nullable=False)


promotions = Table(
    "model_promotion",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    _bundle(),
    Column("actor", String(64), nullable=False),
    Column("created", UTCDateTime, nullable=False),
    Column("undone", UTCDateTime, nullable=True),
)

candidates = Table(
    "model_candidate",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),  # 1: there is one at the most
    _bundle(),
    Column("created", UTCDateTime, nullable=False),
)


@dataclass(frozen=True)
class Promotion:
    """A promotion that holds: of which bundle, when, and by whom."""

    number: int
    digest: str
    actor: str
    created: datetime


@dataclass(frozen=True)
class Lineup:
    """Who scores.

    Attributes:
        promotions: Those that hold, newest first; a roll-back ends the first one.
        candidate: The digest of the bundle that is tried beside the active one, if any.
    """

    promotions: tuple[Promotion, ...] = ()
    candidate: str | None = None

    @property
    def active(self) -> str | None:
        """The digest of the bundle that scores; None for the one that the settings name."""
        return self.promotions[0].digest if self.promotions else None

    @property
    def number(self) -> int:
        """Of the last promotion that holds, 0 if none does: tells one state of affairs from the next."""
        return self.promotions[0].number if self.promotions else 0


@dataclass(frozen=True)
class Kept:
    """A bundle on the shelf; `error` says why a process could not load it, if one could not."""

    digest: str
    name: str
    version: str
    added: datetime
    error: str | None


def folder_of(state: Path, digest: str) -> Path:
    """Return where a bundle stands."""
    assert _DIGEST.fullmatch(digest), "a digest is 64 hexadecimal digits"
    return state / FOLDER / digest


def store_files(state: Path, model: str | Path) -> Bundle:
    """Copy a bundle onto the shelf, after it was verified, loaded and has scored.

    Args:
        state: The state folder.
        model: A bundle folder, "default", or a hub id.

    Returns:
        The bundle as it stands there.

    Raises:
        UserError: If it is no bundle, is damaged or can't score, or the folder can't be written.
    """
    bundle = _try_out(Screener(model, threads=1)).bundle
    return _copy(bundle, folder_of(state, bundle.digest))


def copy_kept(connection: Connection, state: Path, target: Path) -> int:
    """Copy the bundles on the shelf to another state folder, or a backup of one; return how many are there.

    Bundles never change: one that is there already, whole, is left as it is.

    Raises:
        UserError: If one is damaged, or the folder can't be written.
    """
    folders = [folder_of(state, kept.digest) for kept in list_kept(connection)]
    there = [folder for folder in folders if folder.is_dir()]  # whoever drops one removes its files
    for folder in there:
        _copy(read_bundle(folder), folder_of(target, folder.name))
    return len(there)


def _copy(bundle: Bundle, target: Path) -> Bundle:
    with contextlib.suppress(UserError):
        if read_bundle(target).digest == bundle.digest:  # whole, and perhaps about to be loaded: left alone
            return read_bundle(target)
    with replace_folder(target, belongs=[*bundle.files, MANIFEST]) as fresh:
        for name in (*bundle.files, MANIFEST):
            shutil.copyfile(bundle.folder / name, fresh / name)
        if read_bundle(fresh).digest != bundle.digest:
            raise UserError(f"{bundle.folder} was changed while it was copied; try again")
    return read_bundle(target)


def remove_files(state: Path, digest: str) -> None:
    """Remove a bundle's files."""
    shutil.rmtree(folder_of(state, digest), ignore_errors=True)


def load_kept(state: Path, digest: str) -> Screener:
    """Load a bundle from the shelf and let it score once.

    Raises:
        UserError: If it isn't there, is damaged, or can't score.
    """
    folder = folder_of(state, digest)
    if not folder.is_dir():
        raise UserError(f"the bundle {digest[:12]} is not in {folder.parent}; add it to the shelf again")
    screener = _try_out(Screener(folder, threads=1))
    if screener.bundle.digest != digest:
        raise UserError(f"{folder} holds another bundle than its name says; add it to the shelf again")
    return screener


def load_base(model: str | Path) -> Screener:
    """Load the model that the settings name, and let it score once.

    Raises:
        UserError: If it can't be loaded.
    """
    return _try_out(load_screener(model, threads=1))


def _try_out(screener: Screener) -> Screener:
    screener.scores([WARM_UP])
    return screener


def read_lineup(connection: Connection) -> Lineup:
    """Return who scores."""
    held = select(promotions.c.number, promotions.c.digest, promotions.c.actor, promotions.c.created).where(
        promotions.c.undone.is_(None)
    )
    rows = connection.execute(held.order_by(promotions.c.number.desc()))
    found = tuple(Promotion(**row._mapping) for row in rows)
    return Lineup(found, connection.execute(select(candidates.c.digest)).scalar())


def list_kept(connection: Connection) -> list[Kept]:
    """Return the bundles on the shelf, newest first."""
    rows = connection.execute(select(bundles).order_by(bundles.c.added.desc(), bundles.c.digest))
    return [Kept(**row._mapping) for row in rows]


def find_kept(connection: Connection, start: str) -> Kept:
    """Return the bundle whose digest begins with some digits.

    Raises:
        UserError: If none does, or several do.
    """
    there = list_kept(connection)
    found = [kept for kept in there if kept.digest.startswith(start.lower())]
    if len(start) < _SHORTEST or len(found) != 1:
        what = (
            "there is no bundle" if not found else f"{_SHORTEST} digits or more name a bundle; there is none"
        )
        some = ", ".join(kept.digest[:12] for kept in there[:_NAMED]) or "nothing"
        raise UserError(f"{what} {start[:64]!r} on the shelf; it holds {some}")
    return found[0]


def add_bundle(connection: Connection, bundle: Bundle, *, now: datetime) -> bool:
    """Record a bundle whose files are on the shelf; tell whether it is new there."""
    known = connection.execute(select(bundles.c.digest).where(bundles.c.digest == bundle.digest)).scalar()
    if known is not None:
        note_error(connection, bundle.digest, None)
        return False
    row = {"digest": bundle.digest, "name": bundle.name, "version": bundle.version, "added": now}
    connection.execute(insert(bundles).values(row))
    return True


def note_error(connection: Connection, digest: str, error: str | None) -> None:
    """Keep why a bundle could not be loaded, or with None that it could."""
    connection.execute(update(bundles).where(bundles.c.digest == digest).values(error=error))


def set_candidate(connection: Connection, digest: str | None, *, now: datetime) -> None:
    """Let a bundle be tried beside the active one; with None, none.

    Raises:
        UserError: If it is the active one.
    """
    if digest is not None and digest == read_lineup(connection).active:
        raise UserError(f"the bundle {digest[:12]} is the active one; try another beside it")
    connection.execute(delete(candidates))
    if digest is not None:
        connection.execute(insert(candidates).values(id=1, digest=digest, created=now))


def promote(connection: Connection, digest: str, actor: str, *, now: datetime) -> None:
    """Make a bundle the active one; it is no candidate any more.

    Raises:
        UserError: If it is active already.
    """
    lineup = read_lineup(connection)
    if digest == lineup.active:
        raise UserError(f"the bundle {digest[:12]} is the active one already")
    if digest == lineup.candidate:
        set_candidate(connection, None, now=now)
    connection.execute(insert(promotions).values(digest=digest, actor=actor, created=now))


def roll_back(connection: Connection, *, now: datetime) -> str | None:
    """End the last promotion that holds: the bundle before it is active again.

    Returns:
        The digest of the active bundle; None for the one that the settings name.

    Raises:
        UserError: If there was no promotion.
    """
    lineup = read_lineup(connection)
    if not lineup.promotions:
        raise UserError("no bundle was promoted: there is nothing to roll back")
    connection.execute(update(promotions).where(promotions.c.number == lineup.number).values(undone=now))
    return read_lineup(connection).active


def forget_bundle(connection: Connection, digest: str) -> None:
    """Take a bundle off the shelf's records; its files go once this is committed.

    Raises:
        UserError: If it is active, or a roll-back would come to it.
    """
    lineup = read_lineup(connection)
    if digest in [promotion.digest for promotion in lineup.promotions]:
        raise UserError(f"the bundle {digest[:12]} scores, or a roll-back comes to it; roll back first")
    forget(connection, digest)
    for table in (candidates, promotions, bundles):
        digest_of: Any = table.c.digest
        connection.execute(delete(table).where(digest_of == digest))
