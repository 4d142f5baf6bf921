"""What needs no sign-in: the statement of reasons with its appeal, and the files that pages load."""

from pathlib import Path
from typing import Any

from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute

from giantkiller.desk import appeals, statements
from giantkiller.desk.config import read_settings
from giantkiller.desk.errors import ConflictError, DeskError, NotFoundError
from giantkiller.desk.rules import IN_THE_NOTE
from giantkiller.desk.texts import LANGUAGES
from giantkiller.desk.web import Visit, page

STATIC = Path(__file__).parent / "static"
FILES = {
    "desk.css": "text/css",
    "icon.svg": "image/svg+xml",
    "desk.js": "text/javascript",
    "htmx.min.js": "text/javascript",
    "htmx.LICENSE": "text/plain",
}


def routes() -> list[BaseRoute]:
    """Return the routes of these pages."""
    return [
        page("/s/{token}", statement_page, role=None),
        page("/s/{token}", file_appeal, role=None, post=True),
        page("/desk/static/{name}", static, role=None),
    ]


def statement_page(visit: Visit) -> Response:
    """Show a statement of reasons; as JSON at the same address with `?format=json`."""
    return _statement(visit)


def file_appeal(visit: Visit) -> Response:
    """Take an appeal."""
    token = visit.param("token")
    try:
        with visit.service.store.write() as connection:
            settings = read_settings(connection)
            appeals.file(connection, token, visit.form.get("text", ""), settings=settings, now=visit.now)
    except NotFoundError:
        raise
    except ConflictError as error:
        return _statement(visit, 409, str(error))
    except DeskError as error:
        return _statement(visit, 400, str(error))
    return _statement(visit, filed=True)


def static(visit: Visit) -> Response:
    """Serve one of the files that pages load."""
    name = visit.param("name")
    if name not in FILES:
        raise NotFoundError("there is no such file")
    headers = {"Cache-Control": "public, max-age=3600"}
    return Response((STATIC / name).read_bytes(), media_type=FILES[name], headers=headers)


def _statement(visit: Visit, status: int = 200, error: str = "", filed: bool = False) -> Response:
    token = visit.param("token")
    store = visit.service.store
    with store.read() as connection:
        settings = read_settings(connection)
        found = statements.find(connection, token, settings, now=visit.now)
        answerable = appeals.somebody_can_answer(connection, found.row.item)
    if found.row.told is None:
        with store.write() as connection:
            statements.mark_told(connection, [found.number], visit.now)
            found = statements.find(connection, token, settings, now=visit.now)
    if visit.query("format") == "json":
        return JSONResponse(_as_json(found))
    wanted = visit.query("lang")
    language = wanted if wanted in LANGUAGES else found.row.language
    return visit.render(
        "statement.html", status, language=language if language in LANGUAGES else visit.language,
        s=found, token=token, error=error, filed=filed, answerable=answerable, in_the_note=IN_THE_NOTE,
        text=visit.form.get("text", ""),
    )  # fmt: skip


def _as_json(found: statements.Statement) -> dict[str, Any]:
    appeal = found.appeal
    return {
        **found.facts,
        "audience": found.row.audience,
        "note": found.note,
        "reversed": found.reversed,
        "may_appeal": found.may_appeal,
        "appeal_until": found.appeal_until.isoformat() if found.appeal_until else None,
        "appeal": {"state": appeal.state, "answer": appeal.answer} if appeal else None,
    }
