"""What an operator does: backups, moves, labels, statements for the DSA, forgetting; by command, too."""

import gzip
import io
import json
import shutil
import threading
from datetime import date
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from click.testing import CliRunner
from sqlalchemy import select

from giantkiller.attributes import ATTRIBUTES
from giantkiller.cli.desk import command
from giantkiller.desk import appeals, dsa, events, lineup, moving, policies, reporting, retention
from giantkiller.desk.appeals import Answer
from giantkiller.desk.config import read_settings
from giantkiller.desk.labels import labelled, suggested, write_labelled
from giantkiller.desk.tables import items as item_table
from giantkiller.desk.tables import messages, versions
from giantkiller.errors import UserError
from giantkiller.serve import shelf
from giantkiller.serve.settings import Settings
from giantkiller.store import open_store, utc_now


@pytest.fixture
def used(desk):
    """A desk where three comments were decided: removed, allowed, removed and restored on appeal."""
    one, two = desk.person(), desk.person()
    for text, outcome in (("bad", "remove"), ("fine", "allow"), ("ironic", "remove")):
        desk.submit(text, toxicity=0.95, author=f"author of {text}", language="en", external=text)
        desk.decide(one, desk.next(one), outcome, note=f"note on {text}")
        desk.wait(minutes=2)
    message = desk.rows(select(messages).order_by(messages.c.number.desc()))[0]
    token = message.payload["statement"]["path"].removeprefix("/s/")
    with desk.write() as connection:
        appeals.file(connection, token, "why", settings=read_settings(connection), now=desk.now)
    task = desk.next(two)
    with desk.write() as connection:
        settings = read_settings(connection)
        given = Answer(True, "You are right")
        appeals.answer(connection, task.number, two, given, settings=settings, now=desk.now)
    desk.wait(minutes=2)
    return desk


def rows_of(desk):
    with desk.store.read() as connection:
        return list(labelled(connection, now=desk.now))


def test_decisions_are_labels_and_corrections_are_corrected(used):
    rows = {row["text"]: row for row in rows_of(used)}
    assert set(rows) == {"bad", "fine", "ironic"}
    assert (rows["bad"]["toxicity"], rows["bad"]["insult"], rows["bad"]["threat"]) == (1.0, 1.0, None)
    assert (rows["fine"]["toxicity"], rows["fine"]["insult"]) == (0.0, None)
    assert (rows["ironic"]["toxicity"], rows["ironic"]["corrected"]) == (0.0, True)
    assert rows["ironic"]["decided_by"] == "appeal"
    assert rows["bad"]["score_toxicity"] == pytest.approx(0.95)


def test_a_rule_without_an_attribute_labels_nothing(desk):
    person = desk.person()
    desk.submit("Buy pills")
    desk.decide(person, desk.next(person), rule="spam")
    assert rows_of(desk) == []  # it could be taken back
    desk.wait(minutes=2)
    (row,) = rows_of(desk)
    assert [row[a] for a in ATTRIBUTES] == [None] * 7


def test_training_reads_the_labels(used, tmp_path):
    pytest.importorskip("pyarrow")
    from giantkiller.data.labelled import read_labelled

    path = tmp_path / "decisions.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows_of(used)))
    read = read_labelled(path)
    assert sorted(read.texts) == ["bad", "fine", "ironic"]
    assert set(read.kinds) == {"decision"}
    assert read.targets[read.texts.index("bad"), ATTRIBUTES.index("insult")] == 1


def test_what_coral_suggested_is_a_label_too(used):
    from giantkiller.serve.feedback import Feedback, keep_feedback

    def coral(comment, value, community="Coral:https://news.example"):
        return Feedback(
            f"text {comment}", {"toxicity": value, "SPAM": 1}, community=community,
            client_token=comment and f"comment:{comment}",
        )  # fmt: skip

    given = [coral("1", 1.0), coral("2", 0.0), coral("1", 0.0), coral("1", 1.0, "other"), coral(None, 1.0)]
    with used.write() as connection:
        for feedback in [*given, coral(None, 0.5)]:
            keep_feedback(connection, feedback, [])
    out = io.StringIO()
    with used.store.read() as connection:
        found = list(suggested(connection))
        assert len(list(suggested(connection, community="other"))) == 1
        assert write_labelled(connection, out, now=used.now, suggestions=True) == 3 + 5
        assert write_labelled(connection, io.StringIO(), now=used.now) == 3
    assert [(row["text"], row["toxicity"], row["insult"]) for row in found] == [
        ("text 2", 0.0, None), ("text 1", 0.0, None), ("text 1", 1.0, None), ("text None", 1.0, None),
        ("text None", 0.5, None),
    ]  # fmt: skip
    assert json.loads(out.getvalue().splitlines()[-1])["label_kind"] == "suggestion"


