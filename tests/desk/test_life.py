"""The life of a comment, step by step."""

import pytest
from sqlalchemy import delete, select, update

from giantkiller.desk import appeals, events, items, outbox, policies, queue, reporting, statements
from giantkiller.desk.appeals import Answer
from giantkiller.desk.decisions import look_again
from giantkiller.desk.errors import ConflictError, DeskError, NotAllowedError, NotFoundError
from giantkiller.desk.sampling import mark_known, sample
from giantkiller.desk.tables import (
    bars,
    decisions,
    deliveries,
    messages,
    tasks,
    versions,
)
from giantkiller.desk.tables import events as event_table
from giantkiller.desk.tables import items as item_table
from giantkiller.desk.undoing import last_undoable, undo


def state(desk, submitted):
    return desk.rows(select(item_table.c.state).where(item_table.c.number == submitted.number))[0].state


def path(desk, kind="comment.removed"):
    """The token of the newest statement that a message tells of."""
    row = desk.rows(select(messages).where(messages.c.kind == kind).order_by(messages.c.number.desc()))[0]
    return row.payload["statement"]["path"].removeprefix("/s/")


def appeal(desk, token, text="It was a joke"):
    with desk.write() as connection:
        return appeals.file(connection, token, text, settings=desk_settings(connection), now=desk.now)


def desk_settings(connection):
    from giantkiller.desk.config import read_settings

    return read_settings(connection)


def answer(desk, person, task, reverse=True, reasons="You are right", rule=None):
    with desk.write() as connection:
        return appeals.answer(
            connection,
            task.number,
            person,
            Answer(reverse, reasons, rule),
            settings=desk_settings(connection),
            now=desk.now,
        )


def verified(desk):
    with desk.store.read() as connection:
        return events.verify(connection)


@pytest.mark.parametrize(
    ("toxicity", "begins"), [(0.1, "allowed"), (0.3, "monitored"), (0.5, "review"), (0.9, "hidden")]
)
def test_scores_decide_where_a_comment_begins(desk, toxicity, begins):
    assert state(desk, desk.submit(toxicity=toxicity)) == begins
    waits = desk.next(desk.person()) is not None
    assert waits == (begins in items.WAITING)


def test_a_removed_comment_is_told_appealed_and_restored(any_desk):
    desk = any_desk
    first, second = desk.person(), desk.person()
    submitted = desk.submit(toxicity=0.95)
    decided = desk.decide(first, desk.next(first), note="Please stay calm")
    assert state(desk, submitted) == "removed"
    token = path(desk)
    with desk.store.read() as connection, pytest.raises(NotFoundError):
        statements.find(connection, token, desk_settings(connection), now=desk.now)  # not out yet
    desk.wait(seconds=61)
    with desk.write() as connection, pytest.raises(ConflictError, match="left the house"):
        undo(connection, decided.id, first, now=desk.now)
    with desk.store.read() as connection:
        statement = statements.find(connection, token, desk_settings(connection), now=desk.now)
    assert statement.may_appeal
    assert statement.note == "Please stay calm"
    assert statement.facts["rule"]["id"] == "insults"
    assert statement.facts["automated_detection"]
    assert not statement.facts["automated_decision"]
    appeal(desk, token)
    assert desk.next(first) is None
    task = desk.next(second)
    assert task.kind == "appeal"
    assert answer(desk, second, task)
    assert state(desk, submitted) == "approved"
    kinds = [row.kind for row in desk.rows(select(messages.c.kind).order_by(messages.c.number))]
    assert kinds == ["comment.removed", "appeal.received", "comment.restored", "appeal.decided"]
    judged = desk.rows(select(decisions).where(decisions.c.id == decided.id))[0]
    assert judged.overturned
    assert not judged.effective
    with desk.store.read() as connection:
        statement = statements.find(connection, token, desk_settings(connection), now=desk.now)
    assert (statement.reversed, statement.appeal.state) == (True, "reversed")
    assert verified(desk).problems == []


