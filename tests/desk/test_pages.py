"""The pages against a real server on loopback, without scripts."""

import json
import re

import pyotp
import pytest
from people import PASSWORD, Person
from receivers import Receiver, wait_for
from sqlalchemy import select, update

from giantkiller.desk import outbox
from giantkiller.desk.delivery import sign
from giantkiller.desk.staff import hash_token
from giantkiller.desk.tables import staff
from giantkiller.desk.web import POLICY
from giantkiller.store import utc_now


def test_a_whole_life_through_pages(site):
    receiver = Receiver()
    with site.store.write() as connection:
        secret = outbox.add_webhook(connection, "forum", receiver.url, "test", now=utc_now())
    try:
        first, second = site.person(), site.person()
        submitted = site.submit(
            "You <b>stupid</b> idiot", id="c-1", author="u1", url="https://forum.example/1"
        )
        assert submitted["state"] == "hidden"
        task = first.next()
        assert "stupid" in first.text
        assert "&lt;b&gt;" in first.page
        assert "<mark class" in first.page
        first.act(task, "remove", rule="insults", note="Please be kind")
        assert site.state(submitted) == "removed"
        wait_for(lambda: receiver.got)
        headers, body = receiver.got[0]
        headers = {name.lower(): value for name, value in headers.items()}
        message = json.loads(body)
        assert message["type"] == "comment.removed"
        assert message["data"]["comment"] == "c-1"
        assert b"stupid" not in body
        signature = sign(secret, headers["webhook-id"], int(headers["webhook-timestamp"]), body)
        assert headers["webhook-signature"] == signature
        link = message["data"]["statement"]["url"]
        assert link.startswith(site.url + "/s/")

        author = Person(site.url)
        author.get(link.removeprefix(site.url))
        assert "No insults" in author.text
        assert "Please be kind" in author.text
        author.post(link.removeprefix(site.url), {"text": "It was <i>irony</i>"})
        assert "has arrived" in author.text
        author.get(link.removeprefix(site.url) + "?lang=de")
        assert "Widerspruch" in author.text

        assert first.next() is None
        task = second.next()
        assert "irony" in second.text
        second.act(task, "reverse", reasons="Fair <point>")
        assert site.state(submitted) == "approved"
        author.get(link.removeprefix(site.url))
        assert "succeeded" in author.text
        assert "Fair <point>" in author.text
        wait_for(lambda: len(receiver.got) == 4)
        kinds = [message["type"] for message in receiver.messages()]
        assert kinds == ["comment.removed", "appeal.received", "comment.restored", "appeal.decided"]
    finally:
        with site.store.write() as connection:
            for hook in outbox.list_webhooks(connection):
                if not hook.disabled:
                    outbox.disable_webhook(connection, hook.number, "test", now=utc_now())
        receiver.close()


def test_a_statement_is_there_as_json(site):
    person = site.person()
    site.submit("You idiot", id="json")
    person.act(person.next(), "remove", rule="insults")
    path = site.messages()[-1]["data"]["statement"]["path"]
    got = Person(site.url).get(path + "?format=json").json()
    assert (got["outcome"], got["automated_decision"], got["may_appeal"]) == ("remove", False, True)
    assert got["rule"]["id"] == "insults"


def test_undo_skip_escalate_and_leave(site):
    site.settings(undo_seconds=60)
    try:
        person, lead = site.person(), site.person("lead")
        submitted = site.submit("You stupid idiot one")
        task = person.next()
        person.act(task, "remove", rule="insults")
        assert site.state(submitted) == "removed"
        path = re.search(r'action="(/desk/decisions/\w+/undo)', person.page)[1]
        person.post(path)
        assert site.state(submitted) == "hidden"
        assert f"/desk/tasks/{task}" in person.page
        person.act(task, "leave")
        assert person.next() == task
        person.act(task, "escalate", internal="odd one")
        assert person.next() is None
        assert lead.next() == task
        assert "odd one" in lead.text
        lead.act(task, "skip")
        assert lead.next() is None
    finally:
        site.settings(undo_seconds=0)


def test_a_wrong_choice_keeps_what_was_typed(site):
    person = site.person()
    site.submit("You idiot two")
    task = person.next()
    done = person.act(task, "remove", rule="nonsense", note="kept <note>")
    assert done.status_code == 400
    assert "no rule" in person.text
    assert "kept &lt;note&gt;" in person.page
    assert person.act(task, "burn").status_code == 400


