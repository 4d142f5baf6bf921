"""Links by which people join, or choose a new password; each works once."""

import secrets
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from giantkiller.desk.errors import ConflictError, DeskError, NotAllowedError, NotFoundError
from giantkiller.desk.events import lock, record
from giantkiller.desk.staff import (
    ROLES,
    Staff,
    add_staff,
    change_password,
    find_staff,
    hash_token,
    note_attempt,
    set_totp,
)
from giantkiller.desk.tables import invitations

DAYS = 7
"""Days for which an invitation can be used."""

RESET_DAYS = 1
"""Days for which a link to a new password can be used."""


def invite(connection: Connection, role: str, by: Staff | None, *, now: datetime) -> str:
    """Make an invitation.

    Returns:
        The token of its link, which works once and for a week.

    Raises:
        NotAllowedError: If the inviter may not give this role: leads invite moderators, admins anybody.
    """
    if role not in ROLES:
        raise DeskError(f"{role!r} is no role; the roles are {', '.join(ROLES)}")
    if by is not None and not (by.role == "admin" or (by.is_lead and role == "moderator")):
        raise NotAllowedError("leads invite moderators; only an admin gives other roles")
    record(connection, "invited", by.actor if by else "command", now=now, role=role)
    return _link(connection, by, now, DAYS, role=role)


def offer_password(connection: Connection, number: int, by: Staff | None, *, now: datetime) -> str:
    """Let somebody who has lost their password, or their second factor, choose a new one.

    Returns:
        The token of the link, which works once and for a day.

    Raises:
        NotFoundError: If there is no such person here any more.
    """
    member = find_staff(connection, number)
    record(connection, "password-offered", by.actor if by else "command", now=now, staff=number)
    return _link(connection, by, now, RESET_DAYS, role=member.role, member=number)


def find_invitation(connection: Connection, token: str, *, now: datetime) -> Row[Any]:
    """Return an invitation that can be used.

    Raises:
        NotFoundError: If there is none.
    """
    row = connection.execute(
        select(invitations).where(
            invitations.c.hash == hash_token(token), invitations.c.used.is_(None), invitations.c.expires > now
        )
    ).one_or_none()
    if row is None:
        raise NotFoundError("this invitation was used, has run out, or never was; ask for a new one")
    return row


def join(connection: Connection, token: str, name: str, hashed: str, *, now: datetime) -> Staff:
    """Accept an invitation; with a link to a new password, set it.

    A new password ends all sessions, switches the second factor off, and lets the name be tried at once.

    Args:
        connection: In a writing transaction.
        token: Of the invitation.
        name: To sign in with: lower-case letters, digits, dots, hyphens; unread where the link is somebody's.
        hashed: The password, as `hash_password` gives it.
        now: The moment.
    """
    lock(connection)
    invitation = find_invitation(connection, token, now=now)
    if invitation.member is None:
        member = add_staff(connection, name, hashed, invitation.role, now=now)
    else:
        member = find_staff(connection, invitation.member)
        change_password(connection, member, hashed, now=now)
        if member.has_totp:
            set_totp(connection, member, None, now=now)
        note_attempt(connection, member.name, True, now=now)
    used = connection.execute(
        update(invitations)
        .where(invitations.c.hash == invitation.hash, invitations.c.used.is_(None))
        .values(used=now)
    )
    if not used.rowcount:
        raise ConflictError("this invitation was used meanwhile; ask for a new one")
    return member


def _link(connection: Connection, by: Staff | None, now: datetime, days: int, **values: Any) -> str:
    token = secrets.token_urlsafe(32)
    connection.execute(
        insert(invitations).values(
            hash=hash_token(token), staff=by.number if by else None, created=now,
            expires=now + timedelta(days=days), **values,
        )
    )  # fmt: skip
    return token