def test_that_somebody_was_told_is_an_event_once(desk):
    person = desk.person()
    submitted = desk.submit(toxicity=0.95)
    desk.decide(person, desk.next(person))
    desk.wait(seconds=61)
    for _ in range(2):
        with desk.write() as connection:
            assert len(outbox.read_messages(connection, 0, 10, now=desk.now)) == 1
        desk.wait(hours=1)
    told = desk.rows(select(event_table).where(event_table.c.kind == "told"))
    assert [row.item for row in told] == [submitted.number]
    assert '"audience":"author"' in told[0].data
    assert told[0].at.startswith("2026-11-24T12:01:01")
    assert verified(desk).problems == []


@pytest.mark.parametrize("by", ["appeal", "second look"])
def test_a_reversal_about_a_text_that_was_edited_since_restores_nothing(any_desk, by):
    """The new text waits for a person: a platform that were told to restore the comment would show it."""
    desk = any_desk
    desk.settings(second_share=1.0 if by == "second look" else 0.0)
    one, two, lead = desk.person(), desk.person(), desk.person("lead")
    submitted = desk.submit(toxicity=0.95, external="7")
    desk.decide(one, desk.next(one))
    desk.wait(seconds=61)
    token = path(desk)
    if by == "appeal":
        appeal(desk, token)
    desk.submit("You utter idiot", toxicity=0.95, external="7")
    if by == "appeal":
        assert answer(desk, two, desk.next(two, queue.Filters(kind="appeal")))
    else:
        desk.decide(two, desk.next(two, queue.Filters(kind="second")), "allow")
        desk.decide(lead, desk.next(lead, queue.Filters(kind="disagreement")), "allow")
    assert state(desk, submitted) == "hidden"
    kinds = [row.kind for row in desk.rows(select(messages.c.kind).order_by(messages.c.number))]
    assert kinds == ["comment.removed", *(["appeal.received", "appeal.decided"] if by == "appeal" else [])]
    with desk.store.read() as connection:
        statement = statements.find(connection, token, desk_settings(connection), now=desk.now)
    assert statement.reversed
    desk.decide(one, desk.next(one), "allow")  # what waits is decided as ever
    assert state(desk, submitted) == "approved"
    assert verified(desk).problems == []


def test_an_appeal_that_fails_changes_nothing_and_comes_once(desk):
    first, second = desk.person(), desk.person()
    submitted = desk.submit(toxicity=0.95)
    desk.decide(first, desk.next(first))
    desk.wait(seconds=61)
    token = path(desk)
    appeal(desk, token)
    with pytest.raises(ConflictError, match="already"):
        appeal(desk, token)
    assert not answer(desk, second, desk.next(second), reverse=False)
    assert state(desk, submitted) == "removed"
    with pytest.raises(ConflictError):
        appeal(desk, token)


def test_the_first_decider_cannot_take_or_answer_the_appeal(desk):
    only = desk.person("admin")
    submitted = desk.submit(toxicity=0.95)
    desk.decide(only, desk.next(only))
    desk.wait(seconds=61)
    appeal(desk, path(desk))
    task = desk.rows(select(tasks).where(tasks.c.kind == "appeal"))[0]
    with desk.write() as connection, pytest.raises(NotAllowedError):
        queue.take(connection, task.number, only, now=desk.now)
    with desk.write() as connection:
        assert not appeals.somebody_can_answer(connection, submitted.number)
        # Even with the task in their hands.
        connection.execute(update(tasks).values(lease_by=only.number))
    with pytest.raises(NotAllowedError):
        answer(desk, only, task)


def test_the_time_to_appeal_runs_from_the_day_somebody_was_told(desk):
    person = desk.person()
    desk.submit(toxicity=0.95)
    desk.decide(person, desk.next(person))
    token = path(desk)
    desk.wait(days=300)
    with desk.write() as connection:  # nobody was told yet
        statement = statements.find(connection, token, desk_settings(connection), now=desk.now)
        assert statement.may_appeal
        statements.mark_told(connection, [statement.number], desk.now)
    desk.wait(days=183)
    with desk.store.read() as connection:
        assert statements.find(connection, token, desk_settings(connection), now=desk.now).may_appeal
    desk.wait(days=2)
    with desk.write() as connection:
        statements.mark_told(connection, [statement.number], desk.now)  # a second time counts for nothing
    with pytest.raises(ConflictError):
        appeal(desk, token)


