"""Pages of one's own: signing in and out, joining, preferences, sessions, the second factor."""

import io
from dataclasses import replace

from sqlalchemy import Connection
from starlette.responses import Response
from starlette.routing import BaseRoute

from giantkiller.desk import invitations, queue
from giantkiller.desk import staff as people
from giantkiller.desk.errors import DeskError
from giantkiller.desk.staff import Staff
from giantkiller.desk.texts import LANGUAGES
from giantkiller.desk.web import Visit, local_path, page


def routes() -> list[BaseRoute]:
    """Return the routes of these pages."""
    return [
        page("/desk/sign-in", sign_in_page, role=None),
        page("/desk/sign-in", sign_in, role=None, post=True),
        page("/desk/sign-out", sign_out, post=True),
        page("/desk/join/{token}", join_page, role=None),
        page("/desk/join/{token}", join, role=None, post=True),
        page("/desk/me", me_page),
        page("/desk/me", change_me, post=True),
        page("/desk/me/password", change_password, post=True),
        page("/desk/me/sessions", end_session, post=True),
        page("/desk/me/totp", totp, post=True),
    ]


def sign_in_page(visit: Visit) -> Response:
    """Show the form to sign in."""
    if visit.staff is not None:
        return visit.go("/desk")
    return _sign_in_form(visit)


def sign_in(visit: Visit) -> Response:
    """Check name, password and code; begin a session with a new token."""
    store, form = visit.service.store, visit.form
    name = form.text("name")[:200]
    with store.read() as connection:
        blocked = people.blocked_for(connection, name, now=visit.now)
        member, hashed = people.password_of(connection, name)
    if blocked:
        return _sign_in_form(visit, 429, "Too many tries for this name. Wait a while, then try again.")
    right = people.check_password(hashed, form.get("password", ""))
    with store.write() as connection:
        right = right and member is not None
        if right and member is not None:
            right = people.check_totp(connection, member, form.text("code")[:20], now=visit.now)
        people.note_attempt(connection, name, right, now=visit.now)
        if not right or member is None:
            return _sign_in_form(visit, 403, "The name, the password or the code is wrong.")
        _begin(visit, connection, member)
    return visit.go(local_path(form.text("next")))


def sign_out(visit: Visit) -> Response:
    """End this session; what is in hand goes back to the queue."""
    with visit.service.store.write() as connection:
        people.end_session(connection, visit.me, people.hash_token(visit.session or ""))
        queue.release(connection, visit.me)
    visit.cookies.append(("", 0))
    return visit.go("/desk/sign-in")


def join_page(visit: Visit) -> Response:
    """Show the form by which somebody invited chooses a name and a password, or a new password."""
    return _join_form(visit)


def join(visit: Visit) -> Response:
    """Make the account, or set the new password, and begin a session."""
    token, name = visit.param("token"), visit.form.text("name")[:200]
    store = visit.service.store
    with store.read() as connection:
        invitations.find_invitation(connection, token, now=visit.now)
    try:
        if visit.form.get("password", "") != visit.form.get("again", ""):
            raise DeskError("The two passwords differ.")
        hashed = people.hash_password(visit.form.get("password", ""))
        with store.write() as connection:
            member = invitations.join(connection, token, name, hashed, now=visit.now)
            _begin(visit, connection, member)
    except DeskError as error:
        visit.cookies.clear()
        return _join_form(visit, 400, str(error), name)
    return visit.go("/desk")


def me_page(visit: Visit) -> Response:
    """Show preferences, sessions and the second factor."""
    return _me(visit)


def change_me(visit: Visit) -> Response:
    """Change preferences."""
    form = visit.form
    cover = min(max((form.number("cover_from") or 0) / 100, 0.0), 1.0)
    language = form.text("language")
    current = visit.me.preferences
    wanted = replace(
        current,
        cover_from=cover if form.text("cover_from") else current.cover_from,
        grey="grey" in form,
        break_every=min(form.number("break_every") or 0, 10_000),
        language=language if language in LANGUAGES else "",
    )
    with visit.service.store.write() as connection:
        people.set_preferences(connection, visit.me, wanted)
    return visit.go("/desk/me")


