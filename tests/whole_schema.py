"""Write what all migrations make of an empty SQLite database: `python tests/whole_schema.py`.

A new service starts from that file; test_store.py fails while it isn't what the migrations make.
"""

import re
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))  # before the imports of our own

from sqlalchemy import create_engine

from giantkiller.store.schema import WHOLE, upgrade

NOW = "strftime('%Y-%m-%d %H:%M:%f000', 'now')"
"""The moment at which a database is made, as our columns keep it."""

_MOMENT = re.compile(r"'\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}'")


def statements(connection):
    """Return what makes a database as this one is, with the moments in it left open."""
    lines = list(connection.connection.dbapi_connection.iterdump())
    assert (lines[0], lines[-1]) == ("BEGIN TRANSACTION;", "COMMIT;")
    return [_MOMENT.sub(NOW, line) for line in lines[1:-1]]


def migrated(folder):
    """Return the statements for a database that the migrations have made."""
    engine = create_engine(f"sqlite:///{folder}/migrated.db")
    with engine.begin() as connection:
        upgrade(connection)
    with engine.connect() as connection:
        made = statements(connection)
    engine.dispose()
    return made


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        WHOLE.write_text("\n".join(migrated(folder)) + "\n", "utf-8")
