"""Who works at the desk: people, their roles, passwords, second factors, sessions."""

import base64
import hashlib
import hmac
import re
import secrets
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from giantkiller.desk.config import read_settings
from giantkiller.desk.errors import ConflictError, DeskError, NotFoundError
from giantkiller.desk.events import lock, record
from giantkiller.desk.tables import attempts, sessions, staff

if TYPE_CHECKING:
    from argon2 import PasswordHasher

ROLES = ("moderator", "lead", "admin")
"""Each may do what those before it may."""

SHORTEST_PASSWORD = 10
LONGEST_PASSWORD = 200
FREE_FAILURES = 5
"""Wrong passwords for a name before it has to wait, twice as long each time."""

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_FIRST_BLOCK = 15.0  # seconds
_LONGEST_BLOCK = 900.0


@dataclass(frozen=True)
class Preferences:
    """How somebody wants to see the desk.

    Attributes:
        cover_from: The severity from which on texts are covered.
        grey: Whether pages have no colours.
        break_every: A break is offered after so many decisions; 0 for never.
        language: Of the pages; "" for the browser's.
        names: Stored; no page asks for it.
    """

    cover_from: float = 0.6
    grey: bool = False
    break_every: int = 50
    language: str = ""
    names: bool = False


@dataclass(frozen=True)
class Staff:
    """A member of the staff."""

    number: int
    name: str
    role: str
    preferences: Preferences = field(default_factory=Preferences, compare=False)
    has_totp: bool = False
    disabled: datetime | None = None

    @property
    def actor(self) -> str:
        """How events name this person."""
        return f"staff:{self.number}"

    @property
    def is_lead(self) -> bool:
        """Whether this is a lead or an admin."""
        return self.may("lead")

    def may(self, role: str) -> bool:
        """Return whether this person may do what a role may."""
        return ROLES.index(self.role) >= ROLES.index(role)


def add_staff(connection: Connection, name: str, hashed: str, role: str, *, now: datetime) -> Staff:
    """Add a member of the staff.

    Raises:
        DeskError: If the name is malformed or taken.
    """
    name = name.strip().lower()
    if not _NAME.fullmatch(name):
        raise DeskError("a name has 1 to 64 letters, digits, dots and hyphens, and begins with no sign")
    if connection.execute(select(staff.c.number).where(staff.c.name == name)).scalar() is not None:
        raise DeskError(f"the name {name} is taken")
    result = connection.execute(
        insert(staff).values(
            name=name, role=role, password=hashed, preferences=asdict(Preferences()), created=now
        )
    )
    number = int(result.inserted_primary_key[0])  # type: ignore[index]
    record(connection, "joined", f"staff:{number}", now=now, role=role)
    return Staff(number, name, role)


def list_staff(connection: Connection) -> list[Staff]:
    """Return everybody, those disabled included."""
    return [_staff(row) for row in connection.execute(select(staff).order_by(staff.c.number))]


def find_staff(connection: Connection, number: int) -> Staff:
    """Return somebody who works here.

    Raises:
        NotFoundError: If there is no such person, or no longer.
    """
    row = connection.execute(
        select(staff).where(staff.c.number == number, staff.c.disabled.is_(None))
    ).one_or_none()
    if row is None:
        raise NotFoundError("there is no such person")
    return _staff(row)


def names(connection: Connection) -> dict[int, str]:
    """Return names by number."""
    return {row.number: row.name for row in connection.execute(select(staff.c.number, staff.c.name))}


def change_role(connection: Connection, number: int, role: str, by: Staff, *, now: datetime) -> None:
    """Change somebody's role.

    Raises:
        ConflictError: If nobody would be left as admin.
    """
    if role not in ROLES:
        raise DeskError(f"{role!r} is no role; the roles are {', '.join(ROLES)}")
    lock(connection)
    _keep_an_admin(connection, number, role)
    connection.execute(update(staff).where(staff.c.number == number).values(role=role))
    record(connection, "role-changed", by.actor, now=now, staff=number, role=role)


