"""The page where leads see which bundle scores, try another beside it, and change to it and back."""

import itertools
from typing import Any

from starlette.responses import Response
from starlette.routing import BaseRoute

from giantkiller.desk import figures, lineup
from giantkiller.desk import staff as people
from giantkiller.desk.errors import DeskError, NotFoundError
from giantkiller.desk.web import Visit, page
from giantkiller.errors import UserError
from giantkiller.policy import ACTIONS
from giantkiller.serve import shelf
from giantkiller.serve.comparison import EDGES, Comparison, Pair, compare


def routes() -> list[BaseRoute]:
    """Return the routes of this page."""
    return [
        page("/desk/model", model_page, role="lead"),
        page("/desk/model", change_model, post=True, role="lead"),
    ]


def model_page(visit: Visit) -> Response:
    """Show the active bundle, the candidate, and what it would have done otherwise."""
    return _model(visit)


def change_model(visit: Visit) -> Response:
    """Try, promote or drop a bundle, or roll back."""
    form, store, settings = visit.form, visit.service.store, visit.service.settings
    what, actor, now = form.text("do"), visit.me.actor, visit.now
    try:
        if what == "roll-back":
            lineup.roll_back(store, settings, actor, now=now, seen=form.number("seen"))
        elif what in ("try", "promote", "drop"):
            digest = _kept(visit, form.text("bundle"))
            if what == "try":
                lineup.try_out(store, settings, digest, actor, now=now)
            elif what == "promote":
                lineup.promote(store, settings, digest, actor, now=now, seen=form.number("seen"))
            else:
                lineup.drop(store, settings, digest, actor, now=now)
        else:
            raise DeskError("this form has no such button")
    except NotFoundError:
        raise
    except UserError as error:
        return _model(visit, error.status if isinstance(error, DeskError) else 400, str(error))
    return visit.go("/desk/model")


def _kept(visit: Visit, digest: str) -> str:
    with visit.service.store.read() as connection:
        if digest not in [kept.digest for kept in shelf.list_kept(connection)]:
            raise NotFoundError("there is no such bundle on the shelf any more")
    return digest


def _model(visit: Visit, status: int = 200, error: str = "") -> Response:
    service = visit.service
    scoring = service.screener.bundle
    day = None if visit.query("days") == "all" else f"{visit.now:%Y-%m-%d}"
    with service.store.read() as connection:
        line = shelf.read_lineup(connection)
        kept = {one.digest: one for one in shelf.list_kept(connection)}
        names = {f"staff:{number}": name for number, name in people.names(connection).items()}
        candidate = kept.get(line.candidate or "")
        found = compare(connection, Pair(scoring.digest, candidate.digest), day) if candidate else None
    held = [promotion.digest for promotion in line.promotions]
    return visit.render(
        "model.html", status, error=error, scoring=scoring, line=line, kept=kept, candidate=candidate,
        others=[one for one in kept.values() if one.digest not in (*held, line.candidate)],
        base=service.settings.model, following=line.active != service.active, names=names, found=found,
        today=day is not None, actions=ACTIONS, charts=_charts(visit, found) if found else {},
    )  # fmt: skip


def _charts(visit: Visit, found: Comparison) -> dict[str, Any]:
    """Draw how far scores move, and whose actions flip."""
    if not found.comments:
        return {}
    edges = [f"{100 * edge:g}" for edge in EDGES]
    labels = [
        f"< {edges[0]}",
        *(f"{a}–{b}" for a, b in itertools.pairwise(edges)),
        f"≥ {edges[-1]}",
    ]
    flipped = [row.sterner + row.milder for row in found.attributes]
    return {
        "farthest": figures.bar_chart(
            visit.say("Comments by how far a score moves, in percentage points"), labels, found.farthest
        ),
        "flips": figures.bar_chart(
            visit.say("Comments whose action changes, by attribute"),
            [visit.say(row.attribute) for row in found.attributes], flipped,
        ),
    }  # fmt: skip
