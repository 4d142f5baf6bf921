"""Pages of leads and admins: overview, communities with their policy and rules, staff, webhooks, settings."""

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, fields
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, select
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute

from giantkiller.attributes import ATTRIBUTES
from giantkiller.desk import figures, invitations, items, outbox, policies, previewing, quality, rules
from giantkiller.desk import staff as people
from giantkiller.desk.config import BOUNDS, OF_PRIORITY, change_settings, read_settings
from giantkiller.desk.current import heed_changes
from giantkiller.desk.daily import DAYS
from giantkiller.desk.errors import DeskError, NotFoundError
from giantkiller.desk.tables import rulebooks
from giantkiller.desk.web import Visit, page
from giantkiller.policy import ACTIONS

Rows = Sequence[Mapping[str, Any]]  # on their way to CSV, JSON and charts


def routes() -> list[BaseRoute]:
    """Return the routes of these pages."""
    lead, admin = "lead", "admin"
    return [
        page("/desk/lead", lead_page, role=lead),
        page("/desk/lead/{table}.{form}", table, role=lead),
        page("/desk/communities", communities_page, role=lead),
        page("/desk/communities", add_community, post=True, role=lead),
        page("/desk/communities/{community}/policy", policy_page, role=lead),
        page("/desk/communities/{community}/policy", change_policy, post=True, role=lead),
        page("/desk/communities/{community}/rules", rules_page, role=lead),
        page("/desk/communities/{community}/rules", change_rules, post=True, role=lead),
        page("/desk/staff", staff_page, role=lead),
        page("/desk/staff", invite, post=True, role=lead),
        page("/desk/staff/{number:int}", change_staff, post=True, role=admin),
        page("/desk/webhooks", webhooks_page, role=admin),
        page("/desk/webhooks", change_webhooks, post=True, role=admin),
        page("/desk/settings", settings_page, role=admin),
        page("/desk/settings", change, post=True, role=admin),
    ]


def _agreement(connection: Connection, since: datetime, now: datetime) -> Rows:
    return [asdict(row) for row in quality.agreement(connection, since, people.names(connection))]


def _people(connection: Connection, since: datetime, now: datetime) -> Rows:
    return quality.by_person(connection, since, people.names(connection), now=now)


def _known(connection: Connection, since: datetime, now: datetime) -> Rows:
    return quality.known_answers(connection, since, people.names(connection))


Table = Callable[[Connection, datetime, datetime], Rows]
TABLES: dict[str, Table] = {
    "backlog": lambda connection, since, now: figures.backlog(connection, now=now),
    "hours": lambda connection, since, now: figures.per_hour(connection, 72, now=now),
    "machine": lambda connection, since, now: quality.overturned_machine(connection, since, now=now),
    "appeals": lambda connection, since, now: quality.appeals_by_rule(connection, since),
    "agreement": _agreement,
    "people": _people,
    "known": _known,
    "drift": lambda connection, since, now: figures.drift(connection, now=now),
}
"""The tables of the overview, each also as CSV and JSON."""

TITLES = {
    "backlog": "Waiting, by age",
    "hours": "Comments and decisions an hour",
    "machine": "How often people overturn the machine",
    "appeals": "How often appeals overturn people",
    "agreement": "Agreement of blind second looks",
    "people": "Decisions by person",
    "known": "Answers on known items",
    "drift": "Drift of scores: the last 7 days against the 23 before",
}


def lead_page(visit: Visit) -> Response:
    """Show the overview of the last 30 days."""
    since = visit.now - timedelta(days=DAYS)
    with visit.service.store.read() as connection:
        tables = {name: make(connection, since, visit.now) for name, make in TABLES.items()}
    hours, backlog = tables["hours"], tables["backlog"]
    charts = {
        "hours": figures.line_chart(
            visit.say(TITLES["hours"]),
            [(visit.say(name), [row[name] for row in hours]) for name in ("came", "decided")],
            [row["hour"] for row in hours],
        ),
        "backlog": figures.bar_chart(
            visit.say(TITLES["backlog"]),
            [visit.say(row["age"]) for row in backlog],
            [row["waiting"] for row in backlog],
        ),
    }
    shown = {name: rows for name, rows in tables.items() if name != "hours"}
    return visit.render("lead.html", tables=shown, titles=TITLES, charts=charts, days=DAYS)


def table(visit: Visit) -> Response:
    """Serve a table of the overview as CSV or JSON."""
    name, form = visit.param("table"), visit.param("form")
    if name not in TABLES or form not in ("csv", "json"):
        raise NotFoundError("there is no such table")
    with visit.service.store.read() as connection:
        rows = TABLES[name](connection, visit.now - timedelta(days=DAYS), visit.now)
    if form == "json":
        return JSONResponse(rows)
    out = io.StringIO()
    if rows:
        writer = csv.DictWriter(out, list(rows[0]))
        writer.writeheader()
        writer.writerows({key: _inert(value) for key, value in row.items()} for row in rows)
    headers = {"Content-Disposition": f'attachment; filename="{name}.csv"'}
    return Response(out.getvalue(), media_type="text/csv", headers=headers)