def test_the_text_is_covered_above_the_severity_of_ones_choosing(site):
    person = site.person()
    site.submit("You idiot three")
    person.next()
    assert 'class="cover"' not in person.page
    person.get("/desk/me")
    person.post("/desk/me", {"cover_from": "20", "grey": "on", "break_every": "1", "language": "de"})
    task = person.next()
    assert 'class="cover"' in person.page
    assert 'class="grey"' in person.page
    assert '<html lang="de"' in person.page
    person.act(task, "allow")
    assert "Pause" in person.text


def test_sign_in_gives_a_new_session_each_time(site):
    person = site.person()
    before = person.client.cookies["giantkiller_desk"]
    person.post("/desk/sign-out")
    assert "/desk/sign-in" in person.page
    person.client.cookies.set("giantkiller_desk", "chosen-by-an-attacker", domain="127.0.0.1", path="/desk")
    person.sign_in(person.name)
    after = [c.value for c in person.client.cookies.jar if c.name == "giantkiller_desk"]
    assert before not in after
    stranger = Person(site.url)
    for token in (before, "chosen-by-an-attacker"):
        stranger.client.cookies.set("giantkiller_desk", token, domain="127.0.0.1", path="/desk")
        assert "Sign in" in stranger.get("/desk").text
        stranger.client.cookies.clear()


def test_cookies_and_headers_are_strict(site):
    person = site.person()
    person.client.get("/desk")
    response = httpx_response(person, person.name)
    cookie = response.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert "path=/desk" in cookie
    page = person.client.get("/desk")
    assert page.headers["content-security-policy"] == POLICY
    assert "unsafe" not in POLICY
    assert page.headers["cache-control"] == "no-store"
    assert page.headers["x-frame-options"] == "DENY"
    assert not re.search(r"<script(?![^>]* src=\"/desk/static)|style=|\son\w+=|https?://(?!127)", page.text)


def httpx_response(person, name):
    person.post("/desk/sign-out")
    return person.client.post(
        "/desk/sign-in", data={"name": name, "password": PASSWORD}, headers={"Origin": person.url}
    )


def test_wrong_passwords_wait_and_names_are_not_told(site):
    person = site.person()
    stranger = Person(site.url)
    for name in (person.name, "nobody"):
        for _ in range(5):
            assert stranger.sign_in(name, "wrong").status_code == 403
        said = stranger.text
        assert stranger.sign_in(name, "wrong").status_code == 429
        assert "wrong" in said
    assert stranger.sign_in(person.name).status_code == 429  # the right one, too


def test_the_second_factor(site):
    person = site.person()
    person.get("/desk/me")
    person.post("/desk/me/totp", {"do": "begin"})
    assert "<svg" in person.page
    secret = re.search(r'name="secret" value="(\w+)"', person.page)[1]
    assert person.post("/desk/me/totp", {"do": "on", "secret": secret, "code": "000000"}).status_code == 400
    code = pyotp.TOTP(secret).now()
    person.post("/desk/me/totp", {"do": "on", "secret": secret, "code": code})
    assert "It is on." in person.text
    other = Person(site.url)
    assert other.sign_in(person.name).status_code == 403
    assert other.sign_in(person.name, code=pyotp.TOTP(secret).now()).status_code == 200
    again = Person(site.url)
    assert again.sign_in(person.name, code=pyotp.TOTP(secret).now()).status_code == 403  # each code once
    person.get("/desk/me")
    assert person.post("/desk/me/totp", {"do": "off", "current": "x"}).status_code == 403
    person.get("/desk/me")
    person.post("/desk/me/totp", {"do": "off", "current": PASSWORD})
    assert Person(site.url).sign_in(person.name).status_code == 200


def test_a_new_password_ends_all_sessions(site):
    person = site.person()
    other = Person(site.url)
    other.sign_in(person.name)
    person.get("/desk/me")
    new = "another long password"
    for fields, status in (
        ({"current": "x", "password": new, "again": new}, 403),
        ({"current": PASSWORD, "password": new, "again": "y"}, 400),
        ({"current": PASSWORD, "password": "short", "again": "short"}, 400),
        ({"current": PASSWORD, "password": new, "again": new}, 200),
    ):
        assert person.post("/desk/me/password", fields).status_code == status
    other.get("/desk")
    assert "Sign in" in other.text
    assert Person(site.url).sign_in(person.name, new).status_code == 200


def test_an_invitation_works_once(site):
    token = site.invite("moderator")
    Person(site.url).join(token, "once")
    assert Person(site.url).get(f"/desk/join/{token}").status_code == 404


