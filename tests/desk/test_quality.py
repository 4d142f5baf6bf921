"""How good decisions are, in numbers that were worked out by hand."""

import itertools
from collections import Counter
from datetime import timedelta

import pytest
from desks import START
from sqlalchemy import select, update

from giantkiller.desk import appeals, policies, quality, reporting, retention, staff
from giantkiller.desk.appeals import Answer
from giantkiller.desk.config import read_settings
from giantkiller.desk.daily import by_day
from giantkiller.desk.sampling import mark_known
from giantkiller.desk.tables import decisions, messages
from giantkiller.desk.undoing import undo


def counted(desk, count, *arguments, **more):
    with desk.store.read() as connection:
        return count(connection, *arguments, **more)


def test_second_looks_agree_in_all_by_rule_and_by_pair(any_desk):
    desk = any_desk
    desk.settings(second_share=1.0)
    one, two = desk.person(), desk.person()
    for first, rule, second in (
        ("allow", None, "allow"), ("remove", "insults", "remove"), ("remove", "threats", "allow"),
        ("remove", "insults", "remove"),
    ):  # fmt: skip
        desk.submit(f"bad {first} {rule} {second}")
        desk.decide(one, desk.next(one), first, rule)
        desk.decide(two, desk.next(two), second)
        desk.wait(minutes=1)
    names = counted(desk, staff.names)
    found = {row.group: row for row in counted(desk, quality.agreement, desk.now - timedelta(1), names)}
    assert set(found) == {"", "–", "insults", "threats", f"{one.name} · {two.name}"}
    everything = found[""]
    assert (everything.pairs, everything.agreed) == (4, 0.75)
    assert everything.alpha == pytest.approx(
        1 - 0.25 / (2 * 3 * 5 / (8 * 7))
    )  # 3 times allow, 5 times remove
    assert (found["insults"].pairs, found["insults"].agreed, found["insults"].alpha) == (2, 1.0, None)
    assert found["threats"].agreed == 0.0
    assert found[f"{one.name} · {two.name}"] == quality.Agreement(
        f"{one.name} · {two.name}", 4, 0.75, everything.alpha
    )


def test_what_was_taken_back_is_no_disagreement(desk):
    desk.settings(second_share=1.0)
    one, two = desk.person(), desk.person()
    desk.submit()
    done = desk.decide(one, desk.next(one))
    desk.decide(two, desk.next(two), "allow")
    with desk.write() as connection:
        undo(connection, done.id, one, now=desk.now)
    assert counted(desk, quality.agreement, desk.now - timedelta(1), {}) == []


def test_appeals_are_counted_by_rule_and_end(any_desk):
    desk = any_desk
    one, two = desk.person(), desk.person()
    for rule, reverse in (("insults", True), ("insults", False), ("threats", None)):
        desk.submit(f"bad {rule} {reverse}")
        desk.decide(one, desk.next(one), rule=rule)
        desk.wait(minutes=2)
        row = desk.rows(
            select(messages).where(messages.c.kind == "comment.removed").order_by(messages.c.number.desc())
        )[0]
        token = row.payload["statement"]["path"].removeprefix("/s/")
        with desk.write() as connection:
            settings = read_settings(connection)
            appeals.file(connection, token, "why", settings=settings, now=desk.now)
        if reverse is not None:
            task = desk.next(two)
            with desk.write() as connection:
                given = Answer(reverse, "because")
                appeals.answer(connection, task.number, two, given, settings=settings, now=desk.now)
    assert counted(desk, quality.appeals_by_rule, desk.now - timedelta(1)) == [
        {"rule": "insults", "open": 0, "upheld": 1, "reversed": 1},
        {"rule": "threats", "open": 1, "upheld": 0, "reversed": 0},
    ]


def test_known_items_say_who_is_right(desk):
    lead, other = desk.person("lead"), desk.person()
    for text in ("one", "two"):
        desk.submit(text)
        done = desk.decide(lead, desk.next(lead))
        with desk.write() as connection:
            mark_known(connection, done.id, lead, now=desk.now)
    desk.settings(known_share=0.5)
    for outcome in ("remove", "allow"):
        task = None
        for _ in range(60):  # each try is one chance in two
            task = task or desk.next(other)
        desk.decide(other, task, outcome)
    found = counted(desk, quality.known_answers, desk.now - timedelta(1), counted(desk, staff.names))
    assert found == [{"person": other.name, "right": 1, "wrong": 1}]


