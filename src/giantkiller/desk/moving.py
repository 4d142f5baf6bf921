"""Backups while the desk runs, and a file that carries everything from one database to another."""

import gzip
import json
import sqlite3
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Table, func, insert, select, text

from giantkiller.atomic import replace_file
from giantkiller.desk import tables
from giantkiller.desk.events import verify
from giantkiller.errors import UserError
from giantkiller.serve import comparison, feedback, keys, shelf
from giantkiller.serve.hooks import messages
from giantkiller.store import Store, UTCDateTime, metadata
from giantkiller.store.schema import revisions

FORMAT = "giantkiller-desk"
_TOGETHER = 500
# So that all tables are registered.
_MUST_BE_KNOWN = (
    tables.items,
    feedback.feedback_table,
    keys.api_keys,
    messages.hook_messages,
    shelf.bundles,
    comparison.counts,
)


def backup(store: Store, path: Path) -> None:
    """Copy the whole SQLite database into a file, consistent, while others go on writing.

    To restore it, put it in the state folder as giantkiller.db while the service is stopped.

    Raises:
        UserError: If the database is PostgreSQL, which has tools of its own, or the file can't be written.
    """
    if store.engine.dialect.name != "sqlite":
        raise UserError("a backup of PostgreSQL is pg_dump's work; or export everything to a file")
    with store.engine.connect() as connection, replace_file(path) as temporary:
        source = connection.connection.driver_connection
        assert source is not None
        target = sqlite3.connect(temporary)
        try:
            source.backup(target)
            # A file by itself: whoever copies it need not know of a write-ahead log beside it.
            target.execute("PRAGMA journal_mode = DELETE")
            target.commit()
        finally:
            target.close()


def dump(connection: Connection, path: Path) -> int:
    """Write every table to a file of compressed JSON Lines; secrets' hashes, too: keep it as the database.

    Returns:
        How many rows.
    """
    count = 0
    with replace_file(path) as temporary, gzip.open(temporary, "wt", encoding="utf-8") as out:
        out.write(json.dumps({"format": FORMAT, "schema": revisions()[-1]}) + "\n")
        for table in metadata.sorted_tables:
            keys_of = list(table.primary_key.columns)
            rows = connection.execution_options(yield_per=_TOGETHER).execute(select(table).order_by(*keys_of))
            for row in rows:
                values = [_plain(value) for value in row]
                out.write(json.dumps([table.name, values], ensure_ascii=False) + "\n")
                count += 1
        out.write(json.dumps({"rows": count}) + "\n")
    return count


def load(connection: Connection, path: Path) -> int:
    """Read such a file into a new database, all or nothing.

    Raises:
        UserError: If the file is none, is damaged or of another schema, or the database is in use.
    """
    if connection.execute(select(func.count()).select_from(tables.events)).scalar_one():
        raise UserError("the database has a desk in it already; import into a new one")
    for table in reversed(metadata.sorted_tables):
        connection.execute(table.delete())
    try:
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            count = _load_lines(connection, path, lines)
    except OSError as error:
        raise UserError(f"can't read {path}: {error.strerror or error}") from error
    except (ValueError, EOFError) as error:
        raise UserError(f"{path} is damaged, or no export of a desk") from error
    if connection.dialect.name == "postgresql":
        _advance_sequences(connection)
    problems = verify(connection).problems
    if problems:
        raise UserError(f"{path}: the log does not verify: {problems[0]}")
    return count


def _load_lines(connection: Connection, path: Path, lines: Any) -> int:
    head = json.loads(next(lines, "null"))
    if not isinstance(head, dict) or head.get("format") != FORMAT:
        raise UserError(f"{path} is no export of a desk")
    if head.get("schema") != revisions()[-1]:
        raise UserError(
            f"{path} has schema {head.get('schema')}, this giantkiller {revisions()[-1]}; use the same "
            "version for export and import"
        )
    known = {table.name: table for table in metadata.sorted_tables}
    count, end = 0, None
    batch: list[dict[str, Any]] = []
    current: Table | None = None

    def flush() -> None:
        if batch and current is not None:
            connection.execute(insert(current), batch)
            batch.clear()

    for line in lines:
        entry = json.loads(line)
        if isinstance(entry, dict):
            end = entry.get("rows")
            break
        name, values = entry
        table = known.get(name)
        if table is None or len(values) != len(table.columns):
            raise UserError(f"{path} has a table {str(name)[:40]!r} that this giantkiller doesn't have")
        if table is not current or len(batch) >= _TOGETHER:
            flush()
            current = table
        batch.append(_values(table, values))
        count += 1
    flush()
    if end != count:
        raise UserError(f"{path} is cut off after {count:,} rows")
    return count


def _values(table: Table, values: list[Any]) -> dict[str, Any]:
    row = {}
    for column, value in zip(table.columns, values, strict=True):
        if value is not None and isinstance(column.type, UTCDateTime):
            value = datetime.fromisoformat(value)
        row[column.name] = value
    return row


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


def _advance_sequences(connection: Connection) -> None:
    for table in metadata.sorted_tables:
        columns = list(table.primary_key.columns)
        if len(columns) != 1 or columns[0].autoincrement is not True:
            continue
        column = columns[0].name
        connection.execute(
            text(
                f"SELECT setval(pg_get_serial_sequence('{table.name}', '{column}'), "
                f"COALESCE((SELECT MAX({column}) FROM {table.name}), 0) + 1, false)"
            )
        )
