"""The schema of the state database: its versions, and how a database comes to the newest one."""

from pathlib import Path

from sqlalchemy import Connection

MIGRATIONS = Path(__file__).parent / "migrations"

WHOLE = MIGRATIONS / "sqlite.sql"
"""What all migrations together make of an empty SQLite database; `python tests/whole_schema.py` writes it."""


def revisions() -> list[str]:
    """Name the schema versions this program knows, oldest first."""
    return sorted(path.name[:4] for path in (MIGRATIONS / "versions").glob("[0-9]*.py"))


def create(connection: Connection) -> None:
    """Make the newest schema in an empty SQLite database, inside the connection's transaction.

    The first start would otherwise spend a fourth of its time on Alembic and on all migrations there are.
    """
    for statement in WHOLE.read_text("utf-8").split(";\n"):
        if statement.strip():
            connection.exec_driver_sql(statement)


def upgrade(connection: Connection, revision: str = "head") -> None:
    """Bring the schema to a revision by the migrations, inside the connection's transaction."""
    # Imported here: a database that is new or up to date needs no Alembic, which takes long to import.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, revision)