@pytest.mark.parametrize("change", ["edited", "purged"])
def test_a_known_item_is_offered_as_long_as_its_text_is_the_same(desk, change):
    lead, other = desk.person("lead"), desk.person()
    desk.submit("one", external="1")
    done = desk.decide(lead, desk.next(lead))
    with desk.write() as connection:
        mark_known(connection, done.id, lead, now=desk.now)
    desk.settings(known_share=0.5)
    if change == "edited":
        desk.submit("another", external="1")
        desk.decide(lead, desk.next(lead), "allow")
    else:
        desk.wait(days=31)
        assert retention.purge(desk.store, 30, now=desk.now) == 1
    assert {desk.next(other) for _ in range(12)} == {None}


def test_a_removal_overturns_what_the_machine_let_pass(any_desk):
    desk = any_desk
    person = desk.person()
    for text, outcome in (("quiet", "remove"), ("fine", "allow")):
        submitted = desk.submit(text, toxicity=0.1)
        with desk.write() as connection:
            reporting.report(
                connection, submitted.id, settings=read_settings(connection), actor="key:test", now=desk.now
            )
        desk.decide(person, desk.next(person), outcome)
    desk.submit("loud", toxicity=0.95)
    desk.decide(person, desk.next(person), "remove")
    assert counted(
        desk, quality.overturned_machine, desk.now - timedelta(1), now=desk.now + timedelta(1)
    ) == [
        {"attribute": "toxicity", "action": "allow", "allowed": 1, "removed": 1, "overturned": 0.5},
        {"attribute": "toxicity", "action": "remove", "allowed": 0, "removed": 1, "overturned": 0.0},
    ]


def test_days_that_are_over_are_counted_once(desk):
    asked = []

    def count(connection, begin, end):
        asked.append((begin, end))
        return Counter({"n": 1})

    now = START  # at noon
    since = now - timedelta(days=5)
    assert counted(desk, by_day, count, since, now) == {"n": 6}
    assert asked[0] == (since, since.replace(hour=0) + timedelta(1))
    assert all(before[1] == after[0] for before, after in itertools.pairwise(asked))
    assert asked[-1][0] <= now < asked[-1][1]
    asked.clear()
    assert counted(desk, by_day, count, since, now) == {"n": 6}
    assert (
        len(asked) == 3
    )  # the day that was cut off, yesterday, whose decisions may be taken back, and today
    asked.clear()
    assert counted(desk, by_day, count, since + timedelta(1), now + timedelta(1)) == {"n": 6}
    assert len(asked) == 4
    other = Counter({"n": 2})
    assert counted(desk, by_day, lambda *_: other, since, now) == {"n": 12}  # each count by itself


def test_what_is_kept_in_memory_is_what_the_database_says(any_desk):
    desk = any_desk
    person = desk.person()
    for days, outcomes in ((12, "ra"), (11, "r"), (3, "aa"), (0, "r")):
        desk.now = START - timedelta(days=days)
        for n, outcome in enumerate(outcomes):
            desk.submit(f"bad {days} {n}")
            desk.decide(person, desk.next(person), {"r": "remove", "a": "allow"}[outcome])
    since, names = START - timedelta(days=30), counted(desk, staff.names)
    now = START + timedelta(seconds=1)
    for _ in range(2):
        (machine,) = counted(desk, quality.overturned_machine, since, now=now)
        assert (machine["allowed"], machine["removed"], machine["overturned"]) == (3, 3, 0.5)
        (row,) = counted(desk, quality.by_person, since, names, now=now)
        assert (row["decisions"], row["overturned"]) == (6, 0.0)
    with desk.write() as connection:  # an appeal much later
        oldest = select(decisions.c.number).order_by(decisions.c.number).limit(1).scalar_subquery()
        connection.execute(update(decisions).where(decisions.c.number == oldest).values(overturned=True))
    (row,) = counted(desk, quality.by_person, since, names, now=now)
    assert row["overturned"] == pytest.approx(1 / 6)
    assert counted(desk, quality.by_person, START - timedelta(days=5), names, now=now)[0]["decisions"] == 3


def test_a_policy_that_removes_by_itself_is_no_persons_work(desk):
    policy = policies.check_policy({"thresholds": {"toxicity": {"remove": 0.9}}, "automatic": ["toxicity"]})
    desk.submit(toxicity=0.95, policy=policy)
    assert counted(desk, quality.by_person, desk.now - timedelta(1), {}, now=desk.now + timedelta(1)) == []
