"""The life of comments under any sequence of steps, and under many hands at once."""

import os
import tempfile
import threading
from collections import Counter
from pathlib import Path

import pytest
from desks import Bench
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from postgresql_server import empty
from sqlalchemy import func, select

from giantkiller.desk import appeals, events, items, outbox, queue, reporting, retention, sampling
from giantkiller.desk.config import read_settings
from giantkiller.desk.errors import DeskError
from giantkiller.desk.tables import appeals as appeal_table
from giantkiller.desk.tables import bars, decisions, messages, tasks, versions
from giantkiller.desk.tables import items as item_table
from giantkiller.desk.undoing import undo
from giantkiller.store import open_store

PEOPLE = st.integers(0, 3)


class Life(RuleBasedStateMachine):
    """What people and platforms may do, in any order; the desk's laws are the invariants."""

    url = None

    @initialize(share=st.sampled_from([0.0, 1.0]))
    def open(self, share):
        self.folder = tempfile.TemporaryDirectory()
        if self.url:
            empty(self.url)
        self.desk = Bench(open_store(Path(self.folder.name), self.url))
        self.desk.settings(second_share=share)
        self.people = [self.desk.person(role) for role in ("moderator", "moderator", "lead", "admin")]
        self.told = set()
        with self.desk.write() as connection:
            outbox.add_webhook(connection, "forum", "http://127.0.0.1:9/", "test", now=self.desk.now)

    def teardown(self):
        if hasattr(self, "desk"):
            with self.desk.store.read() as connection:
                assert events.verify(connection).problems == []
            self.desk.store.close()
            self.folder.cleanup()

    def attempt(self, action):
        """Do what may be refused; a refusal changes nothing."""
        before = self.head()
        try:
            with self.desk.write() as connection:
                return action(connection, read_settings(connection))
        except DeskError:
            assert self.head() == before
            return None

    def head(self):
        with self.desk.store.read() as connection:
            return events.head(connection)

    @rule(external=st.sampled_from("abc"), text=st.sampled_from(["x", "y", "X!"]),
          toxicity=st.sampled_from([0.1, 0.6, 0.95]))  # fmt: skip
    def submit(self, external, text, toxicity):
        self.desk.submit(text, toxicity=toxicity, external=external)

    @rule(person=PEOPLE)
    def take(self, person):
        self.desk.next(self.people[person])

    @rule(person=PEOPLE, outcome=st.sampled_from(["allow", "remove"]), copies=st.booleans())
    def decide(self, person, outcome, copies):
        person = self.people[person]
        for row in self.desk.rows(
            select(tasks).where(tasks.c.lease_by == person.number, tasks.c.open.is_(True))
        ):
            try:
                if row.kind == "appeal":
                    given = appeals.Answer(outcome == "allow", "because", "insults")
                    self.attempt(
                        lambda c, s, n=row.number, g=given: appeals.answer(
                            c, n, person, g, settings=s, now=self.desk.now
                        )
                    )
                else:
                    self.desk.decide(person, row, outcome, copies=copies)
            except DeskError:
                pass

    @rule(person=PEOPLE, number=st.integers(0, 20))
    def undo(self, person, number):
        rows = self.desk.rows(select(decisions.c.id).order_by(decisions.c.number))
        if rows:
            public = rows[number % len(rows)].id
            self.attempt(lambda c, _: undo(c, public, self.people[person], now=self.desk.now))

    @rule(person=PEOPLE, skip=st.booleans())
    def leave(self, person, skip):
        task = self.desk.next(self.people[person])
        if task is not None:
            self.attempt(
                lambda c, _: queue.leave(c, task.number, self.people[person], skip=skip, now=self.desk.now)
            )

    @rule(person=PEOPLE)
    def take_up(self, person):
        """What somebody skipped can come to them again; what they had a hand in never."""
        with self.desk.write() as connection:
            queue.take_up(connection, self.people[person])
            assert queue.count_skipped(connection, self.people[person]) == 0

    @rule(person=PEOPLE)
    def escalate(self, person):
        task = self.desk.next(self.people[person])
        if task is not None:
            self.attempt(lambda c, _: queue.escalate(c, task.number, self.people[person], now=self.desk.now))
            row = self.desk.rows(select(tasks).where(tasks.c.number == task.number))[0]
            assert (row.open, row.for_lead, row.lease_by) == (True, True, None)

    @rule(lead=st.integers(2, 3), number=st.integers(0, 20))
    def sample(self, lead, number):
        rows = self.desk.rows(select(decisions.c.id).order_by(decisions.c.number))
        if rows:
            public = rows[number % len(rows)].id
            self.attempt(lambda c, _: sampling.sample(c, public, self.people[lead], now=self.desk.now))

    @rule(days=st.sampled_from([1, 200]))
    def purge(self, days):
        """Texts go, what was decided stays."""
        before = self.desk.rows(select(decisions.c.id, decisions.c.outcome, decisions.c.effective))
        self.desk.wait(days=days)
        retention.purge(self.desk.store, 100, now=self.desk.now)
        assert self.desk.rows(select(decisions.c.id, decisions.c.outcome, decisions.c.effective)) == before
        waiting = select(item_table.c.number).where(item_table.c.state.in_(items.WAITING))
        texts = select(versions.c.text).where(versions.c.item.in_(waiting))
        assert all(row.text is not None for row in self.desk.rows(texts))

    @rule(reporter=st.sampled_from("xyz"), number=st.integers(0, 5))
    def report(self, reporter, number):
        rows = self.desk.rows(select(item_table.c.id).order_by(item_table.c.number))
        if rows:
            public = rows[number % len(rows)].id
            self.attempt(
                lambda c, s: reporting.report(
                    c, public, reporter=reporter, settings=s, actor="key:test", now=self.desk.now
                )
            )

    @rule(number=st.integers(0, 20))
    def appeal(self, number):
        rows = [
            row.payload["statement"]["path"].removeprefix("/s/")
            for row in self.desk.rows(select(messages).order_by(messages.c.number))
            if "statement" in row.payload
        ]
        if rows:
            token = rows[number % len(rows)]
            self.attempt(lambda c, s: appeals.file(c, token, "why", settings=s, now=self.desk.now))

    @rule(ok=st.booleans())
    def deliver(self, ok):
        with self.desk.write() as connection:
            for due in outbox.claim(connection, 100, now=self.desk.now):
                outbox.settle(connection, due.number, ok=ok, now=self.desk.now)
                if ok:
                    self.told.add(due.message)

    @rule(minutes=st.sampled_from([1, 11]))
    def wait(self, minutes):
        self.desk.wait(minutes=minutes)

    @invariant()
    def laws_hold(self):
        if not hasattr(self, "desk"):
            return
        waiting = Counter(
            row.item
            for row in self.desk.rows(
                select(tasks.c.item).where(tasks.c.open.is_(True), tasks.c.kind == "first")
            )
        )
        for item in self.desk.rows(select(item_table)):
            # What waits has one task; what is decided has none.
            assert waiting[item.number] == (item.state in items.WAITING), item.state
            effective = self.desk.rows(
                select(decisions).where(
                    decisions.c.item == item.number,
                    decisions.c.version == item.version,
                    decisions.c.effective.is_(True),
                )
            )
            assert len(effective) <= 1
            if item.state in ("approved", "removed"):
                assert [d.outcome for d in effective] == [
                    {"approved": "allow", "removed": "remove"}[item.state]
                ]
        barred = self.desk.rows(
            select(bars.c.staff)
            .join(tasks, tasks.c.number == bars.c.task)
            .where(tasks.c.open.is_(True), bars.c.reason == "decided", tasks.c.lease_by == bars.c.staff)
        )
        assert barred == []
        for row in self.desk.rows(select(appeal_table).where(appeal_table.c.staff.is_not(None))):
            contested = self.desk.rows(select(decisions).where(decisions.c.number == row.decision))[0]
            assert contested.staff != row.staff
        cancelled = {row.number for row in self.desk.rows(select(messages).where(messages.c.cancelled))}
        assert not self.told & cancelled