def test_admins_run_the_house(site):
    admin = site.person("admin")
    admin.get("/desk/staff")
    admin.post("/desk/staff", {"role": "lead"})
    token = re.search(r"/desk/join/([\w-]+)", admin.page)[1]
    lead = Person(site.url).join(token, "new-lead")
    assert lead.get("/desk/lead").status_code == 200
    number = re.search(r'action="/desk/staff/(\d+)"', admin.get("/desk/staff").text.split("new-lead")[1])[1]
    admin.post(f"/desk/staff/{number}", {"do": "disable"})
    lead.get("/desk")
    assert "Sign in" in lead.text

    admin.get("/desk/settings")
    assert admin.post("/desk/settings", {"lease_minutes": "0"}).status_code == 400
    assert admin.post("/desk/settings", {"lease_minutes": "11"}).status_code == 200
    assert 'name="lease_minutes" value="11"' in admin.page

    admin.get("/desk/webhooks")
    assert admin.post("/desk/webhooks", {"do": "add", "name": "x", "url": "ftp://x"}).status_code == 400
    admin.post("/desk/webhooks", {"do": "add", "name": "x", "url": "http://127.0.0.1:9/"})
    assert "whsec_" in admin.page
    assert "whsec_" not in admin.get("/desk/webhooks").text
    number = re.search(r'name="number" value="(\d+)"><button name="do" value="disable"', admin.page)[1]
    admin.post("/desk/webhooks", {"do": "disable", "number": number})


def test_leads_change_policy_after_a_preview_and_rules_with_versions(site):
    lead = site.person("lead")
    lead.get("/desk/communities")
    lead.post("/desk/communities", {"id": "games", "name": "Games <3", "language": "de"})
    assert "Games &lt;3" in lead.page
    assert lead.post("/desk/communities", {"id": "games", "name": "x"}).status_code == 400
    site.submit("damn", community="games")
    path = "/desk/communities/games/policy"
    lead.get(path + "?preset=forum")
    assert '"aimed" selected' in lead.page
    fields = {"toxicity-review": "10", "toxicity-remove": "5", "watched": "pineapple"}
    assert lead.post(path, {**fields, "do": "preview"}).status_code == 400
    fields["toxicity-remove"] = "90"
    fields["allowed"] = "damn"
    lead.post(path, {**fields, "do": "preview"})
    assert "On the last" in lead.text
    assert re.search(r"damn\s*: 1", lead.text)
    assert re.search(r"pineapple\s*: 0", lead.text)
    assert site.submit("I like pineapple", community="games")["state"] == "allowed"
    lead.post(path, {**fields, "do": "switch-on"})
    assert "has not been previewed" in lead.text
    assert site.submit("I have a pineapple", community="games")["state"] == "allowed"
    lead.switch_on(path, fields)
    assert site.submit("I love pineapple", community="games")["state"] == "review"
    assert lead.name in lead.text

    path = "/desk/communities/games/rules"
    lead.get(path)
    rule = {"id": "be-kind", "title": "Be <kind>", "text": "Really.", "attribute": "insult", "url": ""}
    rule |= {"ground": "terms", "legal": "", "category": "OTHER_VIOLATION_TC", "keyword": ""}
    assert lead.post(path, {**rule, "url": "javascript:alert(1)"}).status_code == 400
    lead.post(path, rule)
    assert "Be &lt;kind&gt;" in lead.page
    lead.next(community="games")
    assert "Be &lt;kind&gt;" in lead.page
    assert 'value="insults"' not in lead.page


def test_the_overview_has_charts_and_tables_for_programs(site):
    lead = site.person("lead")
    site.submit("You idiot four")
    lead.get("/desk/lead")
    assert lead.page.count('<svg class="chart"') == 2
    for name in ("backlog", "hours", "machine", "appeals", "agreement", "people", "known", "drift"):
        assert isinstance(lead.get(f"/desk/lead/{name}.json").json(), list)
        assert lead.get(f"/desk/lead/{name}.csv").headers["content-type"].startswith("text/csv")
    assert lead.get("/desk/lead/nothing.csv").status_code == 404
    waiting = lead.get("/desk/lead/backlog.json").json()
    assert waiting[0] == {"age": "up to 1 h", "waiting": 1}


def test_a_blind_look_stays_blind(site):
    site.settings(second_share=1)
    try:
        first, second = site.person(), site.person()
        submitted = site.submit("You idiot five")
        first.act(first.next(), "remove", rule="insults", internal="my secret thoughts")
        task = second.next()
        assert task
        assert "secret thoughts" not in second.page
        assert second.get(f"/desk/items/{submitted['id']}").status_code == 409
        second.get(f"/desk/tasks/{task}")
        second.act(task, "remove", rule="insults")
        assert "secret thoughts" in second.get(f"/desk/items/{submitted['id']}").text
    finally:
        site.settings(second_share=0)


