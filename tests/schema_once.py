"""The schema of the state database: made by its migrations once, and by the same statements after that."""

import pytest
from sqlalchemy import inspect

from giantkiller.store import database

STATEMENTS = []


@pytest.fixture(scope="module", autouse=True)
def schema_once():
    """Spare each new SQLite database the migrations, a seventh of a second; tests/store has them run."""
    migrate = database.upgrade

    def upgrade(connection, revision="head"):
        known = connection.dialect.name == "sqlite" and revision == "head" and not tables(connection)
        for statement in STATEMENTS if known else ():
            connection.exec_driver_sql(statement)
        if not known or not STATEMENTS:
            migrate(connection, revision)
        if known and not STATEMENTS:
            STATEMENTS.extend(connection.connection.dbapi_connection.iterdump())
            STATEMENTS[:] = [each for each in STATEMENTS if each not in ("BEGIN TRANSACTION;", "COMMIT;")]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(database, "upgrade", upgrade)
        yield


def tables(connection):
    return inspect(connection).get_table_names()
