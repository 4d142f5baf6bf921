"""What is forgotten, and that the service does it by itself."""

import json
import threading
from datetime import timedelta

import anyio
from sqlalchemy import select

from giantkiller.desk import appeals, events, reporting, retention, upkeep
from giantkiller.desk.config import read_settings
from giantkiller.desk.labels import suggested
from giantkiller.desk.tables import appeals as appeal_table
from giantkiller.desk.tables import decisions, messages, reports, statements, versions
from giantkiller.desk.tables import items as item_table
from giantkiller.serve.feedback import Feedback, feedback_table, keep_feedback
from giantkiller.store import StoreBusyError, utc_now


def texts(desk):
    return {row.text for row in desk.rows(select(versions.c.text))}


def test_texts_go_some_at_a_time_and_no_others(any_desk, monkeypatch):
    desk = any_desk
    monkeypatch.setattr(retention, "_TOGETHER", 2)
    for n in range(5):
        desk.submit(f"old {n}", toxicity=0.1)
    desk.submit("waits", toxicity=0.95)
    desk.wait(days=31)
    desk.submit("new", toxicity=0.1)
    assert retention.purge(desk.store, 30, now=desk.now) == 5
    assert texts(desk) == {None, "waits", "new"}
    with desk.store.read() as connection:
        assert events.verify(connection).problems == []


def test_a_comment_that_is_reported_meanwhile_keeps_its_text(desk, monkeypatch):
    submitted = desk.submit("old", toxicity=0.1)
    desk.wait(days=31)
    found = retention._numbers

    def find(store, query):
        numbers = found(store, query)
        if numbers and not desk.rows(select(reports)):  # between the look and the purge
            with desk.write() as connection:
                reporting.report(
                    connection, submitted.id, settings=read_settings(connection), actor="key:test",
                    now=desk.now,
                )  # fmt: skip
        return numbers

    monkeypatch.setattr(retention, "_numbers", find)
    assert retention.purge(desk.store, 30, now=desk.now) == 0
    assert texts(desk) == {"old"}


def test_what_clients_suggested_goes_too(any_desk):
    desk = any_desk
    with desk.write() as connection:
        given = Feedback("secret text", {"toxicity": 1.0}, context={"entries": [{"text": "more secret"}]})
        keep_feedback(connection, given, [])
    assert retention.purge(desk.store, 30, now=utc_now() + timedelta(days=29)) == 0
    with desk.store.read() as connection:
        assert [row["text"] for row in suggested(connection)] == ["secret text"]
    retention.purge(desk.store, 30, now=utc_now() + timedelta(days=31))
    (row,) = desk.rows(select(feedback_table))
    assert "secret" not in json.dumps(dict(row._mapping), default=str)
    assert row.scores == {"toxicity": 1.0}
    with desk.store.read() as connection:
        assert list(suggested(connection)) == []


def test_nothing_that_an_author_wrote_is_left(any_desk):
    desk = any_desk
    person = desk.person()
    desk.submit("platypus", author="ada", url="https://x.example/platypus", title="platypus", external="1")
    desk.submit("another", author="bob", external="2")
    for _ in range(2):
        desk.decide(person, desk.next(person), note="platypus")
    desk.wait(minutes=2)
    with desk.write() as connection:
        assert retention.forget_author(connection, "default", "ada", "test", now=desk.now) == 1
    for table in (versions, item_table, statements, messages, decisions, reports):
        rows = desk.rows(select(table).order_by(table.c.number))
        assert not rows or "platypus" not in str(rows[0])
    assert "another" in texts(desk)
    assert desk.rows(select(decisions.c.outcome)) == [("remove",), ("remove",)]
    with desk.store.read() as connection:
        assert events.verify(connection).problems == []


def test_nor_what_others_quote_of_it_and_what_they_reported(desk):
    said = desk.submit("platypus is what I say", toxicity=0.1, author="ada")
    desk.submit("no", toxicity=0.1, author="bob", parent="platypus is what I say")
    quoted = desk.submit("bad", author="bob", parent="somebody else's")
    person = desk.person()
    desk.decide(person, desk.next(person), "allow")
    desk.wait(minutes=2)
    with desk.write() as connection:
        settings = read_settings(connection)
        more = {"settings": settings, "actor": "key:test", "now": desk.now}
        reporting.report(connection, quoted.id, reporter="ada", reason="platypus", **more)
        told = connection.execute(select(messages).order_by(messages.c.number.desc()).limit(1)).one()
        token = told.payload["statement"]["path"].removeprefix("/s/")
        appeals.file(connection, token, "platypus!", settings=settings, now=desk.now)
        assert retention.forget_author(connection, "default", "ada", "test", now=desk.now) == 1
    for table in (versions, item_table, reports, appeal_table):
        assert "platypus" not in str(desk.rows(select(table)))
        assert "ada" not in str(desk.rows(select(table)))
    parents = select(item_table.c.parent).order_by(item_table.c.number)
    assert [row.parent for row in desk.rows(parents)] == [None, None, "somebody else's"]
    assert said.number == 1


def test_the_service_purges_by_itself(desk, monkeypatch):
    monkeypatch.setattr(upkeep, "FIRST", 0.01)
    desk.now = utc_now() - timedelta(days=40)
    desk.submit("old", toxicity=0.1)

    async def run(seconds):
        async with upkeep.Upkeep(desk.store).running():
            for _ in range(int(seconds / 0.02)):
                await anyio.sleep(0.02)
                if texts(desk) == {None}:
                    return

    anyio.run(run, 0.3)
    assert texts(desk) == {"old"}  # unless it is told to
    desk.settings(retention_days=30)
    anyio.run(run, 20)
    assert texts(desk) == {None}


def test_a_busy_database_puts_upkeep_off_and_the_log_says_so(desk, monkeypatch):
    monkeypatch.setattr(upkeep, "FIRST", 0.01)
    monkeypatch.setattr(upkeep, "EVERY", 0.01)
    tried, logged = [], []

    def tidy(store, *, now):
        tried.append(now)
        if len(tried) == 1:
            raise StoreBusyError("private words")

    monkeypatch.setattr(upkeep, "tidy", tidy)
    monkeypatch.setattr(upkeep.log, "error", lambda event, extra: logged.append((event, extra["fields"])))

    async def run():
        async with upkeep.Upkeep(desk.store).running():
            while len(tried) < 2:
                await anyio.sleep(0.01)

    anyio.run(run)
    assert logged == [("upkeep put off", {"error": "StoreBusyError"})]


def test_it_runs_with_the_service(site):
    assert "upkeep" in {thread.name for thread in threading.enumerate()}