def change_password(visit: Visit) -> Response:
    """Set a new password, end all sessions, and begin a new one here."""
    form, me = visit.form, visit.me
    with visit.service.store.read() as connection:
        blocked = people.blocked_for(connection, me.name, now=visit.now)
        _, current = people.password_of(connection, me.name)
    if blocked:
        return _me(visit, 429, "Too many tries for this name. Wait a while, then try again.")
    right = people.check_password(current, form.get("current", ""))
    if not right:
        with visit.service.store.write() as connection:
            people.note_attempt(connection, me.name, False, now=visit.now)
        return _me(visit, 403, "That is not your present password.")
    if form.get("password", "") != form.get("again", ""):
        return _me(visit, 400, "The two passwords differ.")
    try:
        hashed = people.hash_password(form.get("password", ""))
    except DeskError as error:
        return _me(visit, 400, str(error))
    with visit.service.store.write() as connection:
        people.change_password(connection, me, hashed, now=visit.now)
        _begin(visit, connection, me)
    return visit.go("/desk/me")


def end_session(visit: Visit) -> Response:
    """End one of one's sessions."""
    with visit.service.store.write() as connection:
        people.end_session(connection, visit.me, visit.form.text("session"))
    return visit.go("/desk/me")


def totp(visit: Visit) -> Response:
    """Show a new secret of the second factor, switch it on once a code is right, or switch it off."""
    import pyotp

    form, me = visit.form, visit.me
    store = visit.service.store
    if form.text("do") == "off":
        with store.read() as connection:
            _, hashed = people.password_of(connection, me.name)
        if not people.check_password(hashed, form.get("current", "")):
            return _me(visit, 403, "That is not your present password.")
        with store.write() as connection:
            people.set_totp(connection, me, None, now=visit.now)
        return visit.go("/desk/me")
    if me.has_totp:
        return _me(visit, 409, "The second factor is on already.")
    secret = form.text("secret")
    if form.text("do") == "on":
        valid = len(secret) == 32 and secret.isalnum() and secret.isascii()
        if valid and people.totp_step(secret, form.text("code")[:20], now=visit.now) is not None:
            with store.write() as connection:
                people.set_totp(connection, me, secret, now=visit.now)
            return visit.go("/desk/me")
        return _me(visit, 400, "That code is wrong; begin again.")
    secret = pyotp.random_base32()
    uri = pyotp.TOTP(secret).provisioning_uri(name=me.name, issuer_name="Giant-Killer desk")
    return _me(visit, secret=secret, uri=uri, code=qr_code(uri))


def qr_code(content: str) -> str:
    """Draw a QR code as an SVG element."""
    import segno

    out = io.BytesIO()
    segno.make(content, error="m").save(
        out, kind="svg", xmldecl=False, svgns=False, scale=4, border=2, light="#fff", omitsize=False
    )
    return out.getvalue().decode()


def _begin(visit: Visit, connection: Connection, member: Staff) -> None:
    """Begin a session, always with a token of our own making; end the one that came with the request."""
    if visit.session is not None and visit.staff is not None:
        people.end_session(connection, visit.staff, people.hash_token(visit.session))
    agent = visit.request.headers.get("user-agent", "")
    token = people.open_session(connection, member, agent, now=visit.now)
    visit.cookies.append((token, 30 * 86_400))


def _sign_in_form(visit: Visit, status: int = 200, error: str = "") -> Response:
    wanted = visit.form.text("next") or visit.query("next")
    return visit.render("sign-in.html", status, next=local_path(wanted), error=error)


def _join_form(visit: Visit, status: int = 200, error: str = "", name: str = "") -> Response:
    with visit.service.store.read() as connection:
        invitation = invitations.find_invitation(connection, visit.param("token"), now=visit.now)
        member = None
        if invitation.member is not None:
            member = people.find_staff(connection, invitation.member).name
    return visit.render("join.html", status, role=invitation.role, error=error, name=name, member=member)


def _me(
    visit: Visit, status: int = 200, error: str = "", secret: str = "", uri: str = "", code: str = ""
) -> Response:
    with visit.service.store.read() as connection:
        sessions = people.list_sessions(connection, visit.me, now=visit.now)
    mine = people.hash_token(visit.session or "")
    return visit.render(
        "me.html", status, error=error, sessions=sessions, mine=mine, secret=secret, uri=uri, qr=code
    )
