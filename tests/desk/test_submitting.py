"""Comments that come together are kept as if they had come one after the other."""

import pytest
from desks import BUNDLE
from sqlalchemy import func, select

from giantkiller.attributes import ATTRIBUTES
from giantkiller.desk import events, intake, policies
from giantkiller.desk.errors import DeskError
from giantkiller.desk.items import LONGEST_TEXT, Comment
from giantkiller.desk.submitting import prepare
from giantkiller.desk.tables import decisions, items, messages, tasks, versions
from giantkiller.desk.tables import events as event_table

POLICY = policies.default_policy(BUNDLE)
AUTOMATIC = policies.check_policy({"thresholds": BUNDLE.to_dict(), "automatic": ["toxicity"]})


def scored(toxicity):
    return dict.fromkeys(ATTRIBUTES, 0.01) | {"toxicity": toxicity}


def submission(desk, text, toxicity=0.1, policy=POLICY, **comment):
    return desk.submission(text, scored(toxicity), policy, **comment)


def verified(desk):
    with desk.store.read() as connection:
        return events.verify(connection).problems == []


def test_many_come_to_what_each_calls_for_and_the_chain_holds(any_desk):
    desk = any_desk
    done = desk.submit_all(
        [
            submission(desk, "fine", external="a"),
            submission(desk, "bad", 0.7, external="b"),
            submission(desk, "worse", 0.95, external="c"),
            submission(desk, "worst", 0.95, AUTOMATIC, external="d"),
            submission(desk, "without a name", 0.4),
        ]
    )
    assert [one.state for one in done] == ["allowed", "review", "hidden", "removed", "monitored"]
    assert all(one.new and one.version == 1 for one in done)
    rows = desk.rows(select(items.c.number, items.c.external, items.c.state).order_by(items.c.number))
    assert [(row.external, row.state) for row in rows] == [
        ("a", "allowed"), ("b", "review"), ("c", "hidden"), ("d", "removed"), (None, "monitored"),
    ]  # fmt: skip
    assert [one.number for one in done] == [row.number for row in rows]
    texts = desk.rows(select(versions.c.item, versions.c.text).order_by(versions.c.item))
    assert [row.text for row in texts] == ["fine", "bad", "worse", "worst", "without a name"]
    waiting = desk.rows(select(tasks.c.item).where(tasks.c.open.is_(True)).order_by(tasks.c.item))
    assert [row.item for row in waiting] == [done[1].number, done[2].number]
    assert desk.rows(select(func.count()).select_from(decisions))[0][0] == 1
    assert desk.rows(select(messages.c.kind))[0].kind == "comment.removed"
    kinds = desk.rows(select(event_table.c.kind, event_table.c.item).order_by(event_table.c.seq))
    assert [row.item for row in kinds if row.kind == "submitted"] == [one.number for one in done]
    assert verified(desk)


def test_of_one_comment_in_a_batch_the_second_is_an_edit_and_the_third_is_known(any_desk):
    desk = any_desk
    before = desk.submit("there already", 0.1, external="old")
    done = desk.submit_all(
        [
            submission(desk, "one", external="a"),
            submission(desk, "another one", 0.7, external="a"),
            submission(desk, "another one", 0.7, external="a"),
            submission(desk, "there already", external="old"),
            submission(desk, "one", external="b"),
        ]
    )
    assert [(one.version, one.new) for one in done] == [
        (1, True),
        (2, True),
        (2, False),
        (1, False),
        (1, True),
    ]
    assert done[0].number == done[1].number == done[2].number
    assert done[3].number == before.number
    assert desk.rows(select(func.count()).select_from(items))[0][0] == 3
    (task,) = desk.rows(select(tasks).where(tasks.c.open.is_(True)))
    assert task.item == done[0].number
    assert verified(desk)


def test_nothing_is_submitted_by_nobody(desk):
    assert desk.submit_all([]) == []


def test_a_text_too_long_is_refused_before_the_database_is_asked():
    with pytest.raises(DeskError, match="longer than 20,480"):
        prepare(Comment("x" * (LONGEST_TEXT + 1)))


def test_deliveries_share_a_transaction_and_a_message_counts_once(any_desk):
    desk = any_desk

    def delivery(message, **texts):
        submissions = [submission(desk, text, external=name) for name, text in texts.items()]
        return intake.Delivery(submissions, message)

    deliveries = [
        delivery("m-1", a="one", b="two"),
        delivery("m-2", c="three"),
        delivery("m-1", a="not read", z="x"),
    ]
    with desk.write() as connection:
        first, second, again = intake.keep(connection, deliveries)
    assert [one.new for one in (*first, *second)] == [True] * 3
    assert again[0].id == first[0].id
    assert (again[0].new, again[0].version, again[1]) == (False, 1, None)
    assert desk.rows(select(func.count()).select_from(items))[0][0] == 3
    assert verified(desk)
