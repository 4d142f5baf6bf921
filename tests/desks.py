"""A desk without pages, for tests."""

import itertools
from datetime import datetime, timedelta, timezone

from giantkiller.attributes import ATTRIBUTES
from giantkiller.desk import items, policies, queue, staff, submitting
from giantkiller.desk.config import change_settings, read_settings
from giantkiller.desk.decisions import Choice, decide
from giantkiller.policy import Policy

BUNDLE = Policy({"toxicity": {"monitor": 0.3, "review": 0.5, "remove": 0.9}, "threat": {"review": 0.5}})
START = datetime(2026, 11, 24, 12, tzinfo=timezone.utc)


class Bench:
    """A desk without pages, and a clock that only tests move."""

    def __init__(self, store):
        self.store = store
        self.now = START
        self.numbers = itertools.count()

    def wait(self, **time):
        self.now += timedelta(**time)

    def write(self):
        return self.store.write()

    def settings(self, **changes):
        with self.write() as connection:
            if changes:
                return change_settings(connection, changes, "test", now=self.now)
            return read_settings(connection)

    def person(self, role="moderator"):
        with self.write() as connection:
            return staff.add_staff(connection, f"{role}{next(self.numbers)}", "no hash", role, now=self.now)

    def submit(self, text="You idiot", toxicity=0.7, policy=None, community="default", **comment):
        scores = dict.fromkeys(ATTRIBUTES, 0.01) | {"toxicity": toxicity}
        policy = policy or policies.default_policy(BUNDLE)
        return self.submit_all([self.submission(text, scores, policy, community=community, **comment)])[0]

    def submission(self, text, scores, policy, **comment):
        prepared = submitting.prepare(items.Comment(text, **comment))
        judged = policies.judge(policy, scores, text)
        return submitting.Submission(prepared, scores, judged, "tiny", policy.version, "key:test")

    def submit_all(self, submissions):
        with self.write() as connection:
            settings = read_settings(connection)
            return submitting.submit(connection, submissions, settings=settings, now=self.now)

    def next(self, person, filters=queue.EVERYTHING):
        with self.write() as connection:
            return queue.next_task(connection, person, filters, now=self.now)

    def decide(self, person, task, outcome="remove", rule="insults", **more):
        with self.write() as connection:
            return decide(
                connection,
                task.number if hasattr(task, "number") else task,
                person,
                Choice(outcome, rule if outcome == "remove" else None, more.pop("note", None)),
                settings=read_settings(connection),
                now=self.now,
                **more,
            )

    def rows(self, query):
        with self.store.read() as connection:
            return connection.execute(query).all()
