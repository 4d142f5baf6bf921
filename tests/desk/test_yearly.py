"""A year's counts, and the report that shows them."""

from giantkiller.desk import appeals, policies, reporting, yearly
from giantkiller.desk.appeals import Answer
from giantkiller.desk.config import read_settings
from giantkiller.desk.tables import messages


def report(desk, submitted, kind="notice"):
    with desk.write() as connection:
        reporting.report(
            connection, submitted.id, reporter="r", kind=kind, settings=read_settings(connection),
            actor="key:test", now=desk.now,
        )  # fmt: skip


def counted(desk, year=2026):
    with desk.store.read() as connection:
        return yearly.count_year(connection, year)


def test_everything_that_happened_is_counted_once(any_desk):
    desk = any_desk
    one, two = desk.person(), desk.person()
    for text, outcome in (("bad", "remove"), ("fine", "allow"), ("ironic", "remove")):
        desk.submit(text, toxicity=0.95, language="en", external=text)
        desk.decide(one, desk.next(one), outcome)
        desk.wait(minutes=2)
    token = desk.rows(messages.select().order_by(messages.c.number.desc()))[0].payload["statement"]["path"]
    with desk.write() as connection:
        settings = read_settings(connection)
        appeals.file(connection, token.removeprefix("/s/"), "why", settings=settings, now=desk.now)
    desk.wait(hours=3)
    task = desk.next(two)
    with desk.write() as connection:
        given = Answer(True, "You are right")
        appeals.answer(connection, task.number, two, given, settings=settings, now=desk.now)
    quiet = desk.submit("unnoticed", toxicity=0.1)
    report(desk, quiet)
    desk.wait(hours=5)
    desk.decide(two, desk.next(two), rule="illegal", note="Section 185")
    policy = policies.check_policy({"thresholds": {"toxicity": {"remove": 0.9}}, "automatic": ["toxicity"]})
    desk.submit("quite bad", toxicity=0.95, policy=policy)
    counts = counted(desk)
    made, notices, appealed = counts.moderation, counts.notices, counts.appeals
    assert (made.decisions, made.removals, made.people) == (5, 4, 2)
    assert (made.removals_overturned, made.removals_automatic) == (1, 1)
    assert made.removals_by_detection == {"machine": 3, "report": 1}
    assert made.removals_by_ground == {"terms": 3, "law": 1}
    assert made.removals_by_rule == {"insults": 2, "illegal": 1, "automatic": 1}
    assert made.removals_by_month["2026-11"] == 4
    assert len(made.removals_by_month) == 12
    assert notices.notices == {"notice": 1}
    assert (notices.notices_removed, notices.notices_median_hours) == (1, 5.0)
    assert notices.notices_removed_by_ground == {"law": 1}
    assert (appealed.appeals, appealed.appeals_by_state) == (1, {"reversed": 1})
    assert (appealed.appeals_by_complainant, appealed.appeals_median_hours) == ({"author": 1}, 3.0)
    assert counts.automation.automation_error_share == 0.0
    assert (counts.automation.flagged, counts.automation.flagged_allowed) == (3, 1)
    assert counted(desk, 2025).moderation.decisions == counted(desk, 2027).appeals.appeals == 0
    assert yearly.Count("removals_by_rule", "illegal", 1) in yearly.rows_of(counts)


def test_what_was_taken_back_is_not_counted(desk):
    from giantkiller.desk.undoing import undo

    person = desk.person()
    desk.submit("bad", toxicity=0.95)
    done = desk.decide(person, desk.next(person))
    with desk.write() as connection:
        undo(connection, done.id, person, now=desk.now)
    assert counted(desk).moderation.decisions == 0


def test_a_year_is_a_page_and_a_table(site):
    lead = site.person("lead")
    site.submit("You stupid idiot")
    lead.act(lead.next(), "remove", rule="insults")
    lead.get("/desk/lead")
    year = yearly.datetime.now(yearly.timezone.utc).year
    assert f'href="/desk/years/{year}"' in lead.page
    lead.get(f"/desk/years/{year}")
    assert lead.page.count('<svg class="chart"') == 2
    assert "Out-of-court" not in lead.text
    assert "out-of-court" in lead.text
    assert lead.get(f"/desk/years/{year}.json").json()["removals"] >= 1
    assert lead.get(f"/desk/years/{year}.csv").text.startswith("count,part,value\r\nyear,,")
    for path in (f"/desk/years/{year}.xml", "/desk/years/1", "/desk/years/999999999999"):
        assert lead.get(path).status_code == 404


def test_every_count_of_a_section_has_a_label_and_is_there(desk):
    counts = counted(desk).to_dict()
    named = [name for names in yearly.SECTIONS.values() for name in names]
    assert sorted(named) == sorted(yearly.LABELS)
    assert set(named) <= set(counts)