def test_undo_brings_everything_back_before_it_leaves(desk):
    with desk.write() as connection:
        outbox.add_webhook(connection, "forum", "http://127.0.0.1:9/", "test", now=desk.now)
    person = desk.person()
    one = desk.submit(toxicity=0.95)
    decided = desk.decide(person, desk.next(person))
    with desk.write() as connection:
        assert outbox.claim(connection, 10, now=desk.now) == []
        assert last_undoable(connection, person, now=desk.now).id == decided.id
        task = undo(connection, decided.id, person, now=desk.now)
    assert state(desk, one) == "hidden"
    assert desk.next(person).number == task
    desk.wait(seconds=120)
    with desk.write() as connection:
        assert outbox.claim(connection, 10, now=desk.now) == []
        assert outbox.read_messages(connection, 0, 10, now=desk.now) == []
    with desk.store.read() as connection, pytest.raises(NotFoundError):
        statements.find(connection, path(desk), desk_settings(connection), now=desk.now)
    again = desk.decide(person, task, "allow")
    assert state(desk, one) == "approved"
    with desk.write() as connection, pytest.raises(NotAllowedError):
        undo(connection, again.id, desk_person(desk, connection), now=desk.now)
    assert verified(desk).problems == []


def desk_person(desk, connection):
    from giantkiller.desk import staff

    return staff.add_staff(connection, "somebody", "no hash", "moderator", now=desk.now)


def test_copies_are_decided_and_undone_together(desk):
    person, other = desk.person(), desk.person()
    texts = ["You idiot!", "you  IDIOT", "You 1d10t", "Something else"]
    submitted = [desk.submit(text) for text in texts]
    task = desk.next(person)
    desk.next(other)  # somebody holds one of the copies
    decided = desk.decide(person, task, copies=True)
    held = desk.rows(select(tasks.c.item).where(tasks.c.lease_by == other.number))[0].item
    removed = [s.number for s in submitted if state(desk, s) == "removed"]
    assert decided.copies == len(removed) - 1 >= 1
    assert held not in removed
    assert submitted[3].number not in removed
    with desk.write() as connection:
        undo(connection, decided.id, person, now=desk.now)
    assert {state(desk, s) for s in submitted} == {"review"}


def test_the_same_comment_twice_is_one_and_another_text_is_an_edit(desk):
    first = desk.submit("You idiot", external="7")
    again = desk.submit("You idiot", external="7")
    assert (again.id, again.new, again.version) == (first.id, False, 1)
    edited = desk.submit("You genius", toxicity=0.1, external="7")
    assert (edited.id, edited.new, edited.version) == (first.id, True, 2)
    assert edited.state == "review"  # what waited goes on waiting
    texts = [row.text for row in desk.rows(select(versions.c.text).order_by(versions.c.version))]
    assert texts == ["You idiot", "You genius"]


def test_an_edit_never_brings_a_removed_comment_back(desk):
    person = desk.person()
    desk.submit("You idiot", external="7")
    desk.decide(person, desk.next(person))
    edited = desk.submit("Sorry", toxicity=0.0, external="7")
    assert edited.state == "hidden"
    assert desk.next(person) is not None


def test_nobody_decides_a_text_that_they_have_not_seen(desk):
    person = desk.person()
    desk.submit("You idiot", external="7")
    task = desk.next(person)
    desk.submit("You genius", toxicity=0.6, external="7")
    with pytest.raises(ConflictError, match="edited"):
        desk.decide(person, task, version=1)
    desk.decide(person, task, "allow", version=2)


def test_leases_end(desk):
    one, two = desk.person(), desk.person()
    desk.submit()
    task = desk.next(one)
    assert desk.next(one).number == task.number
    assert desk.next(two) is None
    desk.wait(minutes=10)
    assert desk.next(two).number == task.number
    with pytest.raises(ConflictError, match="another person"):
        desk.decide(one, task)
    desk.decide(two, task)
    with pytest.raises(ConflictError, match="decided"):
        desk.decide(two, task)


def test_skipped_items_go_to_others_and_escalated_ones_to_leads(desk):
    one, two, lead = desk.person(), desk.person(), desk.person("lead")
    desk.submit()
    task = desk.next(one)
    with desk.write() as connection:
        queue.leave(connection, task.number, one, skip=True, now=desk.now)
    assert desk.next(one) is None
    assert desk.next(two).number == task.number
    with desk.write() as connection:
        queue.escalate(connection, task.number, two, now=desk.now)
    assert desk.next(two) is None
    assert desk.next(lead).number == task.number