def test_a_copy_does_not_tell_what_was_decided(site):
    site.settings(second_share=1)
    try:
        first, second = site.person(), site.person()
        for n, text in enumerate(("You idiot six", "you IDIOT six!", "You idiot, something else")):
            site.submit(text, author="u-6", id=f"copy-{n}")
        tasks = set()
        while (task := first.next()) is not None:
            assert task not in tasks
            tasks.add(task)
            first.act(task, "remove", rule="insults", copies="on")
        seen = []
        while (task := second.next()) is not None:
            seen.append("something else" in second.text.split("Score")[0])
            shown = second.page.count('class="outcome')
            # Of the same author's other text one may know.
            assert shown <= (2 if seen[-1] else 1), second.text
            assert "Near-identical comments" not in second.text
            second.act(task, "remove", rule="insults")
        assert False in seen
    finally:
        site.settings(second_share=0)


def test_what_was_skipped_is_offered_again(site):
    person = site.person()
    site.submit("You stupid idiot seven")
    task = person.next()
    person.act(task, "skip")
    assert "Skipped by you and still open: 1." in person.text
    person.post("/desk/skipped")
    assert f'action="/desk/tasks/{task}' in person.page


def test_signing_out_gives_back_what_is_in_hand(site):
    one, two = site.person(), site.person()
    site.submit("You stupid idiot eight")
    task = one.next()
    assert two.next() is None
    one.post("/desk/sign-out")
    assert two.next() == task


def test_where_nobody_can_answer_an_appeal_both_sides_are_told(site):
    admin = site.person("admin")
    site.submit("You stupid idiot nine")
    admin.act(admin.next(), "remove", rule="insults")
    path = site.messages()[-1]["data"]["statement"]["path"]
    with site.store.write() as connection:
        away = list(connection.execute(select(staff.c.number).where(staff.c.disabled.is_(None))).scalars())
        away.remove(connection.execute(select(staff.c.number).where(staff.c.name == admin.name)).scalar())
        connection.execute(update(staff).where(staff.c.number.in_(away)).values(disabled=utc_now()))
    author = Person(site.url)
    try:
        author.post(path, {"text": "It was irony"})
        assert "An administrator must find somebody else" in author.text
        admin.get("/desk")
        assert "nobody like that works here" in admin.text
        assert admin.next() is None
    finally:
        with site.store.write() as connection:
            connection.execute(update(staff).where(staff.c.number.in_(away)).values(disabled=None))
    assert "An administrator must" not in Person(site.url).get(path).text
    assert "nobody like that" not in admin.get("/desk").text


def test_a_session_can_be_ended_from_another(site):
    person = site.person()
    other = Person(site.url)
    other.sign_in(person.name)
    person.get("/desk/me")
    sessions = re.findall(r'name="session" value="(\w+)"', person.page)
    mine = hash_token(person.client.cookies["giantkiller_desk"])
    assert len(sessions) == 2
    (theirs,) = set(sessions) - {mine}
    stranger = site.person()
    stranger.get("/desk/me")
    stranger.post("/desk/me/sessions", {"session": theirs})  # only one's own
    assert "Queue" in other.get("/desk").text
    person.get("/desk/me")
    person.post("/desk/me/sessions", {"session": theirs})
    assert "Sign in" in other.get("/desk").text
    assert "Queue" in person.get("/desk").text


def test_a_role_changes_at_once(site):
    admin, person = site.person("admin"), site.person()
    assert person.get("/desk/lead").status_code == 403
    admin.get("/desk/staff")
    number = re.search(r'action="/desk/staff/(\d+)"', admin.page.split(person.name)[1])[1]
    admin.post(f"/desk/staff/{number}", {"do": "role", "role": "lead"})
    assert person.get("/desk/lead").status_code == 200
    admin.get("/desk/staff")
    admin.post(f"/desk/staff/{number}", {"do": "role", "role": "moderator"})
    assert person.get("/desk/lead").status_code == 403
    admin.get("/desk/staff")
    admin.post(f"/desk/staff/{number}", {"do": "sessions"})
    assert "Sign in" in person.get("/desk").text


