"""Whoever reports a comment is told what was decided, whenever that was."""

from sqlalchemy import select

from giantkiller.desk import appeals, events, outbox, reporting, statements
from giantkiller.desk.config import read_settings
from giantkiller.desk.tables import items, messages, reports
from giantkiller.desk.undoing import undo


def report(desk, submitted, reporter, kind="notice"):
    with desk.write() as connection:
        return reporting.report(
            connection, submitted.id, reporter=reporter, kind=kind, settings=read_settings(connection),
            actor="key:test", now=desk.now,
        )  # fmt: skip


def told(desk):
    """The number of each report, and the outcome that its reporter was told of."""
    with desk.write() as connection:
        found = outbox.read_messages(connection, 0, 100, now=desk.now)
    return [(m.payload["report"], m.payload["outcome"]) for m in found if m.kind == "report.decided"]


def test_a_report_of_what_was_removed_already_is_answered_at_once(any_desk):
    desk = any_desk
    person = desk.person()
    submitted = desk.submit(toxicity=0.95)
    desk.decide(person, desk.next(person))
    desk.wait(minutes=2)
    number = report(desk, submitted, "anna")
    assert told(desk) == [(number, "remove")]
    report(desk, submitted, None)  # nobody to tell
    assert report(desk, submitted, "anna") == number
    assert told(desk) == [(number, "remove")]
    with desk.store.read() as connection:
        assert events.verify(connection).problems == []


def test_a_report_of_what_was_allowed_is_answered_and_can_be_appealed(any_desk):
    desk = any_desk
    one, two = desk.person(), desk.person()
    submitted = desk.submit()
    desk.decide(one, desk.next(one), "allow")
    desk.wait(minutes=2)
    first = report(desk, submitted, "anna")
    assert told(desk) == [(first, "allow")]
    row = desk.rows(select(messages).where(messages.c.kind == "report.decided"))[0]
    with desk.write() as connection:
        settings = read_settings(connection)
        token = row.payload["statement"]["path"].removeprefix("/s/")
        assert statements.find(connection, token, settings, now=desk.now).may_appeal
        appeals.file(connection, token, "Look again", settings=settings, now=desk.now)
    assert desk.next(one) is None
    assert desk.next(two).kind == "appeal"
    # Those who come until it goes to a person again are told of the old decision, the last one of the new.
    second, third = (report(desk, submitted, name) for name in ("bob", "carl"))
    assert told(desk) == [(first, "allow"), (second, "allow")]
    assert desk.rows(select(items.c.state)) == [("review",)]
    desk.decide(one, desk.next(one))
    desk.wait(minutes=2)
    assert told(desk) == [(first, "allow"), (second, "allow"), (third, "remove")]


def test_what_is_taken_back_is_told_to_nobody(desk):
    person = desk.person()
    submitted = desk.submit()
    done = desk.decide(person, desk.next(person))
    report(desk, submitted, "anna")  # within the time to undo
    assert told(desk) == []
    with desk.write() as connection:
        undo(connection, done.id, person, now=desk.now)
    desk.wait(minutes=2)
    assert told(desk) == []
    assert desk.rows(select(reports.c.told)) == [(None,)]
    desk.decide(person, desk.next(person), "allow")
    desk.wait(minutes=2)
    assert [outcome for _, outcome in told(desk)] == ["allow"]