def disable(connection: Connection, number: int, by: Staff, *, now: datetime) -> None:
    """End somebody's work at the desk: no sign-in, no session, no lease."""
    from giantkiller.desk.tables import tasks

    lock(connection)
    _keep_an_admin(connection, number, None)
    connection.execute(update(staff).where(staff.c.number == number).values(disabled=now))
    connection.execute(delete(sessions).where(sessions.c.staff == number))
    connection.execute(
        update(tasks)
        .where(tasks.c.lease_by == number, tasks.c.open.is_(True))
        .values(lease_by=None, lease_from=None, lease_until=None)
    )
    record(connection, "disabled", by.actor, now=now, staff=number)


def hash_password(password: str) -> str:
    """Hash a password with argon2id; takes a tenth of a second, on purpose.

    Raises:
        DeskError: If it is too short or too long.
    """
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        raise DeskError(f"a password has {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters")
    return str(_hasher().hash(password.encode("utf-8", "surrogatepass")))


def check_password(hashed: str | None, password: str) -> bool:
    """Compare a password with a hash, in the same time whether there is one or not."""
    from argon2.exceptions import InvalidHashError, VerificationError

    try:
        matches = _hasher().verify(
            hashed or _nobody(), password[:LONGEST_PASSWORD].encode("utf-8", "surrogatepass")
        )
        return bool(matches) and hashed is not None
    except (VerificationError, InvalidHashError):
        return False


def password_of(connection: Connection, name: str) -> tuple[Staff | None, str | None]:
    """Return who has a name and may sign in, and the hash of their password."""
    row = connection.execute(
        select(staff).where(staff.c.name == name.strip().lower(), staff.c.disabled.is_(None))
    ).one_or_none()
    return (None, None) if row is None else (_staff(row), row.password)


def change_password(connection: Connection, member: Staff, hashed: str, *, now: datetime) -> None:
    """Set a new password; every session of this person ends."""
    connection.execute(update(staff).where(staff.c.number == member.number).values(password=hashed))
    connection.execute(delete(sessions).where(sessions.c.staff == member.number))
    record(connection, "password-changed", member.actor, now=now)


def blocked_for(connection: Connection, name: str, *, now: datetime) -> float:
    """Return the seconds for which nobody can try a name, known or not."""
    row = connection.execute(select(attempts).where(attempts.c.key == _attempt_key(name))).one_or_none()
    if row is None or row.failures < FREE_FAILURES:
        return 0.0
    wait: float = min(_FIRST_BLOCK * 2 ** min(row.failures - FREE_FAILURES, 20), _LONGEST_BLOCK)
    return max(0.0, wait - float((now - row.last).total_seconds()))


def note_attempt(connection: Connection, name: str, ok: bool, *, now: datetime) -> None:
    """Count a failed sign-in, or forget the failures after one that went well."""
    key = _attempt_key(name)
    row = connection.execute(select(attempts.c.failures).where(attempts.c.key == key)).one_or_none()
    if ok:
        connection.execute(delete(attempts).where(attempts.c.key == key))
    elif row is None:
        connection.execute(insert(attempts).values(key=key, failures=1, last=now))
        connection.execute(delete(attempts).where(attempts.c.last < now - timedelta(days=1)))
    else:
        connection.execute(
            update(attempts).where(attempts.c.key == key).values(failures=row.failures + 1, last=now)
        )


def open_session(connection: Connection, member: Staff, agent: str, *, now: datetime) -> str:
    """Begin a session.

    Returns:
        Its token, of which only the hash is kept.
    """
    hours = read_settings(connection).session_hours
    token = secrets.token_urlsafe(32)
    connection.execute(delete(sessions).where(sessions.c.expires <= now))
    connection.execute(
        insert(sessions).values(
            hash=hash_token(token), staff=member.number, agent=agent[:200], created=now, seen=now,
            expires=now + timedelta(hours=hours),
        )
    )  # fmt: skip
    record(connection, "signed-in", member.actor, now=now)
    return token


@dataclass(frozen=True)
class Session:
    """One of a person's sessions: the hash of its token, the browser, and when it began."""

    hash: str
    agent: str
    created: datetime


def find_session(connection: Connection, token: str, *, now: datetime) -> Staff | None:
    """Return whose session a token is, or None."""
    row = connection.execute(
        select(staff)
        .join(sessions, sessions.c.staff == staff.c.number)
        .where(sessions.c.hash == hash_token(token), sessions.c.expires > now, staff.c.disabled.is_(None))
    ).one_or_none()
    return None if row is None else _staff(row)


