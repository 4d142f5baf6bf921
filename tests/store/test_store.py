import contextlib
import importlib
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

pytest.importorskip("sqlalchemy")

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text
from whole_schema import migrated, statements

from giantkiller.errors import UserError
from giantkiller.serve.feedback import Feedback, keep_feedback, read_feedback
from giantkiller.store import StoreBusyError, UTCDateTime, metadata, open_store, utc_now
from giantkiller.store.database import FILE
from giantkiller.store.schema import revisions


@pytest.fixture
def store(tmp_path):
    opened = open_store(tmp_path / "state")
    yield opened
    opened.close()


def changes_to_make(store):
    """What the tables say and the database hasn't."""
    for module in (
        "desk.tables",
        "serve.feedback",
        "serve.hooks.messages",
        "serve.keys",
        "serve.shelf",
        "serve.comparison",
    ):
        importlib.import_module(f"giantkiller.{module}")
    with store.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return compare_metadata(context, metadata)


def test_a_new_database_is_what_the_tables_say(store):
    assert changes_to_make(store) == []


def test_and_what_the_migrations_make(store, tmp_path):
    """Its statements are from a file, which `python tests/whole_schema.py` writes."""
    with store.engine.connect() as connection:
        assert sorted(statements(connection)) == sorted(migrated(tmp_path))
        created = connection.execute(text("SELECT created FROM desk_community")).scalar_one()
    now = datetime.now(timezone.utc).replace(tzinfo=None)
    assert timedelta(0) <= now - datetime.strptime(created, "%Y-%m-%d %H:%M:%S.%f") < timedelta(minutes=1)


def test_neither_a_new_database_nor_a_ready_one_needs_the_migrations(tmp_path, monkeypatch):
    monkeypatch.setattr("giantkiller.store.database.upgrade", None)
    open_store(tmp_path).close()
    open_store(tmp_path, migrate=False).close()


def test_sqlite_is_set_for_safety(store):
    with store.read() as connection:
        assert connection.execute(text("PRAGMA journal_mode")).scalar() == "wal"
        assert connection.execute(text("PRAGMA synchronous")).scalar() == 2
        assert connection.execute(text("PRAGMA foreign_keys")).scalar() == 1


def test_the_folder_is_the_owners(store, tmp_path):
    assert (tmp_path / "state").stat().st_mode & 0o077 == 0


def test_works_from_many_threads_all_arrive(store):
    def keep(i):
        return store.submit(lambda c: keep_feedback(c, Feedback(str(i), {"toxicity": 1.0}), [])).result(30)

    with ThreadPoolExecutor(16) as pool:
        numbers = list(pool.map(keep, range(500)))
    assert sorted(numbers) == list(range(1, 501))
    assert len(read_feedback(store)) == 500


def test_a_work_that_fails_harms_no_other(store):
    gate = threading.Event()
    held = store.submit(lambda c: gate.wait(5))

    def fail(connection):
        keep_feedback(connection, Feedback("lost", {}), [])
        raise ValueError("no")

    works = [
        store.submit(lambda c: keep_feedback(c, Feedback("one", {}), [])),
        store.submit(fail),
        store.submit(lambda c: keep_feedback(c, Feedback("two", {}), [])),
    ]
    gate.set()
    held.result(5)
    works[0].result(5)
    with pytest.raises(ValueError, match="no"):
        works[1].result(5)
    works[2].result(5)
    assert [row["text"] for row in read_feedback(store)] == ["one", "two"]


def test_works_of_a_kind_run_once_for_all_and_one_that_fails_alone(store):
    gate = threading.Event()
    held = store.submit(lambda c: gate.wait(5))
    asked = []

    def keep(connection, texts):
        asked.append(list(texts))
        if "bad" in texts:
            keep_feedback(connection, Feedback("lost", {}), [])
            raise ValueError("no")
        return [keep_feedback(connection, Feedback(text, {}), []) for text in texts]

    works = [store.submit_together(keep, text) for text in ("one", "two")]
    between = store.submit(lambda c: None)
    works += [store.submit_together(keep, text) for text in ("three", "bad", "four")]
    gate.set()
    held.result(5)
    between.result(5)
    with pytest.raises(ValueError, match="no"):
        works.pop(3).result(5)
    assert [work.result(5) for work in works] == [1, 2, 3, 4]
    assert asked == [["one", "two"], ["three", "bad", "four"], ["three"], ["bad"], ["four"]]
    assert [row["text"] for row in read_feedback(store)] == ["one", "two", "three", "four"]


def test_listeners_share_the_transaction(store):
    seen = []

    def listener(connection, number, feedback):
        seen.append((number, feedback.text))
        if feedback.text == "bad":
            raise ValueError("not kept")

    with store.write() as connection:
        keep_feedback(connection, Feedback("good", {}), [listener])
    with pytest.raises(ValueError, match="not kept"), store.write() as connection:
        keep_feedback(connection, Feedback("bad", {}), [listener])
    assert seen[0] == (1, "good")
    assert [row["text"] for row in read_feedback(store)] == ["good"]