def test_the_graver_more_reported_and_older_come_first(desk):
    person = desk.person()
    mild = desk.submit("a", toxicity=0.5)
    grave = desk.submit("b", toxicity=0.95)
    order = []
    for _ in range(2):
        task = desk.next(person)
        order.append(task.item)
        desk.decide(person, task, "allow")
    assert order == [grave.number, mild.number]
    desk.submit("c", toxicity=0.95)
    old = desk.submit("d", toxicity=0.5, external="d")
    for reporter in "xyz":
        with desk.write() as connection:
            reporting.report(
                connection, old.id, reporter=reporter, settings=desk_settings(connection), actor="key:test",
                now=desk.now,
            )  # fmt: skip
    assert desk.next(person).item == old.number


def test_a_day_of_waiting_doubles_the_priority(desk):
    settings = desk.settings()
    scores = {"toxicity": 0.5}
    new = items.rank(settings, scores, 0.5, 0, desk.now)
    desk.wait(days=-1)
    assert items.rank(settings, scores, 0.5, 0, desk.now) == pytest.approx(new + 1)
    assert items.rank(settings, {"toxicity": 1.0}, 0.5, 0, desk.now) == pytest.approx(new + 2)


def test_filters_choose(desk):
    person = desk.person()
    with desk.write() as connection:
        policies.add_community(connection, "games", "Games", "de", "test", now=desk.now)
    desk.submit()
    game = desk.submit(community="games", language="de", source="coral")
    for filters in (
        queue.Filters(community="games"),
        queue.Filters(language="de"),
        queue.Filters(source="coral"),
    ):
        task = desk.next(person, filters)
        assert task.item == game.number
        with desk.write() as connection:
            queue.leave(connection, task.number, person, skip=False, now=desk.now)
    assert desk.next(person, queue.Filters(attribute="threat")) is None


def test_a_second_person_decides_blind_and_a_lead_between_them(desk):
    desk.settings(second_share=1.0)
    one, two, lead = desk.person(), desk.person(), desk.person("lead")
    submitted = desk.submit()
    desk.decide(one, desk.next(one))
    assert desk.next(one) is None
    second = desk.next(two)
    assert second.kind == "second"
    desk.decide(two, second, "allow")
    assert state(desk, submitted) == "removed"  # the first decision holds
    assert desk.next(two) is None
    between = desk.next(lead)
    assert between.kind == "disagreement"
    desk.decide(lead, between, "allow")
    assert state(desk, submitted) == "approved"
    kinds = [row.kind for row in desk.rows(select(messages.c.kind).order_by(messages.c.number))]
    assert kinds == ["comment.removed", "comment.restored"]
    assert verified(desk).problems == []


def test_two_who_agree_make_no_more_work(desk):
    desk.settings(second_share=1.0)
    one, two, lead = desk.person(), desk.person(), desk.person("lead")
    desk.submit()
    desk.decide(one, desk.next(one))
    desk.decide(two, desk.next(two), rule="threats")
    assert desk.next(lead) is None


def test_an_appeal_against_what_a_second_look_reversed_changes_nothing_twice(desk):
    one, two, lead = desk.person(), desk.person(), desk.person("lead")
    submitted = desk.submit()
    decided = desk.decide(one, desk.next(one))
    desk.wait(seconds=61)
    appeal(desk, path(desk))
    appeal_task = desk.next(two)
    item = desk.rows(select(item_table))[0]
    with desk.write() as connection:
        task = look_again(connection, decided.number, item, "disagreement", (one.number,), now=desk.now)
        queue.take(connection, task, lead, now=desk.now)
    desk.decide(lead, task, "allow")
    assert state(desk, submitted) == "approved"
    assert answer(desk, two, appeal_task, reverse=False)
    assert state(desk, submitted) == "approved"
    assert verified(desk).problems == []


def test_leads_sample_and_keep_known_items(desk):
    one, lead, other = desk.person(), desk.person("lead"), desk.person()
    desk.submit()
    decided = desk.decide(one, desk.next(one))
    with desk.write() as connection:
        task = sample(connection, decided.id, lead, now=desk.now)
        with pytest.raises(NotAllowedError):
            sample(connection, decided.id, one, now=desk.now)
        mark_known(connection, decided.id, lead, now=desk.now)
    desk.decide(lead, task)
    desk.settings(known_share=0.5)
    seen = None
    for _ in range(60):  # each try is one chance in two
        seen = seen or desk.next(other)
    assert seen.kind == "known"
    desk.decide(other, seen, "allow")
    assert desk.rows(select(item_table.c.state))[0].state == "removed"
    assert all(desk.next(other) is None for _ in range(20))  # never the same again