@pytest.mark.parametrize("others", [[], pytest.param(["empty_postgresql"], marks=pytest.mark.slow)])
def test_everything_moves_between_databases(used, tmp_path, request, others):
    urls = [None, *map(request.getfixturevalue, others)]
    path = tmp_path / "desk.jsonl.gz"
    with used.store.read() as connection:
        count = moving.dump(connection, path)
        head = events.head(connection)
    for number, url in enumerate(urls):
        store = open_store(tmp_path / f"new-{number}", url)
        try:
            with store.write() as connection:
                assert moving.load(connection, path) == count
            with store.read() as connection:
                assert events.head(connection) == head
                assert events.verify(connection).problems == []
            used.store, before = store, used.store
            used.submit("after the move", toxicity=0.7)  # numbers go on
            with store.write() as connection, pytest.raises(UserError, match="already"):
                moving.load(connection, path)
            again = tmp_path / f"again-{number}.gz"
            with store.read() as connection:
                moving.dump(connection, again)
            used.store = before
        finally:
            store.close()


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda lines: lines[:-3], "cut off"),
        (lambda lines: ["{}", *lines[1:]], "no export"),
        (lambda lines: [lines[0].replace('"schema": "', '"schema": "9'), *lines[1:]], "schema"),
        (lambda lines: [lines[0], "[1, 2", *lines[1:]], "damaged"),
        (lambda lines: [lines[0], '["sqlite_master", []]', *lines[1:]], "table"),
        (lambda lines: [line.replace('"insults"', '"threats"') if '"desk_decision"' in line else line
                        for line in lines], "verify"),
    ],
)  # fmt: skip
def test_a_damaged_export_changes_nothing(used, tmp_path, damage, said):
    path = tmp_path / "desk.jsonl.gz"
    with used.store.read() as connection:
        moving.dump(connection, path)
    lines = gzip.decompress(path.read_bytes()).decode().splitlines()
    with gzip.open(path, "wt") as out:
        out.write("\n".join(damage(lines)) + "\n")
    store = open_store(tmp_path / "new")
    try:
        with pytest.raises(UserError, match=said), store.write() as connection:
            moving.load(connection, path)
        with store.read() as connection:
            assert events.head(connection)[0] == 0
            assert policies.list_communities(connection)
    finally:
        store.close()


def test_a_backup_is_taken_while_others_write(used, tmp_path):
    path = tmp_path / "copy" / "giantkiller.db"
    stop = threading.Event()

    def write():
        number = 0
        while not stop.is_set():
            number += 1
            used.submit(f"meanwhile {number}", toxicity=0.1)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        moving.backup(used.store, path)
    finally:
        stop.set()
        thread.join()
    restored = open_store(path.parent)
    try:
        with restored.read() as connection:
            assert events.verify(connection).problems == []
            assert events.head(connection)[0] > 0
    finally:
        restored.close()


def test_an_export_has_one_state_while_others_write(any_desk, tmp_path):
    """PostgreSQL shows each statement what was written before it, unless it is asked for one view."""
    desk = any_desk
    desk.submit("first", toxicity=0.7)
    with desk.store.read() as connection:
        before = events.head(connection)
        desk.submit("meanwhile", toxicity=0.7)
        moving.dump(connection, tmp_path / "desk.gz")
        assert events.head(connection) == before
    store = open_store(tmp_path / "new")
    try:
        with store.write() as connection:
            moving.load(connection, tmp_path / "desk.gz")
        with store.read() as connection:
            assert events.head(connection) == before
            assert [row.text for row in connection.execute(select(versions.c.text))] == ["first"]
    finally:
        store.close()


