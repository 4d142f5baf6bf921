"""What pages count, on both databases."""

from datetime import timedelta

from desks import BUNDLE
from sqlalchemy import event, select, update

from giantkiller.desk import figures, policies, quality, queue, staff
from giantkiller.desk.queue import Filters
from giantkiller.desk.tables import decisions, tasks, versions


def counted(desk, count, *arguments, **more):
    with desk.store.read() as connection:
        return count(connection, *arguments, **more)


def test_what_waits_is_counted_by_kind_up_to_a_bound(any_desk, monkeypatch):
    desk = any_desk
    one, other = desk.person(), desk.person()
    for n in range(5):
        desk.submit(f"bad {n}", language="de" if n else "en")
    desk.next(other)
    waiting = counted(desk, queue.waiting, one, now=desk.now)
    assert waiting == {"first": 4, "second": 0, "disagreement": 0, "appeal": 0, "known": 0}
    assert counted(desk, queue.waiting, one, Filters(kind="first", language="de"), now=desk.now)["first"] >= 3
    assert counted(desk, queue.waiting, one, Filters(kind="appeal"), now=desk.now) == {"appeal": 0}
    monkeypatch.setattr(queue, "MOST_COUNTED", 2)
    assert counted(desk, queue.waiting, one, now=desk.now)["first"] == 3


def test_filters_offer_what_there_is(any_desk):
    desk = any_desk
    for language, source in (("de", "b"), ("en", "a"), ("de", "a"), ("und", "c")):
        desk.submit(f"{language} {source}", language=language, source=source)
    desk.submit("fine", 0.1, language="fr", source="z")
    found = counted(desk, queue.choices)
    assert found == {
        "community": ["default"], "attribute": ["toxicity"], "language": ["de", "en", "und"],
        "source": ["a", "b", "c"],
    }  # fmt: skip


def plans(desk, work):
    """What SQLite says of the statements of a work about tasks."""
    asked = []

    def note(connection, cursor, statement, parameters, *_):
        if statement.startswith("SELECT") and "FROM desk_task" in statement:
            asked.append((statement, parameters))

    event.listen(desk.store.engine, "before_cursor_execute", note)
    with desk.store.read() as connection:
        work(connection)
        event.remove(desk.store.engine, "before_cursor_execute", note)
        return [
            " ".join(
                row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
            )
            for statement, parameters in asked
        ]


def test_filters_and_counts_read_an_index_of_their_own(desk):
    """Without it they read all that waits, and nobody notices until 100,000 comments do."""
    person = desk.person()
    desk.submit("bad")
    for plan in plans(desk, lambda c: queue.waiting(c, person, Filters(language="de"), now=desk.now)):
        assert "COVERING INDEX ix_desk_task_count (open=? AND kind=?)" in plan
    (plan,) = plans(desk, lambda c: figures.backlog(c, now=desk.now))
    assert "COVERING INDEX ix_desk_task_count (open=? AND kind=?)" in plan
    names = ("community", "attribute", "language", "source")
    for plan in plans(desk, queue.choices):
        assert any(f"COVERING INDEX ix_desk_task_{name} (open=? AND {name}>?)" in plan for name in names)
    for name in (*names, "kind"):
        filters = Filters(**{name: "rare"})
        found = plans(desk, lambda c, f=filters: queue.next_task(c, person, f, now=desk.now))
        assert f"INDEX ix_desk_task_{name} (open=? AND {name}=?)" in found[-1]


def test_the_backlog_is_counted_by_age(any_desk):
    desk = any_desk
    for hours in (200, 100, 30, 30, 2, 0):
        desk.submit(f"{hours}")
        desk.rows(select(tasks.c.number))
        with desk.write() as connection:
            newest = select(tasks.c.number).order_by(tasks.c.number.desc()).limit(1).scalar_subquery()
            connection.execute(
                update(tasks)
                .where(tasks.c.number == newest)
                .values(created=desk.now - timedelta(hours=hours))
            )
    rows = counted(desk, figures.backlog, now=desk.now)
    assert {row["age"]: row["waiting"] for row in rows} == {
        "up to 1 h": 1, "up to 4 h": 1, "up to 24 h": 0, "up to 72 h": 2, "up to 168 h": 1, "over 168 h": 1,
    }  # fmt: skip


def test_hours_are_those_of_utc(any_desk):
    desk = any_desk
    person = desk.person()
    desk.now = desk.now.replace(hour=11, minute=59)
    desk.submit("bad one")
    desk.wait(minutes=2)
    desk.submit("bad two")
    desk.decide(person, desk.next(person))
    rows = counted(desk, figures.per_hour, 3, now=desk.now)
    assert [(row["hour"][-5:], row["came"], row["decided"]) for row in rows] == [
        ("10:00", 0, 0), ("11:00", 1, 0), ("12:00", 1, 1),
    ]  # fmt: skip


def test_drift_compares_a_sample_of_each_span(any_desk, monkeypatch):
    desk = any_desk
    policy = policies.default_policy(BUNDLE)
    for days, low, high in ((20, 0.1, 0.3), (1, 0.5, 0.9)):
        begin = desk.now
        desk.now = begin - timedelta(days=days)
        desk.submit_all(
            [
                desk.submission(
                    f"{days} {n}", dict.fromkeys(BUNDLE.to_dict(), low if n % 2 else high) | rest(), policy
                )
                for n in range(120)
            ]
        )
        desk.now = begin
    rows = {row["attribute"]: row for row in counted(desk, figures.drift, now=desk.now)}
    assert rows["toxicity"]["mean_before"] == 0.2
    assert rows["toxicity"]["mean"] == 0.7
    assert rows["toxicity"]["index"] > 0.25
    assert rows["insult"]["index"] == 0
    monkeypatch.setattr(figures, "_SAMPLED", 110)
    assert counted(desk, figures.drift, now=desk.now)[0]["index"] > 0.25
    monkeypatch.setattr(figures, "_SAMPLED", 50)
    assert counted(desk, figures.drift, now=desk.now)[0]["index"] is None


def rest():
    return dict.fromkeys(("severe_toxicity", "obscene", "insult", "identity_attack", "sexual_explicit"), 0.01)


def test_people_are_counted_with_the_middle_of_their_times(any_desk):
    desk = any_desk
    one, two = desk.person(), desk.person()
    for person, seconds in ((one, 3), (one, 20), (one, 7.5), (two, 4)):
        desk.submit(f"bad {person.number} {seconds}")
        task = desk.next(person)
        desk.wait(seconds=seconds)
        desk.decide(person, task)
    since = desk.now - timedelta(days=1)
    names = counted(desk, staff.names)
    with desk.write() as connection:
        connection.execute(update(decisions).where(decisions.c.staff == two.number).values(overturned=True))
    assert counted(desk, quality.by_person, since, names, now=desk.now) == [
        {"person": one.name, "decisions": 3, "overturned": 0.0, "median_seconds": 7.5},
        {"person": two.name, "decisions": 1, "overturned": 1.0, "median_seconds": 4.0},
    ]
    assert counted(desk, quality.overturned_machine, since, now=desk.now) == [
        {"attribute": "toxicity", "action": "review", "allowed": 0, "removed": 4, "overturned": 0.0}
    ]
    with desk.write() as connection:
        connection.execute(update(versions).values(action="remove"))
    assert counted(desk, quality.overturned_machine, since, now=desk.now)[0]["action"] == "remove"