def test_a_lead_may_let_a_rule_remove_without_a_person_and_the_statement_says_so(desk):
    policy = policies.check_policy(
        {"thresholds": {"toxicity": {"review": 0.5, "remove": 0.9}}, "automatic": ["toxicity"]}
    )
    submitted = desk.submit(toxicity=0.95, policy=policy)
    assert submitted.state == state(desk, submitted) == "removed"
    assert desk.submit(toxicity=0.7, policy=policy).state == "review"
    token = path(desk)
    with desk.store.read() as connection:
        statement = statements.find(connection, token, desk_settings(connection), now=desk.now)
    assert statement.facts["automated_decision"]
    assert statement.may_appeal
    appeal(desk, token)
    person = desk.person()
    answer(desk, person, desk.next(person, queue.Filters(kind="appeal")))
    assert state(desk, submitted) == "approved"
    assert verified(desk).problems == []


def test_reports_bring_comments_in_and_reporters_are_told_and_may_appeal(desk):
    one, two = desk.person(), desk.person()
    submitted = desk.submit(toxicity=0.1)
    with desk.write() as connection:
        settings = desk_settings(connection)
        more = {"settings": settings, "actor": "key:test", "now": desk.now}
        first = reporting.report(
            connection, submitted.id, reporter="anna", reason="rude", kind="notice", **more
        )
        assert reporting.report(connection, submitted.id, reporter="anna", **more) == first
    assert state(desk, submitted) == "review"
    desk.decide(one, desk.next(one), "allow")
    desk.wait(seconds=61)
    appeal(desk, path(desk, "report.decided"))
    task = desk.next(two)
    with pytest.raises(DeskError, match="no rule"):
        answer(desk, two, task, rule="nonsense")
    assert answer(desk, two, task, rule="insults")
    assert state(desk, submitted) == "removed"
    with desk.store.read() as connection:
        statement = statements.find(connection, path(desk), desk_settings(connection), now=desk.now)
    assert statement.facts["outcome"] == "remove"
    assert verified(desk).problems == []


def test_what_a_person_allowed_comes_back_only_after_several_reports(desk):
    person = desk.person()
    submitted = desk.submit()
    desk.decide(person, desk.next(person), "allow")
    for count, reporter in enumerate("abc", 1):
        desk.wait(minutes=1)
        with desk.write() as connection:
            reporting.report(
                connection, submitted.id, reporter=reporter, settings=desk_settings(connection),
                actor="key:test", now=desk.now,
            )  # fmt: skip
        assert state(desk, submitted) == ("review" if count == 3 else "approved")
    decided = desk.decide(person, desk.next(person))
    effective = desk.rows(select(decisions).where(decisions.c.effective.is_(True)))
    assert [row.id for row in effective] == [decided.id]
    with desk.write() as connection:
        undo(connection, decided.id, person, now=desk.now)
    effective = desk.rows(select(decisions).where(decisions.c.effective.is_(True)))
    assert [row.outcome for row in effective] == ["allow"]


def test_a_removal_names_a_rule_of_the_community(desk):
    person = desk.person()
    desk.submit()
    task = desk.next(person)
    with pytest.raises(DeskError, match="rule"):
        desk.decide(person, task, rule=None)
    with pytest.raises(DeskError, match="no rule"):
        desk.decide(person, task, rule="house-7")
    with pytest.raises(DeskError, match="outcome"):
        desk.decide(person, task, "burn")
    with pytest.raises(DeskError, match="provision of the law"):
        desk.decide(person, task, rule="illegal")
    desk.decide(person, task)


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c.execute(delete(event_table).where(event_table.c.seq == 3)),
        lambda c: c.execute(update(event_table).where(event_table.c.seq == 3).values(actor="staff:9")),
        lambda c: c.execute(delete(event_table).where(event_table.c.seq == 4)),
        lambda c: c.execute(update(versions).values(text="You genius")),
        lambda c: c.execute(update(decisions).values(outcome="allow")),
        lambda c: c.execute(update(decisions).values(staff=None)),
        lambda c: [c.execute(delete(bars)), c.execute(update(versions).values(digest="0" * 64))],
    ],
)
def test_what_was_tampered_with_shows(desk, change):
    person = desk.person()
    desk.submit()
    desk.decide(person, desk.next(person))
    assert verified(desk).problems == []
    noted = verified(desk).head
    with desk.write() as connection:
        change(connection)
    assert verified(desk).problems
    with desk.store.read() as connection:
        assert events.verify(connection, "f" * 64).problems[-1:]
    assert len(noted) == 64


