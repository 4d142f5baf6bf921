"""Pages where moderators decide: the queue, the item in hand, its history."""

from urllib.parse import urlencode

from sqlalchemy import Connection
from starlette.responses import Response
from starlette.routing import BaseRoute

from giantkiller.desk import appeals, dossier, items, queue, sampling, undoing
from giantkiller.desk import decisions as deciding
from giantkiller.desk.appeals import Answer
from giantkiller.desk.config import read_settings
from giantkiller.desk.decisions import Choice
from giantkiller.desk.errors import ConflictError, DeskError
from giantkiller.desk.queue import Filters
from giantkiller.desk.rules import read_rulebook
from giantkiller.desk.web import Visit, page

FILTERS = ("kind", "community", "attribute", "language", "source")


def routes() -> list[BaseRoute]:
    """Return the routes of these pages."""
    return [
        page("/desk", queue_page),
        page("/desk/next", take_next, post=True),
        page("/desk/skipped", take_up, post=True),
        page("/desk/tasks/{task:int}", task_page),
        page("/desk/tasks/{task:int}", act, post=True),
        page("/desk/decisions/{decision}/undo", undo, post=True),
        page("/desk/decisions", decisions_page),
        page("/desk/items/{item}", item_page),
        page("/desk/items/{item}/notes", add_note, post=True),
        page("/desk/decisions/{decision}/look", look_again, role="lead", post=True),
        page("/desk/decisions/{decision}/known", mark_known, role="lead", post=True),
    ]


def queue_page(visit: Visit) -> Response:
    """Show what waits, and the filters."""
    filters = _filters(visit)
    with visit.service.store.read() as connection:
        waiting = queue.waiting(connection, visit.me, filters, now=visit.now)
        choices = queue.choices(connection)
        mine = dossier.decisions_of(connection, staff=visit.me.number, most=10)
        last = undoing.last_undoable(connection, visit.me, now=visit.now)
        skipped = queue.count_skipped(connection, visit.me)
        stuck = queue.count_stuck(connection) if visit.me.is_lead else 0
        empty = not items.any_item(connection)
    return visit.render(
        "queue.html", address=visit.address if empty and visit.me.is_lead else "", waiting=waiting,
        most=queue.MOST_COUNTED, choices=choices, filters=filters, mine=mine, last=last,
        skipped=skipped, stuck=stuck, done=bool(visit.query("done")), pause=bool(visit.query("pause")),
        query=_query(filters),
    )  # fmt: skip


def take_next(visit: Visit) -> Response:
    """Lease the next item and go there."""
    return _next(visit, _filters(visit))


def take_up(visit: Visit) -> Response:
    """Let what was skipped come again, and lease the first of it."""
    with visit.service.store.write() as connection:
        queue.take_up(connection, visit.me)
    return _next(visit, _filters(visit))


def task_page(visit: Visit) -> Response:
    """Show the item in hand."""
    return _task(visit, visit.request.path_params["task"])


def act(visit: Visit) -> Response:
    """Do what a button of the item's page says, and go on to the next."""
    form, task, me = visit.form, visit.request.path_params["task"], visit.me
    what = form.text("do")
    filters = _filters(visit)
    try:
        with visit.service.store.write() as connection:
            settings = read_settings(connection)
            if what in ("skip", "leave"):
                queue.leave(connection, task, me, skip=what == "skip", now=visit.now)
            elif what == "escalate":
                row = queue.held_task(connection, task, me)
                if form.text("internal"):
                    items.add_note(connection, row.item, me.number, form.text("internal"), now=visit.now)
                queue.escalate(connection, task, me, now=visit.now)
            elif what in ("uphold", "reverse"):
                given = Answer(what == "reverse", form.text("reasons"), form.text("rule") or None)
                appeals.answer(connection, task, me, given, settings=settings, now=visit.now)
            elif what in ("allow", "remove"):
                row = queue.held_task(connection, task, me)
                if form.text("internal"):
                    items.add_note(connection, row.item, me.number, form.text("internal"), now=visit.now)
                deciding.decide(
                    connection, task, me, Choice(what, form.text("rule") or None, form.text("note")),
                    settings=settings, version=form.number("version"), copies="copies" in form,
                    now=visit.now,
                )  # fmt: skip
            else:
                raise DeskError("this form has no such button")
            count = dossier.decided_today(connection, me, now=visit.now)
    except ConflictError:
        raise
    except DeskError as error:
        return _task(visit, task, 400, str(error))
    if what == "leave":
        return visit.go(f"/desk?{_query(filters)}")
    every = me.preferences.break_every
    if every and count and count % every == 0 and what in ("allow", "remove"):
        return visit.go(f"/desk?pause=1&{_query(filters)}")
    return _next(visit, filters)


