"""Requests to pages: who asks, whether they may, what they sent, and how an answer is dressed."""

import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

import anyio.to_thread
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from giantkiller.desk import staff as people
from giantkiller.desk.errors import DeskError, NotAllowedError
from giantkiller.desk.staff import Staff
from giantkiller.desk.texts import LANGUAGES, choose, translate
from giantkiller.serve.errors import ApiError
from giantkiller.serve.http import read_body
from giantkiller.serve.service import Service
from giantkiller.store import StoreBusyError, utc_now

COOKIE = "giantkiller_desk"
LARGEST_FORM = 1 << 18
MOST_FIELDS = 1000

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
"""The Content-Security-Policy of every page: nothing inline, nothing from elsewhere."""

HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cache-Control": "no-store",
    "Referrer-Policy": "same-origin",  # "no-referrer" would make browsers send no Origin with forms
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


class Form(Mapping[str, str]):
    """The fields of a form; of a name that comes twice the first one, or all by `all`."""

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        self._pairs = pairs

    def __getitem__(self, name: str) -> str:
        for key, value in self._pairs:
            if key == name:
                return value
        raise KeyError(name)

    def __iter__(self) -> Any:
        return iter(dict(self._pairs))

    def __len__(self) -> int:
        return len(dict(self._pairs))

    def all(self, name: str) -> list[str]:
        """Return all values of a name."""
        return [value for key, value in self._pairs if key == name]

    def text(self, name: str) -> str:
        """Return a field without blanks around it; "" if it is missing."""
        return self.get(name, "").strip()

    def number(self, name: str) -> int | None:
        """Return a field as a whole number, or None."""
        value = self.text(name)
        return int(value) if value.isascii() and value.isdecimal() and len(value) < 10 else None


@dataclass
class Visit:
    """One request to a page.

    Attributes:
        service: The parts of the running service.
        request: The request.
        now: When it came.
        staff: Who asks; None for anybody.
        form: What was sent.
        session: The token of the session; None without one.
    """

    service: Service
    request: Request
    now: datetime
    staff: Staff | None
    form: Form
    session: str | None
    cookies: list[tuple[str, int]] = field(default_factory=list)

    @property
    def me(self) -> Staff:
        """Who asks, where a page requires somebody."""
        if self.staff is None:
            raise NotAllowedError("sign in first")
        return self.staff

    @property
    def language(self) -> str:
        """The language of the page."""
        asked = self.request.query_params.get("lang", "")
        preferred = self.staff.preferences.language if self.staff else ""
        for language in (asked, preferred):
            if language in LANGUAGES:
                return language
        return choose(self.request.headers.get("accept-language", ""))

    @property
    def address(self) -> str:
        """The service's web address, as whoever asks reaches it."""
        here = f"{self.request.url.scheme}://{self.request.headers.get('host', '')}"
        return self.service.settings.public_url or here

    @property
    def csrf(self) -> str:
        """The token that forms of this session carry."""
        return csrf_token(self.session) if self.session else ""

    def param(self, name: str) -> str:
        """Return a part of the path."""
        return str(self.request.path_params[name])

    def query(self, name: str) -> str:
        """Return a value of the query string, "" if it is missing."""
        return self.request.query_params.get(name, "")

    def say(self, text: str) -> str:
        """Return a text of the catalogue in the language of the page."""
        return translate(self.language, text)

    def render(self, template: str, status: int = 200, /, language: str = "", **values: Any) -> Response:
        """Return a page."""
        language = language or self.language
        html = ENVIRONMENT.get_template(template).render(
            visit=self,
            me=self.staff,
            csrf=self.csrf,
            lang=language,
            languages=LANGUAGES,
            _=lambda text, **more: translate(language, text, **more),
            **values,
        )
        return HTMLResponse(html, status)

    def go(self, path: str) -> Response:
        """Send the browser to another of our pages."""
        assert path[:1] == "/" != path[1:2], "only to a page of ours"
        return RedirectResponse(path, 303)


Handler = Callable[[Visit], Response]