QUIET = {"deadline": None, "suppress_health_check": list(HealthCheck)}


@pytest.mark.slow
def test_the_laws_hold_in_any_order():
    run_state_machine_as_test(Life, settings=settings(max_examples=12, stateful_step_count=30, **QUIET))


@pytest.mark.slow
def test_the_laws_hold_in_any_order_on_postgresql(postgresql):
    machine = type("LifeOnPostgreSQL", (Life,), {"url": postgresql})
    run_state_machine_as_test(machine, settings=settings(max_examples=4, stateful_step_count=20, **QUIET))


@pytest.mark.slow
def test_twenty_people_decide_everything_once(any_desk):
    """Also what three of them had in hand when they went away: others get it once the lease has ended."""
    desk = any_desk
    count = int(os.environ.get("GIANTKILLER_DESK_ITEMS", "100"))
    for number in range(count):
        desk.submit(f"comment {number}", toxicity=0.5 + number % 50 / 100)
    people = [desk.person() for _ in range(20)]
    gone = {person.number for person in people[:3]}
    done: Counter[int] = Counter()
    failures = []
    lock = threading.Lock()

    def work(person):
        try:
            while (task := desk.next(person)) is not None:
                if person.number in gone:
                    return
                desk.decide(person, task, "allow" if task.item % 2 else "remove")
                with lock:
                    done[task.item] += 1
        except Exception as error:
            failures.append(error)

    def all_work(everybody):
        threads = [threading.Thread(target=work, args=(person,)) for person in everybody]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    all_work(people)
    assert failures == []
    left = count - len(done)
    assert left <= len(gone)
    assert desk.rows(select(func.count()).select_from(tasks).where(tasks.c.open.is_(True)))[0][0] == left
    desk.wait(minutes=11)
    all_work(people[3:])
    assert failures == []
    assert len(done) == count
    assert set(done.values()) == {1}
    decided = desk.rows(select(func.count()).select_from(decisions).where(decisions.c.kind == "first"))
    assert decided[0][0] == count
    assert desk.rows(select(func.count()).select_from(tasks).where(tasks.c.open.is_(True)))[0][0] == 0
    with desk.store.read() as connection:
        assert events.verify(connection).problems == []