def communities_page(visit: Visit) -> Response:
    """Show the communities."""
    return _communities(visit)


def add_community(visit: Visit) -> Response:
    """Add a community."""
    form = visit.form
    language = form.text("language")
    try:
        with visit.service.store.write() as connection:
            policies.add_community(
                connection, form.text("id"), form.text("name"), language or "en", visit.me.actor,
                now=visit.now,
            )  # fmt: skip
    except DeskError as error:
        return _communities(visit, 400, str(error))
    return visit.go("/desk/communities")


def policy_page(visit: Visit) -> Response:
    """Show a community's policy; `?preset=NAME` puts a preset's values in the form."""
    bundle = visit.service.screener.policy
    with visit.service.store.read() as connection:
        current = policies.read_policy(connection, visit.param("community"), bundle)
    return _policy(visit, _presets(visit).get(visit.query("preset"), current))


def change_policy(visit: Visit) -> Response:
    """Show what a policy would have done, or switch it on."""
    form, community = visit.form, visit.param("community")
    bundle = visit.service.screener.policy
    try:
        wanted = policies.check_policy(_policy_of(visit))
    except DeskError as error:
        with visit.service.store.read() as connection:
            current = policies.read_policy(connection, community, bundle)
        return _policy(visit, current, 400, str(error))
    if form.text("do") != "switch-on" or form.text("previewed") != policies.mark_of(wanted):
        with visit.service.store.read() as connection:
            current = policies.read_policy(connection, community, bundle)
            preview = previewing.preview(
                connection, community, current, wanted, now=visit.now, scorer=_scorer(visit)
            )
        return _policy(visit, wanted, preview=preview, unseen=form.text("do") == "switch-on")
    with visit.service.store.write() as connection:
        policies.write_policy(connection, community, wanted, visit.me.number, bundle, now=visit.now)
    heed_changes(visit.service.store)
    return visit.go(f"/desk/communities/{community}/policy")


def rules_page(visit: Visit) -> Response:
    """Show a community's rule book."""
    return _rules(visit)


def change_rules(visit: Visit) -> Response:
    """Store a new version of a rule book."""
    form, community = visit.form, visit.param("community")
    columns = [form.all(field.name) for field in fields(rules.Rule)]
    written = [rules.Rule(*row) for row in zip(*columns, strict=False)]
    given = [rule for rule in written if any(text.strip() for text in (rule.id, rule.title, rule.text))]
    try:
        with visit.service.store.write() as connection:
            rules.write_rulebook(connection, community, given, visit.me.number, now=visit.now)
    except NotFoundError:
        raise
    except DeskError as error:
        return _rules(visit, 400, str(error), given)
    return visit.go(f"/desk/communities/{community}/rules")


def staff_page(visit: Visit) -> Response:
    """Show who works here."""
    return _staff(visit)


def invite(visit: Visit) -> Response:
    """Make an invitation and show its link, once."""
    with visit.service.store.write() as connection:
        token = invitations.invite(connection, visit.form.text("role"), visit.me, now=visit.now)
    return _staff(visit, f"/desk/join/{token}")


def change_staff(visit: Visit) -> Response:
    """Change somebody's role, give them a new password, end their sessions, or end their work here."""
    number, what = visit.request.path_params["number"], visit.form.text("do")
    token = lost = ""
    with visit.service.store.write() as connection:
        if what == "role":
            people.change_role(connection, number, visit.form.text("role"), visit.me, now=visit.now)
        elif what == "password":
            token = invitations.offer_password(connection, number, visit.me, now=visit.now)
            lost = people.find_staff(connection, number).name
        elif what == "sessions":
            people.end_sessions(connection, number, visit.me, now=visit.now)
        elif what == "disable":
            people.disable(connection, number, visit.me, now=visit.now)
        else:
            raise DeskError("this form has no such button")
    return _staff(visit, f"/desk/join/{token}", lost) if token else visit.go("/desk/staff")


def webhooks_page(visit: Visit) -> Response:
    """Show the webhooks and what waits for them."""
    return _webhooks(visit)


def change_webhooks(visit: Visit) -> Response:
    """Add or disable a webhook; replay a delivery or set it aside."""
    form, actor = visit.form, visit.me.actor
    what, number = form.text("do"), form.number("number") or 0
    secret = ""
    try:
        with visit.service.store.write() as connection:
            if what == "add":
                secret = outbox.add_webhook(
                    connection, form.text("name"), form.text("url"), actor, now=visit.now
                )
            elif what == "disable":
                outbox.disable_webhook(connection, number, actor, now=visit.now)
            elif what == "replay":
                outbox.replay(connection, number, actor, now=visit.now)
            elif what == "aside":
                outbox.set_aside(connection, number, actor, now=visit.now)
            else:
                raise DeskError("this form has no such button")
    except NotFoundError:
        raise
    except DeskError as error:
        return _webhooks(visit, 400, str(error))
    return _webhooks(visit, secret=secret) if secret else visit.go("/desk/webhooks")


def settings_page(visit: Visit) -> Response:
    """Show the desk's settings."""
    return _settings(visit)