def test_a_rewritten_chain_shows_by_the_head_that_was_noted(desk):
    desk.submit()
    with desk.store.read() as connection:
        noted = events.head(connection)[1]
        assert events.verify(connection, noted).problems == []
        assert "noted" in events.verify(connection, "f" * 64).problems[0]


def test_deliveries_keep_the_order_of_one_comment_and_are_tried_again(desk):
    with desk.write() as connection:
        outbox.add_webhook(connection, "forum", "http://127.0.0.1:9/", "test", now=desk.now)
        for count in range(2):
            outbox.put(connection, "x", {"n": count}, item=None, not_before=desk.now, now=desk.now)
    one = desk.submit(toxicity=0.95)
    with desk.write() as connection:
        for count in range(3):
            outbox.put(connection, "y", {"n": count}, item=one.number, not_before=desk.now, now=desk.now)
        due = outbox.claim(connection, 10, now=desk.now)
        assert [d.payload["n"] for d in due if d.kind == "y"] == [0]
        assert len(due) == 3
        assert outbox.claim(connection, 10, now=desk.now) == []  # claimed
        for d in due:
            outbox.settle(connection, d.number, ok=d.kind == "x", status=500, error="no", now=desk.now)
        assert outbox.claim(connection, 10, now=desk.now) == []
    desk.wait(seconds=3)
    with desk.write() as connection:
        (due,) = outbox.claim(connection, 10, now=desk.now)
        assert (due.payload["n"], due.attempts) == (0, 1)
        outbox.settle(connection, due.number, ok=True, status=200, now=desk.now)
        (due,) = outbox.claim(connection, 10, now=desk.now)
        assert due.payload["n"] == 1
        outbox.set_aside(connection, due.number, "test", now=desk.now)
        (due,) = outbox.claim(connection, 10, now=desk.now)
        assert due.payload["n"] == 2
        outbox.settle(connection, due.number, ok=True, status=200, now=desk.now)
        (aside,) = outbox.list_deliveries(connection, "aside")
        outbox.replay(connection, aside.number, "test", now=desk.now)
        (due,) = outbox.claim(connection, 10, now=desk.now)
        assert due.payload["n"] == 1
    assert {row.state for row in desk.rows(select(deliveries.c.state))} == {"waiting", "delivered"}


def test_a_receiver_that_is_down_for_a_day_loses_nothing(desk):
    with desk.write() as connection:
        outbox.add_webhook(connection, "forum", "http://127.0.0.1:9/", "test", now=desk.now)
        outbox.put(connection, "x", {}, item=None, not_before=desk.now, now=desk.now)
    tries = 0
    for _ in range(24 * 12):
        desk.wait(minutes=5)
        with desk.write() as connection:
            for due in outbox.claim(connection, 10, now=desk.now):
                tries += 1
                outbox.settle(connection, due.number, ok=False, error="down", now=desk.now)
    assert 20 < tries < 80
    desk.wait(hours=1)
    with desk.write() as connection:
        assert len(outbox.claim(connection, 10, now=desk.now)) == 1


def test_messages_that_may_not_leave_yet_hold_later_ones_back(desk):
    person = desk.person()
    desk.submit(toxicity=0.95)
    desk.decide(person, desk.next(person))
    with desk.write() as connection:
        outbox.put(connection, "x", {}, item=None, not_before=desk.now, now=desk.now)
        assert outbox.read_messages(connection, 0, 10, now=desk.now) == []
    desk.wait(seconds=60)
    with desk.write() as connection:
        kinds = [m.kind for m in outbox.read_messages(connection, 0, 10, now=desk.now)]
    assert kinds == ["comment.removed", "x"]