def test_texts_are_purged_and_the_chain_stays_whole(used):
    used.submit("waits", toxicity=0.95)
    used.wait(days=40)
    used.submit("new", toxicity=0.1)
    assert retention.purge(used.store, 30, now=used.now) == 3
    assert retention.purge(used.store, 30, now=used.now) == 0
    texts = {row.text for row in used.rows(select(versions.c.text))}
    assert texts == {None, "waits", "new"}
    assert rows_of(used) == []
    kept = str([tuple(row) for row in used.rows(select(messages.c.payload))])
    assert "note on" not in kept
    assert "You are right" not in kept
    with used.store.read() as connection:
        assert events.verify(connection).problems == []


def test_an_author_is_forgotten_on_request(used):
    used.submit("also", toxicity=0.95, author="author of bad")
    with used.write() as connection:
        assert retention.forget_author(connection, "default", "author of bad", "test", now=used.now) == 2
    authors = {row.author for row in used.rows(select(item_table.c.author))}
    assert authors == {None, "author of fine", "author of ironic"}
    assert used.next(used.person()) is None
    with used.store.read() as connection:
        assert events.verify(connection).problems == []


def test_statements_for_the_dsa_pass_its_rules_and_name_nobody(used):
    policy = policies.check_policy({"thresholds": {"toxicity": {"remove": 0.9}}, "automatic": ["toxicity"]})
    used.submit("quite bad", toxicity=0.95, policy=policy)
    person = used.person()
    reported = used.submit("unnoticed", toxicity=0.1)
    with used.write() as connection:
        reporting.report(
            connection, reported.id, reporter="r", kind="notice", settings=read_settings(connection),
            actor="key:test", now=used.now,
        )  # fmt: skip
    used.decide(person, used.next(person), rule="illegal", note="Section 185, as Ms. Author said")
    used.wait(minutes=5)
    with used.store.read() as connection:
        made = dsa.statements(connection, date(2026, 11, 1), date(2026, 12, 1), now=used.now)
        assert dsa.statements(connection, date(2026, 12, 1), date(2026, 12, 2), now=used.now) == []
    assert [s["automated_decision"].removeprefix("AUTOMATED_DECISION_") for s in made] == [
        "NOT_AUTOMATED", "NOT_AUTOMATED", "FULLY", "NOT_AUTOMATED"
    ]  # fmt: skip
    assert made[0]["category_specification"] == ["KEYWORD_CYBER_HARASSMENT"]
    assert made[3]["decision_ground"] == "DECISION_GROUND_ILLEGAL_CONTENT"
    assert made[3]["illegal_content_legal_ground"] == "The provision that the author was told"
    assert made[3]["source_type"] == "SOURCE_ARTICLE_16"
    assert "author of" not in json.dumps(made)
    assert "Ms. Author" not in json.dumps(made)
    assert all(dsa.check(statement) == [] for statement in made)
    for change in (
        {"category": "X"},
        {"puid": "a b"},
        {"decision_visibility": []},
        {"decision_facts": "x" * 5001},
        {"application_date": "24.11.2026"},
        {"content_language": "en"},
        {"incompatible_content_explanation": ""},
        {"category_specification": ["KEYWORD_X"]},
    ):
        assert len(dsa.check(made[0] | change)) == 1, change


def test_statements_are_posted_a_hundred_at_a_time():
    got = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            got.append((self.headers["authorization"], len(body["statements"])))
            self.send_response(201 if len(got) < 3 else 422)
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        url = f"http://127.0.0.1:{server.server_address[1]}/api/v1/statements"
        assert dsa.post([{}] * 150, url, "secret") == 150
        assert got == [("Bearer secret", 100), ("Bearer secret", 50)]
        with pytest.raises(UserError, match="422 after 0"):
            dsa.post([{}], url, "secret")
    finally:
        server.shutdown()
        server.server_close()


