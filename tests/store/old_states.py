"""Write databases as an earlier schema had them, not empty: `python tests/store/old_states.py 0005`.

Once a schema is released, its `schema_NNNN.sql` (SQLite) and `postgresql_NNNN.sql` stay as they are, and
test_store.py brings each up to date.
"""

import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from datetime import datetime, timezone
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests")]  # before the imports of our own

from postgresql_server import find_programs, postgresql_server  # noqa: E402
from sqlalchemy import MetaData, create_engine, insert  # noqa: E402

from giantkiller.store.schema import upgrade  # noqa: E402

THEN = datetime(2026, 11, 20, 12, tzinfo=timezone.utc)
FOLDER = Path(__file__).parent

ROWS = {
    "api_key": {
        "id": "1f2e3d4c", "name": "forum", "hash": "a" * 64, "roles": "score,submit", "created": THEN,
    },
    "feedback": {
        "received": THEN, "source": "perspective", "text": "some comment", "scores": {"toxicity": 0.5},
    },
    "hook_message": {"id": "msg-1", "received": THEN},
    "desk_staff": {
        "name": "mira", "role": "admin", "password": "no hash", "preferences": {}, "created": THEN,
    },
    "desk_item": {
        "id": "a" * 24, "community": "default", "external": "42", "author": "u-7", "language": "en",
        "source": "forum", "state": "removed", "version": 1, "fingerprint": "b" * 64, "reports": 0,
        "posted": "2026-11-20", "created": THEN, "updated": THEN,
    },
    "desk_version": {
        "item": 1, "version": 1, "text": "You idiot", "salt": "c" * 32, "digest": "d" * 64,
        "scores": {"toxicity": 0.9}, "action": "review", "attribute": "toxicity", "score": 0.9,
        "why": "threshold", "model": "small", "policy": 0, "created": THEN,
    },
    "desk_task": {
        "kind": "first", "item": 1, "community": "default", "attribute": "toxicity", "language": "en",
        "source": "forum", "rank": -1.5, "open": True, "created": THEN,
    },
    "desk_decision": {
        "id": "e" * 24, "batch": "e" * 24, "item": 1, "version": 1, "task": 1, "kind": "first",
        "outcome": "remove", "rule": "insults", "rulebook": 0, "staff": 1, "before": "review",
        "effective": True, "created": THEN, "release": THEN,
    },
    "model_bundle": {"digest": "f" * 64, "name": "small", "version": "1", "added": THEN},
    "model_promotion": {"digest": "f" * 64, "actor": "staff:1", "created": THEN},
    "model_candidate": {"id": 1, "digest": "f" * 64, "created": THEN},
    "model_shadow": {
        "day": "2026-11-20", "active": "0" * 64, "candidate": "f" * 64, "attribute": "toxicity",
        "measure": "moved", "bin": 1, "value": 2.0,
    },
    "model_flip": {
        "at": THEN, "active": "0" * 64, "candidate": "f" * 64, "item": "a" * 24, "before": "allow",
        "after": "review",
    },
}  # fmt: skip
"""A row of each table, for those of them that a schema has."""


def fill(engine, revision):
    """Make the tables of a schema, with a row in each."""
    with engine.begin() as connection:
        upgrade(connection, revision)
    found = MetaData()
    found.reflect(engine)
    with engine.begin() as connection:
        for name, row in ROWS.items():
            if name in found.tables:
                naive = engine.dialect.name == "sqlite"
                values = {k: v.replace(tzinfo=None) if naive and v is THEN else v for k, v in row.items()}
                connection.execute(insert(found.tables[name]).values(values))
    engine.dispose()


def main(revision):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "old.db"
        fill(create_engine(f"sqlite:///{path}"), revision)
        with closing(sqlite3.connect(path)) as connection:
            dump = "\n".join(connection.iterdump()) + "\n"
    (FOLDER / f"schema_{revision}.sql").write_text(dump, "utf-8")
    with postgresql_server() as url:
        fill(create_engine(url.replace("postgresql:", "postgresql+psycopg:")), revision)
        dump = subprocess.run(
            [find_programs() / "pg_dump", "--inserts", "--no-owner", "--no-privileges", url],
            check=True, capture_output=True, text=True,
        ).stdout  # fmt: skip
    # Commands of psql's own, which no other program understands, and what newer servers only know.
    lines = [line for line in dump.splitlines() if line and not line.startswith(("\\", "--", "SET "))]
    (FOLDER / f"postgresql_{revision}.sql").write_text("\n".join(lines) + "\n", "utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