def page(path: str, handler: Handler, *, role: str | None = "moderator", post: bool = False) -> Route:
    """Make the route of a page.

    Args:
        path: Its address.
        handler: Runs in a thread of its own, with a `Visit`.
        role: The least role that may see it; None for anybody.
        post: Whether it is a form's target (POST), rather than a page (GET).
    """

    async def endpoint(request: Request) -> Response:
        service: Service = request.app.state.service
        form = Form([])
        if post:
            body = await read_body(request, service, LARGEST_FORM)
            form = _parse(body)
        return await anyio.to_thread.run_sync(_answer, service, request, handler, role, form)

    endpoint.__name__ = handler.__name__
    return Route(path, endpoint, methods=["POST" if post else "GET"])


def csrf_token(session: str) -> str:
    """Return the token that the forms of a session carry: it tells nothing of the session's own."""
    return hashlib.sha256(f"csrf\n{session}".encode()).hexdigest()


def local_path(target: str, default: str = "/desk") -> str:
    """Return a path of ours that a visitor wants to go to, or the default for anything else."""
    fine = target.startswith("/desk") and target.isprintable() and "\\" not in target
    parts = urlsplit(target) if fine else None
    return target if parts is not None and not parts.scheme and not parts.netloc else default


def is_secure(visit: Visit) -> bool:
    """Return whether the browser talks to us by https."""
    public = visit.service.settings.public_url or ""
    return public.startswith("https://") or visit.request.url.scheme == "https"


def _parse(body: bytes) -> Form:
    try:
        pairs = parse_qsl(
            body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=MOST_FIELDS,
            errors="replace",
        )  # fmt: skip
    except ValueError:
        raise ApiError(400, "The form has too many fields.") from None
    return Form([(name, value.replace("\r\n", "\n")) for name, value in pairs])


def _answer(service: Service, request: Request, handler: Handler, role: str | None, form: Form) -> Response:
    visit = Visit(service, request, utc_now(), None, form, None)
    try:
        response = _allowed(visit, role) or handler(visit)
    except DeskError as error:
        response = visit.render("error.html", error.status, message=str(error))
    except StoreBusyError:
        response = visit.render("error.html", 503, message="the database is busy; try again")
        response.headers["Retry-After"] = "5"
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    for value, seconds in visit.cookies:
        response.set_cookie(
            COOKIE, value, max_age=seconds, path="/desk", secure=is_secure(visit), httponly=True,
            samesite="lax",
        )  # fmt: skip
    return response


def _allowed(visit: Visit, role: str | None) -> Response | None:
    """Find out who asks; return what they get instead of the page if they may not see it."""
    request = visit.request
    token = request.cookies.get(COOKIE, "")
    if token and len(token) < 100:
        with visit.service.store.read() as connection:
            visit.staff = people.find_session(connection, token, now=visit.now)
        visit.session = token if visit.staff else None
    if request.method == "POST":
        _check_origin(visit)
    if role is None:
        return None
    if visit.staff is None:
        wanted = f"?next={quote(request.url.path)}" if request.method == "GET" else ""
        return visit.go(f"/desk/sign-in{wanted}")
    if not visit.staff.may(role):
        raise NotAllowedError(f"this page is for the role {role}")
    return None


def _check_origin(visit: Visit) -> None:
    """Refuse forms that other sites send in a visitor's name."""
    headers = visit.request.headers
    origin = headers.get("origin")
    if origin is not None:
        ours = {f"{visit.request.url.scheme}://{headers.get('host', '')}"}
        if visit.service.settings.public_url:
            parts = urlsplit(visit.service.settings.public_url)
            ours.add(f"{parts.scheme}://{parts.netloc}")
        if origin not in ours:
            raise NotAllowedError("this form was sent from another site")
    elif headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise NotAllowedError("this form was sent from another site")
    if visit.session is not None and not hmac.compare_digest(
        visit.csrf.encode(), visit.form.text("csrf").encode("utf-8", "replace")
    ):
        raise NotAllowedError("this form is out of date; load the page again")


def percent(value: float) -> str:
    """Show a share."""
    return f"{100 * value:.0f}%"


def when(moment: datetime) -> str:
    """Show a moment."""
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def safe_url(url: str | None) -> str | None:
    """Return a web address that may stand in a link, or None."""
    return url if url and url.lower().startswith(("http://", "https://")) else None


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "pages"),
        autoescape=True,
        undefined=StrictUndefined,
    )
    environment.filters |= {"percent": percent, "when": when, "safe_url": safe_url}
    return environment


ENVIRONMENT = _environment()
