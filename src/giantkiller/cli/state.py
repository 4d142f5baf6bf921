"""The service's state, as the commands other than `serve` open it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from giantkiller.cli._extras import need_extra

if TYPE_CHECKING:
    from giantkiller.serve.settings import Settings
    from giantkiller.store import Store


@contextmanager
def open_state(state: Path | None, config: Path | None) -> "Iterator[tuple[Store, Settings]]":
    """Open the database that the service finds by the same options, and close it after use.

    Raises:
        UserError: The settings or the database can't be read.
    """
    need_extra("serve", "pydantic_settings", "sqlalchemy", "alembic", "jinja2", "argon2")
    from giantkiller.serve.settings import read_settings
    from giantkiller.store import open_store

    settings = read_settings({} if state is None else {"state": state}, config)
    store = open_store(settings.state, settings.database_url)
    try:
        yield store, settings
    finally:
        store.close()