def test_closing_finishes_what_was_submitted(tmp_path):
    store = open_store(tmp_path)
    works = [store.submit(lambda c: keep_feedback(c, Feedback("a", {}), [])) for _ in range(300)]
    store.close()
    assert all(work.done() for work in works)
    with pytest.raises(StoreBusyError):
        store.submit(lambda c: None)


def test_moments_are_in_utc(store):
    kind = UTCDateTime()
    dialect = store.engine.dialect
    east = datetime(2026, 1, 1, 12, tzinfo=timezone(timedelta(hours=5)))
    stored = kind.process_bind_param(east, dialect)
    assert kind.process_result_value(stored, dialect) == east
    with pytest.raises(ValueError, match="time zone"):
        kind.process_bind_param(datetime(2026, 1, 1), dialect)
    assert utc_now().tzinfo is timezone.utc


def test_another_programs_database_is_left_alone(tmp_path):
    import sqlite3
    from contextlib import closing

    with closing(sqlite3.connect(tmp_path / "giantkiller.db")) as database:
        database.execute("CREATE TABLE theirs (a)")
    with pytest.raises(UserError, match="other tables"):
        open_store(tmp_path)


@pytest.mark.parametrize("url", ["mysql://a/b", "nonsense", "postgresql://127.0.0.1:1/none"])
def test_urls_that_lead_nowhere(tmp_path, url):
    with pytest.raises(UserError):
        open_store(tmp_path, url)


STORED = Path(__file__).parent


def brought_up_to_date(state, url, revision):
    """Open a database of an earlier schema; see that what was in it is there, and that more can come."""
    with pytest.raises(UserError, match="older schema"):
        open_store(state, url, migrate=False)
    store = open_store(state, url)
    assert changes_to_make(store) == []
    with store.write() as connection:
        assert connection.execute(text("SELECT version_num FROM alembic_version")).scalar() == revisions()[-1]
        assert connection.execute(text("SELECT name FROM api_key")).scalar() == "forum"
        assert connection.execute(text("SELECT id FROM desk_community")).scalar() == "default"
        assert keep_feedback(connection, Feedback("another", {}), []) == 2
        if revision >= "0003":
            assert connection.execute(text("SELECT external FROM desk_item")).scalar() == "42"
            assert connection.execute(text("SELECT rule FROM desk_decision")).scalar() == "insults"
        if revision >= "0005":
            assert connection.execute(text("SELECT actor FROM model_promotion")).scalar() == "staff:1"
            assert connection.execute(text("SELECT value FROM model_shadow")).scalar() == 2
    assert [row["text"] for row in read_feedback(store)] == ["some comment", "another"]
    store.close()


@pytest.mark.parametrize("dump", sorted(STORED.glob("schema_*.sql")), ids=lambda path: path.stem)
def test_a_database_of_each_released_schema_is_brought_up_to_date(dump, tmp_path):
    """Each file is a dump of a database as that schema had it, with something in it: `old_states.py`."""
    with contextlib.closing(sqlite3.connect(tmp_path / FILE)) as connection:
        connection.executescript(dump.read_text("utf-8"))
    brought_up_to_date(tmp_path, None, dump.stem[-4:])


@pytest.mark.slow
@pytest.mark.parametrize("dump", sorted(STORED.glob("postgresql_*.sql")), ids=lambda path: path.stem)
def test_so_is_one_on_postgresql(dump, tmp_path, empty_postgresql):
    import psycopg

    with psycopg.connect(empty_postgresql, autocommit=True) as connection:
        connection.execute(dump.read_text("utf-8"))
    brought_up_to_date(tmp_path, empty_postgresql, dump.stem[-4:])


def test_works_before_a_full_disk_are_kept_or_refused_never_lost(store):
    with store.write() as connection:
        connection.execute(text("CREATE TABLE kept (name TEXT PRIMARY KEY, body TEXT)"))

    def keep(connection, names):
        for name in names:
            connection.execute(text("INSERT INTO kept VALUES (:name, 'a')"), {"name": name})
        return names

    def fill(connection):
        pages = connection.execute(text("PRAGMA page_count")).scalar_one()
        connection.execute(text("PRAGMA cache_size = 2"))  # so that it goes to disk before the commit
        connection.execute(text(f"PRAGMA max_page_count = {pages + 20}"))
        for part in range(1000):
            connection.execute(
                text("INSERT INTO kept VALUES (:name, :body)"), {"name": f"fill {part}", "body": "a" * 9000}
            )

    with store.write():  # the works wait, and then share a transaction
        futures = {"before": store.submit_together(keep, "before"), "fill": store.submit(fill)}
        futures["after"] = store.submit(lambda connection: keep(connection, ["after"]))
    told = {name for name, future in futures.items() if future.exception(20) is None}
    with store.read() as connection:
        there = set(connection.execute(text("SELECT name FROM kept")).scalars())
    assert "fill" not in told
    assert there == told


def test_an_old_sqlite_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 34, 1))
    with pytest.raises(UserError, match=r"needs 3\.35 or newer"):
        open_store(tmp_path / "state")