def list_sessions(connection: Connection, member: Staff, *, now: datetime) -> list[Session]:
    """Return a person's sessions, newest first."""
    rows = connection.execute(
        select(sessions.c.hash, sessions.c.agent, sessions.c.created)
        .where(sessions.c.staff == member.number, sessions.c.expires > now)
        .order_by(sessions.c.created.desc())
    )
    return [Session(**row._mapping) for row in rows]


def end_session(connection: Connection, member: Staff, hashed: str) -> None:
    """End one of a person's sessions, by its hash."""
    connection.execute(delete(sessions).where(sessions.c.hash == hashed, sessions.c.staff == member.number))


def end_sessions(connection: Connection, number: int, by: Staff, *, now: datetime) -> None:
    """End all sessions of a person."""
    connection.execute(delete(sessions).where(sessions.c.staff == number))
    record(connection, "sessions-ended", by.actor, now=now, staff=number)


def set_preferences(connection: Connection, member: Staff, wanted: Preferences) -> None:
    """Change how somebody wants to see the desk."""
    connection.execute(
        update(staff).where(staff.c.number == member.number).values(preferences=asdict(wanted))
    )


def set_totp(connection: Connection, member: Staff, secret: str | None, *, now: datetime) -> None:
    """Switch the second factor on, with a secret that the person has shown to know, or off."""
    connection.execute(update(staff).where(staff.c.number == member.number).values(totp=secret, totp_step=0))
    record(connection, "totp-on" if secret else "totp-off", member.actor, now=now)


def check_totp(connection: Connection, member: Staff, code: str, *, now: datetime) -> bool:
    """Check a code of the second factor; each is good once."""
    row = connection.execute(
        select(staff.c.totp, staff.c.totp_step).where(staff.c.number == member.number)
    ).one()
    if row.totp is None:
        return True
    step = totp_step(row.totp, code, now=now)
    if step is None:
        return False
    # In one statement: of two that come with the same code one is refused.
    changed = connection.execute(
        update(staff).where(staff.c.number == member.number, staff.c.totp_step < step).values(totp_step=step)
    )
    return bool(changed.rowcount)


def totp_step(secret: str, code: str, *, now: datetime) -> int | None:
    """Return the time step that a code belongs to, now or a step off; None if it is wrong."""
    import pyotp

    totp = pyotp.TOTP(secret)
    current = int(now.timestamp()) // totp.interval
    code = code.strip().replace(" ", "")
    for step in (current, current - 1, current + 1):
        if hmac.compare_digest(totp.generate_otp(step).encode(), code.encode("utf-8", "replace")):
            return step
    return None


def hash_token(token: str) -> str:
    """Hash a random token for keeping."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def _staff(row: Row[Any]) -> Staff:
    stored = {f.name: row.preferences[f.name] for f in fields(Preferences) if f.name in row.preferences}
    preferences = Preferences(**stored)
    return Staff(row.number, row.name, row.role, preferences, row.totp is not None, row.disabled)


def _keep_an_admin(connection: Connection, number: int, role: str | None) -> None:
    row = connection.execute(select(staff).where(staff.c.number == number)).one_or_none()
    if row is None:
        raise NotFoundError("there is no such person")
    others = connection.execute(
        select(func.count())
        .select_from(staff)
        .where(staff.c.role == "admin", staff.c.disabled.is_(None), staff.c.number != number)
    ).scalar_one()
    if row.role == "admin" and role != "admin" and not others:
        raise ConflictError("somebody must stay admin")


def _attempt_key(name: str) -> str:
    return hashlib.sha256(name.strip().lower().encode("utf-8", "surrogatepass")).hexdigest()


@cache
def _hasher() -> "PasswordHasher":
    from argon2 import PasswordHasher

    return PasswordHasher()


@cache
def _nobody() -> str:
    """Return a hash that no password has, made without hashing: the first unknown name takes no longer."""
    hasher = _hasher()
    salt, tag = (
        base64.b64encode(secrets.token_bytes(length)).decode().rstrip("=")
        for length in (hasher.salt_len, hasher.hash_len)
    )
    cost = f"m={hasher.memory_cost},t={hasher.time_cost},p={hasher.parallelism}"
    return f"$argon2id$v=19${cost}${salt}${tag}"
