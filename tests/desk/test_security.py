"""Who may see what, route by route; forged forms; hostile texts; what the log says."""

import logging
import re
import secrets

import argon2
import pytest
from people import PAYLOADS, Person
from starlette.routing import Route

from giantkiller.desk import (
    app,
    staff,
    views_account,
    views_lead,
    views_model,
    views_public,
    views_queue,
    views_year,
)
from giantkiller.desk.web import COOKIE, local_path

ROLES = (None, "moderator", "lead", "admin")

# The least role that a route is for; None for anybody. Every page route must stand here.
MATRIX = {
    ("GET", "/s/{token}"): None,
    ("POST", "/s/{token}"): None,
    ("GET", "/desk/static/{name}"): None,
    ("GET", "/desk/sign-in"): None,
    ("POST", "/desk/sign-in"): None,
    ("POST", "/desk/sign-out"): "moderator",
    ("GET", "/desk/join/{token}"): None,
    ("POST", "/desk/join/{token}"): None,
    ("GET", "/desk/me"): "moderator",
    ("POST", "/desk/me"): "moderator",
    ("POST", "/desk/me/password"): "moderator",
    ("POST", "/desk/me/sessions"): "moderator",
    ("POST", "/desk/me/totp"): "moderator",
    ("GET", "/desk"): "moderator",
    ("POST", "/desk/next"): "moderator",
    ("POST", "/desk/skipped"): "moderator",
    ("GET", "/desk/tasks/{task:int}"): "moderator",
    ("POST", "/desk/tasks/{task:int}"): "moderator",
    ("POST", "/desk/decisions/{decision}/undo"): "moderator",
    ("GET", "/desk/decisions"): "moderator",
    ("GET", "/desk/items/{item}"): "moderator",
    ("POST", "/desk/items/{item}/notes"): "moderator",
    ("POST", "/desk/decisions/{decision}/look"): "lead",
    ("POST", "/desk/decisions/{decision}/known"): "lead",
    ("GET", "/desk/lead"): "lead",
    ("GET", "/desk/lead/{table}.{form}"): "lead",
    ("GET", "/desk/years/{year:int}"): "lead",
    ("GET", "/desk/years/{year:int}.{form}"): "lead",
    ("GET", "/desk/model"): "lead",
    ("POST", "/desk/model"): "lead",
    ("GET", "/desk/communities"): "lead",
    ("POST", "/desk/communities"): "lead",
    ("GET", "/desk/communities/{community}/policy"): "lead",
    ("POST", "/desk/communities/{community}/policy"): "lead",
    ("GET", "/desk/communities/{community}/rules"): "lead",
    ("POST", "/desk/communities/{community}/rules"): "lead",
    ("GET", "/desk/staff"): "lead",
    ("POST", "/desk/staff"): "lead",
    ("POST", "/desk/staff/{number:int}"): "admin",
    ("GET", "/desk/webhooks"): "admin",
    ("POST", "/desk/webhooks"): "admin",
    ("GET", "/desk/settings"): "admin",
    ("POST", "/desk/settings"): "admin",
}
API = {
    ("POST", "/v1/desk/items"),
    ("POST", "/v1/desk/items/batch"),
    ("GET", "/v1/desk/items/{item}"),
    ("POST", "/v1/desk/items/{item}/reports"),
    ("GET", "/v1/desk/messages"),
}


def method_of(route):
    assert isinstance(route, Route)
    return "POST" if "POST" in route.methods else "GET", route.path


def concrete(path):
    values = {
        "task:int": "999999",
        "number:int": "999999",
        "year:int": "2026",
        "table": "backlog",
        "form": "json",
    }
    for name, value in (values | {"community": "default"}).items():
        path = path.replace("{" + name + "}", value)
    return re.sub(r"\{\w+\}", "nothing", path)


@pytest.fixture(scope="session")
def everybody(shared_site):
    """Somebody of each role, who has a page with a form open; nobody else signs them out."""
    people = {role: shared_site.person(role) if role else Person(shared_site.url) for role in ROLES}
    for role, person in people.items():
        person.get("/desk")
        found = re.search(r'name="csrf" value="(\w*)"', person.page)
        assert found or not role, f"no form for the role {role}"
        person.csrf = found[1] if found else ""
    return people


