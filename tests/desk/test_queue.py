"""What a person gets from the queue, gets again, and what nobody can take."""

import pytest
from sqlalchemy import select

from giantkiller.desk import items, queue, staff
from giantkiller.desk.errors import ConflictError
from giantkiller.desk.tables import tasks


def counted(desk, count, *arguments):
    with desk.store.read() as connection:
        return count(connection, *arguments)


def skip(desk, person, task):
    with desk.write() as connection:
        queue.leave(connection, task.number, person, skip=True, now=desk.now)


def test_what_was_skipped_comes_again_when_it_is_asked_for(any_desk):
    desk = any_desk
    one, two = desk.person(), desk.person()
    for text in ("a", "b", "c"):
        desk.submit(text)
    first, second = desk.next(one), None
    skip(desk, one, first)
    second = desk.next(one)
    skip(desk, one, second)
    desk.decide(two, desk.next(two))  # the first one: it needs nobody any more
    last = desk.next(one)
    desk.decide(one, last)
    assert desk.next(one) is None
    assert counted(desk, queue.count_skipped, one) == 1
    with desk.write() as connection:
        queue.take_up(connection, two)
    assert desk.next(one) is None  # what others ask for is theirs
    with desk.write() as connection:
        queue.take_up(connection, one)
    assert counted(desk, queue.count_skipped, one) == 0
    assert desk.next(one).number == second.number


def test_who_had_a_hand_in_something_never_takes_it_up(desk):
    desk.settings(second_share=1.0)
    only = desk.person("admin")
    desk.submit()
    desk.decide(only, desk.next(only))
    with desk.write() as connection:
        queue.take_up(connection, only)
    assert desk.next(only) is None


def test_what_nobody_here_may_take_is_counted(any_desk):
    desk = any_desk
    desk.settings(second_share=1.0)
    admin = desk.person("admin")
    desk.submit()
    desk.decide(admin, desk.next(admin))
    assert counted(desk, queue.count_stuck) == 1  # a second look, with nobody to have it
    helper = desk.person()
    assert counted(desk, queue.count_stuck) == 0
    desk.decide(helper, desk.next(helper), "allow")
    assert counted(desk, queue.count_stuck) == 1  # they disagree, and no other lead is here
    lead = desk.person("lead")
    assert counted(desk, queue.count_stuck) == 0
    with desk.write() as connection:
        staff.disable(connection, lead.number, admin, now=desk.now)
    assert counted(desk, queue.count_stuck) == 1


def test_new_weights_order_what_waits_already(any_desk, monkeypatch):
    desk = any_desk
    monkeypatch.setattr(items, "_TOGETHER", 2)
    person = desk.person()
    old = desk.submit("old", toxicity=0.5)
    desk.wait(hours=20)
    middle = desk.submit("middle", toxicity=0.6)
    grave = desk.submit("grave", toxicity=0.95)

    def order():
        rows = desk.rows(select(tasks.c.item).where(tasks.c.open.is_(True)).order_by(tasks.c.rank.desc()))
        return [row.item for row in rows]

    assert order() == [grave.number, old.number, middle.number]
    desk.settings(severity_weight=0, certainty_weight=0)
    items.rank_anew(desk.store)
    assert order()[0] == old.number
    desk.settings(severity_weight=1, certainty_weight=1)
    items.rank_anew(desk.store)
    assert order() == [grave.number, old.number, middle.number]
    assert desk.next(person).item == grave.number


def test_somebody_stays_admin(desk):
    one, two = desk.person("admin"), desk.person("admin")
    with desk.write() as connection:
        staff.disable(connection, two.number, one, now=desk.now)
    for change in (
        lambda c: staff.change_role(c, one.number, "lead", one, now=desk.now),
        lambda c: staff.disable(c, one.number, one, now=desk.now),
    ):
        with pytest.raises(ConflictError, match="must stay admin"), desk.write() as connection:
            change(connection)