def change(visit: Visit) -> Response:
    """Change settings."""
    changes: dict[str, Any] = {name: visit.form.text(name) for name in BOUNDS if name in visit.form}
    severity = {a: visit.form.text(f"severity-{a}") for a in ATTRIBUTES if f"severity-{a}" in visit.form}
    if severity:
        changes["severity"] = severity
    store = visit.service.store
    try:
        with store.write() as connection:
            before = read_settings(connection)
            after = change_settings(connection, changes, visit.me.actor, now=visit.now)
    except DeskError as error:
        return _settings(visit, 400, str(error))
    if any(getattr(before, name) != getattr(after, name) for name in OF_PRIORITY):
        items.rank_anew(store)
    return visit.go("/desk/settings")


def _communities(visit: Visit, status: int = 200, error: str = "") -> Response:
    with visit.service.store.read() as connection:
        found = policies.list_communities(connection)
    return visit.render("communities.html", status, communities=found, error=error)


def _policy_of(visit: Visit) -> dict[str, Any]:
    """Return the policy that the form's fields say; numbers in percent."""
    form = visit.form
    thresholds: dict[str, dict[str, float | None]] = {}
    for attribute in ATTRIBUTES:
        steps: dict[str, float | None] = {}
        for action in ACTIONS[1:]:
            value = form.text(f"{attribute}-{action}").replace(",", ".")
            if value:
                try:
                    steps[action] = float(value) / 100
                except ValueError:
                    raise DeskError(f"{action} of {attribute} is no number") from None
        if steps:
            thresholds[attribute] = steps
    return {
        "thresholds": thresholds,
        "swearing": form.text("swearing") or "counts",
        "allowed": form.text("allowed").splitlines(),
        "watched": form.text("watched").splitlines(),
        "automatic": form.all("automatic"),
    }


def _presets(visit: Visit) -> dict[str, policies.CommunityPolicy]:
    screener = visit.service.screener
    return policies.presets(screener.policy, screener.bundle.policies)


def _policy(
    visit: Visit,
    policy: policies.CommunityPolicy,
    status: int = 200,
    error: str = "",
    preview: previewing.Preview | None = None,
    unseen: bool = False,
) -> Response:
    community = visit.param("community")
    bundle = visit.service.screener.policy
    with visit.service.store.read() as connection:
        current = policies.read_policy(connection, community, bundle)
        history = policies.policy_history(connection, community)
        names = people.names(connection)
    return visit.render(
        "policy.html", status, community=community, policy=policy, current=current, history=history,
        names=names, presets=list(_presets(visit)), attributes=ATTRIBUTES, actions=ACTIONS,
        preview=preview, error=error, unseen=unseen, mark=policies.mark_of(policy) if preview else "",
    )  # fmt: skip


def _scorer(visit: Visit) -> previewing.Scorer:
    def score(texts: Sequence[str]) -> list[dict[str, float]]:
        rows = visit.service.screener.scores(texts).astype(float).tolist()
        return [dict(zip(ATTRIBUTES, row, strict=True)) for row in rows]

    return score


def _rules(
    visit: Visit, status: int = 200, error: str = "", given: list[rules.Rule] | None = None
) -> Response:
    community = visit.param("community")
    with visit.service.store.read() as connection:
        book = rules.read_rulebook(connection, community)
        history = connection.execute(
            select(rulebooks.c.version, rulebooks.c.created, rulebooks.c.staff)
            .where(rulebooks.c.community == community)
            .order_by(rulebooks.c.version.desc())
        ).all()
        names = people.names(connection)
    shown = given if given is not None else list(book.rules)
    return visit.render(
        "rules.html", status, community=community, book=book, shown=shown, history=history, names=names,
        attributes=ATTRIBUTES, grounds=rules.GROUNDS, categories=rules.CATEGORIES, keywords=rules.KEYWORDS,
        error=error,
    )  # fmt: skip


def _staff(visit: Visit, link: str = "", lost: str = "") -> Response:
    with visit.service.store.read() as connection:
        members = people.list_staff(connection)
    return visit.render(
        "staff.html", members=members, link=f"{visit.address}{link}" if link else "", lost=lost,
        roles=people.ROLES,
    )  # fmt: skip


def _webhooks(visit: Visit, status: int = 200, error: str = "", secret: str = "") -> Response:
    with visit.service.store.read() as connection:
        hooks = outbox.list_webhooks(connection)
        waiting = outbox.list_deliveries(connection, visit.query("state") or None)
    return visit.render("webhooks.html", status, hooks=hooks, deliveries=waiting, error=error, secret=secret)


def _settings(visit: Visit, status: int = 200, error: str = "") -> Response:
    with visit.service.store.read() as connection:
        values = asdict(read_settings(connection))
    severity = values.pop("severity")
    return visit.render("settings.html", status, values=values, severity=severity, bounds=BOUNDS, error=error)


def _inert(value: Any) -> Any:
    """Keep a spreadsheet from taking a text for a formula."""
    return "'" + value if isinstance(value, str) and value[:1] in "=+-@\t\r" else value