def test_every_route_stands_in_the_matrix():
    assert {method_of(route) for route in app.routes()} == set(MATRIX) | API
    rooms = (views_public, views_account, views_queue, views_lead, views_model, views_year)
    assert sum(len(room.routes()) for room in rooms) == len(MATRIX)


@pytest.mark.parametrize("role", ROLES, ids=str)
@pytest.mark.parametrize(("method", "path"), sorted(MATRIX, key=str))
def test_a_route_is_for_its_role_and_those_above(everybody, method, path, role):
    if path == "/desk/sign-out":  # would end the session that the other tests share
        return
    person, needed = everybody[role], MATRIX[method, path]
    fields = {"csrf": person.csrf}
    headers = {"Origin": person.url}
    url = concrete(path)
    if method == "GET":
        response = person.client.get(url)
    else:
        response = person.client.post(url, data=fields, headers=headers)
    refused = response.status_code == 403 and "this page is for" in response.text
    to_sign_in = response.is_redirect and "/desk/sign-in" in response.headers["location"]
    may = needed is None or (role is not None and ROLES.index(role) >= ROLES.index(needed))
    assert may == (not refused and not to_sign_in), (response.status_code, response.text[:500])
    assert response.status_code < 500
    if "html" in response.headers.get("content-type", ""):
        assert "content-security-policy" in response.headers


@pytest.mark.parametrize(("method", "path"), sorted(key for key in MATRIX if key[0] == "POST"))
def test_forged_forms_are_refused(everybody, method, path):
    """Every form, from another site and without the session's token."""
    person, url = everybody["admin"], concrete(path)
    csrf, stolen = person.csrf, everybody["moderator"].csrf
    cases = [
        ({"csrf": csrf}, {"Origin": "https://evil.example"}),
        ({"csrf": csrf}, {"Origin": "null"}),
        ({"csrf": csrf}, {"Sec-Fetch-Site": "cross-site"}),
    ]
    if not path.startswith("/s/"):  # the session's cookie doesn't go there
        cases += [({}, {"Origin": person.url}), ({"csrf": stolen}, {"Origin": person.url})]
    for fields, headers in cases:
        response = person.client.post(url, data=fields, headers=headers)
        assert response.status_code == 403, (fields, headers)
        assert "form" in response.text


def test_keys_need_the_role_to_submit(shared_site):
    key = shared_site.server.make_key("score")
    for method, path in API:
        url = path.replace("{item}", "x")
        for headers, status in (({}, 401), ({"Authorization": f"Bearer {key}"}, 403)):
            response = shared_site.server.client.request(method, url, content="{}", headers=headers)
            assert response.status_code == status


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "/desk\\@evil",
        "javascript:alert(1)",
        "/deskevil:x",
        "/desk\r\nSet-Cookie: a=b",
        "\t//evil.example",
        "",
    ],
)
def test_no_open_redirects(site, target):
    assert local_path(target).startswith("/desk")
    person = site.person()
    person.post("/desk/sign-out")
    response = person.client.post(
        "/desk/sign-in",
        data={"name": person.name, "password": "correct horse battery", "next": target},
        headers={"Origin": person.url},
    )
    location = response.headers["location"]
    assert location.startswith("/desk")
    assert "\\" not in location
    assert "//" not in location


def test_links_cannot_be_guessed_and_say_nothing(site):
    stranger = Person(site.url)
    answers = {
        (stranger.client.get(f"/s/{token}").status_code, stranger.client.get(f"/s/{token}").text)
        for token in ("x", secrets.token_urlsafe(32), "%00", "a" * 5000)
    }
    assert {status for status, _ in answers} == {404}
    assert len(answers) == 1


def test_an_unknown_name_is_checked_as_hard_as_a_known_one(real_hasher):
    """Its time is measured by benchmarks/sign_in.py."""
    in_earnest = argon2.extract_parameters(real_hasher().hash("correct horse battery"))
    assert in_earnest == argon2.profiles.RFC_9106_LOW_MEMORY
    nobody = staff._nobody()
    known = staff.hash_password("correct horse battery")
    assert argon2.extract_parameters(nobody) == argon2.extract_parameters(known)
    with pytest.raises(argon2.exceptions.VerifyMismatchError):  # well-formed, so that it is really computed
        argon2.PasswordHasher().verify(nobody, "correct horse battery")
    assert not staff.check_password(None, "correct horse battery")
    assert staff.check_password(known, "correct horse battery")