def test_the_commands(tiny_bundle, tmp_path, monkeypatch):
    monkeypatch.setenv("GIANTKILLER_MODEL", str(tiny_bundle))
    monkeypatch.setenv("GIANTKILLER_STATE", str(tmp_path / "state"))

    def run(*arguments):
        return CliRunner().invoke(command, arguments, catch_exceptions=True)

    (tmp_path / "comments.csv").write_text("text\nYou stupid idiot\nthanks\n")
    assert json.loads(run("submit", str(tmp_path / "comments.csv")).stdout) == {"hidden": 1, "allowed": 1}
    assert json.loads(run("submit", str(tmp_path / "comments.csv")).stdout) == {"known": 2}
    rows = [{"text": "You stupid idiot", "id": "c-7", "user": "ada", "link": "https://x.example/7"},
            {"text": "You stupid idiot", "user": "bob"}, {"id": "c-9"}]  # fmt: skip
    (tmp_path / "more.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    columns = ("--id-column", "id", "--author-column", "user", "--url-column", "link")
    assert json.loads(run("submit", str(tmp_path / "more.jsonl"), *columns).stdout) == {"hidden": 2}
    store = open_store(tmp_path / "state")
    with store.read() as connection:
        kept = connection.execute(select(item_table).order_by(item_table.c.number)).all()[2:]
    store.close()
    assert [(row.external, row.author, row.url) for row in kept] == [
        ("c-7", "ada", "https://x.example/7"), ("more.jsonl:2", "bob", None)
    ]  # fmt: skip
    failed = run("submit", str(tmp_path / "more.jsonl"), "--id-column", "nothing").exception
    assert isinstance(failed, UserError)
    (tmp_path / "long.csv").write_text(f"text,id\nYou stupid idiot,{'x' * 201}\n")
    failed = run("submit", str(tmp_path / "long.csv"), "--id-column", "id").exception
    assert "longer than 200" in str(failed)
    assert "/desk/join/" in run("invite", "--role", "admin").stdout
    assert "nobody" in str(run("new-password", "mira").exception)
    assert json.loads(run("verify", "--json").stdout)["problems"] == []
    assert isinstance(run("verify", "--head", "0f").exception, UserError)
    assert isinstance(run("invite", "--role", "boss").exception, UserError)
    assert run("backup", str(tmp_path / "b.db")).exit_code == 0
    assert run("export", str(tmp_path / "e.gz")).exit_code == 0
    assert isinstance(run("import", str(tmp_path / "e.gz")).exception, UserError)
    assert run("import", str(tmp_path / "e.gz"), "--state", str(tmp_path / "new")).exit_code == 0
    assert run("labels").stdout == ""
    assert json.loads(run("dsa", "--since", "2026-01-01").stdout) == {"statements": []}
    assert isinstance(run("dsa", "--since", "yesterday").exception, UserError)
    assert isinstance(
        run("dsa", "--since", "2026-01-01", "--post", "http://127.0.0.1:9").exception, UserError
    )
    assert json.loads(run("report", "2026").stdout)["removals"] == 0
    assert run("report", "2026", "-o", str(tmp_path / "r.svg")).exit_code == 0
    assert (tmp_path / "r.svg").read_text().startswith("<svg xmlns")
    assert run("report", "2026", "-o", str(tmp_path / "r.html"), "--language", "de").exit_code == 0
    assert "Moderation im Jahr 2026" in (tmp_path / "r.html").read_text(encoding="utf-8")
    assert isinstance(run("report", "2026", "--language", "xx").exception, UserError)
    assert isinstance(run("report", "20260").exception, UserError)
    assert isinstance(run("purge").exception, UserError)
    assert run("purge", "--days", "30").exit_code == 0
    assert run("forget-author", "x").exit_code == 0


def test_a_backup_has_the_bundles_of_the_service_and_comes_back_with_them(tiny_bundle, tmp_path, monkeypatch):
    monkeypatch.setenv("GIANTKILLER_STATE", str(tmp_path / "state"))
    (tmp_path / "backups").mkdir()
    store, settings = open_store(tmp_path / "state"), Settings(state=tmp_path / "state")
    digest = lineup.add(store, settings, str(tiny_bundle), "command", now=utc_now())
    lineup.promote(store, settings, digest, "command", now=utc_now())
    store.close()
    for name in ("monday.db", "tuesday.db"):
        done = CliRunner().invoke(command, ["backup", str(tmp_path / "backups" / name)])
        assert done.exit_code == 0
        assert "1 of the service's bundles" in done.stderr
    assert sorted(p.name for p in (tmp_path / "backups").iterdir()) == ["bundles", "monday.db", "tuesday.db"]
    again = tmp_path / "again"
    shutil.copytree(tmp_path / "backups" / "bundles", again / "bundles")
    shutil.copyfile(tmp_path / "backups" / "tuesday.db", again / "giantkiller.db")
    restored = open_store(again)
    with restored.read() as connection:
        assert shelf.read_lineup(connection).active == digest
    restored.close()
    assert shelf.load_kept(again, digest).bundle.digest == digest