def undo(visit: Visit) -> Response:
    """Take a decision back and show its item again."""
    with visit.service.store.write() as connection:
        held = queue.next_task(connection, visit.me, now=visit.now)
        if held is not None:  # one item at a time: the one in hand goes back
            queue.leave(connection, held.number, visit.me, skip=False, now=visit.now)
        task = undoing.undo(connection, visit.param("decision"), visit.me, now=visit.now)
    return visit.go(f"/desk/tasks/{task}?{_query(_filters(visit))}")


def decisions_page(visit: Visit) -> Response:
    """Show decisions: one's own, or for a lead anybody's."""
    wanted = visit.query("staff")
    number = int(wanted) if wanted.isdecimal() and len(wanted) < 9 else None
    mine = not visit.me.is_lead or wanted == "me"
    with visit.service.store.read() as connection:
        rows = dossier.decisions_of(
            connection, staff=visit.me.number if mine else number, most=200,
            differing=bool(visit.query("differing")),
        )  # fmt: skip
        people = dossier.names(connection)
    return visit.render("decisions.html", rows=rows, people=people, mine=mine, wanted=wanted)


def item_page(visit: Visit) -> Response:
    """Show everything about an item: versions, decisions, events, notes."""
    with visit.service.store.read() as connection:
        item = items.find_item(connection, visit.param("item"))
        _keep_blind(connection, visit, item.number)
        history = dossier.history(connection, item)
    return visit.render("item.html", item=item, history=history)


def add_note(visit: Visit) -> Response:
    """Add an internal note to an item."""
    with visit.service.store.write() as connection:
        item = items.find_item(connection, visit.param("item"))
        items.add_note(connection, item.number, visit.me.number, visit.form.text("text"), now=visit.now)
    return visit.go(f"/desk/items/{item.id}")


def look_again(visit: Visit) -> Response:
    """Take a second look at somebody's decision."""
    with visit.service.store.write() as connection:
        task = sampling.sample(connection, visit.param("decision"), visit.me, now=visit.now)
    return visit.go(f"/desk/tasks/{task}")


def mark_known(visit: Visit) -> Response:
    """Keep an item as one whose right answer is known."""
    with visit.service.store.write() as connection:
        sampling.mark_known(connection, visit.param("decision"), visit.me, now=visit.now)
    return visit.go("/desk/decisions")


def _task(visit: Visit, number: int, status: int = 200, error: str = "") -> Response:
    filters = _filters(visit)
    me, screener = visit.me, visit.service.screener
    with visit.service.store.read() as connection:
        task = queue.held_task(connection, number, me)
        seen = dossier.gather(connection, task, screener.policy, now=visit.now)
        book = read_rulebook(connection, task.community)
        last = undoing.last_undoable(connection, me, now=visit.now)
        settings = read_settings(connection)
    words = []
    if seen.text:
        words = screener.explain(seen.text, seen.scores[0].attribute)
    rule = dossier.likely_rule(book, seen)
    covered = max((settings.severity[s.attribute] * s.score for s in seen.scores), default=0.0)
    return visit.render(
        "task.html", status, task=task, seen=seen, book=book, last=last, error=error,
        pieces=dossier.marked(seen.text or "", words), chosen=visit.form.text("rule") or rule,
        note=visit.form.get("note", ""), internal=visit.form.get("internal", ""),
        reasons=visit.form.get("reasons", ""), cover=covered >= me.preferences.cover_from,
        query=_query(filters), seconds=settings.undo_seconds,
    )  # fmt: skip


def _next(visit: Visit, filters: Filters) -> Response:
    with visit.service.store.write() as connection:
        task = queue.next_task(connection, visit.me, filters, now=visit.now)
    if task is None:
        return visit.go(f"/desk?done=1&{_query(filters)}")
    return visit.go(f"/desk/tasks/{task.number}?{_query(filters)}")


def _filters(visit: Visit) -> Filters:
    given = {name: (visit.form.text(name) or visit.query(name))[:200] or None for name in FILTERS}
    return Filters(**given)


def _query(filters: Filters) -> str:
    return urlencode({name: value for name in FILTERS if (value := getattr(filters, name))})


def _keep_blind(connection: Connection, visit: Visit, item: int) -> None:
    """Whoever has a second look in hand must not look up the first decision."""
    if dossier.holds_blind(connection, item, visit.me):
        raise ConflictError("you have a second look at this item in hand; decide it first")