def test_a_cookie_is_not_the_databases(site):
    person = site.person()
    cookie = person.client.cookies[COOKIE]
    with site.store.read() as connection:
        dump = "\n".join(connection.connection.driver_connection.iterdump())
    assert cookie not in dump
    assert "correct horse battery" not in dump


@pytest.mark.parametrize(
    "payload", [*PAYLOADS[:2], *(pytest.param(each, marks=pytest.mark.slow) for each in PAYLOADS[2:])]
)
def test_hostile_texts_are_text_everywhere(site, payload):
    """Each field that somebody else fills, on each page that shows it."""
    lead, other = site.person("lead"), site.person()
    admin = site.person("admin")
    marks = re.compile(
        r"<script(?! src=\"/desk/static)|<img|<svg/|onerror=(?=alert)(?<!=)|<b>|href=['\"]javascript", re.I
    )

    def harmless(person):
        page = person.page
        assert not marks.search(page.replace("<svg class", "")), marks.search(page)
        assert "60481729" not in page

    submitted = site.submit(
        f"You stupid idiot {payload}",
        id=payload[:200],
        author=payload,
        url=payload,
        parent=payload,
        title=payload,
    )
    site.server.post(f"/v1/desk/items/{submitted['id']}/reports", {"reason": payload, "reporter": payload})
    task = other.next()
    harmless(other)
    other.act(task, "remove", rule="insults", note=payload, internal=payload)
    for path in ("/desk", "/desk/decisions", f"/desk/items/{submitted['id']}"):
        other.get(path)
        harmless(other)
    path = next(
        m["data"]["statement"]["path"] for m in reversed(site.messages()) if m["type"] == "comment.removed"
    )
    author = Person(site.url)
    author.get(path)
    harmless(author)
    author.post(path, {"text": payload})
    harmless(author)
    task = lead.next()
    harmless(lead)
    lead.act(task, "uphold", reasons=payload)
    author.get(path)
    harmless(author)
    rules = "/desk/communities/default/rules"
    lead.get(rules)
    fields = {"id": "x", "title": payload, "text": payload, "ground": "law", "legal": payload}
    fields |= {"category": "OTHER_VIOLATION_TC", "keyword": "", "url": "", "attribute": ""}
    lead.post(rules, fields)
    harmless(lead)
    policy = "/desk/communities/default/policy"
    lead.get(policy)
    lead.post(policy, {"do": "preview", "toxicity-review": "50", "watched": payload, "allowed": payload})
    harmless(lead)
    lead.get(f"/desk?community={payload}&done=1")
    harmless(lead)
    lead.get("/desk/lead")
    harmless(lead)
    admin.get("/desk/webhooks")
    admin.post(
        "/desk/webhooks", {"do": "add", "name": payload[:64], "url": f"http://127.0.0.1:9/{payload[:3]}"}
    )
    harmless(admin)
    for form in ({"name": payload, "password": payload, "next": payload},):
        author.post("/desk/sign-in", form)
        harmless(author)
    site.first_rules()
    with site.store.write() as connection:  # what the other tests expect
        from giantkiller.desk.tables import webhooks

        connection.execute(
            webhooks.update().values(disabled=connection.execute(webhooks.select()).first().created)
        )


def test_the_log_has_no_text_of_people(site, caplog):
    secret = "zanzibar"
    with caplog.at_level(logging.DEBUG):
        person = site.person()
        submitted = site.submit(f"You stupid idiot {secret}", author=f"{secret}-author")
        site.server.post(f"/v1/desk/items/{submitted['id']}/reports", {"reason": secret})
        person.act(person.next(), "remove", rule="insults", note=secret, internal=secret)
        person.sign_in(secret, secret)
        path = site.messages()[-1]["data"]["statement"]["path"]
        author = Person(site.url)
        author.get(path)
        author.post(path, {"text": secret})
    ours = [r for r in caplog.records if r.name.startswith(("giantkiller", "uvicorn.error", "sqlalchemy"))]
    said = " ".join(str(vars(record)) for record in ours)
    assert secret not in said
    assert path.removeprefix("/s/") not in said
