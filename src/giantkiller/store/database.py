"""Open, migrate, read and write the state database."""

import contextlib
import itertools
import queue
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, OperationalError

from giantkiller.errors import MissingExtraError, UserError
from giantkiller.store.schema import create, revisions, upgrade

T = TypeVar("T")
A = TypeVar("A")

FILE = "giantkiller.db"
"""The database's name in the state folder."""

OLDEST_SQLITE = (3, 35)
"""The first version that tells what it inserted (RETURNING)."""

BUSY_SECONDS = 5
"""How long a writer waits for another program's transaction on SQLite."""

TURN_SECONDS = 30
"""How long a thread waits for its turn to write on SQLite, behind other threads of this process."""

_CONNECTIONS = {"pool_size": 8, "max_overflow": 56}  # more than a server has threads: nobody waits for one
_TOGETHER = 128  # works that share one commit
_WAITING = 10_000  # works in line before the writer refuses more


class StoreBusyError(UserError):
    """The database takes no more writes for the moment: too many in line, or locked by another program."""


class Store:
    """The state database of one process.

    Safe to use from several threads. `submit` is the way to write often: works handed in at the same time
    share one transaction and so one sync of the disk.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._line: queue.Queue[_Entry | None] = queue.Queue(_WAITING)
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        # SQLite lets writers poll for the lock, and some of twenty never get it: ours take turns instead.
        self._turn = threading.Lock() if engine.dialect.name == "sqlite" else None
        self._closed = False

    @contextlib.contextmanager
    def read(self) -> Iterator[Connection]:
        """Yield a connection with one consistent view of the database."""
        with self.engine.connect() as connection:
            if connection.dialect.name == "postgresql":
                # There each statement would see what was written since the one before.
                connection = connection.execution_options(isolation_level="REPEATABLE READ")
            with connection.begin():
                yield connection

    @contextlib.contextmanager
    def write(self) -> Iterator[Connection]:
        """Yield a connection inside a transaction that is committed at the end, or undone on an error.

        On SQLite the transaction holds the write lock from its beginning, so what it reads stays true.

        Raises:
            StoreBusyError: If another program holds the database for too long.
        """
        try:
            with self._my_turn(), self.engine.connect() as connection:
                connection = connection.execution_options(giantkiller_write=True)
                with connection.begin():
                    yield connection
        except OperationalError as error:
            if _is_locked(error):
                raise StoreBusyError(
                    "the database is locked by another program; try again, or stop that program"
                ) from error
            raise

    @contextlib.contextmanager
    def _my_turn(self) -> Iterator[None]:
        if self._turn is None:
            yield
            return
        if not self._turn.acquire(timeout=TURN_SECONDS):
            raise StoreBusyError("too many writes are waiting for the disk")
        try:
            yield
        finally:
            self._turn.release()

    def submit(self, work: "Callable[[Connection], T]") -> "Future[T]":
        """Run a work inside a transaction, soon, in the writer's thread.

        Args:
            work: Called with a connection; its changes are undone if it raises, without harm to the works
                that share the transaction.

        Returns:
            What the work returns, once it is committed to disk.

        Raises:
            StoreBusyError: If too many works wait already.
        """
        return self._enter(lambda connection, _: [work(connection)], None)

    def submit_together(
        self, work: "Callable[[Connection, Sequence[A]], Sequence[T]]", argument: A
    ) -> "Future[T]":
        """Run a work as `submit` does, once for all arguments that are handed in with it at the same time.

        If it raises, it runs again for each argument alone, so that one that can't be done harms no other.

        Args:
            work: Called with a connection and the arguments, in the order in which they came; returns one
                result for each.
            argument: What to do it for.

        Returns:
            The result for this argument, once it is committed to disk.

        Raises:
            StoreBusyError: If too many works wait already.
        """
        return self._enter(work, argument)

    def _enter(self, work: "Callable[[Connection, Any], Sequence[T]]", argument: Any) -> "Future[T]":
        future: Future[T] = Future()
        future.set_running_or_notify_cancel()  # what was accepted is written, whoever no longer waits for it
        with self._lock:
            if self._closed:
                raise StoreBusyError("the database was closed; open it again")
            if self._thread is None:
                self._thread = threading.Thread(target=self._write_all, name="store", daemon=True)
                self._thread.start()
            try:
                self._line.put_nowait(_Entry(work, argument, future))
            except queue.Full:
                raise StoreBusyError("too many writes are waiting for the disk; try again") from None
        return future

    def close(self) -> None:
        """Finish what was submitted and let the database go."""
        with self._lock:
            self._closed = True
            thread, self._thread = self._thread, None
        if thread is not None:
            self._line.put(None)
            thread.join()
        self.engine.dispose()

    def _write_all(self) -> None:
        while (first := self._line.get()) is not None:
            entries = [first]
            ended = False
            with contextlib.suppress(queue.Empty):
                while len(entries) < _TOGETHER:
                    following = self._line.get_nowait()
                    if following is None:
                        ended = True
                        break
                    entries.append(following)
            self._write_together(entries)
            if ended:
                return

    def _write_together(self, entries: "list[_Entry]") -> None:
        done: list[tuple[Future[Any], Any]] = []
        try:
            with self.write() as connection:
                for _, alike in itertools.groupby(entries, key=lambda entry: entry.work):
                    done += _run(connection, list(alike))
        except Exception as error:
            for entry in entries:
                if not entry.future.done():
                    entry.future.set_exception(error)
            return
        for future, result in done:
            future.set_result(result)


@dataclass(frozen=True, slots=True)
class _Entry:
    """A work in line for the writer."""

    work: Callable[[Connection, Sequence[Any]], Sequence[Any]]
    argument: Any
    future: "Future[Any]"


def _run(connection: Connection, alike: list[_Entry]) -> list[tuple["Future[Any]", Any]]:
    """Run entries of the same work; return those that went well with their results."""
    try:
        with connection.begin_nested():
            results = alike[0].work(connection, [entry.argument for entry in alike])
            return [(entry.future, result) for entry, result in zip(alike, results, strict=True)]
    except Exception as error:
        if _is_over(connection):
            raise
        if len(alike) == 1:
            alike[0].future.set_exception(error)
            return []
    return [done for entry in alike for done in _run(connection, [entry])]


def _is_over(connection: Connection) -> bool:
    """Return whether the transaction is gone: SQLite undoes it by itself when the disk is full or fails."""
    if connection.invalidated:
        return True
    driver: Any = connection.connection.dbapi_connection
    return not connection.in_transaction() or (
        isinstance(driver, sqlite3.Connection) and not driver.in_transaction
    )


def open_store(state: Path, url: str | None = None, *, migrate: bool = True) -> Store:
    """Open the state database, creating it or bringing its schema up to date.

    Args:
        state: The state folder, made if it is missing.
        url: A PostgreSQL URL; None for SQLite in the state folder.
        migrate: Bring an older schema up to date; otherwise it is refused.

    Raises:
        UserError: If the folder or database can't be used, or is newer than this program.
    """
    where, engine = _engine(state, url)
    store = Store(engine)
    try:
        _prepare(store, where, migrate)
    except (StoreBusyError, OperationalError) as error:
        engine.dispose()
        if isinstance(error, StoreBusyError) or _is_locked(error):
            raise UserError(
                f"the database {where} is locked by another program; stop that program, or name another "
                "state folder"
            ) from error
        raise UserError(f"can't open the database {where}: {_reason(error)}") from error
    except DBAPIError as error:
        engine.dispose()
        raise UserError(
            f"{where} is not a database that this program can read ({_reason(error)}); restore a backup of "
            "it, or name another state folder"
        ) from error
    except BaseException:
        engine.dispose()
        raise
    return store


def _engine(state: Path, url: str | None) -> tuple[str, Engine]:
    try:
        state.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise UserError(
            f"can't make the state folder {state}: {error.strerror or error}; name another one"
        ) from error
    if url is None:
        if sqlite3.sqlite_version_info < OLDEST_SQLITE:
            raise UserError(
                f"this Python has SQLite {sqlite3.sqlite_version}, and the service needs "
                f"{'.'.join(map(str, OLDEST_SQLITE))} or newer; take a newer Python, or a PostgreSQL database"
            )
        path = state / FILE
        probe = state / ".writable"
        try:
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise UserError(
                f"can't write in the state folder {state}: {error.strerror or error}; give this user the "
                "right to, or name another folder"
            ) from error
        engine = create_engine(
            URL.create("sqlite+pysqlite", database=str(path)),
            connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False},
            **_CONNECTIONS,
        )
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return str(path), engine
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise UserError("the database URL is none; write postgresql://user:password@host/name") from None
    if parsed.get_backend_name() not in ("postgresql", "postgres"):
        raise UserError(
            f"the database URL begins with {parsed.drivername}; only postgresql:// is supported, and SQLite "
            "in the state folder without a URL"
        )
    parsed = parsed.set(drivername="postgresql+psycopg")
    try:
        engine = create_engine(
            parsed, pool_pre_ping=True, connect_args={"connect_timeout": 10}, **_CONNECTIONS
        )
    except (ImportError, NoSuchModuleError):
        raise MissingExtraError("psycopg", "postgresql") from None
    return parsed.render_as_string(hide_password=True), engine


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # transactions begin where _begin_sqlite says
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    writing = connection.get_execution_options().get("giantkiller_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")


def _prepare(store: Store, where: str, migrate: bool) -> None:
    known = revisions()
    with store.read() as connection:
        current = _current(connection, where)
    if current == known[-1]:
        return
    if current is not None and current not in known:
        raise UserError(
            f"the database {where} was written by a newer giantkiller (schema {current}, this one knows "
            f"{known[-1]}); update giantkiller, or name another state folder"
        )
    if not migrate:
        raise UserError(
            f"the database {where} has an older schema; start the service once to bring it up to date"
        )
    with store.write() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(7046029254386353131)"))
        current = _current(connection, where)
        if current is None and connection.dialect.name == "sqlite":
            create(connection)
        elif current != known[-1]:  # another process may have been quicker
            upgrade(connection)


def _current(connection: Connection, where: str) -> str | None:
    names = set(inspect(connection).get_table_names())
    if "alembic_version" not in names:
        if names:
            raise UserError(
                f"the database {where} holds other tables than giantkiller's; name another state folder or "
                "database"
            )
        return None
    version: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return version


def _is_locked(error: BaseException) -> bool:
    message = str(error).lower()
    return (
        "database is locked" in message or "lock timeout" in message or "database table is locked" in message
    )


def _reason(error: DBAPIError) -> str:
    lines = str(error.orig or error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__