def test_a_lost_password_and_a_lost_second_factor(site):
    admin, person = site.person("admin"), site.person()
    secret = pyotp.random_base32()
    person.get("/desk/me")
    person.post("/desk/me/totp", {"do": "on", "secret": secret, "code": pyotp.TOTP(secret).now()})
    stranger = Person(site.url)
    for _ in range(6):
        stranger.sign_in(person.name, "forgotten")
    admin.get("/desk/staff")
    number = re.search(r'action="/desk/staff/(\d+)"', admin.page.split(person.name)[1])[1]
    admin.post(f"/desk/staff/{number}", {"do": "password"})
    assert f"Send this link to {person.name}" in admin.text
    link = re.search(r"/desk/join/[\w-]+", admin.page)[0]
    again = Person(site.url)
    again.get(link)
    assert 'name="name" value="' + person.name in again.page
    assert 'type="hidden" name="name"' in again.page
    new = "a password of today"
    assert again.post(link, {"name": "x", "password": new, "again": "other"}).status_code == 400
    assert again.post(link, {"name": "somebody-else", "password": new, "again": new}).status_code == 200
    assert person.name in again.text
    assert "Sign in" in person.get("/desk").text  # whoever had the old password is out
    assert Person(site.url).sign_in(person.name, new).status_code == 200
    assert Person(site.url).get(link).status_code == 404
    assert Person(site.url).sign_in("somebody-else", new).status_code == 403


def test_a_note_reaches_the_author_of_what_stays(site):
    person = site.person()
    site.submit("You stupid idiot eleven")
    person.act(person.next(), "allow", note="Mind your <tone>")
    author = Person(site.url)
    author.get(site.messages()[-1]["data"]["statement"]["path"])
    assert "A comment stays" in author.text
    assert "Mind your &lt;tone&gt;" in author.page


def test_leads_invite_moderators_only(site):
    lead = site.person("lead")
    lead.get("/desk/staff")
    assert lead.post("/desk/staff", {"role": "admin"}).status_code == 403
    lead.get("/desk/staff")
    lead.post("/desk/staff", {"role": "moderator"})
    assert "/desk/join/" in lead.page


def test_pages_and_refusals_are_translated(site):
    one, two = site.person("lead"), site.person("lead")
    two.client.headers["Accept-Language"] = "de-AT,en;q=0.5"
    site.submit("You stupid idiot ten", language="de", author="u")
    task = one.next()
    two.get("/desk")
    assert two.act(task, "allow").status_code == 409
    assert "Diesen Vorgang hat jetzt jemand anderes." in two.text
    for word in ("gekommen", "bis 1 h", "Sekunden (Median)"):
        assert word in two.get("/desk/lead").text
    one.get(f"/desk/tasks/{task}")
    one.act(task, "remove", rule="insults")
    statement = Person(site.url)  # an English browser; the comment was German
    statement.get(site.messages()[-1]["data"]["statement"]["path"])
    assert "Ein Kommentar wurde entfernt" in statement.text
    assert '<html lang="de"' in statement.page


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 400),
        ({"text": " "}, 400),
        ({"text": "x" * 20_481}, 400),
        ({"text": "x", "community": "nowhere"}, 404),
        ({"text": "x", "language": "???"}, 400),
        ({"text": "x", "posted": "yesterday"}, 400),
        ({"text": "x", "id": "y" * 201}, 400),
        ({"text": 7}, 400),
        ({"text": "a\x00b \ud800 c"}, 201),
    ],
)
def test_what_programs_send_is_checked(site, body, status):
    raw = json.dumps(body)
    got = site.server.client.post("/v1/desk/items", content=raw, headers=site.server.bearer)
    assert got.status_code == status, got.text
    if status >= 400:
        assert got.json()["error"]["details"]


def test_programs_submit_many_report_and_fetch(site):
    body = {"items": [{"text": f"You stupid idiot {n}", "id": f"many-{n}"} for n in range(20)]}
    got = site.server.post("/v1/desk/items/batch", body).json()["items"]
    assert [one["state"] for one in got] == ["hidden"] * 20
    again = site.server.post("/v1/desk/items/batch", body).json()["items"]
    assert [one["new"] for one in again] == [False] * 20
    path = f"/v1/desk/items/{got[0]['id']}"
    assert site.server.post(path + "/reports", {"reporter": "r", "reason": "x"}).status_code == 201
    assert site.server.post(path + "/reports", {"kind": "x"}).status_code == 400
    assert site.server.client.get(path, headers=site.server.bearer).json()["reports"] == 1
    assert site.server.post("/v1/desk/items/none/reports", {}).status_code == 404
    assert site.server.client.get("/v1/desk/messages?after=-1", headers=site.server.bearer).status_code == 400
    for path, method in (("/v1/desk/items", "POST"), ("/v1/desk/messages", "GET")):
        assert site.server.client.request(method, path, content="{}").status_code == 401
